"""Features by a trained network: where they are taken, how they are stored."""

import copy
import functools
import inspect
import json
import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.utils.data import Dataset, TensorDataset

import cftlearn.feature_extraction._feature_file
from cftlearn import CategoryWiseFineTuner, TorchFeatureExtractor
from cftlearn.exceptions import ImageFileError, SkippedRowsWarning
from cftlearn.images import ImageTransform

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


class Backbone(nn.Module):
    """A network for images with a named part, dropout and batch norm."""

    def __init__(self, head=None):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(4, 5)
        self.fc = nn.Linear(5, 2) if head is None else head

    def forward(self, X):
        return self.fc(self.hidden(self.pool(self.maps(X)).flatten(1)).relu())


class Counting(nn.Module):
    """A network that ends after some batches, and counts them."""

    def __init__(self, n_most=1000, error=KeyboardInterrupt):
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.calls, self.n_most, self.error = [], n_most, error

    def forward(self, X):
        if len(X) > 1:
            if len(self.calls) == self.n_most:
                raise self.error("stop here")
            self.calls.append(X.clone())
        return self.fc(X.tanh())

    def extra_repr(self):
        return ""


def seeded(make=Backbone, **options):
    torch.manual_seed(0)
    network = make(**options)
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    return network.train()


def by_hand(network, layer, X, side="output"):
    """Run a copy at once, and give what a layer saw or gave."""
    network, caught = copy.deepcopy(network).eval(), []
    network.get_submodule(layer).register_forward_hook(
        lambda _, seen, output: caught.append(seen[0] if side == "input" else output)
    )
    with torch.no_grad():
        network(torch.from_numpy(X).float())
    return caught[0].flatten(1).numpy()


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


def extract(module, X, **options):
    return TorchFeatureExtractor(module, **{"batch_size": 5, **options}).transform(X)


# --------------------------------------------------------- where features are taken
@pytest.mark.parametrize("layer", ["fc", "hidden", "pool"])
def test_a_named_layer_gives_its_output(X, layer):
    network = seeded()
    Z = extract(network, X, layer=layer)
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, by_hand(network, layer, X), rtol=1e-5, atol=1e-6)


def test_by_default_features_are_what_the_classification_layer_sees(X):
    network = seeded()
    expected = by_hand(network, "fc", X, side="input")
    np.testing.assert_allclose(extract(network, X), expected, rtol=1e-5, atol=1e-6)


def test_a_network_that_is_the_layer_gives_its_inputs(rows):
    np.testing.assert_array_equal(extract(nn.Linear(6, 3), rows), np.float32(rows))


@pytest.mark.parametrize("layer", [None, ""], ids=["default", "named"])
def test_a_network_without_a_head_gives_its_output(X, layer):
    network = seeded(head=nn.Identity())
    expected = by_hand(network, "", X)
    Z = extract(network, X, layer=layer)
    np.testing.assert_allclose(Z, expected, rtol=1e-5, atol=1e-6)


def test_a_network_without_linear_layers_gives_its_output(X):
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1))
    np.testing.assert_allclose(extract(pooled, X), X.mean(axis=(2, 3)), atol=1e-6)


def test_where_the_last_step_is_unclear_the_layer_must_be_named(rows):
    network = nn.Sequential(nn.Linear(6, 3), nn.Sigmoid())
    message = r"must be its last nn\.Linear, '0'.* another tensor, .* layer=''"
    with pytest.raises(ValueError, match=message):
        extract(network, rows)
    expected = by_hand(network, "0", rows)
    np.testing.assert_allclose(extract(network, rows, layer="0"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("maps", r"'maps' must give one vector per row; .* \(1, 4, 6, 7\) for 1 rows"),
        ("head", r"`layer` must name a layer of the network; got 'head'.* 'hidden'"),
    ],
)
def test_a_layer_that_gives_no_vectors_is_refused(X, layer, message):
    with pytest.raises(ValueError, match=message):
        extract(seeded(), X, layer=layer)


class Odd(nn.Module):
    def __init__(self, use):
        super().__init__()
        self.part = nn.Tanh()
        self.use = use

    def forward(self, X):
        return self.use(self.part, X)


@pytest.mark.parametrize(
    ("use", "layer", "message"),
    [
        (lambda part, X: part(X) + part(-X), "part", "must run once .* ran 2 times"),
        (lambda _, X: X, "part", r"ran 0 times\. Name another layer with `layer`"),
        (lambda part, X: {"z": part(X)}, "", "The network must give a tensor; .* dict"),
    ],
    ids=["twice", "never", "a dict"],
)
def test_a_layer_that_does_not_run_once_is_refused(rows, use, layer, message):
    with pytest.raises(ValueError, match=message):
        extract(Odd(use), rows, layer=layer)


