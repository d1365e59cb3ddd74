"""Bad inputs of images: files, folders, pixels and transforms."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cftlearn.exceptions import ImageFileError
from cftlearn.images import ImageTransform, read_image

from .case import Case

READ = "images.read_image"
TRANSFORM = "images.ImageTransform"
EXTRACT = "TorchFeatureExtractor"
PROGRAM = (
    "which is a program that draws, and is not run. Save what it draws as PNG first."
)


def file_of(content: bytes) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        (folder / "scan.png").write_bytes(content)
        return read_image(folder / "scan.png")

    return call


def pixels(values: object, suffix: str = "png", **options: object) -> object:
    def call(folder: Path) -> object:
        from PIL import Image

        path = folder / f"scan.{suffix}"
        Image.fromarray(np.asarray(values)).save(path)
        return read_image(path, **options)  # type: ignore[arg-type]

    return call


def written(
    problem: str, content: bytes, answer: str, *, name: str = "scan.png"
) -> Case:
    text = f"Image '{{folder}}/{name}' {answer}"
    return Case(READ, problem, file_of(content), ImageFileError, text, "PIL")


def missing_file(folder: Path) -> object:
    return read_image(folder / "gone.png")


def folder_as_file(folder: Path) -> object:
    return read_image(folder)


def pipe(folder: Path) -> object:
    os.mkfifo(folder / "scan.png")
    return read_image(folder / "scan.png")


def device(folder: Path) -> object:
    return read_image("/dev/zero")


def animation(folder: Path) -> object:
    from PIL import Image

    frames = [Image.new("L", (4, 4), grey) for grey in (0, 99)]
    frames[0].save(folder / "scan.gif", save_all=True, append_images=frames[1:])
    return read_image(folder / "scan.gif")


def signed_bytes(folder: Path) -> object:
    from image_parts import tiff

    (folder / "scan.tif").write_bytes(
        tiff(np.array([[1, -1]], "i1"), bits=8, tag_339=2)
    )
    return read_image(folder / "scan.tif")


def deep_colours(folder: Path) -> object:
    from image_parts import png

    (folder / "scan.png").write_bytes(png([[1, 2, 4095]], 2))
    return read_image(folder / "scan.png")


def range_of_colours(folder: Path) -> object:
    from image_parts import png

    (folder / "scan.png").write_bytes(png([[1, 2, 65535]], 2))
    return read_image(folder / "scan.png", value_range=(0, 4095))


def many_pixels(folder: Path) -> object:
    from image_parts import png

    content = bytearray(png([[0]], 0, bits=8))
    content[16:24] = struct.pack(">II", 50_000, 50_000)
    # The checksum of the header is that of its new content.
    import zlib

    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (folder / "scan.png").write_bytes(content)
    return read_image(folder / "scan.png")


def transform_of_array(folder: Path) -> object:
    return ImageTransform()(np.zeros((4, 4)))


def transform_of_floats(folder: Path) -> object:
    from PIL import Image

    return ImageTransform(2)(Image.fromarray(np.array([[-1.0, 3.5]], np.float32)))


def parameters(**given: object) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        return ImageTransform(**given)  # type: ignore[arg-type]

    return call


def strange_parameter(folder: Path) -> object:
    return ImageTransform.from_params({"sise": 3})


def extract(X: object, **options: object) -> object:
    from torch import nn

    from cftlearn import TorchFeatureExtractor

    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    options = {"input_transform": ImageTransform(2)} | options
    return TorchFeatureExtractor(network, **options).transform(X)  # type: ignore[arg-type]


def one_image(folder: Path) -> object:
    from PIL import Image

    return extract(Image.new("L", (4, 3)))


def images_without_transform(folder: Path) -> object:
    from PIL import Image

    return extract([Image.new("L", (4, 3))], input_transform=None)


def file_as_folder(folder: Path) -> object:
    (folder / "a.csv").touch()
    return extract(folder / "a.csv")


def lost_folder(folder: Path) -> object:
    return extract(folder / "gone")


def lost_files(folder: Path) -> object:
    (folder / "a.png").touch()
    return extract([folder / name for name in ("a.png", "b.png", "c.png")])


def folder_in_list(folder: Path) -> object:
    return extract([folder])


def mixed_list(folder: Path) -> object:
    return extract(["a.png", 3])


def damaged_row(folder: Path) -> object:
    (folder / "a.png").touch()
    return extract([folder / "a.png"])


def meta_tensor(folder: Path) -> object:
    import torch

    from cftlearn import TorchFeatureExtractor

    return TorchFeatureExtractor(torch.nn.Linear(3, 2)).transform(
        torch.empty(2, 3, device="meta")
    )


def sparse_tensor(folder: Path) -> object:
    import torch

    from cftlearn import TorchFeatureExtractor

    return TorchFeatureExtractor(torch.nn.Linear(3, 2)).transform(
        torch.eye(3).to_sparse()
    )


def number(name: str, given: object, answer: str) -> Case:
    return Case(
        TRANSFORM,
        f"{name}={given!r}"[:60],
        parameters(**{name: given}),
        ValueError,
        f"`{name}` must be {answer}",
    )


CASES = [
    Case(
        READ,
        "no file",
        missing_file,
        ImageFileError,
        "Image '{folder}/gone.png' does not exist. Check the path.",
        "PIL",
    ),
    Case(
        READ,
        "a folder",
        folder_as_file,
        ImageFileError,
        "Image '{folder}' is a folder. Pass the folder itself to read all images below "
        "it.",
        "PIL",
    ),
    Case(
        READ,
        "a pipe",
        pipe,
        ImageFileError,
        "Image '{folder}/scan.png' is a pipe, which may never end. Copy what it "
        "holds to a file.",
        "PIL",
    ),
    Case(
        READ,
        "a device",
        device,
        ImageFileError,
        "Image '/dev/zero' is a device, which may never end. Copy what it holds to a "
        "file.",
        "PIL",
    ),
    written(
        "an empty file", b"", "is empty (0 bytes). Copy it again, or leave it out."
    ),
    written(
        "a DICOM file",
        bytes(128) + b"DICM",
        "is a DICOM file. Write its pixels as PNG first, with the window in which they "
        "should be seen (pydicom can).",
    ),
    written(
        "an EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n", f"is a PostScript file (EPS), {PROGRAM}"
    ),
    written("a PDF", b"%PDF-1.7\n", f"is a PDF file, {PROGRAM}"),
    written(
        "a metafile",
        b"\xd7\xcd\xc6\x9a" + bytes(40),
        f"is a Windows metafile (WMF), {PROGRAM}",
    ),
    written(
        "a web page",
        b"<!DOCTYPE html>",
        "is text (HTML or SVG), not pixels. Fetch it again if its download failed.",
    ),
    written(
        "a pointer of Git LFS",
        b"version https://git-lfs.github.com/spec/v1",
        "is a pointer of Git LFS, not the image. Run git lfs pull.",
    ),
    written(
        "an archive",
        b"PK\x03\x04",
        "is not an image that pillow can read. Convert it to PNG or JPEG.",
    ),
    written(
        "a TIFF of another kind",
        b"II*\0\x08\0\0\0\0\0",
        "is a TIFF file of a kind that pillow cannot read (10 or 14 bits a channel, "
        "say), or damaged. Save it with 8 or 16 bits.",
    ),
    Case(
        READ,
        "two frames",
        animation,
        ImageFileError,
        "Image '{folder}/scan.gif' holds 2 frames (GIF), but one row is one image. "
        "Save the frame that you need as a file of its own.",
        "PIL",
    ),
    Case(
        READ,
        "12 bits in 16",
        pixels(np.array([[3, 4095]], np.uint16)),
        ImageFileError,
        "Image '{folder}/scan.png' holds values of 16 bits from 3 to 4,095. All are "
        "below 4,096, as those of 12 bits are; from 65,536 grey levels it would be "
        "nearly black. Pass value_range=(0, 4095), or (0, 65535) if it is dark.",
        "PIL",
    ),
    Case(
        READ,
        "floats",
        pixels(np.array([[-1000, 400]], np.float32), "tif"),
        ImageFileError,
        "Image '{folder}/scan.tif' holds values from -1000 to 400 (mode F); which of "
        "them are black and white is unknown. Pass both as value_range=(low, high), or "
        "scale the values to 8 or 16 bits and save it again.",
        "PIL",
    ),
    Case(
        READ,
        "values that are NaN",
        pixels(np.array([[0, np.nan]], np.float32), "tif", value_range=(0, 1)),
        ImageFileError,
        "Image '{folder}/scan.tif' holds values that are NaN or infinite (mode F). "
        "Replace them, and save it again.",
        "PIL",
    ),
    Case(
        READ,
        "signed bytes",
        signed_bytes,
        ImageFileError,
        "Image '{folder}/scan.tif' holds signed values of 8 bits, which pillow reads "
        "as unsigned. Add 128, and save it as unsigned.",
        "PIL",
    ),
    Case(
        READ,
        "colours of 12 bits in 16",
        deep_colours,
        ImageFileError,
        "Image '{folder}/scan.png' has colours of 16 bits that are all below 4,096, as "
        "those of 12 bits are; it would be nearly black. Save it with 8 bits a "
        "channel, or pass value_range=(0, 65535) if it is dark.",
        "PIL",
    ),
    Case(
        READ,
        "a range for colours",
        range_of_colours,
        ImageFileError,
        "Image '{folder}/scan.png' has colours of 16 bits, of which pillow reads the "
        "upper 8, so `value_range` cannot be (0, 4095) for it. Save it with 8 bits a "
        "channel, or pass value_range=(0, 65535).",
        "PIL",
    ),
    Case(
        READ,
        "too many pixels",
        many_pixels,
        ImageFileError,
        "Image '{folder}/scan.png' has too many pixels: Image size (2500000000 pixels) "
        "exceeds limit of 178956970 pixels, could be decompression bomb DOS attack. "
        "Scale it down, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it.",
        "PIL",
    ),
    Case(
        READ,
        "a range upside down",
        lambda folder: read_image("a.png", value_range=(9, 3)),
        ValueError,
        "`value_range` must be two numbers of which the first is smaller; got (9, 3). "
        "Pass (0, 4095) for 12 bits, for example.",
        "PIL",
    ),
    Case(
        TRANSFORM,
        "an array",
        transform_of_array,
        TypeError,
        "`image` must be a PIL image; got ndarray. Make one with "
        "cftlearn.images.read_image(path) or PIL.Image.fromarray(array).",
    ),
    Case(
        TRANSFORM,
        "an image of floats",
        transform_of_floats,
        ImageFileError,
        "The image holds values from -1 to 3.5 (mode F); which of them are black and "
        "white is unknown. Pass both as value_range=(low, high), or scale the values "
        "to 8 or 16 bits and save it again.",
        "PIL",
    ),
    Case(
        TRANSFORM,
        "an unknown parameter",
        strange_parameter,
        ValueError,
        "An ImageTransform has the parameters crop, interpolation, mean, mode, scale, "
        "size, std, value_range; got 'sise' too. Update cftlearn if it was saved by a "
        "newer version.",
    ),
    number("size", 0, "an int above 0, or two in (height, width); got 0."),
    number(
        "size",
        10**6,
        "at most 10,000 pixels a side, as networks take a few hundred; got 1000000.",
    ),
    number("mode", "CMYK", "'RGB' or 'L'; got 'CMYK'."),
    number("crop", 1.5, "None or a number in (0, 1]; got 1.5."),
    number("scale", 0, "a number above 0; got 0."),
    number("std", 0, "above 0; got 0."),
    number("mean", (0.5,), "a number, or a tuple of 3 for mode='RGB'; got (0.5,)."),
    number(
        "value_range",
        [0],
        "None or a tuple of two numbers, those of black and white; got (0,). Pass (0, "
        "4095) for 12 bits, for example.",
    ),
    Case(
        EXTRACT,
        "one image",
        one_image,
        TypeError,
        "`X` must hold rows, one image per row; got one image of the size (4, 3). Pass "
        "a list of it: [image].",
        "PIL",
    ),
    Case(
        EXTRACT,
        "images without a transform",
        images_without_transform,
        ValueError,
        "`X` holds images, which need the parameter `input_transform` that makes the "
        "network's input of one; got None. Pass the transform that the network was "
        "trained with, or cftlearn.images.ImageTransform(224) for colours in "
        "ImageNet's scale.",
        "PIL",
    ),
    Case(
        EXTRACT,
        "a file as folder",
        file_as_folder,
        ImageFileError,
        "`X` must be a folder where it is a single path; got '{folder}/a.csv', which "
        "is a file. Pass a list of paths.",
        "PIL",
    ),
    Case(
        EXTRACT,
        "no such folder",
        lost_folder,
        ImageFileError,
        "`X` must be a folder where it is a single path; got '{folder}/gone', which is "
        "not there. Check the path.",
        "PIL",
    ),
    Case(
        EXTRACT,
        "files that are missing",
        lost_files,
        ImageFileError,
        "`X` must hold paths of files; 2 of 3 do not exist, the first is row 1 "
        "('{folder}/b.png'). Check the folder, or leave these rows out.",
        "PIL",
    ),
    Case(
        EXTRACT,
        "a folder in a list",
        folder_in_list,
        ImageFileError,
        "`X` must hold paths of files; 1 of 1 are folders, pipes or devices, the first "
        "is row 0 ('{folder}'). Check the folder, or leave these rows out.",
        "PIL",
    ),
    Case(
        EXTRACT,
        "a path and a number",
        mixed_list,
        TypeError,
        "`X` must hold paths in every row, as in the first; got 3 in row 1. Leave the "
        "row out.",
        "PIL",
    ),
    Case(
        EXTRACT,
        "an empty image file",
        damaged_row,
        ImageFileError,
        "`X` must hold images that can be read; row 0: Image '{folder}/a.png' is empty "
        "(0 bytes). Copy it again, or leave it out.",
        "PIL",
    ),
    Case(
        EXTRACT,
        "a tensor without values",
        meta_tensor,
        ValueError,
        "`X` must hold values; got a tensor on the device 'meta', which has only a "
        "shape, (2, 3). Pass the data itself.",
    ),
    Case(
        EXTRACT,
        "a sparse tensor",
        sparse_tensor,
        TypeError,
        "`X` must be a dense tensor; got one that is torch.sparse_coo, of shape (3, "
        "3). Pass x.to_dense().",
    ),
]
