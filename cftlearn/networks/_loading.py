"""Load networks from files that hold their code: torch.export and TorchScript."""

import logging
import os
import warnings
from pathlib import Path
from typing import IO, Any

import torch
from torch import nn

from cftlearn._files import check_regular
from cftlearn.exceptions import ModelFormatError, first_line
from cftlearn.networks._archives import (
    cause_of,
    check_archive,
    check_program,
)
from cftlearn.networks._errors import ArchiveError, SplitError
from cftlearn.networks._exported import split_program
from cftlearn.networks._pickles import check_pickles
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
        The file, or what was read from it. A file holds a program of torch's operators,
        which run when the network does: load only what you trust. Pickles, Python code
        and compiled code in it are refused. A file of weights alone goes to
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
        If it is neither of these files, is damaged, unpacks to much more than its own
        size, or holds code that would be executed when it is loaded.
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
                else _load_program(content)
            )
    except Exception as error:  # both readers raise errors of any type
        raise _unreadable(
            file, f"{kind} that torch cannot load: {cause_of(error)}"
        ) from (error)
    split: Any = split_script if kind == "TorchScript" else split_program
    try:
        return split(loaded, file.name).eval()
    except SplitError:
        raise
    except Exception as error:  # what a damaged program lacks, may be anything
        raise _unreadable(file, f"{kind} without {first_line(error)}") from error


def _load_program(content: IO[bytes]) -> torch.export.ExportedProgram:
    """Load a program without torch's logging of tracebacks: an error says it.

    Torch 2.9 warns of its own buffers, which users cannot change.
    """
    logger = logging.getLogger("torch.export")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given buffer is not writable")
            return torch.export.load(content)
    finally:
        logger.setLevel(level)


def _kind(file: Path) -> str:
    """Check an archive, and return what it is by the names in it."""
    check_regular(file, f"`path` must be a file; {file}", ModelFormatError)
    try:
        with file.open("rb") as content:
            names = check_archive(content)
            if any("/code/" in name for name in names):
                check_pickles(content)
                return "TorchScript"
        inside_folder = {name.partition("/")[2] for name in names}
        if "data.pkl" in inside_folder:
            raise ArchiveError(
                "a file of torch.save, with weights but without code: load these by "
                "Architecture(name, n_outputs=..., weights=path)"
            )
        check_program(file)
    except ArchiveError as error:
        raise _unreadable(file, str(error)) from error
    except OSError as error:
        raise _unreadable(file, f"it cannot be opened: {error.strerror}") from error
    return "exported program"


def _unreadable(file: Path, reason: str) -> ModelFormatError:
    return ModelFormatError(
        "`path` must be a TorchScript file or a program of torch.export.save; "
        f"{file} is not ({reason})."
    )
