"""Build inputs of a network from what a user has: numbers, images, a Dataset."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from cftlearn._features._stored import is_stored
from cftlearn._inputs._image_folders import image_files
from cftlearn._inputs._loader import Transform
from cftlearn._inputs._rows import ArrayInputs, Inputs
from cftlearn.exceptions import ImageFileError
from cftlearn.images._pixels import ValueRange
from cftlearn.images._read import read_image
from cftlearn.labels._plain_arrays import refuse_masked, refuse_without_rows


def read_inputs(
    X: Any,
    transform: Transform | None = None,
    *,
    name: str = "X",
    check_files: bool = True,
    transform_name: str = "transform",
) -> Inputs:
    """Build inputs from what a user passed, and check them without opening an image.

    Parameters
    ----------
    X : array-like, Tensor, paths, folder, images or Dataset
        Numbers of shape (n_rows, ...), as array-like or tensor; a list, array or Series
        of image paths; one folder, for all images below it in the order of their names;
        a list of PIL images; anything on disk with ``shape``, ``dtype`` and rows, such
        as an h5py dataset; or a map-style torch Dataset, whose items are ``x`` or
        ``(x, ...)``.
    transform : callable, default=None
        Turns one item into an array or tensor. The item is an image in RGB for paths,
        the image itself for a list of images, else the row or ``x``. Images need one.
    name : str, default="X"
        How errors name the inputs.
    check_files : bool, default=True
        Check that every path is a file.
    transform_name : str, default="transform"
        How errors name the parameter of the transform.

    Returns
    -------
    inputs : Inputs
        The rows, none of them read yet.

    Raises
    ------
    TypeError, ValueError
        If `X` is none of these, holds no rows, or holds images without a transform.
    ImageFileError
        If an image file does not exist.
    """
    if transform is not None and not callable(transform):
        raise TypeError(
            f"`{transform_name}` must be callable; got {type(transform).__name__}. "
            "Pass cftlearn.images.ImageTransform(), for example."
        )
    refuse_without_rows(X, name, takes_dataset=True)
    if isinstance(X, Inputs):
        return X
    if _is_image(X):
        raise TypeError(
            f"`{name}` must hold rows, one image per row; got one image of the size "
            f"{X.size}. Pass a list of it: [image]."
        )
    if isinstance(X, (str, os.PathLike)):
        X = image_files(Path(X), name)
    inputs = _wrap(X, transform, {"name": name, "transform_name": transform_name})
    if check_files:
        _check_files(inputs.paths or [], name)
    if not len(inputs):
        raise ValueError(f"`{name}` must hold at least one row; got none.")
    return inputs


def is_array_like(X: Any) -> bool:
    """Return whether inputs are numbers in memory, which scikit-learn can check."""
    if isinstance(X, (str, os.PathLike, Dataset, Inputs)) or _is_image(X):
        return False
    return _item_kind(X) is None and not is_stored(X)


def _wrap(X: Any, transform: Transform | None, names: dict[str, str]) -> Inputs:
    """Choose the kind of inputs; `names` are those for errors."""
    kind = _item_kind(X)
    if isinstance(X, Dataset):
        _check_map_style(X, names["name"])
        return Inputs(_FirstParts(X), transform, **names)
    if kind is not None:
        return _wrap_images(list(X), kind, transform, names)
    if is_stored(X):
        inputs = Inputs(X, transform, **names)
        inputs.row_shape = tuple(map(int, X.shape[1:]))
        return inputs
    return ArrayInputs(_numbers(X, names["name"]), transform, **names)


class _ImageFiles:
    """Image files, each opened when its row is read."""

    def __init__(self, paths: Sequence[str], value_range: ValueRange | None) -> None:
        self.paths, self.value_range = paths, value_range

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Any:
        return read_image(self.paths[row], value_range=self.value_range)


class _FirstParts:
    """Items of a Dataset without their labels."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> Any:
        item = self.dataset[row]
        return item[0] if isinstance(item, (tuple, list)) and item else item


