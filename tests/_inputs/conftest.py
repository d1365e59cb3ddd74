"""Fixtures of the tests of networks' inputs."""

import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path, rng):
    """Eight images below a folder, and what is no image."""
    image_module = pytest.importorskip("PIL.Image", reason="the images extra")
    for row in range(8):
        part = tmp_path / ("ä" if row % 2 else "b")
        part.mkdir(exist_ok=True)
        values = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        image = image_module.fromarray(values)
        image.save(part / f"{row}.{'PNG' if row % 3 else 'bmp'}")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "0.png").write_bytes(b"hidden")
    (tmp_path / "b" / "._0.png").write_bytes(b"hidden")
    (tmp_path / "labels.csv").write_text("image,dog")
    (tmp_path / "folder.png").mkdir()
    return tmp_path
