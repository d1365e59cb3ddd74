"""Numbers in a file become the greys and colours that they mean."""

import struct

import numpy as np
import pytest
from image_parts import png, tiff

from cftlearn.exceptions import ImageFileError
from cftlearn.images import ImageTransform, read_image

Image = pytest.importorskip("PIL.Image", reason="the images extra")

VALUES = np.array([[0, 25700], [51400, 65535]], dtype=np.uint16)
LEVELS = np.array([[0, 100], [200, 255]], dtype=np.uint8)


def levels(content, tmp_path, **options):
    path = tmp_path / "a.image"
    path.write_bytes(content)
    return np.asarray(read_image(path, mode="L", **options))


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_white_is_what_the_file_says(tmp_path, white_is_zero, packed, bits):
    values = (VALUES if bits == 16 else LEVELS).astype("u2")
    content = tiff(values, bits=bits, white_is_zero=white_is_zero, packed=packed)
    expected = 255 - LEVELS if white_is_zero else LEVELS
    np.testing.assert_array_equal(levels(content, tmp_path), expected)


def test_white_is_what_pillow_wrote(tmp_path):
    """Two more depths; pillow itself inverts what it writes as white is zero."""
    for mode, expected in (("1", [[0, 255]]), ("L", [[0, 255]])):
        image = Image.fromarray(np.array([[0, 255]], np.uint8)).convert(mode)
        image.save(tmp_path / "a.tif", tiffinfo={262: 0})
        assert np.asarray(read_image(tmp_path / "a.tif", mode="L")).tolist() == expected


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_white_is_zero_in_memory_and_turned(tmp_path, orientation):
    (tmp_path / "a.tif").write_bytes(
        tiff(VALUES, white_is_zero=True, tag_274=orientation)
    )
    transform = ImageTransform(2, mode="L", mean=0, std=1, scale=1)
    with Image.open(tmp_path / "a.tif") as image:
        got = transform(image)[0].numpy()
    turned = {1: LEVELS, 3: LEVELS[::-1, ::-1], 6: LEVELS[::-1].T}[orientation]
    np.testing.assert_array_equal(got, 255 - turned)
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.tif", mode="L"), 255 - turned
    )


def test_twelve_bits_have_their_own_white(tmp_path):
    content = tiff(np.array([[0, 4095], [2048, 1000]], "u2"), bits=12)
    assert levels(content, tmp_path).tolist() == [[0, 255], [128, 62]]
    content = b"P5 4 1 4095\n" + np.array([0, 4095, 2048, 1000], ">u2").tobytes()
    assert levels(content, tmp_path).tolist() == [[0, 255, 128, 62]]


@pytest.mark.parametrize(
    "content",
    [
        tiff(np.array([[0, 4095]], "u2")),
        tiff(np.array([[0, 4095]], "u2"), order=">"),
        tiff(np.array([[12, 1]], "u2"), white_is_zero=True),
        png([[0], [4095]], 0),
        b"P5 2 1 65535\n" + np.array([0, 4095], ">u2").tobytes(),
    ],
    ids=["tiff", "big end first", "white is zero", "png", "pgm"],
)
def test_twelve_bits_in_sixteen_are_not_guessed(tmp_path, content):
    with pytest.raises(ImageFileError, match=r"All are below 4,096.*value_range=\(0,"):
        levels(content, tmp_path)
    read = levels(content, tmp_path, value_range=(0, 65535))
    assert read.max() <= 16 or read.min() >= 254


def test_a_range_of_values_is_what_the_user_says(tmp_path):
    content = tiff(np.array([[0, 4095], [2048, 5000]], "u2"))
    read = levels(content, tmp_path, value_range=(0, 4095))
    assert read.tolist() == [[0, 255], [128, 255]]
    read = levels(content, tmp_path, value_range=(1000, 2048.0))
    assert read.tolist() == [[0, 255], [255, 255]]
    inverted = tiff(np.array([[0, 4095]], "u2"), white_is_zero=True)
    read = levels(inverted, tmp_path, value_range=(0, 4095))
    assert read.tolist() == [[255, 0]]


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        (np.array([[-1000.0, 400]], "f4"), {"bits": 32, "tag_339": 3}),
        (np.array([[-1000, 400]], "i2"), {"bits": 16, "tag_339": 2}),
        (np.array([[-1000, 400]], "i4"), {"bits": 32, "tag_339": 2}),
    ],
    ids=["floats", "16 bits", "32 bits"],
)
def test_a_range_makes_other_values_readable(tmp_path, values, tags):
    with pytest.raises(ImageFileError, match="Pass both as value_range"):
        levels(tiff(values, **tags), tmp_path)
    read = levels(tiff(values, **tags), tmp_path, value_range=(-1000, 400))
    assert read.tolist() == [[0, 255]]