def _item_kind(X: Any) -> str | None:
    """Return ``"path"`` or ``"image"`` by the first item, or None for numbers."""
    is_list = isinstance(X, (list, tuple))
    if not is_list and len(getattr(X, "shape", ())) == 1:
        dtype = getattr(X, "dtype", None)  # pandas and polars have types of their own
        is_list = not isinstance(dtype, np.dtype) or dtype.kind in "OUT"
    first = next(iter(X), None) if is_list else None
    if isinstance(first, (str, os.PathLike)):
        return "path"
    return "image" if _is_image(first) else None


def _is_image(item: Any) -> bool:
    """Return whether an object is an image of pillow, without importing pillow."""
    return any(
        kind.__module__ == "PIL.Image" and kind.__name__ == "Image"
        for kind in type(item).__mro__
    )


def _check_map_style(X: Any, name: str) -> None:
    if isinstance(X, IterableDataset) or not hasattr(X, "__len__"):
        raise TypeError(
            f"`{name}` must be a map-style Dataset, with a length and rows in any "
            f"order; got {type(X).__name__}. Give it __len__ and __getitem__."
        )


def _wrap_images(
    items: list[Any], kind: str, transform: Transform | None, names: dict[str, str]
) -> Inputs:
    for row, item in enumerate(items):
        if _item_kind([item]) != kind:
            raise TypeError(
                f"`{names['name']}` must hold {kind}s in every row, as in the first; "
                f"got {item!r} in row {row}. Leave the row out."
            )
    if transform is None:
        raise ValueError(
            f"`{names['name']}` holds images, which need the parameter "
            f"`{names['transform_name']}` that makes the network's input of one; got "
            "None. Pass the transform that the network was trained with, or "
            "cftlearn.images.ImageTransform(224) for colours in ImageNet's scale."
        )
    if kind == "image":
        return Inputs(items, transform, **names)
    paths = [str(os.fspath(item)) for item in items]
    value_range = getattr(transform, "value_range", None)  # of an ImageTransform
    return Inputs(_ImageFiles(paths, value_range), transform, paths=paths, **names)


def _check_files(paths: Sequence[str], name: str) -> None:
    missing = [row for row, path in enumerate(paths) if not _is_file(path)]
    if not missing:
        return
    first = paths[missing[0]]
    where = "" if Path(first).is_absolute() else f", seen from {Path.cwd()}"
    verb = "are folders, pipes or devices" if _exists(first) else "do not exist"
    raise ImageFileError(
        f"`{name}` must hold paths of files; {len(missing)} of {len(paths)} {verb}, "
        f"the first is row {missing[0]} ({first!r}){where}. Check the folder, or leave "
        "these rows out."
    )


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # a name too long, as texts are
        return False


def _dense(tensor: Tensor, name: str) -> Tensor:
    """Return a tensor on the CPU, if it has values that are all stored."""
    if tensor.is_meta:
        raise ValueError(
            f"`{name}` must hold values; got a tensor on the device 'meta', which has "
            f"only a shape, {tuple(tensor.shape)}. Pass the data itself."
        )
    if tensor.layout != torch.strided:
        raise TypeError(
            f"`{name}` must be a dense tensor; got one that is {tensor.layout}, of "
            f"shape {tuple(tensor.shape)}. Pass x.to_dense()."
        )
    return tensor.detach().cpu()


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:
        return False


def _numbers(X: Any, name: str) -> NDArray[Any]:
    refuse_masked(X, name)
    if isinstance(X, (list, tuple)) and any(isinstance(row, Tensor) for row in X):
        X = [_dense(row, name) if isinstance(row, Tensor) else row for row in X]
    if isinstance(X, Tensor):
        tensor = _dense(X, name)
        X = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    try:
        array = np.asarray(X)
    except ValueError as error:  # rows of unequal shape
        raise ValueError(
            f"`{name}` must hold rows of one shape; {error}. Make them equal, or pass "
            "a torch Dataset."
        ) from error
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise TypeError(
            f"`{name}` must hold numbers with rows first, image paths, PIL images, or "
            f"be a torch Dataset; got {type(X).__name__} of shape {array.shape} and "
            f"type {array.dtype}."
        )
    return array
