"""Turn the pixels of an image upright, and into eight bits a channel."""

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn.exceptions import ImageFileError
from cftlearn.images._formats import pillow

if TYPE_CHECKING:
    from PIL.Image import Image

Mode = Literal["RGB", "L"]
ValueRange = tuple[float, float]

# Formats whose values of 16 bits pillow returns in 32.
_SIXTEEN_BITS = {"PNG", "PPM"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
_ORIENTATION = 274  # the same in EXIF
_WHITE_IS_ZERO = 0
_SIGNED = 2
_DARK = 4096  # of 65536: all values of 12 bits are below
_AT_ONCE = 2**22  # pixels


class _Meaning(NamedTuple):
    """What a file says of the numbers in it.

    Attributes
    ----------
    bits : int or None
        Bits of a value of grey; None where nothing says it.
    white_is_zero : bool
        Large values are dark.
    has_deep_colours : bool
        Colours have 16 bits in the file, of which pillow keeps the upper 8.
    is_signed, is_unsigned : bool
        What a TIFF file says of whole numbers.
    """

    bits: int | None
    white_is_zero: bool
    has_deep_colours: bool
    is_signed: bool
    is_unsigned: bool


def convert_image(
    image: "Image",
    mode: Mode,
    *,
    subject: str = "The image",
    value_range: ValueRange | None = None,
) -> "Image":
    """Turn an image upright, and convert it to eight bits a channel unclipped.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any mode; it is loaded, but not changed. Transparent pixels become white.
    mode : {"RGB", "L"}
        Colour, or grey.
    subject : str, default="The image"
        How errors name it.
    value_range : tuple (low, high), default=None
        Values of grey that become 0 and 255, in images of more than eight bits; what
        lies outside is clipped. None: 0 and the largest value of so many bits.

    Returns
    -------
    image : PIL.Image.Image
        An image of that mode, with its pixels in memory.

    Raises
    ------
    ImageFileError
        If the range of its values is unknown or unlikely, or pillow cannot convert the
        mode.
    """
    meaning = _read_meaning(image)
    image.load()
    if meaning.is_signed and image.mode == "L":
        raise ImageFileError(
            f"{subject} holds signed values of 8 bits, which pillow reads as unsigned. "
            "Add 128, and save it as unsigned."
        )
    _check_deep_colours(image, meaning, subject, value_range)
    transparent = image.info.get("transparency")
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = pillow("ImageOps").exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        image = _scaled(image, transparent, meaning, subject, value_range)
    elif image.has_transparency_data:
        image = _over_white(image)
    try:
        return image.convert(mode)
    except ValueError as error:
        raise ImageFileError(
            f"{subject} has the mode {image.mode}, which pillow cannot convert to "
            f"{mode}. Save it as RGB."
        ) from error


def check_value_range(value_range: Any) -> None:
    """Check a range of values.

    Parameters
    ----------
    value_range : object
        What a user passed.

    Raises
    ------
    ValueError
        If it is neither None nor two finite numbers, the smaller one first.
    """
    if value_range is None:
        return
    is_pair = isinstance(value_range, tuple) and len(value_range) == 2
    numbers: tuple[Any, ...] = value_range if is_pair else ()
    is_real = all(
        isinstance(number, (int, float)) and not isinstance(number, bool)
        for number in numbers
    )
    if not is_pair or not is_real or not all(map(math.isfinite, numbers)):
        rule = "None or a tuple of two numbers, those of black and white"
    elif numbers[0] >= numbers[1]:
        rule = "two numbers of which the first is smaller"
    else:
        return
    raise ValueError(
        f"`value_range` must be {rule}; got {value_range!r}. Pass (0, 4095) for 12 "
        "bits, for example."
    )


def _read_meaning(image: "Image") -> _Meaning:
    """Read what a file says of its values, before pillow forgets it in loading."""
    tags: Any = getattr(image, "tag_v2", {})  # of TIFF
    bits = tags.get(_BITS_PER_SAMPLE, ())
    depth = bits[0] if isinstance(bits, tuple) and bits else 16
    sample_format = tags.get(_SAMPLE_FORMAT, (1,))
    is_grey = len(image.getbands()) == 1
    # Of a PNG, pillow keeps the depth only in the name of what decodes its pixels.
    tiles: Any = getattr(image, "tile", [])
    decoders = [tile[3] for tile in tiles]
    is_deep_png = image.format == "PNG" and any(
        isinstance(decoder, str) and decoder.endswith(";16B") for decoder in decoders
    )
    known = image.mode.startswith("I;16") or (
        image.mode == "I" and image.format in _SIXTEEN_BITS
    )
    return _Meaning(
        bits=depth if known else None,
        white_is_zero=is_grey and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
        has_deep_colours=not is_grey and (is_deep_png or (bool(tags) and depth > 8)),
        is_signed=_SIGNED in sample_format,
        is_unsigned=bool(tags) and sample_format == (1,),
    )


def _check_deep_colours(
    image: "Image", meaning: _Meaning, subject: str, value_range: ValueRange | None
) -> None:
    """Check that the upper 8 of 16 bits are those that matter."""
    if not meaning.has_deep_colours or value_range == (0, 65535):
        return
    if value_range is not None:
        raise ImageFileError(
            f"{subject} has colours of 16 bits, of which pillow reads the upper 8, so "
            f"`value_range` cannot be {value_range!r} for it. Save it with 8 bits a "
            "channel, or pass value_range=(0, 65535)."
        )
    colours = [high for _, high in _extrema(image)]
    if 0 < max(colours) < _DARK // 256:
        raise ImageFileError(
            f"{subject} has colours of 16 bits that are all below {_DARK:,}, as those "
            "of 12 bits are; it would be nearly black. Save it with 8 bits a channel, "
            "or pass value_range=(0, 65535) if it is dark."
        )


def _extrema(image: "Image") -> list[tuple[int, int]]:
    """Return the smallest and largest value of every colour, without transparency."""
    bands: Any = zip(image.getbands(), image.getextrema(), strict=True)
    return [extrema for name, extrema in bands if name not in ("A", "a", "X")]


def _scaled(
    image: "Image",
    transparent: Any,
    meaning: _Meaning,
    subject: str,
    value_range: ValueRange | None,
) -> "Image":
    """Scale grey of more than eight bits to bytes."""
    values = np.asarray(image)
    if values.dtype == np.int32 and meaning.is_unsigned:
        values = values.view(np.uint32)  # pillow reads them as signed
    low, high = _range_of(values, meaning, subject, value_range, image.mode)
    scaled = np.empty(values.shape, np.uint8)
    step = max(1, _AT_ONCE // max(1, image.width))
    for start in range(0, len(values), step):
        part = values[start : start + step]
        share = (part.astype(np.float64) - low) / (high - low)
        if meaning.white_is_zero:
            share = 1 - share
        bytes_ = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
        if isinstance(transparent, int):
            bytes_[part == transparent] = 255
        scaled[start : start + step] = bytes_
    result: Image = pillow("Image").fromarray(scaled)
    return result


def _range_of(
    values: NDArray[Any],
    meaning: _Meaning,
    subject: str,
    value_range: ValueRange | None,
    mode: str,
) -> ValueRange:
    """Return the values of black and white, or refuse to guess them."""
    smallest, largest = values.min(), values.max()
    if not np.isfinite([smallest, largest]).all():
        raise ImageFileError(
            f"{subject} holds values that are NaN or infinite (mode {mode}). Replace "
            "them, and save it again."
        )
    if value_range is not None:
        return value_range
    if meaning.bits is None:
        raise ImageFileError(
            f"{subject} holds values from {smallest:g} to {largest:g} (mode "
            f"{mode}); which of them are black and white is unknown. Pass both as "
            "value_range=(low, high), or scale the values to 8 or 16 bits and save it "
            "again."
        )
    if meaning.bits == 16 and 0 < largest < _DARK:
        raise ImageFileError(
            f"{subject} holds values of 16 bits from {smallest:,} to {largest:,}. All "
            f"are below {_DARK:,}, as those of 12 bits are; from 65,536 grey levels it "
            "would be nearly black. Pass value_range=(0, 4095), or (0, 65535) if it is "
            "dark."
        )
    return 0, 2**meaning.bits - 1


def _over_white(image: "Image") -> "Image":
    """Lay an image over white."""
    # Of premultiplied grey, pillow makes nothing but plain grey with transparency.
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    result: Image = pillow("Image").new("RGB", image.size, (255, 255, 255))
    result.paste(layer, mask=layer.getchannel("A"))
    return result
