"""Features of all rows: those left out, and what makes an extraction another one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from extraction_parts import Backbone, Counting, extract, seeded
from torch import nn

from cftlearn import TorchFeatureExtractor
from cftlearn.exceptions import ImageFileError, SkippedRowsWarning
from cftlearn.images import ImageTransform

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


@pytest.mark.parametrize("stored", [False, True], ids=["memory", "file"])
@pytest.mark.parametrize("bad", [[0, 4, 5, 6, 7, 11], [8, 9, 10, 11], [3]], ids=str)
def test_images_that_cannot_be_read_are_left_out(images, tmp_path, bad, stored):
    options = {"input_transform": ImageTransform(16), "batch_size": 4}
    expected = extract(seeded(), images, **options)
    for row in bad:
        Path(images[row]).write_bytes(b"<html>")
    Path(images[bad[0]]).unlink()
    out = tmp_path / "Z.npy" if stored else None
    extractor = TorchFeatureExtractor(seeded(), on_error="skip", out=out, **options)
    message = rf"{len(bad)} of 12 rows .* first is row {bad[0]}: .* does not exist"
    for _ in range(2):  # the second one reads the file again
        with pytest.warns(SkippedRowsWarning, match=message) as caught:
            Z = extractor.fit(images).transform(images)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        np.testing.assert_allclose(Z, np.delete(expected, bad, axis=0), rtol=1e-5)
        assert Z.shape == (12 - len(bad), 5)
        assert extractor.kept_.tolist() == sorted(set(range(12)) - set(bad))
        assert [row for row, _, _ in extractor.skipped_] == bad
        assert extractor.skipped_[0][1] == images[bad[0]]
    with pytest.raises(ImageFileError, match=r"row \d+"):
        extract(seeded(), images, out=out, **options)


def test_a_file_with_rows_left_out_is_refused_where_none_may_be(images, tmp_path):
    options = {"input_transform": ImageTransform(16), "out": tmp_path / "Z.npy"}
    whole = Path(images[3]).read_bytes()
    Path(images[3]).write_bytes(b"")
    with pytest.warns(SkippedRowsWarning, match="1 of 12 rows"):
        extract(seeded(), images, on_error="skip", **options)
    Path(images[3]).write_bytes(whole)
    with pytest.raises(ImageFileError, match=r"left out 1 rows, the first is row 3"):
        extract(seeded(), images, **options)


def test_nothing_is_warned_where_all_can_be_read(images):
    extractor = TorchFeatureExtractor(
        seeded(), input_transform=ImageTransform(16), on_error="skip"
    )
    assert len(extractor.transform(images)) == 12
    assert extractor.skipped_ == []
    assert extractor.kept_.tolist() == list(range(12))


def test_images_of_which_none_can_be_read_are_refused(images):
    for path in images:
        Path(path).write_bytes(b"")
    with pytest.raises(ImageFileError, match=r"got 12 that cannot, .* row 0: .* empty"):
        extract(seeded(), images, input_transform=ImageTransform(8), on_error="skip")


@pytest.mark.usefixtures("noted_at_once")
def test_what_was_left_out_before_a_failure_stays_so(images, tmp_path):
    class Failing(Backbone):
        n_calls = 0

        def forward(self, X):
            self.n_calls += len(X) > 1
            if self.n_calls == 3:
                raise KeyboardInterrupt
            return super().forward(X)

    Path(images[3]).write_bytes(b"")
    Path(images[6]).write_bytes(b"")
    network = seeded(Failing)
    extractor = TorchFeatureExtractor(
        network,
        input_transform=ImageTransform(16),
        batch_size=4,
        on_error="skip",
        out=tmp_path / "Z.npy",
    )
    with pytest.raises(KeyboardInterrupt):
        extractor.transform(images)
    network.n_calls = 10
    with pytest.warns(SkippedRowsWarning, match=r"2 of 12 rows"):
        Z = extractor.transform(images)
    assert network.n_calls == 11  # the last batch alone
    assert extractor.kept_.tolist() == [0, 1, 2, 4, 5, 7, 8, 9, 10, 11]
    extractor.set_params(out=None)
    with pytest.warns(SkippedRowsWarning, match=r"2 of 12 rows"):
        np.testing.assert_array_equal(Z, extractor.transform(images))


@pytest.mark.parametrize(
    "change",
    [
        lambda e, X: (e, X + 1e-12),
        lambda e, X: (e, X[:-1]),
        lambda e, X: (e.set_params(dtype="float16"), X),
        lambda e, X: (e.set_params(amp=True), X),
        lambda e, X: (e.set_params(layer="fc"), X),
        lambda e, X: (e.set_params(input_transform=lambda row: row + 0.0), X),
        lambda e, X: (e.module.fc.weight.data.add_(1e-3), (e, X))[1],
    ],
    ids=["values", "rows", "dtype", "amp", "layer", "transform", "weights"],
)
def test_the_file_of_another_extraction_is_refused(rows, tmp_path, change):
    out = tmp_path / "Z.npy"
    extractor = TorchFeatureExtractor(seeded(Counting), out=out)
    expected = np.array(extractor.transform(rows))
    extractor, X = change(extractor, rows)
    with pytest.raises(ValueError, match=r"`out` must be a new file, .*something else"):
        extractor.transform(X)
    np.testing.assert_array_equal(np.load(out), expected)


def test_transforms_are_told_apart_by_their_code(rows, tmp_path):
    def transform(row, factor=2):
        return row * factor

    options = {"out": tmp_path / "Z.npy"}
    network = seeded(Counting)
    same = [lambda row: row * 2 for _ in range(2)]  # at two addresses
    for each in same:
        extract(network, rows, input_transform=each, **options)
    for other in (lambda row: row * 3, lambda row: row + 2, transform):
        with pytest.raises(ValueError, match=r"something else"):
            extract(network, rows, input_transform=other, **options)


def test_transforms_are_told_apart_by_the_names_they_call(rows, tmp_path):
    options = {"out": tmp_path / "Z.npy"}
    extract(seeded(Counting), rows, input_transform=lambda row: np.sin(row), **options)
    with pytest.raises(ValueError, match=r"something else"):
        extract(
            seeded(Counting), rows, input_transform=lambda row: np.cos(row), **options
        )


def test_networks_are_told_apart_by_their_buffers(X, tmp_path):
    network = seeded()
    extract(network, X, out=tmp_path / "Z.npy")
    network.maps[1].running_mean += 1
    with pytest.raises(ValueError, match=r"something else"):
        extract(network, X, out=tmp_path / "Z.npy")


def test_paths_are_told_apart_by_where_one_ends(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "bc", "ab", "c"):
        shutil.copy(images[0], name)
    options = {"input_transform": ImageTransform(16), "out": tmp_path / "Z.npy"}
    extract(seeded(), ["a", "bc"], **options)
    with pytest.raises(ValueError, match=r"something else"):
        extract(seeded(), ["ab", "c"], **options)


def test_a_file_is_read_back_after_our_code_was_moved_and_documented(
    images, tmp_path, monkeypatch
):
    options = {"input_transform": ImageTransform(16), "out": tmp_path / "Z.npy"}
    expected = np.array(extract(seeded(), images, **options))
    call = ImageTransform.__call__
    monkeypatch.setattr(ImageTransform, "__module__", "cftlearn.images")
    monkeypatch.setattr(
        ImageTransform, "__call__", lambda self, image: call(self, image)
    )
    monkeypatch.setattr(
        "cftlearn._inputs._sources._ImageFiles.__module__", "cftlearn._elsewhere"
    )
    np.testing.assert_array_equal(extract(seeded(), images, **options), expected)


def test_images_are_told_apart_by_their_paths(images, tmp_path):
    options = {"input_transform": ImageTransform(16), "out": tmp_path / "Z.npy"}
    extract(seeded(), images, **options)
    extract(seeded(), images, **options)
    with pytest.raises(ValueError, match=r"something else"):
        extract(seeded(), images[::-1], **options)
    with pytest.raises(ValueError, match=r"something else"):
        extract(seeded(), images, **options | {"input_transform": ImageTransform(17)})


def test_features_too_large_for_half_precision_name_the_row(rows, tmp_path):
    rows[7, 1] = 1e6
    with pytest.raises(
        ValueError, match=r"row 7 has 1e\+06, which float16 cannot hold"
    ):
        extract(nn.Linear(6, 3), rows, out=tmp_path / "Z.npy", dtype="float16")
