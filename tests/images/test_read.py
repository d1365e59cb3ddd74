"""Image files become the pixels that are meant, or errors that name them."""

import os
import sys

import numpy as np
import pytest

from cftlearn.exceptions import ImageFileError
from cftlearn.images import read_image

Image = pytest.importorskip("PIL.Image", reason="the images extra")


def pixels(path, mode="RGB"):
    image = read_image(path, mode=mode)
    assert image.mode == mode
    return np.asarray(image)


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif", "webp"])
def test_colours_come_back_from_lossless_files(tmp_path, colours, suffix):
    path = tmp_path / f"Röntgen 1.{suffix}"
    Image.fromarray(colours).save(
        path, **{"lossless": True} if suffix == "webp" else {}
    )
    np.testing.assert_array_equal(pixels(path), colours)
    np.testing.assert_array_equal(pixels(str(path)), colours)


def test_grey_images_have_three_equal_channels_or_one(tmp_path, colours):
    grey = colours[..., 0]
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), np.dstack([grey] * 3))
    np.testing.assert_array_equal(pixels(tmp_path / "a.png", "L"), grey)


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [("<u2", "png"), ("<u2", "tif"), (">u2", "tif"), ("<u2", "pgm")],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path, dtype, suffix, mode):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    values = (levels.astype(np.uint16) * 257).astype(dtype)
    if suffix == "pgm":
        (tmp_path / "a.pgm").write_bytes(
            b"P5 16 16 65535\n" + values.astype(">u2").tobytes()
        )
    else:
        Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    read = pixels(tmp_path / f"a.{suffix}", mode)
    np.testing.assert_array_equal(read if mode == "L" else read[..., 1], levels)


def test_sixteen_bits_are_rounded(tmp_path):
    values = np.array([[0, 128, 129, 385, 386, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png", "L").tolist() == [[0, 0, 1, 1, 2, 255]]


def test_two_levels_are_black_and_white(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png", "L").tolist() == [[255, 0]]


def test_what_is_transparent_is_laid_over_white(tmp_path, colours):
    alpha = np.full((6, 9, 1), 255, dtype=np.uint8)
    alpha[0], alpha[1] = 0, 51
    Image.fromarray(np.concatenate([colours, alpha], axis=2)).save(tmp_path / "a.png")
    read = pixels(tmp_path / "a.png")
    np.testing.assert_array_equal(read[2:], colours[2:])
    assert (read[0] == 255).all()
    np.testing.assert_allclose(read[1], 0.2 * colours[1] + 0.8 * 255, atol=1)


def test_transparent_colours_of_a_palette_are_laid_over_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=0)
    assert pixels(tmp_path / "a.png").tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_inks_become_colours(tmp_path):
    image = Image.new("RGB", (16, 8), (200, 30, 30))
    image.convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(pixels(tmp_path / "a.jpg"), np.asarray(image), atol=6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path, colours, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(colours).save(tmp_path / "a.png", exif=exif)
    turned = {
        1: colours,
        2: colours[:, ::-1],
        3: colours[::-1, ::-1],
        4: colours[::-1],
        5: colours.swapaxes(0, 1),
        6: colours[::-1].swapaxes(0, 1),
        7: colours[::-1, ::-1].swapaxes(0, 1),
        8: colours[:, ::-1].swapaxes(0, 1),
    }
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), turned[orientation])


def test_sixteen_bits_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.array([[0, 25700, 51400]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    assert pixels(tmp_path / "a.png", "L").tolist() == [[0], [100], [200]]


def test_photographs_with_previews_give_the_first_frame(tmp_path):
    main, preview = (Image.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
    main.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[preview])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.n_frames == 2
    np.testing.assert_allclose(pixels(tmp_path / "a.jpg")[3, 3], [254, 0, 0], atol=3)


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_more_than_one_frame_is_refused(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(
        ImageFileError, match=r"a\.\w+' holds 3 frames .* Save the frame"
    ):
        read_image(path)


@pytest.mark.parametrize("dtype", [np.float32, np.int32], ids=["floats", "integers"])
def test_values_of_no_known_range_are_refused(tmp_path, dtype):
    Image.fromarray(np.array([[-1000, 3000]], dtype=dtype)).save(tmp_path / "ct.tif")
    with pytest.raises(ImageFileError, match=r"from -1000 to 3000 \(mode [FI]\)"):
        read_image(tmp_path / "ct.tif")


def test_modes_that_pillow_cannot_convert_are_refused(tmp_path, monkeypatch):
    Image.new("LAB", (3, 3)).save(tmp_path / "a.tif")

    def convert(*_):  # as pillow did before it knew this mode
        raise ValueError("conversion not supported")

    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(ImageFileError, match=r"has the mode LAB, .* Save it as RGB"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)\. Copy it again"),
        (b"\0" * 128 + b"DICM" + b"\0" * 9, "is a DICOM file. Write its pixels as PNG"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            r"is a pointer of Git LFS",
        ),
        (
            b"\n <!DOCTYPE html><html>",
            r"is text \(HTML or SVG\), not pixels\. Fetch it",
        ),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "is a HEIF or AVIF image or a film"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n",
            r"is a PostScript file \(EPS\), which is a prog",
        ),
        (b"\xc5\xd0\xd3\xc6" + bytes(28), r"is a PostScript file \(EPS\)"),
        (b"%PDF-1.7\n", "is a PDF file, which is a program"),
        (b"\xd7\xcd\xc6\x9a" + bytes(40), r"is a Windows metafile \(WMF\)"),
        (b"SIMPLE  =                    T", "is a FITS file"),
        (b"8BPS\0\1", "is a Photoshop file"),
        (b"II*\0\x08\0\0\0\0\0", "is a TIFF file of a kind that pillow cannot read"),
        (b"PK\x03\x04 and so on", "is not an image that pillow can read"),
        (b"\x93NUMPY", "is not an image that pillow can read"),
    ],
    ids=[
        *["empty", "dicom", "git-lfs", "web page", "heif", "eps", "binary eps", "pdf"],
        *["wmf", "fits", "photoshop", "tiff", "archive", "numpy"],
    ],
)
def test_files_that_are_no_images_say_what_they_are(tmp_path, content, message):
    path = tmp_path / "Thorax ünï.png"
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match=rf"Image '.*Thorax ünï\.png' {message}"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "gif"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_files_cut_short_are_damaged(tmp_path, rng, suffix, share):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ImageFileError, match=r"is damaged|is not an image"):
        read_image(path)


def test_no_program_is_started_for_a_file(tmp_path, monkeypatch):
    """Pillow starts Ghostscript for an EPS, whatever the name of its file."""
    eps = (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
        b"newpath 0 0 moveto 10 10 lineto stroke\nshowpage\n%%EOF\n"
    )
    (tmp_path / "scan.png").write_bytes(eps)
    started = []
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *a, **k: started.append(a))
    with Image.open(tmp_path / "scan.png") as opened:  # so it would be
        assert opened.format == "EPS"
    with pytest.raises(ImageFileError, match="is a PostScript file"):
        read_image(tmp_path / "scan.png")
    assert not started


