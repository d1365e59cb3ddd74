"""Save fitted models without pickle: JSON, safetensors and a plain state dict."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from safetensors.numpy import save
from sklearn.utils.validation import check_is_fitted

from cftlearn._files import as_path, find_folder, open_new, replace_folder
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble import CFTEnsemble
from cftlearn.exceptions import first_line
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.labels._plain_arrays import check_flag
from cftlearn.networks import Architecture
from cftlearn.networks._architecture import LIBRARIES
from cftlearn.persistence._array_file import ARRAYS, StoredArrays
from cftlearn.persistence._checks import check_member
from cftlearn.persistence._document import read_document, write_document
from cftlearn.persistence._estimators import STRUCTURE, describe, rebuild
from cftlearn.persistence._faults import Fault
from cftlearn.persistence._fields import Arrays
from cftlearn.persistence._network_file import NETWORK, check_state_file, read_state
from cftlearn.persistence._open_folder import stamp_of
from cftlearn.persistence._reading import (
    DOCUMENT,
    MEMBERS,
    ModelFiles,
    named,
    read_model,
)
from cftlearn.persistence._target import check_target, replaceable_files

if TYPE_CHECKING:
    from torch import nn

# What networks of libraries raise for options that make no sense.
_UNBUILDABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

Model = CFTClassifier | CategoryWiseFineTuner | CFTEnsemble


def save_model(
    model: Model, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Save a fitted model to a folder.

    The folder holds ``model.json`` (parameters, categories, report, and the SHA-256 of
    itself and all other files), ``arrays.safetensors`` (weights) and, for a classifier
    with a network, ``network.pt`` (its state dict). Members of an ensemble have such a
    folder each, in ``members``. ``history_`` is not saved; neither is a ``module``,
    unless it is a :class:`~cftlearn.networks.Architecture`, nor a trainer's ``fabric``.
    Its processes must not all save: save where ``fabric.is_global_zero``.

    Parameters
    ----------
    model : CFTClassifier, CategoryWiseFineTuner or CFTEnsemble
        A fitted model.
    path : str or path-like
        The folder: new, empty (a mount point too), or with an earlier model. Its
        parents are created. A link stays a link: the folder that it names is written.
    overwrite : bool, default=False
        Replace an earlier model there. A folder that holds any file which the model
        does not name is never replaced.

    Returns
    -------
    path : pathlib.Path
        The folder.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    FileExistsError
        If the path is no folder, holds anything but a saved model, or holds one and
        ``overwrite`` is False.
    OSError
        If the folder cannot be written: the disk is full, or permission is missing.
        What was there before has not changed.
    TypeError
        If ``path`` is no path, ``model`` is of another class, or a parameter cannot be
        written as text: a callable ``loss``, ``unknown``, ``objective`` or
        ``input_transform`` (but not an ``ImageTransform``, nor a loss of
        :mod:`cftlearn.losses` that has no values of rows), a solver of one's own, a
        ``RandomState``.
    ValueError
        If the model is not as ``fit`` left it, and :func:`load_model` would refuse it:
        weights that are NaN, a parameter that is out of its range.

    See Also
    --------
    load_model : Load it again.

    Notes
    -----
    The folder is written beside its path, and gets its name when all of it is on the
    disk. So an interrupted or killed call leaves the earlier model or the new one, both
    of them whole. The next call deletes what a killed one left.

    Examples
    --------
    >>> import tempfile
    >>> from cftlearn import CFTClassifier, load_model, save_model
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> X, y, _ = make_partial_multilabel(random_state=0)
    >>> model = CFTClassifier(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loaded = load_model(save_model(model, f"{folder}/model"))
    >>> bool((loaded.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    if type(model) not in (CFTClassifier, CategoryWiseFineTuner, CFTEnsemble):
        raise TypeError(
            "`model` must be a CFTClassifier, a CategoryWiseFineTuner or a "
            f"CFTEnsemble of these; got {type(model).__name__}. Save the steps of a "
            "Pipeline one by one."
        )
    check_is_fitted(model)
    check_flag(overwrite, "overwrite")
    target = as_path(path)
    check_target(target, overwrite=overwrite)
    arrays: Arrays = {}
    described = describe(model, "", arrays)
    in_order = {name: np.array(a, order="C") for name, a in arrays.items()}
    with _refused():  # now, not when the model is needed
        rebuild(_as_read(described), "", StoredArrays(in_order))
    check = partial(replaceable_files, shown=target, overwrite=overwrite)
    with replace_folder(target, check) as staged:
        with open_new(staged / ARRAYS, "wb") as file:
            file.write(save(in_order))  # which ignores strides
        if getattr(model, "module_", None) is not None:
            _write_network(model.module_, staged / NETWORK)
        if isinstance(model, CFTEnsemble):
            for number, member in enumerate(model.estimators_):
                save_model(member, staged / MEMBERS / str(number))
        stamps = {
            file.relative_to(staged).as_posix(): stamp_of(file)
            for file in sorted(staged.rglob("*"))
            if file.is_file()
        }
        with open_new(staged / DOCUMENT, "wb") as file:
            file.write(write_document(described, stamps, version("cftlearn")))
    return target


def load_model(
    path: str | os.PathLike[str],
    *,
    module: "nn.Module | Callable[[], nn.Module] | dict[str, Any] | None" = None,
) -> Model:
    """Load a model that :func:`save_model` saved.

    Nothing in the folder is executed: of the state dict, only tensors and plain values
    are read, and of the architectures that a folder may name, only those of
    torchvision and timm are built. Every file must have the SHA-256 that ``model.json``
    says, and arrays, names and parameters must fit each other. If another process
    saves to the same path meanwhile, the earlier or the new model is loaded, and never
    a mixture. Models of the first format, which has no digests, are checked as far as
    possible.

    Parameters
    ----------
    path : str or path-like
        The folder.
    module : torch.nn.Module, callable or dict, default=None
        For a classifier with a network: a module of the same architecture, or what
        makes one. It is copied; its weights are replaced by the saved ones. None is
        enough where an ``Architecture`` of torchvision or timm was saved. An ensemble
        hands it to all members with a network, or a dict's to those it names.

    Returns
    -------
    model : CFTClassifier, CategoryWiseFineTuner or CFTEnsemble
        A fitted model with the same predictions; its ``history_`` is empty. A
        network computes on the CPU; ``model.device_`` may be set to another device.

    Raises
    ------
    FileNotFoundError
        If there is no saved model at ``path``.
    ModelFormatError
        If the folder is damaged, or of a newer format than this version reads; or
        other processes keep saving to it.
    ValueError
        If the model has a network and ``module`` does not fit it, or is None where it
        must be given; or the model has none and a ``module`` is given.
    ImportError
        If the library of the saved ``Architecture`` is not installed.

    See Also
    --------
    save_model : Save a model.
    """
    return read_model(as_path(path), partial(_build, module=module))


def load_without_network(path: str | os.PathLike[str]) -> Any:
    """Load all that a folder holds about a model, but do not build its network.

    A classifier has the saved ``Architecture`` as ``module``, and no ``module_``; an
    ensemble has no members.

    Raises
    ------
    FileNotFoundError, ModelFormatError
        As :func:`load_model`.
    """
    return read_model(as_path(path), _model_of, whole=False)


def is_saved_model(path: str | os.PathLike[str]) -> bool:
    """Check whether a folder looks like one that :func:`save_model` wrote."""
    return (find_folder(Path(path)) / DOCUMENT).is_file()


def _trusted(architecture: Architecture | None) -> Architecture:
    """Return the saved architecture, if building it runs no foreign code."""
    if architecture is None:
        raise ValueError(
            "`module` must be given: the saved model has a network, and only its "
            "weights are in the folder. Pass load_model(path, module=...) with a "
            "module of the same architecture."
        )
    if architecture.library not in LIBRARIES:
        raise ValueError(
            f"`module` must be given: the saved model names {architecture.name!r}, and "
            "importing what a folder names would run any code that it names. If you "
            f"know it, pass load_model(path, module=Architecture({architecture.name!r},"
            f" n_outputs={architecture.n_outputs}))."
        )
    return architecture


def _model_of(files: ModelFiles) -> Any:
    return files.model


def _build(files: ModelFiles, module: Any) -> Any:
    """Build the network of a model, or the members of an ensemble."""
    model = files.model
    if isinstance(model, CFTEnsemble):
        return _build_members(model, files, module)
    if files.network is None:
        if module is not None:
            raise ValueError("`module` must be None: the saved model has no network.")
        return model
    _load_network(model, module, files, files.network)
    return model


def _build_members(ensemble: CFTEnsemble, files: ModelFiles, module: Any) -> Any:
    """Build the members, of which the ensemble has only the names so far."""
    names = list(ensemble.named_estimators_)
    for name, member in zip(names, files.members, strict=True):
        own = module.get(name) if isinstance(module, dict) else module
        with named(files.folder):
            check_member(member.model, ensemble, name)
        built = _build(member, own if _has_network(member) else None)
        ensemble.named_estimators_[name] = built
    ensemble.estimators_ = list(ensemble.named_estimators_.values())
    ensemble.estimators = list(ensemble.named_estimators_.items())
    return ensemble


def _has_network(files: ModelFiles) -> bool:
    return files.network is not None or any(map(_has_network, files.members))


def _load_network(
    model: CFTClassifier, module: Any, files: ModelFiles, file: BinaryIO
) -> None:
    from cftlearn.networks._making import copy_or_make
    from cftlearn.persistence._networks import fill_network, join_copies

    saved: Any = model.module
    given = _trusted(saved) if module is None else module
    bare = given.without_weights if isinstance(given, Architecture) else given
    structure = files.document.model.get(STRUCTURE)
    with named(files.folder), ExitStack() as stack:
        state = read_state(file)
        if module is None:  # then the folder says how the network is made
            stack.enter_context(_of_the_folder(given, state, structure))
        network = join_copies(structure, partial(copy_or_make, bare, seed=0), state)
        fill_network(network, state, model)
    model.module = given
    model.module_ = network.eval()
    model.device_ = "cpu"


@contextmanager
def _of_the_folder(
    architecture: Architecture, state: Any, structure: Any
) -> Iterator[None]:
    """Turn what goes wrong with a network that the folder names into its fault."""
    from cftlearn.persistence._networks import check_architecture

    try:
        if structure is None:
            check_architecture(architecture.without_weights, state)
        yield
    except _UNBUILDABLE as error:
        reason = first_line(error).rstrip(".")
        raise Fault(
            f"`architecture` in model.json must be one that can be built here; got "
            f"{architecture.name!r}: {reason:.300}"
        ) from error


def _write_network(network: "nn.Module", path: Path) -> None:
    import torch

    with open_new(path, "wb") as file:
        torch.save(network.state_dict(), file)
    with _refused(), path.open("rb") as file:
        check_state_file(file)


def _as_read(described: dict[str, Any]) -> Any:
    """Return a description as :func:`load_model` will read it."""
    return read_document(write_document(described, {}, "")).model


@contextmanager
def _refused() -> Iterator[None]:
    """Raise what would be a fault of the folder as one of the model."""
    try:
        yield
    except Fault as fault:
        raise ValueError(
            f"`model` must be as `fit` left it to be saved: {fault}. Set what is wrong "
            "with set_params, or fit the model again."
        ) from None
