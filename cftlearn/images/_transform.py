"""Turn images into the tensors that networks take, without torchvision."""

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cftlearn._dependencies import import_optional
from cftlearn.images._pixels import (
    Mode,
    ValueRange,
    check_value_range,
    convert_image,
)

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


Interpolation = Literal["bilinear", "bicubic", "lanczos", "nearest", "area"]

_CHANNELS = {"RGB": 3, "L": 1}
_MOST_PIXELS = 10_000  # a side: one such image takes more than a gigabyte
_INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest", "area")


@dataclass(frozen=True)
class ImageTransform:
    """Turn an image into a network's input: crop, resize, scale, normalise.

    It does the same in training and in prediction, and nothing at random. Its
    parameters are numbers and words, so a model can be saved with it. The defaults are
    those of networks trained on ImageNet, except for the crop.

    Parameters
    ----------
    size : int or tuple (height, width), default=224
        Pixels of the result. One number makes a square. At most 10,000 a side.
    mode : {"RGB", "L"}, default='RGB'
        Three colours, or one channel of grey. Grey images in ``"RGB"`` have three
        equal channels.
    mean : float or tuple of one per channel, default=(0.485, 0.456, 0.406)
        Subtracted after scaling.
    std : float or tuple of one per channel, default=(0.229, 0.224, 0.225)
        Divides after that; above 0.
    interpolation : {"bilinear", "bicubic", "lanczos", "nearest", "area"}, \
default='bilinear'
        How to resize. The first three smooth when they shrink. ``"area"`` takes the
        mean over the part of the image that a new pixel covers, as OpenCV's
        ``INTER_AREA`` does when it shrinks.
    crop : float or None, default=None
        Size of the part to keep, in (0, 1]. 1 is the largest centred part with the
        proportions of the result. ImageNet's protocol (shorter side to 256, centre of
        224) is ``crop=224/256``. None keeps the whole image and changes its
        proportions, so that no finding at the margin is lost.
    scale : float, default=0.00392156862745098
        Factor of the bytes in [0, 255]; the default 1/255 gives [0, 1].
    value_range : tuple (low, high), default=None
        Stored values of grey that become the bytes 0 and 255, in images of more than
        eight bits: ``(0, 4095)`` for 12 bits that are stored in 16. None: the full
        range of so many bits. See :func:`read_image`.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from PIL import Image
    >>> from cftlearn.images import ImageTransform
    >>> ImageTransform(32)(Image.new("L", (640, 480), 124)).shape
    torch.Size([3, 32, 32])
    """

    size: int | tuple[int, int] = 224
    _: KW_ONLY
    mode: Mode = "RGB"
    mean: float | tuple[float, ...] = (0.485, 0.456, 0.406)
    std: float | tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bilinear"
    crop: float | None = None
    scale: float = 1 / 255
    value_range: ValueRange | None = None

    def __post_init__(self) -> None:
        """Check the parameters; lists, as JSON gives them, become tuples."""
        for name in ("size", "mean", "std", "value_range"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        _check(self)

    def __call__(self, image: "Image") -> "Tensor":
        """Transform one image.

        Parameters
        ----------
        image : PIL.Image.Image
            Of any mode and size. It is not changed. Its EXIF orientation is applied.

        Returns
        -------
        tensor : torch.Tensor of shape (n_channels, height, width), float32
            The network's input.

        Raises
        ------
        TypeError
            If it is no PIL image.
        ImageFileError
            If the range of its values is unknown or unlikely; see
            :func:`read_image`.
        """
        import torch

        if not hasattr(image, "getexif"):
            raise TypeError(
                f"`image` must be a PIL image; got {type(image).__name__}. Make one "
                "with cftlearn.images.read_image(path) or PIL.Image.fromarray(array)."
            )
        upright = convert_image(image, self.mode, value_range=self.value_range)
        pixels = self._resize(upright).reshape(*self.shape, self.n_channels)
        mean, std = (np.asarray(x, np.float32) for x in (self.mean, self.std))
        values = (pixels.astype(np.float32) * np.float32(self.scale) - mean) / std
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))

    def __sklearn_clone__(self) -> Self:
        """Return the same object when an estimator is cloned; it cannot change."""
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result, in pixels."""
        if isinstance(self.size, tuple) and len(self.size) == 2:
            return self.size
        return self.size, self.size

    @property
    def n_channels(self) -> int:
        """Channels of the result."""
        return _CHANNELS[self.mode]

    def get_params(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold.

        Returns
        -------
        params : dict
            Numbers, words, lists and None.
        """
        params = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in params.items()
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Build a transform from its parameters.

        Parameters
        ----------
        params : mapping
            As :meth:`get_params` returns them; missing names take their defaults.

        Returns
        -------
        transform : ImageTransform
            Equal to the one whose parameters they are.

        Raises
        ------
        ValueError
            If a name is unknown, or a value is out of its range.
        """
        known = {field.name for field in fields(cls)}
        unexpected = sorted(set(params) - known)
        if unexpected:
            raise ValueError(
                f"An ImageTransform has the parameters {', '.join(sorted(known))}; got "
                f"{', '.join(map(repr, unexpected))} too. Update cftlearn if it was "
                "saved by a newer version."
            )
        return cls(**params)

    def _resize(self, image: "Image") -> NDArray[np.uint8]:
        height, width = self.shape
        box = self._box(image.width, image.height)
        if self.interpolation == "area":
            return _area_means(np.asarray(image), (height, width), box)
        filters = import_optional("PIL.Image", feature="ImageTransform", extra="images")
        how = filters.Resampling[self.interpolation.upper()]
        return np.asarray(image.resize((width, height), how, box=box))

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Find the part to keep: left, top, right and bottom."""
        if self.crop is None:
            return 0, 0, width, height
        rows, columns = self.shape
        unit = self.crop * min(width / columns, height / rows)
        across, down = unit * columns, unit * rows
        left, top = (width - across) / 2, (height - down) / 2
        return left, top, left + across, top + down


