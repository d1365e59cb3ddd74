"""Which image formats are read, and how their files are named."""

from typing import Any

from cftlearn._dependencies import import_optional

# Formats that pillow decodes in this process. EPS is not among them: for it, pillow
# starts Ghostscript, which runs the program that such a file is. WMF is a program, too.
_SUFFIXES = {
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
    "PNG": (".apng", ".png"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "PPM": (".pbm", ".pfm", ".pgm", ".pnm", ".ppm"),
    "JPEG2000": (".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),  # if pillow_heif is registered
}


def pillow(module: str) -> Any:
    """Import a module of pillow.

    Parameters
    ----------
    module : str
        Such as ``"Image"``.

    Returns
    -------
    module : module
        The module.

    Raises
    ------
    ImportError
        If pillow is not installed.
    """
    return import_optional(f"PIL.{module}", feature="Reading images", extra="images")


def image_formats() -> list[str]:
    """List the formats that are read, by the names that pillow has for them.

    Returns
    -------
    formats : list of str
        Those that the installed pillow can decode.

    Raises
    ------
    ImportError
        If pillow is not installed.
    """
    image = pillow("Image")
    image.init()
    return [name for name in _SUFFIXES if name in image.OPEN]


def image_suffixes() -> set[str]:
    """List the suffixes of files that a folder of images is searched for.

    Returns
    -------
    suffixes : set of str
        In small letters, each with its dot.

    Raises
    ------
    ImportError
        If pillow is not installed.
    """
    return {suffix for name in image_formats() for suffix in _SUFFIXES[name]}
