"""Load networks from files that hold their code: torch.export and TorchScript."""

import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cftlearn.exceptions import ModelFormatError, first_line
from cftlearn.networks._exported import split_program
from cftlearn.networks._torchscript import load_script, split_script


def load_network(
    path: "str | os.PathLike[str] | torch.export.ExportedProgram | torch.nn.Module",
) -> nn.Module:
    """Load a network whose code is in its file, ready to be refitted.

    Reads a program of ``torch.export`` (.pt2) or a TorchScript module, finds the linear
    layer that it ends in, and splits it there: the returned network has a ``backbone``
    and, as its classification layer, an ``nn.Linear`` named ``head``. A sigmoid at the
    end is removed, and the logger "cftlearn" says so. The network computes as in
    evaluation mode: pass it to ``CFTClassifier(train=False)``.

    Parameters
    ----------
    path : str, path-like, ExportedProgram or ScriptModule
        The file, or what was read from it. A file holds a program, which will be run:
        load only what you trust. A file of weights alone goes to
        :class:`Architecture`.

    Returns
    -------
    network : torch.nn.Module
        On the CPU. It returns the logits of the original, before any sigmoid.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFormatError
        If it is neither of these files, or damaged.
    ValueError
        If the network does not end in a linear layer, takes or returns several tensors,
        accepts only one number of rows, or was exported in training mode. The message
        says how to export it again.
    TypeError
        If ``path`` is a plain module, or of another type.

    See Also
    --------
    Architecture : A network whose code is installed, with weights from a file.
    load_keras : A network of Keras.

    Notes
    -----
    A backbone from TorchScript is frozen, and can neither be pickled nor exported to
    ONNX; one from ``torch.export`` can.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.networks import load_network
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Sigmoid())
    >>> rows = {0: torch.export.Dim.DYNAMIC}
    >>> program = torch.export.export(
    ...     model.eval(), (torch.ones(2, 4),), dynamic_shapes=(rows,)
    ... )
    >>> load_network(program).head
    Linear(in_features=4, out_features=2, bias=True)
    """
    if isinstance(path, torch.export.ExportedProgram):
        return split_program(path, "the program").eval()
    if isinstance(path, torch.jit.ScriptModule):
        return split_script(path, "the module").eval()
    if isinstance(path, nn.Module) or not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "`path` must be a file, an ExportedProgram or a ScriptModule; got "
            f"{type(path).__name__}. A plain module goes to CFTClassifier(module=...)."
        )
    file = Path(path)
    kind = _kind(file)
    try:
        with file.open("rb") as content:
            loaded: Any = (
                load_script(content)
                if kind == "TorchScript"
                else torch.export.load(content)
            )
    except Exception as error:  # both readers raise errors of any type
        raise _unreadable(
            file, f"{type(error).__name__}: {first_line(error)}"
        ) from error
    split: Any = split_script if kind == "TorchScript" else split_program
    return split(loaded, file.name).eval()


def _kind(file: Path) -> str:
    """Return the kind of a file by the names in its archive."""
    if not file.is_file():
        raise FileNotFoundError(f"`path` must be a file; there is no {file}.")
    if not zipfile.is_zipfile(file):
        raise _unreadable(file, "no archive")
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    if any("/code/" in name for name in names):
        return "TorchScript"
    inside_folder = {name.partition("/")[2] for name in names}
    if "data.pkl" in inside_folder:
        raise _unreadable(
            file,
            "a file of torch.save, with weights but without code: load these by "
            "Architecture(name, n_outputs=..., weights=path)",
        )
    return "exported program"


def _unreadable(file: Path, reason: str) -> ModelFormatError:
    return ModelFormatError(
        "`path` must be a TorchScript file or a program of torch.export.save; "
        f"{file} is not ({reason})."
    )
