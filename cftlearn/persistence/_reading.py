"""All files of one model, read so that they belong together."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cftlearn._files import find_folder, is_being_replaced
from cftlearn.exceptions import ModelFormatError
from cftlearn.persistence._array_file import ARRAYS, StoredArrays, read_arrays
from cftlearn.persistence._document import (
    MOST_BYTES,
    Document,
    Stamp,
    read_document,
)
from cftlearn.persistence._estimators import is_fitted, rebuild
from cftlearn.persistence._faults import Fault, NewerFormat, shown
from cftlearn.persistence._network_file import NETWORK, check_state_file
from cftlearn.persistence._open_folder import (
    OpenFolder,
    check_stamp,
    open_folder,
    read_bytes,
)

DOCUMENT, MEMBERS = "model.json", "members"

_MODELS = ("CFTClassifier", "CategoryWiseFineTuner", "CFTEnsemble")
_MOST_LEVELS = 10  # of ensembles in ensembles
_PATIENCE = 5.0  # seconds, while another process goes on writing
_PAUSE = 0.005  # seconds between two attempts


@dataclass
class ModelFiles:
    """A model without its network, and its other files, held open.

    Attributes
    ----------
    folder : Path
        Where it is, for errors.
    model : estimator
        The model without its network and its members.
    document : Document
        What ``model.json`` says.
    network : binary file object or None
        ``network.pt``, if it was asked for and the model has a network.
    members : list of ModelFiles
        Of an ensemble, if they were asked for.
    stamp : Stamp
        Of ``model.json`` itself.
    """

    folder: Path
    model: Any
    document: Document
    stamp: Stamp
    network: BinaryIO | None = None
    members: list["ModelFiles"] = field(default_factory=list)


@contextmanager
def named(folder: Path) -> Iterator[None]:
    """Name the folder of a fault, and say what to do.

    Raises
    ------
    ModelFormatError
        In the place of a fault.
    """
    try:
        yield
    except NewerFormat as fault:
        raise ModelFormatError(f"The model in {folder} {fault}") from None
    except Fault as fault:
        raise ModelFormatError(
            f"The model in {folder} is damaged: {fault}. Restore the folder from a "
            "copy, or save the model again."
        ) from None


def read_model(
    path: Path, build: Callable[[ModelFiles], Any], *, whole: bool = True
) -> Any:
    """Read a model, again if another process replaces it meanwhile.

    Parameters
    ----------
    path : Path
        Its folder.
    build : callable
        Gets the files while they are open; what it returns is returned.
    whole : bool, default=True
        Read the network and the members, too.

    Returns
    -------
    built : object
        What ``build`` returned. It is called once, when all digests are right.

    Raises
    ------
    FileNotFoundError
        If there is no model.
    ModelFormatError
        If it is damaged; or other processes replace it without a pause.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        before = _state_of(path)
        with ExitStack() as stack:
            try:
                # after a kill, a hidden folder may hold it
                files = _read_whole(find_folder(path), stack, whole=whole)
            except (FileNotFoundError, ModelFormatError):
                is_changing = _state_of(path) != before or is_being_replaced(path)
                if not is_changing or time.monotonic() > end:
                    raise
            else:
                return build(files)
        time.sleep(_PAUSE)


def _read_whole(path: Path, stack: ExitStack, *, whole: bool) -> ModelFiles:
    missing = FileNotFoundError(
        f"`path` must be a folder written by save_model; {path} has no {DOCUMENT}."
    )
    try:
        folder = stack.enter_context(open_folder(path))
    except (FileNotFoundError, NotADirectoryError):
        raise missing from None
    except OSError as error:
        with named(path):
            raise _unreadable(DOCUMENT, error) from None
    if not folder.has(DOCUMENT):
        raise missing
    return _read_level(folder, stack, whole=whole, level=0)


def _read_level(
    folder: OpenFolder, stack: ExitStack, *, whole: bool, level: int
) -> ModelFiles:
    """Read a model, and with ``whole`` its network and its members."""
    with named(folder.path):
        try:
            files, opened = _read_description(folder, stack)
            names = list(getattr(files.model, "named_estimators_", {}))
            _check_listed(files, len(names))
            if whole and getattr(files.model, "head_", None) is not None:
                files.network = opened(NETWORK)
                check_state_file(files.network)
        except FileNotFoundError as error:
            raise Fault(f"the folder must hold {error}; there is none") from None
        except OSError as error:
            raise _unreadable("its files", error) from None
        except MemoryError:
            raise Fault("its files must fit into memory; they do not") from None
        if level > _MOST_LEVELS:
            raise Fault(f"ensembles must be at most {_MOST_LEVELS} levels deep")
    if whole:
        for number in range(len(names)):
            member = _read_member(folder, number, stack, level)
            with named(folder.path):
                _check_member_listed(files, member, number)
            files.members.append(member)
    return files


