"""Read image files, and turn images into the input of a network."""

from cftlearn.images._read import read_image
from cftlearn.images._transform import ImageTransform

__all__ = ["ImageTransform", "read_image"]
