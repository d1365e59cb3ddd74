"""What the tests of the command line name as "cli_parts:callable"."""

from typing import TYPE_CHECKING

from optional import optional
from torch import nn

if TYPE_CHECKING:
    from PIL import Image

ImageOps = optional("PIL.ImageOps")
NOT_CALLABLE = 3


def make_network(width=4):
    """Make a network whose classification layer has 7 outputs, to be replaced."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, 7),
    )


def mirror(image):
    return ImageOps.mirror(image)


class Rotation:
    def __init__(self, angle):
        if angle < 0:
            raise ValueError("angle is below 0")
        self.angle = angle

    def __call__(self, image: "Image.Image") -> "Image.Image":
        return image.rotate(self.angle)
