"""Networks from files that hold their code: torch.export and TorchScript."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from cftlearn import CFTClassifier
from cftlearn.exceptions import ModelFormatError
from cftlearn.networks import load_network

DYNAMIC = ({0: torch.export.Dim.DYNAMIC},)


class Pictures(nn.Module):
    """A small network on images, with batch norm, a buffer, dropout and any end."""

    def __init__(self, end=torch.sigmoid, *, bias=True):
        super().__init__()
        self.convolution = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.norm.running_mean.normal_()
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("shift", torch.ones(1))
        self.body = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
        self.fc = nn.Linear(8, 4, bias=bias)
        self.end = end

    def forward(self, x):
        x = self.norm(self.convolution(x)).relu().mean((2, 3)) + self.shift
        return self.end(self.fc(self.dropout(self.body(x))))


class CountingEnd(nn.Module):
    """An inner module that changes an attribute of its own."""

    def __init__(self):
        super().__init__()
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        return x


class Computed(nn.Module):
    """A linear layer, one part of which is computed."""

    def __init__(self, part):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3))
        self.bias = nn.Parameter(torch.randn(2))
        self.part = part

    def forward(self, x):
        if self.part == "bias":
            return nn.functional.linear(x, self.weight, self.bias * 2)
        if self.part == "weight":
            return nn.functional.linear(x, self.weight * 2, self.bias)
        return torch.addmm(self.bias, x, self.weight.t(), beta=2)


def ends_plainly(x):
    return x


def images(n_rows=2):
    return torch.randn(n_rows, 3, 9, 9, generator=torch.Generator().manual_seed(1))


def exported(model, n_rows=2, shapes=DYNAMIC):
    return torch.export.export(model, (images(n_rows),), dynamic_shapes=shapes)


def scripted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, files of it are not
        return torch.jit.script(model)


def traced(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(model, images())


def frozen(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.freeze(torch.jit.script(model))


def saved(program, path):
    if isinstance(program, torch.export.ExportedProgram):
        torch.export.save(program, path)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(program, path)
    return path


WAYS = [
    pytest.param(exported, id="export"),
    pytest.param(lambda m: exported(m).run_decompositions(), id="core ATen"),
    pytest.param(scripted, id="script"),
    pytest.param(traced, id="trace"),
    pytest.param(frozen, id="frozen"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("from_file", [True, False], ids=["file", "object"])
def test_a_network_is_cut_and_gives_the_same(way, from_file, tmp_path):
    model = Pictures().eval()
    program = way(model)
    source = saved(program, tmp_path / "net.pt2") if from_file else program
    network = load_network(source)
    for n_rows in (1, 2, 7):
        x = images(n_rows)
        with torch.inference_mode():
            torch.testing.assert_close(
                torch.sigmoid(network(x)), model(x), rtol=0, atol=1e-6
            )
            assert network.backbone(x).shape == (n_rows, 8)
    assert torch.equal(network.head.weight, model.fc.weight)
    assert torch.equal(network.head.bias, model.fc.bias)


@pytest.mark.parametrize("way", WAYS)
def test_no_bias_and_no_sigmoid(way, caplog):
    model = Pictures(ends_plainly, bias=False).eval()
    if way is WAYS[1].values[0]:
        with pytest.raises(ValueError, match=r"ends in aten\.mm"):
            load_network(way(model))
        return
    network = load_network(way(model))
    with torch.inference_mode():
        torch.testing.assert_close(
            network(images()), model(images()), atol=1e-6, rtol=0
        )
    assert network.head.bias.tolist() == [0.0] * 4
    assert "sigmoid" not in caplog.text


@pytest.mark.parametrize("way", [exported, scripted])
def test_a_removed_sigmoid_is_told(way, caplog):
    load_network(way(Pictures().eval()))
    assert "ended in a sigmoid, which is removed" in caplog.text


@pytest.mark.parametrize("way", WAYS)
def test_the_original_is_left_alone(way):
    program = way(Pictures().eval())
    run = program.module() if hasattr(program, "module") else program
    before = run(images())
    load_network(program)
    run = program.module() if hasattr(program, "module") else program
    torch.testing.assert_close(run(images()), before)


@pytest.mark.parametrize("way", [exported, scripted, traced, frozen])
def test_a_loaded_network_is_refitted(way, rng, tmp_path):
    network = load_network(way(Pictures().eval()))
    X = images(60).numpy()
    y = (rng.random((60, 4)) < 0.5).astype(float)
    model = CFTClassifier(network, train=False, random_state=0)
    model.fit(X[:30], y[:30], validation_data=(X[30:], y[30:]))
    refitted = model.to_torch()
    with torch.inference_mode():
        logits = refitted(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(logits, model.decision_function(X), atol=1e-5)


def test_an_exported_network_can_be_trained_further(rng):
    network = load_network(exported(Pictures().eval()))
    X, y = images(60).numpy(), (rng.random((60, 4)) < 0.5).astype(float)
    model = CFTClassifier(network, max_epochs=2, retrain=False, random_state=0)
    model.fit(X, y)
    before, after = (dict(m.named_parameters()) for m in (network, model.module_))
    name = "backbone.convolution.weight"
    assert not torch.equal(before[name], after[name])


def test_an_exported_network_is_plain_torch():
    network = load_network(exported(Pictures().eval()))
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other.train().eval()(images()), network(images()))
    assert network.double()(images().double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: exported(Pictures().eval(), shapes=None),
            "accepts batches of 2 rows alone.*dynamic_shapes",
            id="fixed rows",
        ),
        pytest.param(
            lambda: exported(Pictures().train()), "training mode", id="training"
        ),
        pytest.param(
            lambda: exported(Pictures(torch.relu).eval()),
            r"ends in aten\.relu.*gives logits",
            id="relu",
        ),
        pytest.param(
            lambda: exported(Pictures(lambda x: (x, x + 1)).eval()),
            "gives 2 outputs, not one",
            id="two outputs",
        ),
        pytest.param(
            lambda: traced(Pictures(lambda x: (x, x)).eval()),
            r"returns .*not a Tensor",
            id="script of two outputs",
        ),
        pytest.param(
            lambda: traced(Pictures(lambda x: x.softmax(1)).eval()),
            "ends in aten::softmax.*state_dict",
            id="script of softmax",
        ),
        pytest.param(
            lambda: scripted(Pictures(CountingEnd()).eval()),
            "cannot be frozen by torch.jit.*state_dict",
            id="script that counts",
        ),
        pytest.param(
            lambda: scripted(Computed("bias").eval()),
            "computes the weights or biases of its last layer",
            id="script of a computed bias",
        ),
        pytest.param(
            lambda: scripted(Computed("weight").eval()),
            "computes the weights or biases of its last layer",
            id="script of a computed weight",
        ),
        pytest.param(
            lambda: scripted(Computed("factor").eval()),
            "computes the weights or biases of its last layer",
            id="script of a scaled bias",
        ),
        pytest.param(
            lambda: torch.export.export(
                nn.Bilinear(3, 3, 2).eval(), (torch.ones(2, 3), torch.ones(2, 3))
            ),
            "takes 2 inputs",
            id="two inputs",
        ),
    ],
)
def test_what_cannot_be_cut(make, message):
    with pytest.raises(ValueError, match=message):
        load_network(make())


def test_files_that_are_no_network(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"file; .* does not exist"):
        load_network(tmp_path / "absent.pt2")
    (tmp_path / "text.pt").write_text("no archive")
    with pytest.raises(ModelFormatError, match=r"is not \(no archive\)"):
        load_network(tmp_path / "text.pt")
    torch.save(Pictures().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ModelFormatError, match="Architecture"):
        load_network(tmp_path / "weights.pt")
    whole = saved(scripted(Pictures().eval()), tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFormatError, match="must be a TorchScript file"):
        load_network(tmp_path / "cut.pt")
    with pytest.raises(TypeError, match="A plain module goes to CFTClassifier"):
        load_network(Pictures())


class ToCpu(nn.Module):
    """A network that sends its inputs to the device where it was exported."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(x.to(device="cpu", dtype=torch.float32))


@pytest.mark.parametrize("decomposes", [False, True], ids=["export", "core ATen"])
def test_an_exported_network_forgets_the_device_of_its_export(decomposes):
    program = torch.export.export(
        ToCpu().eval(), (torch.ones(2, 4).double(),), dynamic_shapes=DYNAMIC
    )
    if decomposes:
        program = program.run_decompositions()
    network = load_network(program)
    assert network(torch.ones(3, 4).double()).dtype == torch.float32
    network.to("meta")
    assert network(torch.ones(3, 4, device="meta")).device.type == "meta"


@pytest.mark.parametrize("way", [scripted, traced])
def test_parts_of_a_copied_script_have_a_mode(way):
    copied = copy.deepcopy(load_network(way(Pictures().eval())))
    assert not any(part.training for part in copied.modules())
