"""NUS-WIDE: 81 concepts in images of Flickr, with a text file for each concept."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._names import (
    as_name,
    first_pair,
    name_key,
    path_key,
    shown,
    shown_apart,
)
from cftlearn.datasets._paths import PathText, first_existing
from cftlearn.datasets._text_files import read_bytes, read_lines
from cftlearn.labels import LabelState

# For each split: list of images, folder of label files, and how their names end.
_SPLITS = {
    "train": ("TrainImagelist.txt", "TrainTestLabels", "_Train"),
    "test": ("TestImagelist.txt", "TrainTestLabels", "_Test"),
    "all": ("Imagelist.txt", "AllLabels", ""),
}
_CONCEPT_FILES = (
    "Concepts81.txt",
    "ConceptsList/Concepts81.txt",
    "Concepts/Concepts81.txt",
)
_STATES = {b"1": int(LabelState.POSITIVE), b"0": int(LabelState.NEGATIVE)}
_NO_STATE = 255
# The published Labels_lake_Train.txt has this in line 78,372, by mistake.
_KNOWN_MISTAKE = ("lake", b"-1130179")


@validate_params(
    {"path": "no_validation", "split": [StrOptions(set(_SPLITS))]},
    prefer_skip_nested_validation=True,
)
def load_nus_wide(
    path: PathText, *, split: Literal["train", "test", "all"]
) -> LabelTable:
    r"""Load the labels of NUS-WIDE.

    Reads ``Concepts81.txt`` (also in ``ConceptsList``), ``ImageList`` and
    ``Groundtruth`` as they are published; upper and lower case of their names do not
    matter. Every label is known; hide some with
    :func:`cftlearn.labels.hide_labels`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the three.
    split : {"train", "test", "all"}
        The authors' 161,789 training or 107,859 test images, or all in the order of
        ``Imagelist.txt`` (from ``AllLabels``).

    Returns
    -------
    table : LabelTable
        ``paths`` are those of the list of images, with ``/`` in place of its
        backslashes, such as ``actor/0001_2124494179.jpg``. ``info`` has
        ``flickr_id``, the number at the end of the file's name; images with the same
        number are the same photo.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder or a file in it does not exist.
    ValueError
        If a file of labels does not have one line per image, a line is neither 0 nor
        1, or a concept or an image is listed twice. The message names file and line.

    Notes
    -----
    The published ``Labels_lake_Train.txt`` has -1130179 in line 78,372. That one label
    is uncertain; ``AllLabels`` does not have the mistake. Many images were removed
    from Flickr: keep the rows that you have by :meth:`LabelTable.take`.

    References
    ----------
    .. [1] Chua et al., "NUS-WIDE: A Real-World Web Image Database from National
       University of Singapore", CIVR 2009.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cftlearn.datasets import load_nus_wide
    >>> with TemporaryDirectory() as folder:
    ...     for name, text in {
    ...         "Concepts81.txt": "sky",
    ...         "ImageList/TestImagelist.txt": "actor\\0001_2124494179.jpg",
    ...         "Groundtruth/TrainTestLabels/Labels_sky_Test.txt": "1",
    ...     }.items():
    ...         file = Path(folder, name)
    ...         file.parent.mkdir(parents=True, exist_ok=True)
    ...         _ = file.write_text(text)
    ...     table = load_nus_wide(folder, split="test")
    >>> print(*table.paths, table)
    actor/0001_2124494179.jpg LabelTable: 1 samples, 1 categories, 1 positive, ...
    """
    concept_file = first_existing(path, _CONCEPT_FILES, "the names of the concepts")
    names = [
        as_name(line, "a concept", f"line {number} of '{concept_file}'")
        for number, line in enumerate(read_lines(concept_file), start=1)
    ]
    _refuse_repeated(names, name_key, "concept", concept_file)
    image_list, folder, end = _SPLITS[split]
    list_file = first_existing(
        path, [f"ImageList/{image_list}", image_list], "the list of images"
    )
    paths = [line.replace("\\", "/") for line in read_lines(list_file)]
    _refuse_repeated(paths, path_key, "image", list_file)
    states = np.empty((len(paths), len(names)), dtype=np.uint8)
    for j, name in enumerate(names):
        label_file = f"{folder}/Labels_{name}{end}.txt"
        file = first_existing(
            path,
            [f"Groundtruth/{label_file}", label_file],
            f"the labels of {shown(name)}",
        )
        states[:, j] = _read_states(file, name, len(paths), list_file)
    info = {"flickr_id": np.array([_flickr_id(image) for image in paths], dtype=str)}
    return LabelTable(as_objects(paths), states, as_objects(names), info)


def _refuse_repeated(
    lines: list[str], key: Callable[[str], str], what: str, file: Path
) -> None:
    pair = first_pair(lines, key)
    if pair is not None:
        texts = shown_apart(lines[pair[0]], lines[pair[1]])
        raise ValueError(
            f"`path` must list every {what} once; got {texts[0]} and {texts[1]} in "
            f"lines {pair[0] + 1} and {pair[1] + 1} of "
            f"'{file}'. Copy or download it again."
        )


def _read_states(
    file: Path, name: str, n_images: int, list_file: Path
) -> NDArray[np.uint8]:
    content = read_bytes(file).rstrip()
    lines = [line.strip() for line in content.split(b"\n")] if content else []
    if len(lines) != n_images:
        raise ValueError(
            f"`path` must have a label for every image; '{file}' has {len(lines):,} "
            f"lines, '{list_file}' {n_images:,}. Was one of them cut short, or taken "
            "from another copy?"
        )
    codes = bytes(_STATES.get(line, _NO_STATE) for line in lines)
    states = np.frombuffer(codes, dtype=np.uint8).copy()
    for row in np.flatnonzero(states == _NO_STATE):
        if (name, lines[row]) != _KNOWN_MISTAKE:
            raise ValueError(
                f"`path` must have 0 or 1 in every line of labels; got "
                f"{shown(lines[row].decode(errors='replace'))} in line {row + 1} of "
                f"'{file}'. Copy or download it again."
            )
        states[row] = LabelState.UNCERTAIN
    return states


def _flickr_id(image: str) -> str:
    return image.rsplit("/", 1)[-1].rsplit("_", 1)[-1].split(".")[0]