def test_only_listed_formats_are_tried(tmp_path, monkeypatch):
    """Formats that pillow knows besides, PCX for one, are refused by it."""
    Image.new("L", (4, 4)).save(tmp_path / "a.png", "PCX")
    with pytest.raises(ImageFileError, match="is not an image that pillow can read"):
        read_image(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    for name in ("a.png", "link.png"):
        with pytest.raises(ImageFileError, match=rf"{name}' is a pipe, which"):
            read_image(tmp_path / name)
    with pytest.raises(ImageFileError, match="is a device, which may never end"):
        read_image("/dev/zero")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("of no use\nto all"), r"is damaged \(of no use\)\. Copy"),
        (MemoryError(), "needs more memory than there is, or is damaged"),
    ],
)
def test_a_decoder_may_fail_in_any_way(tmp_path, monkeypatch, error, message):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")

    def load(_):
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(ImageFileError, match=message):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "jp2", "j2k", "avif", "dib", "pbm"])
def test_rarer_names_are_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    try:
        Image.new("1" if suffix == "pbm" else "L", (16, 16), 255).save(path)
    except (KeyError, ValueError):
        pytest.skip(f"pillow was built without {suffix}")
    assert (pixels(path) > 250).all()


def test_missing_files_and_folders_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageFileError, match=r"'a\.png' does not exist in /.* Check"):
        read_image("a.png")
    with pytest.raises(ImageFileError, match=r"is a folder\. Pass the folder"):
        read_image(tmp_path)
    with pytest.raises(ImageFileError, match=r"cannot be opened \(.*\)\. Check its"):
        read_image("a" * 300)
    with pytest.raises(ImageFileError, match="holds a NUL character"):
        read_image("a\0b")


def test_images_too_large_are_refused_and_large_ones_read_quietly(
    tmp_path, monkeypatch
):
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 13)  # a warning of pillow
    assert pixels(tmp_path / "a.png").shape == (5, 5, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12)
    with pytest.raises(ImageFileError, match=r"too many pixels: .* Scale it down"):
        read_image(tmp_path / "a.png")


def test_without_pillow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "PIL.Image")
    with pytest.raises(
        ImportError, match=r"Reading images needs PIL, .*cftlearn\[images"
    ):
        read_image("a.png")
