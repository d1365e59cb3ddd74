"""Read image files upright and unclipped, or explain why one cannot be read."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cftlearn._files import check_regular
from cftlearn.exceptions import ImageFileError, first_line
from cftlearn.images._formats import image_formats, pillow
from cftlearn.images._pixels import Mode, ValueRange, check_value_range, convert_image

if TYPE_CHECKING:
    from PIL.Image import Image

_PROGRAM = (
    "which is a program that draws, and is not run. Save what it draws as PNG first"
)
# Files that are not read: at which byte they hold which mark, and what to do.
_NOT_READ = (
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
    (0, b"%!", f"is a PostScript file (EPS), {_PROGRAM}"),
    (0, b"\xc5\xd0\xd3\xc6", f"is a PostScript file (EPS), {_PROGRAM}"),
    (0, b"%PDF", f"is a PDF file, {_PROGRAM}"),
    (0, b"\xd7\xcd\xc6\x9a", f"is a Windows metafile (WMF), {_PROGRAM}"),
    (0, b"SIMPLE", "is a FITS file. Scale its values, and save them as PNG first"),
    (0, b"8BPS", "is a Photoshop file. Save it as PNG first"),
    (
        4,
        b"ftyp",
        "is a HEIF or AVIF image or a film, which the installed pillow does not read "
        "by itself. Convert it to PNG or JPEG, or call "
        "pillow_heif.register_heif_opener() first",
    ),
    (
        0,
        (b"II*\0", b"MM\0*"),
        "is a TIFF file of a kind that pillow cannot read (10 or 14 bits a channel, "
        "say), or damaged. Save it with 8 or 16 bits",
    ),
)
_IS_FOLDER = "Pass the folder itself to read all images below it."
# Formats of photographs. Their other frames are previews or depth maps.
_PHOTOGRAPHS = {"MPO"}


def read_image(
    path: str | os.PathLike[str],
    *,
    mode: Mode = "RGB",
    value_range: ValueRange | None = None,
) -> "Image":
    """Read one image file, upright, eight bits a channel.

    JPEG, PNG, TIFF, WebP, BMP, GIF, PPM and its relatives, JPEG 2000, and AVIF are
    read, each where the installed pillow can decode it. All are decoded in this
    process: files such as EPS, which are programs, are refused.

    Parameters
    ----------
    path : str or path-like
        A file with one frame. Of a photograph with previews (MPO) the first frame is
        read. The content tells the format, not the name.
    mode : {"RGB", "L"}, default="RGB"
        Colour, or grey. Transparent pixels become white.
    value_range : tuple (low, high), default=None
        Stored values of grey that become 0 and 255, in images of more than eight bits;
        values outside are clipped. ``(0, 4095)`` reads 12 bits that are stored in 16.
        None: from 0 to the largest value of so many bits. Colours of 16 bits must have
        this full range.

    Returns
    -------
    image : PIL.Image.Image
        The image, turned as its EXIF orientation says. Where a TIFF file says that
        white is zero, its values are inverted.

    Raises
    ------
    ImageFileError
        If the file is missing, empty, no image, or damaged; or the image has more than
        one frame, more than twice ``PIL.Image.MAX_IMAGE_PIXELS`` pixels, values of
        unknown range, or 16 bits of which all values are below 4,096.
    ValueError
        If ``value_range`` is no range.
    ImportError
        If pillow is not installed.
    """
    check_value_range(value_range)
    image_module, formats = pillow("Image"), image_formats()
    file = Path(path)
    subject = f"Image {os.fspath(path)!r}"
    try:
        check_regular(file, subject, ImageFileError, folder=_IS_FOLDER)
    except OSError as error:
        raise ImageFileError(str(error)) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata and large images
            with image_module.open(file, formats=formats) as opened:
                _check_frames(opened, subject)
                return convert_image(
                    opened, mode, subject=subject, value_range=value_range
                )
    except ImageFileError:
        raise
    except MemoryError as error:
        raise ImageFileError(
            f"{subject} needs more memory than there is, or is damaged. Scale it down, "
            "or leave it out."
        ) from error
    except image_module.DecompressionBombError as error:
        raise ImageFileError(
            f"{subject} has too many pixels: {error} Scale it down, or raise "
            "PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        ) from error
    except Exception as error:  # decoders raise errors of any type
        raise ImageFileError(f"{subject} {_reason(file, error)}.") from error


def _check_frames(image: Any, subject: str) -> None:
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and image.format not in _PHOTOGRAPHS:
        raise ImageFileError(
            f"{subject} holds {n_frames} frames ({image.format}), but one row is one "
            "image. Save the frame that you need as a file of its own."
        )


def _reason(file: Path, error: Exception) -> str:
    """Explain why a file could not be read, and what to do about it."""
    try:
        with file.open("rb") as opened:
            start = opened.read(132)
    except OSError as failure:
        return f"cannot be opened ({failure}). Check its name and its permissions"
    if not start:
        return "is empty (0 bytes). Copy it again, or leave it out"
    if type(error).__name__ != "UnidentifiedImageError":
        return f"is damaged ({first_line(error)}). Copy it again, or leave it out"
    for offset, mark, reason in _NOT_READ:
        if start[offset:].lstrip().startswith(mark):
            return reason
    return "is not an image that pillow can read. Convert it to PNG or JPEG"
