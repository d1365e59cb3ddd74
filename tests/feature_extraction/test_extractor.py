"""The extractor as a transformer of scikit-learn."""

import functools
import inspect
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from extraction_parts import extract, seeded
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from cftlearn import CategoryWiseFineTuner, TorchFeatureExtractor
from cftlearn.exceptions import SkippedRowsWarning
from cftlearn.images import ImageTransform

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


def test_a_factory_makes_the_network(rows):
    factory = functools.partial(nn.Linear, 6, 3)
    assert extract(factory, rows).shape == (23, 6)
    with pytest.raises(TypeError, match=r"must return a torch\.nn\.Module; got dict"):
        extract(dict, rows)


def test_devices_that_are_not_there_are_refused(rows):
    with pytest.raises(ValueError, match=r"`device` must be 'auto' or a device"):
        extract(nn.Linear(6, 3), rows, device="cuda:99")


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


# ------------------------------------------------------------------ several layers
@pytest.mark.parametrize("layer", [["maps.0", "pool"], ["hidden"], []], ids=str)
def test_features_of_several_layers(X, layer):
    network = seeded()
    extractor = TorchFeatureExtractor(network, layer=layer, batch_size=5).fit(X)
    Z = extractor.transform(X)
    assert network.training
    network.eval()
    expected, outputs = [extract(network, X)], {}
    for name in layer:
        network.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: outputs.update({name: output.clone()})
        )
    network(torch.from_numpy(X))
    for name in layer:
        output = outputs[name].detach()
        expected.append(output.flatten(2).mean(2) if output.ndim == 4 else output)
    np.testing.assert_allclose(Z, np.concatenate(expected, axis=1), rtol=1e-5)
    assert extractor.n_features_out_ == Z.shape[1]


def test_layers_are_chosen(X):
    listed = extract(seeded(), X, layer=["maps"])
    np.testing.assert_array_equal(extract(seeded(), X, layer="auto"), listed)
    assert listed.shape == (23, 9)


def test_the_input_beside_the_output_of_a_network_without_a_head(rows):
    network = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Identity())
    Z = extract(network, rows, layer=["", "1"])
    expected = extract(network, rows)
    np.testing.assert_allclose(Z, np.column_stack([expected, expected, rows]), 1e-5)


def test_the_file_of_other_layers_is_refused(X, tmp_path):
    out = tmp_path / "Z.npy"
    Z = extract(seeded(), X, layer=["maps"], out=out)
    np.testing.assert_array_equal(extract(seeded(), X, layer=["maps"], out=out), Z)
    with pytest.raises(ValueError, match="`out`"):
        extract(seeded(), X, layer=["maps.0"], out=out)


def test_lists_that_cannot_be_used(X):
    with pytest.raises(ValueError, match=r"`layer` must name layers .* got 'top'"):
        extract(seeded(), X, layer=["top"])
    maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity())
    with pytest.raises(ValueError, match=r"one vector per row .* Pool or flatten it"):
        extract(maps, X, layer=["0"])