# ------------------------------------------------------------------ how it runs
def test_the_network_is_left_as_it_was(X):
    network = seeded()
    network.maps.eval()
    modes = {name: part.training for name, part in network.named_modules()}
    weights = copy.deepcopy(network.state_dict())
    for options in ({}, {"layer": "pool"}, {"amp": True}):
        extract(network, X, **options)
    assert {name: part.training for name, part in network.named_modules()} == modes
    assert all(torch.equal(network.state_dict()[key], weights[key]) for key in weights)
    assert not any(part._forward_hooks for part in network.modules())
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_features_do_not_depend_on_the_batch_size(X):
    network = seeded()
    expected = extract(network, X, batch_size=1000)
    for batch_size in (1, 7, 23):
        Z = extract(network, X, batch_size=batch_size)
        np.testing.assert_allclose(Z, expected, rtol=1e-5, atol=1e-6)


def test_half_precision_is_near(X):
    network = seeded()
    whole, half = extract(network, X), extract(network, X, amp=True)
    assert half.dtype == np.float32
    assert not np.array_equal(whole, half)
    np.testing.assert_allclose(half, whole, rtol=0.05, atol=0.05)


def test_a_factory_makes_the_network(rows):
    factory = functools.partial(nn.Linear, 6, 3)
    assert extract(factory, rows).shape == (23, 6)
    with pytest.raises(TypeError, match=r"must return a torch\.nn\.Module; got dict"):
        extract(dict, rows)


class Full(nn.Module):
    def forward(self, X):
        if len(X) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return X


def test_memory_that_runs_out_names_the_batch_size(rows):
    message = (
        r"more memory .* on cpu for batches of 5 rows\. Lower `batch_size`\. \(CUD"
    )
    with pytest.raises(torch.OutOfMemoryError, match=message):
        extract(Full(), rows, device="cpu")


def test_features_that_are_not_finite_name_the_row(rows):
    network = nn.Sequential(nn.Linear(6, 3))
    rows = rows.astype(np.float32)
    rows[[11, 13], 2] = 3e38
    with pytest.raises(
        ValueError, match=r"NaN or infinity for 2 of 5 rows.* is row 11\."
    ):
        extract(nn.Sequential(Odd(lambda _, X: 2 * X), network[0]), rows)


