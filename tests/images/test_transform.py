"""Images become the input of a network."""

import json
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cftlearn.exceptions import ImageFileError
from cftlearn.images import ImageTransform

Image = pytest.importorskip("PIL.Image", reason="the images extra")


def test_defaults_are_those_of_imagenet(colours):
    image = Image.fromarray(colours)
    tensor = ImageTransform()(image)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (3, 224, 224)
    assert tensor.is_contiguous()
    resized = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (resized / 255 - mean) / std
    np.testing.assert_allclose(tensor.permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos", "nearest"])
def test_sizes_are_height_and_width(colours, name):
    image = Image.fromarray(colours)
    transform = ImageTransform((3, 5), mean=0, std=1, scale=1, interpolation=name)
    expected = image.resize((5, 3), Image.Resampling[name.upper()])
    np.testing.assert_array_equal(transform(image).permute(1, 2, 0), expected)


def test_one_channel_of_grey(colours):
    image = Image.fromarray(colours)
    tensor = ImageTransform(4, mode="L", mean=0.5, std=(0.25,))(image)
    assert tensor.shape == (1, 4, 4)
    grey = np.asarray(image.convert("L").resize((4, 4), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(tensor[0], (grey / 255 - 0.5) / 0.25, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["nearest", "area"])
@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
def test_the_crop_is_centred_and_keeps_proportions(rng, shape, interpolation):
    grey = rng.integers(0, 256, shape, dtype=np.uint8)
    transform = ImageTransform(
        20, mode="L", mean=0, std=1, scale=1, crop=0.5, interpolation=interpolation
    )
    top, left = (np.array(shape) - 20) // 2
    expected = grey[top : top + 20, left : left + 20]
    np.testing.assert_array_equal(transform(Image.fromarray(grey))[0], expected)


@given(
    old=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    new=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    crop=st.none() | st.floats(0.1, 1),
)
def test_area_is_the_mean_over_every_pixels_share(old, new, crop):
    grey = np.random.default_rng(0).integers(0, 256, old, dtype=np.uint8)
    transform = ImageTransform(
        new, mode="L", mean=0, std=1, scale=1, crop=crop, interpolation="area"
    )
    left, top, right, bottom = transform._box(old[1], old[0])

    def shares(low, high, n_old, n_new):
        edges = np.linspace(low, high, n_new + 1)
        return np.array(
            [
                [max(0, min(b, i + 1) - max(a, i)) / (b - a) for i in range(n_old)]
                for a, b in pairwise(edges)
            ]
        )

    expected = shares(top, bottom, old[0], new[0]) @ grey
    expected = expected @ shares(left, right, old[1], new[1]).T
    np.testing.assert_allclose(transform(Image.fromarray(grey))[0], expected, atol=0.51)


def test_images_in_memory_are_turned_upright_and_left_alone(colours):
    image = Image.fromarray(colours)
    image.getexif()[0x0112] = 6
    tensor = ImageTransform((9, 6), mean=0, std=1, scale=1)(image)
    expected = colours[::-1].swapaxes(0, 1)
    np.testing.assert_array_equal(tensor.permute(1, 2, 0), expected)
    assert image.size == (9, 6)


def test_sixteen_bits_in_memory_are_scaled():
    image = Image.fromarray(np.full((4, 4), 257 * 100, dtype=np.uint16))
    tensor = ImageTransform(2, mean=0, std=1, scale=1)(image)
    assert (tensor == 100).all()
    with pytest.raises(ImageFileError, match=r"The image holds values from 0 to 0"):
        ImageTransform(2)(Image.new("F", (3, 3)))


@pytest.mark.parametrize(
    "transform",
    [
        ImageTransform(),
        ImageTransform(
            (8, 9),
            mode="L",
            mean=0.5,
            std=(1.5,),
            crop=0.875,
            scale=1,
            value_range=(0, 4095),
        ),
    ],
    ids=["defaults", "others"],
)
def test_parameters_survive_json_and_pickle(transform, colours):
    text = json.dumps(transform.get_params())
    for copied in (
        ImageTransform.from_params(json.loads(text)),
        pickle.loads(pickle.dumps(transform)),
    ):
        assert copied == transform
        assert hash(copied) == hash(transform)
        image = Image.fromarray(colours)
        assert torch.equal(copied(image), transform(image))


def test_strange_parameters_are_named():
    with pytest.raises(ValueError, match=r"got 'antialias' too\. Update cftlearn"):
        ImageTransform.from_params({"size": 8, "antialias": True})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"size": 0}, r"`size` must be an int above 0, .*; got 0\."),
        ({"size": 2.5}, r"`size` must be an int .*got 2\.5"),
        ({"size": (3, 4, 5)}, r"`size` must be"),
        ({"mode": "CMYK"}, r"`mode` must be 'RGB' or 'L'; got 'CMYK'"),
        ({"mode": "L"}, r"`mean` must be a number, or a tuple of 1 for mode='L'"),
        ({"mean": "imagenet"}, r"`mean` must be a number"),
        ({"mean": float("nan")}, r"`mean` must be a number"),
        ({"std": (1, 1)}, r"`std` must be a number, or a tuple of 3"),
        ({"std": 0}, r"`std` must be above 0; got 0"),
        ({"interpolation": "cubic"}, r"`interpolation` must be one of"),
        ({"crop": 1.5}, r"`crop` must be None or a number in \(0, 1\]; got 1\.5"),
        ({"crop": True}, r"`crop` must be None"),
        (
            {"size": 10**6},
            r"must be at most 10,000 pixels a side, .*; got 1000000",
        ),
        ({"scale": 0}, r"`scale` must be a number above 0; got 0"),
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        ImageTransform(**params)


def test_what_is_no_image_is_refused(colours):
    with pytest.raises(TypeError, match=r"must be a PIL image; got ndarray\. Make one"):
        ImageTransform()(colours)
