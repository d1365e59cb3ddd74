"""Export a fitted model as an ONNX file."""

import json
import os
import re
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from cftlearn._dependencies import import_optional
from cftlearn._files import (
    as_path,
    check_writable_file,
    check_writable_folder,
    folder_beside,
)
from cftlearn._inputs import to_tensor
from cftlearn.exceptions import first_line
from cftlearn.images import ImageTransform
from cftlearn.labels._plain_arrays import check_flag
from cftlearn.networks._precision import failure_of

_INPUT = "input"
_TOLERANCE = 1e-3  # of the largest number; wrong operators differ by more
_LOWEST_OPSET = 7  # of those that torch ever wrote


class _Probabilities(nn.Module):
    """A network with the logistic function after its logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.network(x))


def export_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    example: ArrayLike | None = None,
    sigmoid: bool = True,
    opset: int | None = None,
) -> Path:
    """Export a fitted classifier as an ONNX file.

    The file computes one output from one input, for any number of rows, and names the
    categories in its metadata (``categories``, a JSON list; ``output``,
    "probability" or "logit"). Where ONNX Runtime is installed, it is compared with the
    network before it gets its name. Steps before the network (an ``input_transform``, a
    Pipeline) are not in it.

    Parameters
    ----------
    model : CFTClassifier
        A fitted classifier, with a network or on features.
    path : str or path-like
        The file, usually ending in .onnx. An earlier one is replaced. Weights of more
        than 2 GB go to a second file, of the same name with ``.data`` at its end.
    example : array-like of shape (n_samples, ...), default=None
        Inputs of the network, of the shape and type to export for. None takes random
        numbers, of the shape seen in ``fit`` or of an ``ImageTransform``. It must be
        given for another transform, a Dataset, or a network of integers.
    sigmoid : bool, default=True
        Output probabilities, as ``predict_proba`` does, calibrated by a sigmoid if the
        model is. False outputs logits, as ``decision_function`` does. A 1-D target has
        one column, of the second class.
    opset : int, default=None
        Version of the ONNX operators, 7 or more. None leaves it to torch.

    Returns
    -------
    path : pathlib.Path
        The file.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    ImportError
        If onnx or onnxscript is not installed.
    TypeError
        If ``model`` has no ``to_torch``.
    IsADirectoryError
        If ``path`` is a folder.
    ValueError
        If the network cannot be exported, ``example`` does not fit it, ``opset`` is
        unknown, or ``sigmoid=True`` for a model with isotonic calibration.
    ArithmeticError
        If the file computes other numbers than the network.

    See Also
    --------
    cftlearn.save_model : Save a model to go on with in Python.

    Examples
    --------
    >>> from cftlearn import CFTClassifier
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> from cftlearn.networks import export_onnx
    >>> X, y, _ = make_partial_multilabel(random_state=0)
    >>> model = CFTClassifier(random_state=0).fit(X, y)
    >>> export_onnx(model, "model.onnx")  # doctest: +SKIP
    """
    if not hasattr(model, "to_torch"):
        raise TypeError(
            "`model` must be a CFTClassifier; got "
            f"{type(model).__name__}. Export the classifier of a Pipeline alone."
        )
    check_is_fitted(model)
    target = as_path(path)
    if target.is_dir():
        raise IsADirectoryError(
            f"`path` must be a file; got the folder '{target}'. Name a file in it: "
            f"'{target / 'model.onnx'}'."
        )
    check_flag(sigmoid, "sigmoid")
    for package in ("onnx", "onnxscript"):
        import_optional(package, feature="export_onnx", extra="onnx")
    _check_opset(opset)
    if target.parent.is_dir():
        check_writable_file(target)
    else:
        check_writable_folder(target.parent)
    target = Path(os.path.realpath(target))  # a link stays a link
    network = model.to_torch(calibrated=sigmoid).cpu().eval()
    if sigmoid:
        network = _Probabilities(network).eval()
    inputs = _example(model, example)
    _check_runs(network, inputs)
    output = "probability" if sigmoid else "logit"
    program = _exported(network, inputs, output, opset)
    program.model.metadata_props.update(
        {
            "categories": json.dumps([str(name) for name in model.categories_]),
            "output": output,
            "cftlearn": version("cftlearn"),
        }
    )
    with folder_beside(target) as folder:
        staged = folder / target.name
        program.save(staged)
        _compare(staged, network, inputs)
        for file in sorted(folder.iterdir(), reverse=True):  # weights first
            file.replace(target.parent / file.name)
    return Path(path)


def _example(model: Any, example: ArrayLike | None) -> Tensor:
    """Return two rows: torch would take the number of one row for a constant."""
    if example is None:
        shape = _row_shape(model)
        return to_tensor(np.random.default_rng(0).standard_normal((2, *shape)))
    rows = np.asarray(example)
    if not len(rows.shape) or not len(rows) or rows.dtype.kind not in "fiub":
        raise ValueError(
            "`example` must hold numbers, at least one row of them, rows first; got "
            f"shape {rows.shape} and type {rows.dtype}. Pass X[:2]."
        )
    return to_tensor(np.resize(rows[:2], (2, *rows.shape[1:])))


def _row_shape(model: Any) -> tuple[int, ...]:
    """Find the shape of a row of the network's input."""
    if model.module_ is None:
        return tuple(model.coef_.shape[1:])
    transform = model.input_transform
    if isinstance(transform, ImageTransform):
        return transform.n_channels, *transform.shape
    if transform is not None or not model.input_shape_:
        raise ValueError(
            "`example` must be given for a network whose inputs a transform or a "
            "Dataset makes; pass a few of its input tensors as an array."
        )
    return tuple(model.input_shape_)


