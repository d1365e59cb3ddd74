"""Save fitted models without pickle: JSON, safetensors and a plain state dict."""

import copy
import json
import os
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from sklearn.utils.validation import check_is_fitted

from cftlearn._files import as_path, find_folder, open_new, replace_folder
from cftlearn.classifier import CFTClassifier
from cftlearn.ensemble import CFTEnsemble
from cftlearn.exceptions import ModelFormatError
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.networks import Architecture
from cftlearn.networks._architecture import LIBRARIES

if TYPE_CHECKING:
    from torch import nn

from cftlearn.persistence._estimators import STRUCTURE, describe, rebuild
from cftlearn.persistence._fields import Arrays
from cftlearn.persistence._target import check_target, replaceable_files

Model = CFTClassifier | CategoryWiseFineTuner | CFTEnsemble

_FORMAT, _PLAIN_FORMAT = 2, 1  # the older one has no joined networks
_DOCUMENT, _ARRAYS, _NETWORK = "model.json", "arrays.safetensors", "network.pt"
_MEMBERS = "members"  # of an ensemble: one folder per member, by number


def save_model(
    model: Model, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Save a fitted model to a folder.

    The folder holds ``model.json`` (parameters, categories, report),
    ``arrays.safetensors`` (weights) and, for a classifier with a network,
    ``network.pt`` (its state dict). Members of an ensemble have such a folder each, in
    ``members``. ``history_`` is not saved; neither is a
    ``module``, unless it is a :class:`~cftlearn.networks.Architecture`, nor a trainer's
    ``fabric``. Its processes must not all save: save where ``fabric.is_global_zero``.

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
        written as text: a callable ``loss``, ``objective`` or ``input_transform`` (but
        not an ``ImageTransform``), a solver of one's own, a ``RandomState``.

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
    target = as_path(path)
    check_target(target, overwrite=overwrite)
    arrays: Arrays = {}
    described = describe(model, "", arrays)
    document = {
        "format": _FORMAT if STRUCTURE in described else _PLAIN_FORMAT,
        "cftlearn": version("cftlearn"),
        "model": described,
    }
    check = partial(replaceable_files, shown=target, overwrite=overwrite)
    with replace_folder(target, check) as staged:
        with open_new(staged / _DOCUMENT) as file:
            file.write(json.dumps(document, indent=1, allow_nan=False))
        in_order = {name: np.array(a, order="C") for name, a in arrays.items()}
        with open_new(staged / _ARRAYS, "wb") as file:
            file.write(save(in_order))  # which ignores strides
        if getattr(model, "module_", None) is not None:
            import torch

            with open_new(staged / _NETWORK, "wb") as file:
                torch.save(model.module_.state_dict(), file)
        if isinstance(model, CFTEnsemble):
            for number, member in enumerate(model.estimators_):
                save_model(member, staged / _MEMBERS / str(number))
    return target


def load_model(
    path: str | os.PathLike[str],
    *,
    module: "nn.Module | Callable[[], nn.Module] | dict[str, Any] | None" = None,
) -> Model:
    """Load a model that :func:`save_model` saved.

    Nothing in the folder is executed. No pickle is read, and of the architectures that
    a folder may name, only those of torchvision and timm are built.

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
        If the folder is damaged, or of a newer format than this version reads.
    ValueError
        If the model has a network and ``module`` does not fit it, or is None where it
        must be given; or the model has none and a ``module`` is given.
    ImportError
        If the library of the saved ``Architecture`` is not installed.

    See Also
    --------
    save_model : Save a model.
    """
    folder = find_folder(as_path(path))
    model = load_without_network(folder)
    if isinstance(model, CFTEnsemble):
        return _load_members(model, module, folder)
    has_network = getattr(model, "head_", None) is not None
    if module is not None and not has_network:
        raise ValueError("`module` must be None: the saved model has no network.")
    if has_network:
        module = _trusted(model.module) if module is None else module
        _load_network(model, module, folder)
    return model


def load_without_network(path: str | os.PathLike[str]) -> Any:
    """Load all that a folder holds about a model, but do not build its network.

    A classifier has the saved ``Architecture`` as ``module``, and no ``module_``; an
    ensemble has no members.

    Raises
    ------
    FileNotFoundError, ModelFormatError
        As :func:`load_model`.
    """
    folder = find_folder(as_path(path))
    document = _read_document(folder)
    try:
        return rebuild(document["model"], "", load_file(folder / _ARRAYS))
    except (
        AttributeError,
        KeyError,
        OSError,
        RecursionError,
        SafetensorError,
        TypeError,
        ValueError,
    ) as error:
        raise _damaged(folder, error) from error


def is_saved_model(path: str | os.PathLike[str]) -> bool:
    """Check whether a folder looks like one that :func:`save_model` wrote."""
    return (find_folder(Path(path)) / _DOCUMENT).is_file()


def _read_document(folder: Path) -> dict[str, Any]:
    """Load ``model.json``, which must have a known format."""
    if not is_saved_model(folder):
        raise FileNotFoundError(
            f"`path` must be a folder written by save_model; {folder} has no "
            f"{_DOCUMENT}."
        )
    try:
        document = json.loads((folder / _DOCUMENT).read_text(encoding="utf-8"))
        newer = document["format"] > _FORMAT
    except (KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error
    if newer:
        raise ModelFormatError(
            f"The model in {folder} has format {document['format']}; this version "
            f"of cftlearn reads formats up to {_FORMAT}. Upgrade cftlearn."
        )
    return dict(document)


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


def _load_members(ensemble: CFTEnsemble, module: Any, folder: Path) -> CFTEnsemble:
    """Load the members, of which the ensemble has only the names so far."""
    for number, name in enumerate(ensemble.named_estimators_):
        path = folder / _MEMBERS / str(number)
        own = module.get(name) if isinstance(module, dict) else module
        has_network = any(path.rglob(_NETWORK))
        try:
            member = load_model(path, module=own if has_network else None)
        except FileNotFoundError as error:
            raise _damaged(folder, error) from error
        ensemble.named_estimators_[name] = member
    ensemble.estimators_ = list(ensemble.named_estimators_.values())
    ensemble.estimators = list(ensemble.named_estimators_.items())
    return ensemble


def _load_network(model: CFTClassifier, module: Any, folder: Path) -> None:
    import torch

    from cftlearn.networks._making import copy_or_make

    bare = module.without_weights if isinstance(module, Architecture) else module
    structure = _read_document(folder)["model"].get(STRUCTURE)
    network = _structured(structure, partial(copy_or_make, bare, seed=0), folder)
    try:
        state = torch.load(folder / _NETWORK, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise _damaged(folder, error) from error
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise _unfit(error) from error
    model.module = module
    model.module_ = network.eval()
    model.device_ = "cpu"


def _structured(
    structure: dict[str, Any] | None, make: "Callable[[], nn.Module]", folder: Path
) -> "nn.Module":
    """Make the network, or join copies of it as the folder says."""
    from cftlearn.networks._joined import rebuild_joined

    if structure is None:
        return make()
    first = make()  # errors of the caller's module are not the folder's
    try:
        return rebuild_joined(structure, partial(copy.deepcopy, first))
    except AttributeError as error:
        raise _unfit(error) from error
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error


def _unfit(error: Exception) -> ValueError:
    return ValueError(
        "`module` must have the architecture of the saved network; "
        f"{str(error).splitlines()[-1].strip()}"
    )


def _damaged(folder: Path, error: Exception) -> ModelFormatError:
    return ModelFormatError(
        f"The model in {folder} is damaged ({type(error).__name__}: {error}). Restore "
        "the folder, or save the model again."
    )
