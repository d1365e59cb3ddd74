"""Read image files upright and unclipped, or explain why one cannot be read."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cftlearn._dependencies import import_optional
from cftlearn.exceptions import ImageFileError

if TYPE_CHECKING:
    from PIL.Image import Image

Mode = Literal["RGB", "L"]

# Files that are no images: at which byte they hold which mark, and what to do.
_NO_IMAGES = (
    (
        128,
        b"DICM",
        "is a DICOM file. Write its pixels as PNG first, with the window in which they "
        "should be seen (pydicom can)",
    ),
    (
        0,
        b"version https://git-lfs",
        "is a pointer of Git LFS, not the image. Run git lfs pull",
    ),
    (
        0,
        b"<",
        "is text (HTML or SVG), not pixels. Fetch it again if its download failed",
    ),
    (
        4,
        b"ftyp",
        "is a HEIF image or a film, which pillow does not read by itself. Convert it "
        "to PNG or JPEG, or call pillow_heif.register_heif_opener() first",
    ),
)
# Formats of photographs. Their other frames are previews or depth maps.
_PHOTOGRAPHS = {"MPO"}
# Formats whose values of 16 bits pillow returns in 32.
_SIXTEEN_BITS = {"PNG", "PPM"}


def read_image(path: str | os.PathLike[str], *, mode: Mode = "RGB") -> "Image":
    """Read one image file, upright, eight bits a channel.

    Parameters
    ----------
    path : str or path-like
        A file of any format that pillow reads, with one frame. Of a photograph with
        previews (MPO) the first frame is read.
    mode : {"RGB", "L"}, default="RGB"
        Colour, or grey. Grey of sixteen bits is scaled, not clipped. Transparent images
        are laid over white.

    Returns
    -------
    image : PIL.Image.Image
        The image, turned as its EXIF orientation says.

    Raises
    ------
    ImageFileError
        If the file is missing, empty, no image, or damaged; or the image has more than
        one frame, more than twice ``PIL.Image.MAX_IMAGE_PIXELS`` pixels, or values of
        unknown range.
    ImportError
        If pillow is not installed.
    """
    image_module, ops = _pillow("Image"), _pillow("ImageOps")
    subject = f"Image {os.fspath(path)!r}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata and large images
            with image_module.open(path) as opened:
                _check_frames(opened, subject)
                ops.exif_transpose(opened, in_place=True)
                return convert_image(opened, mode, subject=subject)
    except ImageFileError:
        raise
    except image_module.DecompressionBombError as error:
        raise ImageFileError(
            f"{subject} has too many pixels: {error} Scale it down, or raise "
            "PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise ImageFileError(f"{subject} {_reason(Path(path), error)}.") from error


def convert_image(image: "Image", mode: Mode, *, subject: str = "The image") -> "Image":
    """Convert an image to eight bits a channel without clipping it.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any mode. Grey values of sixteen bits are scaled from [0, 65535] to
        [0, 255]. Transparent images are laid over white.
    mode : {"RGB", "L"}
        Colour, or grey.
    subject : str, default="The image"
        How errors name it.

    Returns
    -------
    image : PIL.Image.Image
        An image of that mode, with its pixels in memory.

    Raises
    ------
    ImageFileError
        If the range of its values is unknown (floats, integers of 32 bits), or pillow
        cannot convert the mode.
    """
    image.load()
    if image.mode == "F" or image.mode.startswith("I"):
        image = _scale_to_bytes(image, subject)
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        image = _pillow("Image").new("RGB", image.size, (255, 255, 255))
        image.paste(layer, mask=layer.getchannel("A"))
    try:
        return image.convert(mode)
    except ValueError as error:
        raise ImageFileError(
            f"{subject} has the mode {image.mode}, which pillow cannot convert to "
            f"{mode}. Save it as RGB."
        ) from error


def _scale_to_bytes(image: "Image", subject: str) -> "Image":
    values = np.asarray(image)
    has_16_bits = image.mode.startswith("I;16") or image.format in _SIXTEEN_BITS
    if not has_16_bits:
        raise ImageFileError(
            f"{subject} holds values from {values.min():g} to {values.max():g} (mode "
            f"{image.mode}); which of them are black and white is unknown. Scale "
            "them to 8 or 16 bits and save it again."
        )
    scaled = np.rint(values.astype(np.float32) / 257).astype(np.uint8)
    return _pillow("Image").fromarray(scaled)


def _pillow(module: str) -> Any:
    return import_optional(f"PIL.{module}", feature="Reading images", extra="images")


def _check_frames(image: Any, subject: str) -> None:
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and image.format not in _PHOTOGRAPHS:
        raise ImageFileError(
            f"{subject} holds {n_frames} frames ({image.format}), but one row is one "
            "image. Save the frame that you need as a file of its own."
        )


def _reason(path: Path, error: Exception) -> str:
    """Explain why a file could not be read, and what to do about it."""
    try:
        if path.is_dir():
            return "is a folder. Pass the folder itself to read all images below it"
        with path.open("rb") as file:
            start = file.read(132)
    except FileNotFoundError:
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        return f"does not exist{where}. Check the path"
    except (OSError, ValueError) as failure:
        return f"cannot be opened ({failure}). Check its name and its permissions"
    if not start:
        return "is empty (0 bytes). Copy it again, or leave it out"
    for offset, mark, reason in _NO_IMAGES:
        if start[offset:].lstrip().startswith(mark):
            return reason
    if type(error).__name__ == "UnidentifiedImageError":
        return "is not an image that pillow can read. Convert it to PNG or JPEG"
    return f"is damaged ({error}). Copy it again, or leave it out"
