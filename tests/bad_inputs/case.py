"""What a case of the catalogue is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One bad input, and the answer to it.

    Attributes
    ----------
    entry : str
        The public name that is called, such as ``"datasets.load_coco"``.
    fault : str
        What is wrong with the input, in a few words; unique within the entry.
    call : callable
        Takes an empty folder, prepares the bad input there if it needs files, and makes
        the call. It imports torch and the like itself, so that collecting stays cheap.
    error : type
        Exactly the type that is raised; a subclass does not count.
    message : str
        The whole text of the error. ``{folder}`` stands for the empty folder.
    needs : str, default=""
        A module without which the case is skipped, such as ``"pandas"``.
    """

    entry: str
    fault: str
    call: Callable[[Path], object]
    error: type[BaseException]
    message: str
    needs: str = ""