def _exported(
    network: nn.Module, inputs: Tensor, output: str, opset: int | None
) -> Any:
    try:
        with warnings.catch_warnings():  # of the exporter, about itself
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            program = torch.onnx.export(
                network,
                (inputs,),
                dynamo=True,
                input_names=[_INPUT],
                output_names=[output],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                opset_version=opset,
                verbose=False,
            )
    except Exception as error:  # the exporter raises errors of any type
        raise ValueError(
            "`model` must have a network that torch.onnx can export for any number of "
            f"rows; for inputs of shape {tuple(inputs.shape)} and type {inputs.dtype}, "
            f"{_cause(error)}"
        ) from error
    if program is None:
        raise ValueError("`model` could not be exported: torch.onnx gave no program.")
    return program


def _check_opset(opset: Any) -> None:
    onnx = import_optional("onnx", feature="export_onnx", extra="onnx")
    highest = onnx.defs.onnx_opset_version()
    is_number = isinstance(opset, Integral) and not isinstance(opset, bool)
    if opset is None or (is_number and _LOWEST_OPSET <= opset <= highest):
        return
    raise ValueError(
        f"`opset` must be None or a whole number from {_LOWEST_OPSET} to {highest}, "
        f"the highest that onnx {version('onnx')} knows; got {opset!r}."
    )


def _check_runs(network: nn.Module, inputs: Tensor) -> None:
    """Run the network on the example: the exporter's own errors say less."""
    try:
        with torch.inference_mode():
            network(inputs)
    except Exception as error:  # networks raise errors of any type
        raise ValueError(
            "`example` must hold rows that the network takes; "
            f"{failure_of(network, inputs, error)} Pass X[:2], of the shape and type "
            "that the model was fitted on."
        ) from error


def _cause(error: BaseException) -> str:
    """Say what the exporter cannot do, and what to change."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = first_line(error).rstrip(".")
    operator = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", line)
    if operator is not None:
        return (
            f"it has the operator {operator.group(1)}, which ONNX has not. Compute the "
            "same by other operators, or raise `opset`."
        )
    if "data-dependent" in line:
        return (
            "a branch or a size in its forward pass depends on the values of its input "
            f"({line}). Use torch.where instead of `if`."
        )
    return f"it fails: {line}. Change what the network does there."


def _compare(file: Path, network: nn.Module, inputs: Tensor) -> None:
    """Run the file on one row and on more, and compare with the network."""
    if find_spec("onnxruntime") is None:
        return
    onnxruntime = import_optional("onnxruntime", feature="export_onnx", extra="onnx")
    session = onnxruntime.InferenceSession(
        str(file), providers=["CPUExecutionProvider"]
    )
    for rows in (inputs[:1], torch.cat([inputs, inputs.flip(0), inputs[:1]])):
        with torch.inference_mode():
            expected = network(rows).numpy()
        got = session.run(None, {_INPUT: rows.numpy()})[0]
        same_shape = got.shape == expected.shape
        difference = np.abs(got - expected).max() if same_shape else np.inf
        if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise ArithmeticError(
                f"The exported file gives other numbers than the network: they differ "
                f"by {difference:.3g} on {len(rows)} rows (shape {got.shape} for "
                f"{expected.shape}). Try another `opset`; nothing was written."
            )
