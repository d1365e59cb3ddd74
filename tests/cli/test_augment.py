"""Augmentation by name: order, options, processes, and names that are wrong."""

import pickle

import numpy as np
import pytest
import torch
from optional import optional

from cftlearn.cli._augment import make_augmentation
from cftlearn.cli._settings import SettingsError
from cftlearn.images import ImageTransform

Image = optional("PIL.Image")

TRANSFORM = ImageTransform(6)
IMAGE = Image.fromarray(np.arange(108, dtype=np.uint8).reshape(6, 6, 3))


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ("cli_parts:mirror", IMAGE.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        (["cli_parts:mirror", {"name": "cli_parts:mirror"}], IMAGE),
        ({"name": "cli_parts:Rotation", "angle": 90}, IMAGE.rotate(90)),
        (
            [{"name": "cli_parts:Rotation", "angle": 90}, "cli_parts:mirror"],
            IMAGE.rotate(90).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        ),
        (["PIL.ImageOps:flip"], IMAGE.transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
        ([], IMAGE),
    ],
    ids=["function", "table", "class", "in order", "library", "none"],
)
def test_steps_come_before_the_transform(settings, changed):
    augmentation = make_augmentation(settings, TRANSFORM)
    assert torch.equal(augmentation(IMAGE), TRANSFORM(changed))


def test_it_travels_to_other_processes():
    settings = [
        "torchvision.transforms.v2:RandomHorizontalFlip",
        {"name": "torchvision.transforms.v2:RandAugment", "num_ops": 1},
        "cli_parts:mirror",
    ]
    augmentation = make_augmentation(settings, TRANSFORM)
    copy = pickle.loads(pickle.dumps(augmentation))
    torch.manual_seed(0)
    first = augmentation(IMAGE)
    torch.manual_seed(0)
    assert torch.equal(copy(IMAGE), first)
    assert repr(copy) == repr(augmentation)  # by which checkpoints know it again


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (3, r"`train.augment` must be 'package.module:callable', .* got 3"),
        ([["a:b"]], r"`train.augment` must be .* got \['a:b'\]"),
        ([{"angle": 1}], r"got \{'angle': 1\}"),
        ("RandomHorizontalFlip", r"got 'RandomHorizontalFlip'"),
        (":flip", r"got ':flip'"),
        ("nowhere.at.all:flip", r"'nowhere.at.all:flip' cannot be imported: No mod"),
        ("cli_parts:nothing", r"cli_parts has no 'nothing'"),
        ("cli_parts:NOT_CALLABLE", r"cli_parts:NOT_CALLABLE cannot be called"),
        ("cli_parts:Rotation", r"options that cli_parts:Rotation takes; .*'angle'"),
        ({"name": "cli_parts:Rotation", "angle": -1}, r"angle is below 0"),
    ],
)
def test_what_is_wrong_is_named(settings, message):
    with pytest.raises(SettingsError, match=message):
        make_augmentation(settings, TRANSFORM)