def _read_description(
    folder: OpenFolder, stack: ExitStack
) -> tuple[ModelFiles, Callable[[str], BinaryIO]]:
    """Read ``model.json`` and the arrays; return what opens other files, too."""
    with folder.file(DOCUMENT) as file:
        data = read_bytes(file, MOST_BYTES, DOCUMENT)
    document = read_document(data)

    def opened(name: str) -> BinaryIO:
        file = stack.enter_context(folder.file(name))
        if document.files is not None:
            if name not in document.files:
                raise Fault(f"`files` in {DOCUMENT} must list {name}; it does not")
            check_stamp(file, document.files[name], name)
        return file

    arrays = opened(ARRAYS)
    stored = read_arrays(arrays.read())
    model = _rebuild_model(document, stored)
    return ModelFiles(folder.path, model, document, Stamp.of(data)), opened


def _rebuild_model(document: Document, stored: StoredArrays) -> Any:
    described = document.model
    name = described.get("class")
    if name not in _MODELS:
        raise Fault(
            f"`class` in {DOCUMENT} must be {', '.join(_MODELS[:-1])} or {_MODELS[-1]}"
            f"; got {shown(name)}"
        )
    model = rebuild(described, "", stored)
    if not is_fitted(described):
        raise Fault(
            f"{DOCUMENT} must describe a fitted model; got what a {name} is given, "
            "and not what it has learned"
        )
    stored.check_all_taken()
    return model


def _check_listed(files: ModelFiles, n_members: int) -> None:
    """Check that ``files`` names what such a model has, and nothing else."""
    listed = files.document.files
    if listed is None:
        return
    own = {name for name in listed if not name.startswith(f"{MEMBERS}/")}
    needed = {ARRAYS}
    if getattr(files.model, "head_", None) is not None:
        needed.add(NETWORK)
    numbers = {name.split("/")[1] for name in set(listed) - own}
    if own != needed or numbers != {str(i) for i in range(n_members)}:
        found = ", ".join(sorted(own | {f"{MEMBERS}/{n:.20}" for n in numbers}))
        needed |= {f"{MEMBERS}/{i}" for i in range(n_members)}
        raise Fault(
            f"`files` in {DOCUMENT} must list {', '.join(sorted(needed)):.200}; got "
            f"{found:.200}"
        )


def _read_member(
    folder: OpenFolder, number: int, stack: ExitStack, level: int
) -> ModelFiles:
    with named(folder.path):
        try:
            members = stack.enter_context(folder.subfolder(MEMBERS, MEMBERS))
            name = str(number)
            opened = members.subfolder(name, f"{MEMBERS}/{name}")
            member = stack.enter_context(opened)
            if not member.has(DOCUMENT):
                raise FileNotFoundError(DOCUMENT)
        except FileNotFoundError:
            raise Fault(
                f"the folder must hold {MEMBERS}/{number}/{DOCUMENT}; there is none"
            ) from None
        except OSError as error:
            raise _unreadable(f"{MEMBERS}/{number}", error) from None
    return _read_level(member, stack, whole=True, level=level + 1)


def _check_member_listed(files: ModelFiles, member: ModelFiles, number: int) -> None:
    """Check that the files of a member are those that its ensemble lists."""
    if files.document.files is None:
        return
    prefix = f"{MEMBERS}/{number}/"
    listed = {
        name.removeprefix(prefix): stamp
        for name, stamp in files.document.files.items()
        if name.startswith(prefix)
    }
    found = {DOCUMENT: member.stamp, **(member.document.files or {})}
    wrong = [name for name in found | listed if found.get(name) != listed.get(name)]
    if wrong:
        raise Fault(
            f"{prefix}{wrong[0]} must have the SHA-256 that the ensemble's {DOCUMENT} "
            "says; it is another file"
        )


def _state_of(path: Path) -> Any:
    """Return what changes when the model in a folder is replaced."""
    try:
        found = (path / DOCUMENT).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _unreadable(name: str, error: OSError) -> Fault:
    return Fault(f"{name} must be readable; got {error.strerror or error}")
