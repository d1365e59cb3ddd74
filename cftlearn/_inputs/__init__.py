"""Inputs of a network: arrays, tensors, image files, images or a torch Dataset.

Importing this folder imports torch, which everything in it needs.
"""

from cftlearn._inputs._checking import read_network_inputs
from cftlearn._inputs._image_folders import image_files
from cftlearn._inputs._loader import to_tensor
from cftlearn._inputs._rows import ArrayInputs, Inputs, SkippedRow
from cftlearn._inputs._sources import is_array_like, read_inputs

__all__ = [
    "ArrayInputs",
    "Inputs",
    "SkippedRow",
    "image_files",
    "is_array_like",
    "read_inputs",
    "read_network_inputs",
    "to_tensor",
]
