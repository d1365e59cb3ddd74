"""Weights from files."""

import pytest
import torch
from network_parts import make_sized_network
from safetensors.torch import save_file

from cftlearn.exceptions import ModelFormatError, PartialWeightsWarning
from cftlearn.networks import Architecture
from cftlearn.networks._weights import load_weights, read_state


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


def test_another_prefix_is_removed_and_told(own, tmp_path):
    trained = make_sized_network()
    state = under("backbone.")(trained.state_dict()) | {"loss.weight": torch.ones(3)}
    torch.save(state, tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match=r"without their prefix 'back"):
        network = Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()
    assert torch.equal(outputs(network), outputs(trained))


def test_names_that_meet_by_chance_do_not_hide_a_prefix(own, tmp_path):
    trained = make_sized_network()
    state = under("model.")(trained.state_dict()) | {"0.bias": torch.ones(8)}
    torch.save(state, tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match=r"does not have \(top\)\.0\.bias"):
        network = Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()
    assert torch.equal(outputs(network), outputs(trained))


def test_of_two_prefixes_none_is_guessed(own, tmp_path):
    state = make_sized_network().state_dict()
    torch.save(under("student.")(state) | under("teacher.")(state), tmp_path / "w.pt")
    with pytest.raises(ModelFormatError, match=r"lacks 0\.weight"):
        Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()
    # That of a wrapper is no guess.
    torch.save(under("model.")(state) | under("ema.")(state), tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match="does not have ema"):
        Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()


def test_a_wrapped_network_is_told_so(tmp_path):
    network = torch.nn.Sequential()
    network.add_module("backbone", make_sized_network())
    torch.save(make_sized_network().state_dict(), tmp_path / "w.pt")
    message = r"has these names behind 'backbone\.': make the module without what wraps"
    with pytest.raises(ModelFormatError, match=message):
        load_weights(network, tmp_path / "w.pt", 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.to_sparse(), "'0.weight' is torch.sparse_coo. Save it with"),
        (lambda w: w.to("meta"), "'0.weight' is on the device 'meta', without values"),
        (lambda w: w.to(torch.int8), "has 0.weight of type torch.int8. Save the netw"),
        (lambda w: w.to(torch.complex64), "has 0.weight of type torch.complex64"),
        (lambda w: w * float("nan"), "has NaN or infinity in 0.weight. Save the wei"),
        (lambda w: w.sum(), r"another shape in 0\.weight \(\) for \(8, 6\)"),
    ],
    ids=["sparse", "meta", "int8", "complex", "nan", "0-d"],
)
@pytest.mark.parametrize("changes_head", [False, True], ids=["body", "head"])
def test_weights_that_are_no_weights(own, tmp_path, change, message, changes_head):
    state = make_sized_network().state_dict()
    name = "2.weight" if changes_head else "0.weight"
    state[name] = change(state[name])
    torch.save(state, tmp_path / "w.pt")
    if changes_head:
        if "0-d" in message or "shape" in message:
            return  # a layer of another size is replaced, see above
        message = message.replace("0.weight", "2.weight")
    with pytest.raises(ModelFormatError, match=message):
        Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_are_used(own, tmp_path, dtype):
    trained = make_sized_network()
    torch.save(trained.to(dtype).state_dict(), tmp_path / "w.pt")
    network = Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()
    assert network[0].weight.dtype == torch.float32
    assert torch.equal(network[0].weight, trained[0].weight.float())
