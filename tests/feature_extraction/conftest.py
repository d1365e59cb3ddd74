"""Fixtures of the tests of extraction."""

import numpy as np
import pytest

import cftlearn.feature_extraction._feature_file


@pytest.fixture
def X(rng):
    return rng.standard_normal((23, 3, 8, 9)).astype(np.float32)


@pytest.fixture
def rows(rng):
    return rng.standard_normal((23, 6))


@pytest.fixture
def images(tmp_path, rng):
    """Twelve image files, as paths."""
    image_module = pytest.importorskip("PIL.Image", reason="the images extra")
    folder = tmp_path / "images"
    folder.mkdir()
    for row in range(12):
        values = rng.integers(0, 256, (9 + row, 12, 3), dtype=np.uint8)
        image_module.fromarray(values).save(folder / f"{row:02}.png")
    return sorted(map(str, folder.iterdir()))


@pytest.fixture
def noted_at_once(monkeypatch):
    monkeypatch.setattr(cftlearn.feature_extraction._feature_file, "_SAVE_SECONDS", 0.0)