def test_devices_that_are_not_there_are_refused(rows):
    with pytest.raises(ValueError, match=r"`device` must be 'auto' or a device"):
        extract(nn.Linear(6, 3), rows, device="cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("amp", [False, True])
def test_a_gpu_gives_the_same(X, amp):
    network = seeded()
    expected = extract(network, X, device="cpu")
    Z = extract(network, X, device="cuda", amp=amp)
    np.testing.assert_allclose(Z, expected, rtol=0.05, atol=0.05)
    assert next(network.parameters()).device.type == "cpu"


# ------------------------------------------------------------------------ inputs
def test_paths_folders_images_and_datasets_give_the_same(images):
    image_module = pytest.importorskip("PIL.Image")
    network, transform = seeded(), ImageTransform(16)
    opened = [image_module.open(path).copy() for path in images]
    batch = np.stack([transform(image).numpy() for image in opened])

    class Labelled(Dataset):
        def __len__(self):
            return len(batch)

        def __getitem__(self, row):
            return opened[row], "label"

    expected = extract(network, batch)
    for X in (images, str(Path(images[0]).parent), opened, Labelled()):
        Z = extract(network, X, input_transform=transform)
        np.testing.assert_array_equal(Z, expected)
    for X in (torch.from_numpy(batch), TensorDataset(torch.from_numpy(batch))):
        np.testing.assert_array_equal(extract(network, X), expected)


def test_workers_change_nothing(images):
    options = {"input_transform": ImageTransform(16), "layer": "pool"}
    one = extract(seeded(), images, **options)
    two = extract(seeded(), images, num_workers=2, **options)
    np.testing.assert_array_equal(one, two)


def test_it_needs_no_fit_and_survives_clone_and_pickle(rows):
    extractor = TorchFeatureExtractor(nn.Linear(6, 3), batch_size=9)
    expected = extractor.transform(rows)
    fitted = extractor.fit(rows)
    assert fitted.n_features_out_ == 6
    assert fitted.get_feature_names_out()[0] == "torchfeatureextractor0"
    for copied in (clone(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(copied.transform(rows), expected)


def test_documented_attributes_are_those_it_gets(rows):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows, columns=list("abcdef"))
    fitted = TorchFeatureExtractor(nn.Linear(6, 3), on_error="skip").fit(X)
    fitted.transform(X)
    body = inspect.getdoc(TorchFeatureExtractor).split("Attributes\n----------\n")[1]
    documented = set(re.findall(r"(?m)^(\w+_) :", body.split("See Also")[0]))
    assert documented == {name for name in vars(fitted) if name.endswith("_")}


def test_frames_are_given_where_they_are_asked_for(images):
    pandas = pytest.importorskip("pandas")
    extractor = TorchFeatureExtractor(
        seeded(), input_transform=ImageTransform(8), on_error="skip"
    ).set_output(transform="pandas")
    frame = extractor.fit(images).transform(images)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame) == list(extractor.get_feature_names_out())
    Path(images[3]).write_bytes(b"")
    with pytest.warns(SkippedRowsWarning, match="1 of 12 rows"):
        assert extractor.transform(images).shape == (11, 5)


def test_it_feeds_the_fine_tuner_in_a_pipeline(partial_problem, tmp_path):
    Z, y, _ = partial_problem
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    head = {"coef_init": network[2].weight.detach().numpy(), "intercept_init": [0] * 3}
    tuner = CategoryWiseFineTuner("proximal", **head, random_state=0)
    plain = make_pipeline(TorchFeatureExtractor(network), clone(tuner)).fit(Z, y)
    assert plain.transform(Z).shape == (120, 3)
    for dtype, atol in (("float32", 1e-6), ("float16", 0.2)):
        out = tmp_path / f"{dtype}.npy"
        extractor = TorchFeatureExtractor(network, out=out, dtype=dtype)
        stored = make_pipeline(extractor, clone(tuner)).fit(Z, y)
        np.testing.assert_allclose(stored.transform(Z), plain.transform(Z), atol=atol)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": 3}, r"'module' parameter .* must be a callable"),
        ({"batch_size": 0}, r"'batch_size' parameter"),
        ({"num_workers": -1}, r"'num_workers' parameter"),
        ({"dtype": "float64"}, r"'dtype' parameter"),
        ({"on_error": "ignore"}, r"'on_error' parameter"),
        ({"input_transform": 3}, r"'input_transform' parameter"),
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(rows, params, message):
    extractor = TorchFeatureExtractor(nn.Linear(6, 3)).set_params(**params)
    for method in (extractor.fit, extractor.transform):
        with pytest.raises(ValueError, match=message):
            method(rows)


# ---------------------------------------------------------------------- on_error
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


# --------------------------------------------------------------------------- out
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_are_stored_and_mapped(rows, tmp_path, dtype):
    out = tmp_path / "merkmale ü.npy"
    Z = extract(Counting(), rows, out=out, dtype=dtype)
    assert isinstance(Z, np.memmap)
    assert Z.dtype == dtype
    assert not Z.flags.writeable
    expected = torch.from_numpy(np.float32(rows)).tanh().numpy()
    np.testing.assert_array_equal(Z, expected.astype(dtype))
    np.testing.assert_array_equal(np.load(out), Z)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "merkmale ü.npy",
        "merkmale ü.npy.json",
    ]


def test_a_finished_file_is_read_back(rows, tmp_path):
    out = tmp_path / "Z.npy"
    expected = np.array(extract(Counting(), rows, out=out))
    again = Counting()
    torch.manual_seed(0)
    network = Counting(n_most=0)
    network.fc.load_state_dict(again.fc.state_dict())
    first = extract(again, rows, out=tmp_path / "Y.npy")
    reread = extract(network, rows, out=tmp_path / "Y.npy")
    assert network.calls == []
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(reread, expected)


@pytest.mark.usefixtures("noted_at_once")
@pytest.mark.parametrize("n_most", [0, 1, 3, 4])
def test_an_extraction_that_failed_goes_on_where_it_was(rows, tmp_path, n_most):
    out = tmp_path / "Z.npy"
    network = seeded(Counting, n_most=n_most)
    with pytest.raises(KeyboardInterrupt):
        extract(network, rows, out=out)
    assert not out.exists()
    network.n_most = 1000
    before = len(network.calls)
    Z = extract(network, rows, out=out)
    assert before == n_most
    assert len(network.calls) == 5  # of 23 rows, none twice
    np.testing.assert_array_equal(np.vstack(network.calls), np.float32(rows))
    np.testing.assert_array_equal(Z, extract(seeded(Counting), rows))


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


