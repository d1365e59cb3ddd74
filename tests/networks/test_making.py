"""Networks that are copied or made."""

import pytest
import torch
from network_parts import Branched, make_network
from torch import nn

from cftlearn.networks._making import copy_or_make


def test_a_module_is_copied():
    module = make_network()
    copied = copy_or_make(module, seed=0)
    assert copied is not module
    assert copied[0].weight is not module[0].weight
    torch.testing.assert_close(copied[0].weight, module[0].weight, rtol=0, atol=0)


@pytest.mark.parametrize(
    "factory", [make_network, Branched], ids=["function", "module class"]
)
def test_a_factory_is_seeded(factory):
    first, again, other = (copy_or_make(factory, seed) for seed in (1, 1, 2))
    for one, two in zip(first.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    weights = [module.state_dict() for module in (first, other)]
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_factory_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    copy_or_make(make_network, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"callable that makes one; got str"):
        copy_or_make("resnet", seed=0)
    with pytest.raises(TypeError, match=r"must return a torch.nn.Module; got dict"):
        copy_or_make(dict, seed=0)


def test_factory_with_arguments_is_told_to_bind_them():
    with pytest.raises(
        TypeError, match=r"must make a network without arguments; .*Bind"
    ):
        copy_or_make(nn.Linear, seed=0)