def test_whole_numbers_of_32_bits_have_their_sign(tmp_path):
    content = tiff(np.array([[0, 2**31, 2**32 - 1]], "u4"), bits=32)
    read = levels(content, tmp_path, value_range=(0, 2**32 - 1))
    assert read.tolist() == [[0, 128, 255]]


def test_black_is_black_in_any_number_of_bits(tmp_path):
    assert levels(png([[0], [0]], 0), tmp_path).tolist() == [[0, 0]]


def test_deep_colours_need_their_upper_bits(tmp_path):
    bright = png([[0, 25700, 65535]], 2)
    (tmp_path / "a.png").write_bytes(bright)
    read = np.asarray(read_image(tmp_path / "a.png"))
    assert read.tolist() == [[[0, 100, 255]]]
    with pytest.raises(ImageFileError, match=r"cannot be \(0, 4095\) for it"):
        read_image(tmp_path / "a.png", value_range=(0, 4095))
    for dark in (png([[0, 100, 4095]], 2), png([[4000, 65535]], 4)):
        (tmp_path / "a.png").write_bytes(dark)
        with pytest.raises(ImageFileError, match="16 bits that are all below 4,096"):
            read_image(tmp_path / "a.png")
        assert np.asarray(read_image(tmp_path / "a.png", value_range=(0, 65535))).any()


def test_signed_bytes_are_refused(tmp_path):
    content = tiff(np.array([[1, -1]], "i1"), bits=8, tag_339=2)
    with pytest.raises(ImageFileError, match="signed values of 8 bits"):
        levels(content, tmp_path)


def test_values_that_are_no_numbers_are_refused(tmp_path):
    content = tiff(np.array([[0.0, np.nan]], "f4"), bits=32, tag_339=3)
    with pytest.raises(ImageFileError, match="NaN or infinite"):
        levels(content, tmp_path, value_range=(0, 1))


def test_transparent_grey_is_white_in_any_number_of_bits(tmp_path):
    for bits, value in ((16, 25700), (8, 100)):
        content = png(
            [[value], [0]], 0, bits=bits, transparent=struct.pack(">H", value)
        )
        if bits == 16:
            content = png([[value], [51400]], 0, transparent=struct.pack(">H", value))
        assert levels(content, tmp_path)[0, 0] == 255


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "LA", "RGBA"])
def test_every_kind_of_transparency_is_laid_over_white(mode):
    grey = Image.fromarray(np.array([[0, 100]], np.uint8))
    with_alpha = {"La": "LA", "LA": "LA", "PA": "P"}.get(mode, "RGBA")
    image = grey.convert(with_alpha)
    image.putalpha(Image.fromarray(np.array([[0, 255]], np.uint8)))
    got = ImageTransform((1, 2), mode="L", mean=0, std=1, scale=1)(image.convert(mode))
    assert got.tolist() == [[[255, 100]]]


@pytest.mark.parametrize(
    ("value_range", "message"),
    [
        ((4095, 0), "two numbers of which the first is smaller; got"),
        ((0, 0), "first is smaller"),
        ((0, float("nan")), "None or a tuple of two numbers"),
        ((0,), "None or a tuple"),
        (4095, "None or a tuple"),
        ((False, True), "None or a tuple"),
    ],
    ids=str,
)
def test_what_is_no_range_is_refused(value_range, message):
    with pytest.raises(ValueError, match=message):
        read_image("a.png", value_range=value_range)
    with pytest.raises(ValueError, match=message):
        ImageTransform(value_range=value_range)
