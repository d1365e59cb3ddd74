"""Write features to a file batch by batch, and continue after an interruption."""

import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from tokenize import TokenError
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import (
    BlockDigests,
    blocks_of,
    check_is_file,
    digest,
    open_atomically,
    write_error,
)

Skipped = tuple[int, str | None, str]  # row, file and reason

_SAVE_SECONDS = 5.0  # between two notes of the progress
_SEAL = "seal"  # of a note: the fingerprint of all else in it


@dataclass
class Progress:
    """Progress of an extraction.

    Attributes
    ----------
    digest : str
        Fingerprint of all that the features depend on.
    n_rows : int
        Number of rows.
    n_features : int
        Number of features.
    dtype : str
        ``"float32"`` or ``"float16"``.
    n_done : int
        Number of rows that are written or left out.
    skipped : list of (int, str or None, str)
        Row, file and reason of those left out.
    blocks : list of str
        Fingerprints of the rows in the file, by 64 MiB.
    """

    digest: str
    n_rows: int
    n_features: int
    dtype: str
    n_done: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)

    @property
    def n_written(self) -> int:
        """Count the rows in the file."""
        return self.n_done - len(self.skipped)

    @property
    def is_complete(self) -> bool:
        """Return whether all rows are done."""
        return self.n_done == self.n_rows