def _area_means(
    pixels: NDArray[np.uint8],
    shape: tuple[int, int],
    box: tuple[float, float, float, float],
) -> NDArray[np.uint8]:
    """Average over the part of the image that each new pixel covers."""
    left, top, right, bottom = box
    values = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    rows = _average(values, _overlaps(top, bottom, values.shape[0], shape[0]))
    columns = _overlaps(left, right, values.shape[1], shape[1])
    means = _average(rows.swapaxes(0, 1), columns).swapaxes(0, 1)
    return np.rint(means).astype(np.uint8)


def _average(values: NDArray[np.float32], weights: csr_array) -> NDArray[np.float32]:
    """Average along the first axis, with the weights of each result in a row."""
    means = weights @ values.reshape(len(values), -1)
    return means.reshape(-1, *values.shape[1:])


def _overlaps(low: float, high: float, n_old: int, n_new: int) -> csr_array:
    """Compute the weight of every old pixel in every new one, along one axis.

    New pixel i covers the interval from ``low + i * s`` to ``low + (i + 1) * s``, with
    ``s = (high - low) / n_new``, in units of old pixels. An old pixel weighs as much as
    it overlaps that interval. Each row of weights has the sum 1.
    """
    edges = np.linspace(low, high, n_new + 1)
    first = np.clip(np.floor(edges[:-1]).astype(int), 0, n_old - 1)
    n_most = math.ceil((high - low) / n_new) + 1  # an interval may begin inside a pixel
    old = first[:, np.newaxis] + np.arange(n_most)
    overlap = np.minimum(edges[1:, np.newaxis], old + 1)
    overlap -= np.maximum(edges[:-1, np.newaxis], old)
    weights = np.where(old < n_old, overlap.clip(0), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    new = np.repeat(np.arange(n_new), n_most)
    cells = new, old.clip(max=n_old - 1).ravel()
    return csr_array((weights.ravel(), cells), (n_new, n_old), dtype=np.float32)


def _check(transform: ImageTransform) -> None:
    mode, crop, scale = transform.mode, transform.crop, transform.scale
    if not isinstance(mode, str) or mode not in _CHANNELS:
        _refuse("mode", "'RGB' or 'L'", mode)
    if transform.interpolation not in _INTERPOLATIONS:
        _refuse("interpolation", f"one of {_INTERPOLATIONS}", transform.interpolation)
    if not all(type(side) is int and side > 0 for side in transform.shape):
        _refuse("size", "an int above 0, or two in (height, width)", transform.size)
    if max(transform.shape) > _MOST_PIXELS:
        rule = f"at most {_MOST_PIXELS:,} pixels a side, as networks take a few hundred"
        _refuse("size", rule, transform.size)
    if crop is not None and not (_is_number(crop) and 0 < crop <= 1):
        _refuse("crop", "None or a number in (0, 1]", crop)
    if not _is_number(scale) or scale <= 0:
        _refuse("scale", "a number above 0", scale)
    check_value_range(transform.value_range)
    _check_per_channel("mean", transform.mean, mode)
    _check_per_channel("std", transform.std, mode)
    if np.min(transform.std) <= 0:
        _refuse("std", "above 0", transform.std)


def _check_per_channel(name: str, value: float | tuple[float, ...], mode: Mode) -> None:
    values = value if isinstance(value, tuple) else (value,) * _CHANNELS[mode]
    if len(values) != _CHANNELS[mode] or not all(map(_is_number, values)):
        rule = f"a number, or a tuple of {_CHANNELS[mode]} for mode={mode!r}"
        if mode == "L":
            rule += " (the default is that of colours; mean=0.5, std=0.25 will do)"
        _refuse(name, rule, value)


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _refuse(name: str, rule: str, value: object) -> None:
    raise ValueError(f"`{name}` must be {rule}; got {value!r}.")