class Fatal(nn.Module):
    """A network that kills its process after some batches."""

    def __init__(self, n_most=1000):
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(6, 3)
        self.n_left = n_most

    def forward(self, X):
        if len(X) > 1:
            if self.n_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.n_left -= 1
        return self.fc(X.tanh())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_extraction_goes_on_where_it_was(rows, tmp_path):
    np.save(tmp_path / "rows.npy", rows)
    code = (
        "import numpy, torch, test_extractor as tests;"
        "from cftlearn.feature_extraction import _feature_file;"
        "torch.set_num_threads(1);"
        "_feature_file._SAVE_SECONDS = 0.0;"
        "tests.extract(tests.Fatal(3), numpy.load('rows.npy'), out='Z.npy')"
    )
    here = Path(__file__).parent
    root = here.parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{here}"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        timeout=240,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "Z.npy").exists()
    network = Fatal()
    Z = extract(network, rows, out=tmp_path / "Z.npy")
    assert network.n_left == 1000 - 2  # of five batches
    np.testing.assert_array_equal(Z, extract(network, rows))


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


def test_images_are_told_apart_by_their_paths(images, tmp_path):
    options = {"input_transform": ImageTransform(16), "out": tmp_path / "Z.npy"}
    extract(seeded(), images, **options)
    extract(seeded(), images, **options)
    with pytest.raises(ValueError, match=r"something else"):
        extract(seeded(), images[::-1], **options)
    with pytest.raises(ValueError, match=r"something else"):
        extract(seeded(), images, **options | {"input_transform": ImageTransform(17)})


def test_files_of_others_are_not_overwritten(rows, tmp_path):
    out = tmp_path / "Z.npy"
    np.save(out, rows)
    with pytest.raises(
        ValueError, match=r"something else.* delete it and 'Z.npy.json'"
    ):
        extract(seeded(Counting), rows, out=out)
    np.testing.assert_array_equal(np.load(out), rows)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("Z.npz", r"`out` must end in \.npy; got '.*Z\.npz'\. Write '.*Z\.npy'"),
        (
            "missing/Z.npy",
            r"must be in a folder that exists; .*Make '.*missing' fir",
        ),
    ],
)
def test_places_that_cannot_be_are_refused(rows, tmp_path, out, message):
    with pytest.raises(ValueError, match=message):
        extract(seeded(Counting), rows, out=tmp_path / out)


@pytest.mark.parametrize("note", ["", "{", '{"digest": 3}', "[]"])
def test_a_damaged_note_is_told(rows, tmp_path, note):
    extract(seeded(Counting), rows, out=tmp_path / "Z.npy")
    (tmp_path / "Z.npy.json").write_text(note)
    with pytest.raises(
        ValueError, match=r"The note '.*json' .* cannot be read .*Delete"
    ):
        extract(seeded(Counting), rows, out=tmp_path / "Z.npy")


def test_a_file_changed_after_its_note_is_refused(rows, tmp_path):
    extract(seeded(Counting), rows, out=tmp_path / "Z.npy")
    np.save(tmp_path / "Z.npy", rows)
    with pytest.raises(
        ValueError, match=r"must hold float32 of shape \(23, 6\), as its"
    ):
        extract(seeded(Counting), rows, out=tmp_path / "Z.npy")


@pytest.mark.usefixtures("noted_at_once")
def test_lost_rows_are_computed_again(rows, tmp_path):
    network = seeded(Counting, n_most=3)
    with pytest.raises(KeyboardInterrupt):
        extract(network, rows, out=tmp_path / "Z.npy")
    assert json.loads((tmp_path / "Z.npy.json").read_text())["n_done"] == 15
    os.truncate(tmp_path / "Z.npy.partial", 200)
    network.n_most = 1000
    Z = extract(network, rows, out=tmp_path / "Z.npy")
    np.testing.assert_array_equal(Z, extract(network, rows))


def test_a_file_that_another_process_writes_is_left_to_it(rows, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "Z.npy.partial").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match=r"must not be in use; another process"):
            extract(seeded(Counting), rows, out=tmp_path / "Z.npy")


def test_features_too_large_for_half_precision_name_the_row(rows, tmp_path):
    rows[7, 1] = 1e6
    with pytest.raises(
        ValueError, match=r"row 7 has 1e\+06, which float16 cannot hold"
    ):
        extract(nn.Linear(6, 3), rows, out=tmp_path / "Z.npy", dtype="float16")
