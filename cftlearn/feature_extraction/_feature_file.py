"""Features that are written to a file batch by batch, and go on when interrupted."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import open_atomically

Skipped = tuple[int, str | None, str]  # row, file and reason

_SAVE_SECONDS = 5.0  # between two notes of how far it is


@dataclass
class Progress:
    """How far an extraction is.

    Attributes
    ----------
    digest : str
        Of what it computes; another digest is another extraction.
    n_rows : int
        Rows in all.
    n_features : int
        Length of a row.
    dtype : str
        ``"float32"`` or ``"float16"``.
    n_done : int
        Rows dealt with: written, or left out.
    skipped : list of (int, str or None, str)
        Row, file and reason of those left out.
    """

    digest: str
    n_rows: int
    n_features: int
    dtype: str
    n_done: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def n_written(self) -> int:
        """Count the rows in the file."""
        return self.n_done - len(self.skipped)

    @property
    def is_complete(self) -> bool:
        """Tell whether no row is left."""
        return self.n_done == self.n_rows


class FeatureFile:
    """A ``.npy`` file in the making: ``<path>.partial``, and a note in ``<path>.json``.

    The file under its own name is always whole. A note says what was computed and how
    far; rows after it are written again, so an interruption loses a few seconds.

    Parameters
    ----------
    path : Path
        Where the features are to be.
    plan : Progress
        What is to be computed, with nothing done yet.

    Raises
    ------
    ValueError
        If the path is no ``.npy``, its folder is missing, or there are the features of
        something else.
    """

    def __init__(self, path: Path, plan: Progress) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.note = path.with_name(path.name + ".json")
        self.progress = self._found(plan)
        self._noted_at = monotonic()

    def __enter__(self) -> "FeatureFile":
        """Open the file behind the last row that is noted."""
        self.partial.touch()
        self._file: IO[bytes] = self.partial.open("r+b")
        self._lock()
        if self.partial.stat().st_size < self._length:  # lost: start again
            self.progress.n_done, self.progress.skipped = 0, []
        self._file.write(self._header(self.progress.n_rows))
        self._file.truncate(self._length)
        self._file.seek(self._length)
        return self

    def __exit__(self, *_: object) -> None:
        """Note how far it is, whatever happened, and close it."""
        try:
            self._save_note()
        finally:
            self._file.close()

    @property
    def is_ready(self) -> bool:
        """Tell whether the whole file is there."""
        return self.progress.is_complete and self.path.exists()

    def append(
        self, features: NDArray[Any], n_done: int, skipped: Sequence[Skipped]
    ) -> None:
        """Write rows, after which so many in all are done, and these left out."""
        self._file.write(features.tobytes())
        self.progress.n_done = n_done
        self.progress.skipped = list(skipped)
        if monotonic() - self._noted_at >= _SAVE_SECONDS:
            self._save_note()

    def finish(self) -> None:
        """Give the file its shape and its name; may be done again."""
        with self.partial.open("r+b") as file:
            file.write(self._header(self.progress.n_written))
            file.flush()
            os.fsync(file.fileno())
        self.partial.replace(self.path)

    def read(self) -> np.memmap[Any, Any]:
        """Map the finished file."""
        features = np.load(self.path, mmap_mode="r", allow_pickle=False)
        expected = (self.progress.n_written, self.progress.n_features)
        if features.shape != expected or features.dtype != self.progress.dtype:
            raise ValueError(
                f"{str(self.path)!r} must hold {self.progress.dtype} of shape "
                f"{expected}, as its note says; got {features.dtype} of shape "
                f"{features.shape}. Delete it and {self.note.name!r} to start again."
            )
        return features

    @property
    def _length(self) -> int:
        """Count the bytes of what is noted."""
        row = self.progress.n_features * np.dtype(self.progress.dtype).itemsize
        header = len(self._header(self.progress.n_rows))
        return header + self.progress.n_written * row

    def _header(self, n_rows: int) -> bytes:
        """Describe the array; numpy leaves room for any number of rows."""
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

    def _found(self, plan: Progress) -> Progress:
        """Read the note of an earlier start, which must have had the same plan."""
        if self.path.suffix != ".npy":
            raise ValueError(
                f"`out` must end in .npy; got {str(self.path)!r}. Write "
                f"{str(self.path.with_suffix('.npy'))!r}."
            )
        if not self.path.parent.is_dir():
            raise ValueError(
                f"`out` must lie in a folder that is there; got {str(self.path)!r}. "
                f"Make {str(self.path.parent)!r} first."
            )
        noted = self._read_note()
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
        """Keep other processes away, where the system has locks of files."""
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

    def _read_note(self) -> Progress | None:
        try:
            values = json.loads(self.note.read_text(encoding="utf-8"))
            values["skipped"] = [tuple(row) for row in values["skipped"]]
            return Progress(**values)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"The note {str(self.note)!r} of an earlier extraction cannot be read "
                f"({error}). Delete it and {str(self.path)!r} to start again."
            ) from error

    def _save_note(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        with open_atomically(self.note) as note:
            note.write(json.dumps(asdict(self.progress)))
        self._noted_at = monotonic()
