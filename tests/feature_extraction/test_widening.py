"""Networks whose classification layer also gets features of earlier layers."""

import copy
import pickle

import numpy as np
import pytest
import torch
from joined_parts import PerCategory, cnn, images, inputs, mlp, run
from torch import nn

from cftlearn.feature_extraction._in_memory import extract_features
from cftlearn.feature_extraction._widening import scale_blocks, widen_network
from cftlearn.networks import load_network
from cftlearn.networks._joined import join_networks


def widen(network, head, layers, X):
    return widen_network(network, head, layers, inputs(X), "cpu")


def features(network, X):
    return extract_features(network, "head", X, batch_size=4, device="cpu")


@pytest.fixture
def X(rng):
    return images(rng)


@pytest.mark.parametrize("layers", [["2", "5"], [], "auto", ["9"]], ids=str)
def test_the_logits_stay(X, layers):
    network = cnn()
    wide, head = widen(network, "10", layers, X)
    assert all(module.training for module in wide.modules())
    evaluating, _ = widen(cnn().eval(), "10", layers, X)
    assert not any(module.training for module in evaluating.modules())
    np.testing.assert_allclose(run(wide, X), run(network, X), rtol=0, atol=1e-6)
    assert head == "head"


def test_features_are_those_run_by_hand(X):
    network = cnn().eval()
    wide, _ = widen(network, "10", ["5", "2", "7"], X)
    x = torch.from_numpy(X)
    maps = network[:3](x)
    later = network[3:6](maps)
    blocks = [
        network[6:10](later),
        later.mean((2, 3)),
        maps.mean((2, 3)),
        later.mean((2, 3)),
    ]
    expected = torch.cat(blocks, dim=1).detach().numpy()
    np.testing.assert_allclose(features(wide, X), expected, rtol=1e-5, atol=1e-6)
    assert wide.block_widths == [6, 5, 4, 5]


