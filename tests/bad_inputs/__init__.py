"""The catalogue: bad inputs of every public entry, each with its whole message.

A module of this folder holds the cases of one part of the package in a list `CASES`;
`tests/test_bad_inputs.py` runs them all. To add cases, extend such a list, or add a
module with one.
"""
