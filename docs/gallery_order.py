"""The order of the gallery: by the number in a file's name, 2 before 10."""

import re


class ByNumber:
    """Sort the examples of a folder, as sphinx-gallery asks for it.

    Parameters
    ----------
    src_dir : str
        The folder.
    """

    def __init__(self, src_dir: str) -> None:
        self.src_dir = src_dir

    def __call__(self, filename: str) -> tuple[int, str]:
        """Return what a file is sorted by."""
        number = re.search(r"\d+", filename)
        return (int(number.group()) if number else 0, filename)
