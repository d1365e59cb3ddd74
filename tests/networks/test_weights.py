"""Weights from files."""

import pytest
import torch
from network_parts import make_sized_network
from safetensors.torch import save_file

from cftlearn.exceptions import ModelFormatError, PartialWeightsWarning
from cftlearn.networks import Architecture
from cftlearn.networks._weights import read_state


def outputs(network, n_rows=5):
    x = torch.arange(n_rows * 6).reshape(n_rows, 6).sin()
    with torch.inference_mode():
        return network.eval()(x)


def under(prefix):
    return lambda state: {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda state: state, id="bare"),
        pytest.param(lambda state: {"state_dict": state, "epoch": 3}, id="state_dict"),
        pytest.param(lambda state: {"model_state_dict": state}, id="model_state_dict"),
        pytest.param(lambda state: {"model": state}, id="model"),
        pytest.param(under("module."), id="DataParallel"),
        pytest.param(under("_orig_mod."), id="compiled"),
        pytest.param(lambda s: {"state_dict": under("model.")(s)}, id="Lightning"),
        pytest.param(
            lambda s: {"model": under("module._orig_mod.")(s)}, id="two prefixes"
        ),
    ],
)
def test_a_state_dict_is_found_in_its_wrapping(own, tmp_path, wrap):
    trained = make_sized_network()
    path = tmp_path / "weights.pth"
    torch.save(wrap(trained.state_dict()), path)
    network = Architecture(own, n_outputs=3, weights=path)()
    assert torch.equal(outputs(network), outputs(trained))


def test_safetensors_and_text_paths(own, tmp_path):
    trained = make_sized_network()
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    network = Architecture(own, n_outputs=3, weights=f"{tmp_path}/w.safetensors")()
    assert torch.equal(outputs(network), outputs(trained))


def test_a_saved_layer_of_another_size_is_told_and_replaced(own, tmp_path):
    trained = make_sized_network(n_outputs=10)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    factory = Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match="'2' is new.*10 outputs .* not 3"):
        network = factory()
    assert network[2].out_features == 3
    assert torch.equal(network[0].weight, trained[0].weight)


def test_a_file_without_classification_layer_is_told(own, tmp_path):
    state = make_sized_network().state_dict()
    torch.save({k: v for k, v in state.items() if k[0] != "2"}, tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match="the file has no outputs for it"):
        Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()


def test_weights_that_are_not_used_are_told(own, tmp_path):
    state = make_sized_network().state_dict() | {"aux.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "w.pt")
    factory = Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match=r"does not have aux\.weight"):
        network = factory()
    assert torch.equal(network[2].bias, state["2.bias"])


def test_missing_weights_and_other_shapes_are_refused(own, tmp_path):
    state = make_sized_network(n_hidden=5).state_dict()
    del state["1.running_mean"]
    torch.save(state, tmp_path / "w.pt")
    message = r"lacks 1\.running_mean; has another shape in 0\.weight \(5, 6\) for"
    with pytest.raises(ModelFormatError, match=message):
        Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()


class Danger:
    """Unpickles by calling what it names."""

    def __reduce__(self):
        return (exec, ("raise AssertionError('was executed')",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"no archive", "must be a state dict", id="text"),
        pytest.param(b"hello", "must be a state dict", id="short text"),
        pytest.param(b"", "must be a state dict", id="empty"),
        pytest.param(Danger(), "of tensors alone.*If you trust", id="code"),
        pytest.param({"hyperparameters": {"lr": 1.0}}, "holds a dict", id="no tensor"),
        pytest.param([1.0], "holds a list", id="list"),
    ],
)
def test_a_file_that_is_no_state_dict(own, tmp_path, content, message):
    path = tmp_path / "w.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelFormatError, match=message):
        read_state(path)


def test_damaged_safetensors_and_no_file(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\x00")
    with pytest.raises(ModelFormatError, match="must be a state dict"):
        read_state(tmp_path / "w.safetensors")
    with pytest.raises(FileNotFoundError, match="must be a file"):
        read_state(tmp_path / "absent.pt")


def test_counters_of_batch_norm_may_be_missing(own, tmp_path):
    trained = make_sized_network()
    state = trained.state_dict()
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "w.pt")
    network = Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()
    assert torch.equal(outputs(network), outputs(trained))
