"""What is wrong in a model folder, in words: rule, value and place."""

import reprlib
from typing import Any

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60
_REPR.maxlevel = 2
_REPR.maxlong = 40


class Fault(Exception):
    """Something in a model folder is not as ``save_model`` writes it.

    ``load_model`` raises a :class:`~cftlearn.exceptions.ModelFormatError` in its place,
    which also names the folder and says what to do.
    """


class NewerFormat(Fault):
    """The folder is of a format that only a newer version knows."""


def broken(place: str, rule: str, value: Any, file: str = "model.json") -> Fault:
    """Return the fault that a value breaks a rule.

    Parameters
    ----------
    place : str
        Name of the value.
    rule : str
        What it must be, in words that follow "must".
    value : object
        What it is. Of a long one, only the beginning is written.
    file : str, default="model.json"
        The file that holds it.

    Returns
    -------
    fault : Fault
        To be raised.
    """
    return Fault(f"`{place}` in {file} must {rule}; got {shown(value)}")


def shown(value: Any) -> str:
    """Return the text of a value, shortened before it is made.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    text : str
        One line.
    """
    return " ".join(_REPR.repr(value).split())