class FeatureFile:
    """A ``.npy`` file that is written as ``<path>.partial``, and renamed when complete.

    A note in ``<path>.json`` says what is computed, how many rows are done, and their
    fingerprints. After an interruption, rows since the last note are computed again:
    a few seconds' work. Rows that were changed since are refused.

    Parameters
    ----------
    path : Path
        The complete file.
    plan : Progress
        What to compute, with no row done.

    Raises
    ------
    ValueError
        If the path does not end in ``.npy``, its folder is missing, or the file holds
        other features.
    OSError
        If its folder cannot be written.

    Notes
    -----
    ``numpy.lib.format.open_memmap`` would save few lines, as the header must be written
    again where rows are left out. For 1 GiB in batches of 64 rows it took 6.9 to 7.3
    seconds instead of 4.1 to 5.9, and 1057 MiB of memory instead of 145. On a full disk
    SIGBUS killed the process, where a write raises an OSError.
    """

    def __init__(self, path: Path, plan: Progress) -> None:
        # A link stays a link: the file that it names is written.
        self.path = Path(os.path.realpath(path)) if path.is_symlink() else path
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.note = _note_of(self.path)
        self.progress = self._earlier_progress(plan)
        self._noted_at = monotonic()
        self._digests = BlockDigests()

    def __enter__(self) -> "FeatureFile":
        """Open the partial file for writing, after the last row of the note."""
        with self._plain_errors():
            self.partial.touch()
            self._file: IO[bytes] = self.partial.open("r+b")
        self._lock()
        if self.partial.stat().st_size < self._length:  # rows are lost: start again
            self.progress.n_done, self.progress.skipped = 0, []
            self.progress.blocks = []
        start = len(self._header(self.progress.n_rows))
        self._digests = BlockDigests(self.partial, start, self._length)
        if self._digests.digests() != self.progress.blocks:
            self._file.close()
            raise self._changed(self.partial)
        self._file.write(self._header(self.progress.n_rows))
        self._file.truncate(self._length)
        self._file.seek(self._length)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Save the progress, also after an error, and close the partial file."""
        try:
            self._save_note()
        except OSError:
            if kind is None:
                raise
            # such as a full disk, which the error under way tells of already
        finally:
            with suppress(OSError):  # of bytes that could not be written before
                self._file.close()

    @property
    def is_complete(self) -> bool:
        """Return whether the complete file exists."""
        return self.progress.is_complete and self.path.exists()

    def append(
        self, features: NDArray[Any], n_done: int, skipped: Sequence[Skipped]
    ) -> None:
        """Write features, and note the progress from time to time.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
            Of the type of the file.
        n_done : int
            Number of rows that are done with these.
        skipped : sequence of (int, str or None, str)
            Row, file and reason of all that are left out so far.
        """
        data = features.tobytes()
        with self._plain_errors():
            self._file.write(data)
        self._digests.update(data)
        self.progress.n_done = n_done
        self.progress.skipped = list(skipped)
        if monotonic() - self._noted_at >= _SAVE_SECONDS:
            self._save_note()

    def finish(self) -> None:
        """Write the final shape, and give the file its name."""
        with self._plain_errors():
            with self.partial.open("r+b") as file:
                file.write(self._header(self.progress.n_written))
                file.flush()
                os.fsync(file.fileno())
            self.partial.replace(self.path)

    def read(self) -> np.memmap[Any, Any]:
        """Map the complete file into memory.

        Returns
        -------
        features : memmap of shape (n_written, n_features)
            Read-only.

        Raises
        ------
        ValueError
            If the file has another shape or type than the note says, or rows that were
            changed.
        """
        try:
            check_is_file(self.path)
            features = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (EOFError, OSError, SyntaxError, TokenError, ValueError) as error:
            raise self._changed(self.path) from error
        expected = (self.progress.n_written, self.progress.n_features)
        if features.shape != expected or features.dtype != self.progress.dtype:
            raise ValueError(
                f"{str(self.path)!r} must hold {self.progress.dtype} of shape "
                f"{expected}, as its note says; got {features.dtype} of shape "
                f"{features.shape}. Delete it and {self.note.name!r} to start again."
            )
        start = len(self._header(self.progress.n_rows))
        # numpy reads the rows from where the header says: a changed one moves them
        is_moved = features.offset != start or not features.flags.c_contiguous
        if is_moved or (
            blocks_of(self.path, start, self._length) != self.progress.blocks
        ):
            raise self._changed(self.path)
        return features

    def _changed(self, path: Path) -> ValueError:
        return ValueError(
            f"{str(path)!r} must hold the features that were written, as the note "
            f"{self.note.name!r} says; it was changed. Delete both to start again."
        )

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Say in plain words that the disk is full, and that rows are not lost."""
        try:
            yield
        except OSError as error:
            kept = "The rows so far are kept, and the same call goes on after them."
            raise write_error(error, self.path, kept) from error

    @property
    def _length(self) -> int:
        """Count the bytes of the header and of the rows in the note."""
        row_bytes = self.progress.n_features * np.dtype(self.progress.dtype).itemsize
        header_bytes = len(self._header(self.progress.n_rows))
        return header_bytes + self.progress.n_written * row_bytes

    def _header(self, n_rows: int) -> bytes:
        """Build numpy's header; its length is the same for any number of rows."""
        text = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            text,
            {
                "shape": (n_rows, self.progress.n_features),
                "fortran_order": False,
                "descr": np.lib.format.dtype_to_descr(np.dtype(self.progress.dtype)),
            },
        )
        return text.getvalue()

    def _earlier_progress(self, plan: Progress) -> Progress:
        """Read the note of an earlier start of the same plan, if there is one."""
        if self.path.suffix != ".npy":
            raise ValueError(
                f"`out` must end in .npy; got {str(self.path)!r}. Write "
                f"{str(self.path.with_suffix('.npy'))!r}."
            )
        if not self.path.parent.is_dir():
            raise ValueError(
                f"`out` must be in a folder that exists; got {str(self.path)!r}. Make "
                f"{str(self.path.parent)!r} first."
            )
        for path in (self.path, self.partial, self.note):
            check_is_file(path)
        noted = _read_note(self.note, self.path)
        if noted is None or noted.digest != plan.digest:
            if self.path.exists() or noted is not None:
                raise ValueError(
                    f"`out` must be a new file, or the one of the same inputs, network "
                    f"and parameters; {str(self.path)!r} has something else. Pass "
                    f"another path, or delete it and {self.note.name!r}."
                )
            return plan
        return noted

    def _lock(self) -> None:
        """Lock the partial file, on systems that can lock files."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ValueError(
                f"`out` must not be in use; another process writes {str(self.path)!r}. "
                "Wait for it, or pass another path."
            ) from error

    def _save_note(self) -> None:
        with self._plain_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
        self.progress.blocks = self._digests.digests()
        values = asdict(self.progress)
        with self._plain_errors(), open_atomically(self.note) as note:
            note.write(json.dumps(values | {_SEAL: _seal(values)}))
        self._noted_at = monotonic()


def read_features(path: Path) -> np.memmap[Any, Any]:
    """Map a file of features into memory; check it against its note, if it has one.

    Parameters
    ----------
    path : Path
        The ``.npy`` file.

    Returns
    -------
    features : memmap
        Read-only.

    Raises
    ------
    ValueError
        If the file was changed since it was written.
    """
    noted = _read_note(_note_of(path), path)
    if noted is None:
        check_is_file(path)
        features = np.load(path, mmap_mode="r", allow_pickle=False)
        return cast("np.memmap[Any, Any]", features)
    return FeatureFile(path, noted).read()


def skipped_rows(path: Path) -> list[Skipped]:
    """Return the rows that a file of features leaves out, as its note says.

    Parameters
    ----------
    path : Path
        The ``.npy`` file.

    Returns
    -------
    skipped : list of (int, str or None, str)
        Row, file and reason; none where there is no note.

    Raises
    ------
    ValueError
        If the note was changed since it was written.
    """
    noted = _read_note(_note_of(path), path)
    return [] if noted is None else noted.skipped


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _seal(values: dict[str, Any]) -> str:
    """Compute the fingerprint of a note, the same before and after JSON."""
    return digest(json.dumps(values, sort_keys=True))


def _read_note(note: Path, path: Path) -> Progress | None:
    """Read the note of a file; None if there is none."""
    try:
        values = json.loads(note.read_text(encoding="utf-8"))
        if values.pop(_SEAL) != _seal(values):
            raise ValueError("it was changed")
        values["skipped"] = [tuple(row) for row in values["skipped"]]
        return Progress(**values)
    except FileNotFoundError:
        return None
    except (
        AttributeError,
        KeyError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"The note {str(note)!r} of an earlier extraction cannot be read: "
            f"it was changed. Delete it and {str(path)!r} to start again."
        ) from error
