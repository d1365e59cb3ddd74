"""The network and the image transform that settings describe."""

from types import SimpleNamespace

import pytest

from cftlearn.cli import _networks
from cftlearn.cli._networks import (
    Network,
    make_transform,
    read_network,
    saved_network,
)
from cftlearn.cli._settings import NetworkSettings, Settings, SettingsError
from cftlearn.images import ImageTransform
from cftlearn.networks import Architecture


def test_a_network_by_name():
    settings = NetworkSettings("cli_parts:make_network", head="4", options={"width": 3})
    network = read_network(settings, 2)
    expected = Architecture("cli_parts:make_network", n_outputs=2, options={"width": 3})
    assert network.module == network.saved_as == expected
    assert network.head == "4"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "A network must be named: --network"),
        ({"name": "resnet18"}, "got 'resnet18', which does not exist"),
        ({"name": "a", "weights": "w"}, "a has weights of its own; leave `weights`"),
        ({"name": "a", "options": {}}, "a has weights of its own; leave `weights`"),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        read_network(NetworkSettings(**settings), 2)


@pytest.mark.parametrize(("head", "found"), [(None, "fc1"), ("fc2", "fc2")])
def test_a_saved_model_keeps_its_head(tmp_path, monkeypatch, head, found):
    (tmp_path / "model.json").touch()
    architecture = Architecture("torchvision:resnet18", n_outputs=2)
    saved = SimpleNamespace(head_="fc1", module=architecture)
    model = SimpleNamespace(to_torch=lambda: "the network")
    monkeypatch.setattr(_networks, "_saved_classifier", lambda folder: saved)
    monkeypatch.setattr("cftlearn.persistence.load_model", lambda path: model)
    network = read_network(NetworkSettings(str(tmp_path), head=head), 2)
    assert network == Network("the network", found, architecture)


def test_only_a_folder_of_a_model_is_one(photo_model, tmp_path):
    assert saved_network(NetworkSettings()) is None
    assert saved_network(NetworkSettings("torchvision:resnet18")) is None
    assert saved_network(NetworkSettings(str(tmp_path))) is None
    saved = saved_network(NetworkSettings(str(photo_model)))
    assert saved.categories_.tolist() == ["red", "green", "blue"]


def test_a_transform_starts_from_that_of_the_model(photo_model):
    network = NetworkSettings(str(photo_model))
    assert make_transform(Settings(network=network)).size == 8
    transform = make_transform(Settings(network=network, image={"crop": 0.5}))
    assert (transform.size, transform.crop) == (8, 0.5)
    assert make_transform(Settings(image={"crop": 0.5})) == ImageTransform(crop=0.5)
