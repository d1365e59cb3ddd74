"""Networks joined to one: the mean of their logits."""

import copy
import io
import json

import numpy as np
import pytest
import torch
from joined_parts import PerCategory, Picky, cnn, images, mlp, run
from network_parts import TwoNames
from torch import nn

from cftlearn.networks import load_network
from cftlearn.networks._blocks import CategoryWiseLinear, InputFeatures, LayerFeatures
from cftlearn.networks._heads import check_head_inputs, find_head, with_head_weights
from cftlearn.networks._joined import JoinedNetwork, join_networks, rebuild_joined

DYNAMIC = ({0: torch.export.Dim.DYNAMIC},)


def exported(network, x):
    return load_network(torch.export.export(network, (x,), dynamic_shapes=DYNAMIC))


def scripted(network, x):
    return load_network(torch.jit.script(network))


def unbiased(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3, bias=False))


CASES = {
    "one": [(mlp(1), "5")],
    "two": [(mlp(1), "5"), (mlp(2), "5")],
    "three": [(mlp(1), "5"), (unbiased(3), "1"), (TwoNames(), "alias")],
    "the layer itself": [(nn.Linear(6, 3), ""), (mlp(1), "5")],
    "code around the layer": [(Picky(), "fc"), (Picky(), "fc")],
    "per category": [(PerCategory(), "rows"), (PerCategory(), "rows")],
    "per category and plain": [(mlp(1), "5"), (PerCategory(), "rows")],
}


@pytest.mark.parametrize("networks", CASES.values(), ids=CASES)
def test_the_logits_are_the_mean(rng, networks):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    before = [copy.deepcopy(network.state_dict()) for network, _ in networks]
    expected = np.mean([run(network, X) for network, _ in networks], axis=0)
    joined, head = join_networks(networks)
    np.testing.assert_allclose(run(joined, X), expected, rtol=0, atol=1e-6)
    assert find_head(joined, head, 3) == head == "head"
    with torch.no_grad():
        for parameter in joined.parameters():
            parameter.zero_()
    for (network, _), state in zip(networks, before, strict=True):
        assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("load", [exported, scripted])
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_networks_from_files(rng, load):
    X = images(rng)
    networks = [cnn(seed).eval() for seed in range(2)]
    loaded = [(load(network, torch.from_numpy(X)), "head") for network in networks]
    expected = np.mean([run(network, X) for network in networks], axis=0)
    joined, _ = join_networks(loaded)
    np.testing.assert_allclose(run(joined, X), expected, rtol=0, atol=1e-6)


def test_joined_networks_join_flat(rng):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    networks = [(mlp(seed), "5") for seed in range(3)]
    pair = join_networks(networks[:2])
    joined, _ = join_networks([pair, networks[2]])
    logits = [run(network, X) for network, _ in networks]
    expected = (logits[0] + logits[1]) / 4 + logits[2] / 2
    np.testing.assert_allclose(run(joined, X), expected, rtol=0, atol=1e-6)
    assert len(joined.own_parts) == 3
    before = run(pair[0], X)
    nn.init.zeros_(joined.own_parts[0].network[1].weight)
    np.testing.assert_array_equal(run(pair[0], X), before)


def with_input(seed, scale):
    network = mlp(seed, first=nn.Identity())
    part, own = LayerFeatures(network, "5", 8), InputFeatures(6)
    own.scale.copy_(torch.tensor(scale))
    return JoinedNetwork([part, own], nn.Linear(14, 3))


def test_the_input_stands_there_once(rng):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    networks = [with_input(1, [2.0] * 6), with_input(2, [0.5] * 6)]
    joined, _ = join_networks([(network, "head") for network in networks])
    assert joined.block_widths == [8, 6, 8]
    expected = (run(networks[0], X) + run(networks[1], X)) / 2
    np.testing.assert_allclose(run(joined, X), expected, rtol=0, atol=1e-6)
    assert torch.equal(joined.own_parts[1].scale, torch.full((6,), 2.0))


@pytest.mark.parametrize(
    "networks", [CASES["two"], CASES["per category"]], ids=["plain", "per category"]
)
def test_the_head_can_be_refitted(rng, networks):
    joined, head = join_networks(networks)
    X = rng.standard_normal((9, 6)).astype(np.float32)
    coef = rng.standard_normal(joined.head.weight.shape)
    other = with_head_weights(joined, head, coef, np.arange(3.0))
    seen = []
    other.head.register_forward_hook(lambda _, z, out: seen.extend([z[0], out]))
    logits = run(other, X)
    check_head_inputs(other.head, head, *seen, 9)
    assert abs(logits - run(joined, X)).max() > 0.1


def test_types_and_modes():
    doubles, singles = mlp(1, dtype=torch.float64), mlp(2)
    joined, _ = join_networks([(doubles.train(), "5"), (singles.eval(), "5")])
    assert joined.head.weight.dtype == torch.float64
    assert joined.own_parts[0].network[1].weight.dtype == torch.float64
    assert joined.own_parts[1].network[1].weight.dtype == torch.float32
    assert joined.training
    assert [part.training for part in joined.own_parts] == [True, False]
    assert joined.own_parts[0].network[4].training
    assert not joined.own_parts[1].network[4].training


def test_what_cannot_be_joined():
    with pytest.raises(ValueError, match="at least one network; got none"):
        join_networks([])
    with pytest.raises(ValueError, match=r"same number of outputs .*; got \[3, 4\]"):
        join_networks([(mlp(), "5"), (nn.Linear(6, 4), "")])


@pytest.mark.parametrize("make", [lambda: mlp(4), PerCategory], ids=["mlp", "category"])
def test_rebuilt_from_its_description(rng, make):
    X = rng.standard_normal((9, 6)).astype(np.float32)
    head = "rows" if make is PerCategory else "5"
    joined, _ = join_networks([(make(), head), (make(), head)])
    joined = JoinedNetwork([*joined.own_parts, InputFeatures(6)], joined.head)
    n_features = sum(joined.block_widths)
    kind = CategoryWiseLinear if make is PerCategory else nn.Linear
    joined.head = kind(n_features, 3)
    nn.init.normal_(joined.head.weight)
    joined.own_parts[0].scale.fill_(3.0)
    stored = io.BytesIO()
    torch.save(joined.state_dict(), stored)
    stored.seek(0)
    again = rebuild_joined(json.loads(json.dumps(joined.describe())), make)
    again.load_state_dict(torch.load(stored, weights_only=True))
    np.testing.assert_array_equal(run(again, X), run(joined, X))


def test_a_description_of_another_network():
    joined, _ = join_networks([(mlp(), "5")])
    with pytest.raises(AttributeError, match="5"):
        rebuild_joined(joined.describe(), lambda: nn.Linear(6, 3))