def test_resnet(rng):
    models = pytest.importorskip("torchvision.models", reason="the vision extra")
    network = models.resnet18(num_classes=3).eval()
    X = rng.standard_normal((3, 3, 64, 64)).astype(np.float32)
    wide, _ = widen(network, "fc", ["layer3", "avgpool"], X)
    Z = features(wide, X)
    steps = [network.conv1, network.bn1, network.relu, network.maxpool]
    steps += [network.layer1, network.layer2, network.layer3]
    with torch.inference_mode():
        expected = nn.Sequential(*steps)(torch.from_numpy(X)).mean((2, 3)).numpy()
    np.testing.assert_allclose(Z[:, 512:768], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(Z[:, 768:], Z[:, :512], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(run(wide, X), run(network, X), rtol=0, atol=1e-5)


def test_the_input_of_a_network_that_changes_it(rng):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    network = mlp()
    wide, _ = widen(network, "5", ["", "1"], X)
    assert wide.block_widths == [8, 8, 6]  # the input comes last
    np.testing.assert_array_equal(features(wide, X)[:, 16:], X)
    np.testing.assert_allclose(run(wide, X), run(network, X), rtol=0, atol=1e-6)


def test_vectors_per_category(rng):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    network = PerCategory()
    wide, _ = widen(network, "rows", ["", "body"], X)
    np.testing.assert_allclose(run(wide, X), run(network, X), rtol=0, atol=1e-6)
    Z = features(wide, X)
    assert Z.shape == (9, 3, 4 + 12 + 6)
    np.testing.assert_array_equal(Z[:, 1, 16:], X)
    scale_blocks(wide, inputs(X), batch_size=4, device="cpu")
    np.testing.assert_allclose(run(wide, X), run(network, X), rtol=0, atol=1e-5)


def test_blocks_are_scaled_to_equal_variances(rng):
    X = images(rng, 40)
    network = cnn()
    wide, _ = widen(network, "10", ["2", "5"], X)
    Z = features(wide, X)
    factors = scale_blocks(wide, inputs(X), batch_size=7, device="cpu")
    after = features(wide, X)
    np.testing.assert_allclose(after, Z * factors, rtol=1e-5, atol=1e-7)
    totals = [part.var(axis=0).sum() for part in np.split(after, [6, 10], axis=1)]
    np.testing.assert_allclose(totals, totals[0], rtol=1e-4)
    np.testing.assert_allclose(run(wide, X), run(network, X), rtol=0, atol=1e-5)


def test_copies_pickles_and_state_dicts(X):
    wide, _ = widen(cnn(1), "10", ["2", "5"], X)
    scale_blocks(wide, inputs(X), batch_size=7, device="cpu")
    expected = features(wide, X)
    for again in (copy.deepcopy(wide), pickle.loads(pickle.dumps(wide))):
        np.testing.assert_array_equal(features(again, X), expected)
    other, _ = widen(cnn(2), "10", ["2", "5"], X)
    assert np.abs(features(other, X) - expected).max() > 0.1
    other.load_state_dict(wide.state_dict())
    np.testing.assert_array_equal(features(other, X), expected)


def test_modes_reach_the_network(rng):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    wide, _ = widen(mlp(), "5", [""], X)
    x = torch.from_numpy(X)
    assert not torch.equal(wide.train()(x.clone()), wide(x.clone()))  # dropout
    assert torch.equal(wide.eval()(x.clone()), wide(x.clone()))


def test_wide_networks_join_with_one_input(rng):
    X = rng.standard_normal((30, 6)).astype(np.float32)
    networks = [mlp(seed) for seed in (1, 2)]
    pairs = [widen(network, "5", "auto", X) for network in networks]
    for (wide, _), share in zip(pairs, (1, 3), strict=True):
        scale_blocks(wide, inputs(share * X), batch_size=7, device="cpu")
        nn.init.normal_(wide.head.weight)  # the input, too, has weights
    expected = np.mean([run(wide, X) for wide, _ in pairs], axis=0)
    joined, _ = join_networks(pairs)
    assert joined.block_widths == [8, 6, 8]
    np.testing.assert_allclose(run(joined, X), expected, rtol=0, atol=1e-5)
    scale_blocks(joined, inputs(X), batch_size=7, device="cpu")
    np.testing.assert_allclose(run(joined, X), expected, rtol=0, atol=1e-5)


def test_export(X):
    wide, _ = widen(cnn(), "10", ["2", "5"], X)
    x = torch.from_numpy(X)
    program = torch.export.export(
        wide.eval(), (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    )
    np.testing.assert_allclose(run(load_network(program), X[:3]), run(wide, X[:3]))


class Shared(nn.Module):
    """A layer that runs twice, one that never runs, and outputs of other kinds."""

    def __init__(self):
        super().__init__()
        self.twice = nn.Linear(6, 6)
        self.spare = nn.Linear(6, 6)
        self.pair = Pair()
        self.alias = self.first = nn.Linear(6, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, X):
        first, _ = self.pair(self.twice(self.twice(X)))
        return self.fc(self.first(first))


class Pair(nn.Module):
    """Two outputs."""

    def forward(self, X):
        return X, X


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["twice"], r"run once in a forward pass; 'twice' runs 2 times. Name another"),
        (["spare"], r"run once in a forward pass; 'spare' runs 0 times. Name another"),
        (["pair"], r"a tensor of floats of shape .* 'pair' returns tuple for one row"),
        (["fc"], r"before the classification layer 'fc'; 'fc' does not. Name an earl"),
        (["no"], r"`layers` must name layers of the network; got 'no'. .* 'alias'"),
        (["first", "first"], r"every layer once; got 'first' 2 times"),
        ("first", r"a list of names, or 'auto'; got 'first'. Pass \['first'\]"),
    ],
)
def test_layers_that_cannot_be_used(rng, layers, message):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    with pytest.raises(ValueError, match=message):
        widen(Shared(), "fc", layers, X)


def test_a_layer_by_its_other_name(rng):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    wide = [widen(Shared(), "fc", [name], X)[0] for name in ("first", "alias")]
    assert [network.block_widths for network in wide] == [[4, 4]] * 2


def test_inputs_that_are_no_vectors(X):
    with pytest.raises(ValueError, match=r"a vector of floats; got .* \(1, 12, 12\)"):
        widen(cnn(), "10", [""], X)
    network = nn.Sequential(nn.EmbeddingBag(10, 4), nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"a vector of floats; got .* torch.int64"):
        widen(network, "1", [""], np.ones((2, 6), dtype=np.int64))


def test_joined_networks_are_not_widened(X):
    with pytest.raises(ValueError, match="Widen the networks first"):
        widen(*widen(cnn(), "10", [], X), [], X)


@pytest.mark.parametrize("kind", ["export", "script", "trace"])
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_layers_inside_of_programs(X, kind):
    network, x = cnn().eval(), torch.from_numpy(X)
    if kind == "script":
        loaded = load_network(torch.jit.script(network))
    elif kind == "trace":
        loaded = load_network(torch.jit.trace(network, x))
    else:
        rows = ({0: torch.export.Dim.DYNAMIC},)
        loaded = load_network(torch.export.export(network, (x,), dynamic_shapes=rows))
    for name in ("backbone.5", "backbone.4", "backbone.nothing"):
        with pytest.raises(
            ValueError,
            match=f"{name}' is part of a program of torch"
            if kind == "export"
            else f"{name}' is part of a program of T",
        ):
            widen(loaded, "head", [name], X)
    wide, _ = widen(loaded, "head", "auto", X)
    assert wide.block_widths == [6]
    np.testing.assert_allclose(run(wide, X), run(network, X), rtol=0, atol=1e-6)
