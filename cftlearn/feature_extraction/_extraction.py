"""Extract features of all inputs, into memory or into a file."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm.auto import tqdm

from cftlearn._files import digest
from cftlearn._inputs import ArrayInputs, Inputs, SkippedRow
from cftlearn.exceptions import ImageFileError
from cftlearn.feature_extraction._feature_file import FeatureFile, Progress
from cftlearn.feature_extraction._forward_hooks import (
    Tap,
    feature_batches,
    natural_tap,
)
from cftlearn.feature_extraction._in_memory import FeatureBatches, collect_features
from cftlearn.feature_extraction._widening import wide_features
from cftlearn.images import ImageTransform


@dataclass(frozen=True)
class ExtractionPlan:
    """How to extract.

    Attributes
    ----------
    layer : str, list of str or None
        The layer whose output are the features; None for the input of the last step; a
        list, or "auto", for that input and the outputs of the layers.
    batch_size : int
        Rows at a time.
    device : str
        Torch device.
    amp : bool
        Compute in half precision.
    num_workers : int
        Processes that read rows.
    dtype : str
        Type of features in a file.
    skips : bool
        Leave out image files that cannot be read.
    verbose : int
        Above 0, shows a progress bar where the output is a terminal.
    """

    layer: str | list[str] | None
    batch_size: int
    device: str
    amp: bool
    num_workers: int
    dtype: str
    skips: bool
    verbose: int


class Extraction:
    """Extract features of inputs by a network; one row is tried at once.

    Parameters
    ----------
    module : nn.Module
        The network.
    inputs : Inputs
        Rows.
    plan : ExtractionPlan
        How to extract.

    Attributes
    ----------
    n_features : int
        Number of features.
    skipped : list of SkippedRow
        Rows left out so far.

    Raises
    ------
    ValueError
        If the network has no such layer, or does not accept the row.
    ImageFileError
        If no row can be read, or the first one cannot and none may be skipped.
    """

    def __init__(self, module: nn.Module, inputs: Inputs, plan: ExtractionPlan) -> None:
        self.module, self.inputs, self.plan = module, inputs, plan
        self.skipped: list[SkippedRow] = []
        first = _first_readable(inputs, skips=plan.skips)
        if isinstance(plan.layer, str) and plan.layer != "auto":
            _check_layer(module, plan.layer)
            self.tap = Tap(plan.layer, "output")
        else:
            self.tap = natural_tap(module, first, plan.device)
        if plan.layer == "auto" or isinstance(plan.layer, list):
            self.module = module = wide_features(
                module, self.tap, plan.layer, first, plan.device
            )
            self.tap = Tap("", "output")
        batches = feature_batches(
            module, self.tap, first, first.in_order(1), device=plan.device
        )
        with closing(batches):
            self.n_features = next(batches)[1].shape[1]

    def run(self) -> NDArray[np.float32]:
        """Compute the features of all rows that can be read.

        Returns
        -------
        Z : ndarray of shape (n_readable_rows, n_features), float32
            In the order of the rows.
        """
        return collect_features(self._features(0), self.inputs)

    def run_into(self, path: Path) -> np.memmap[Any, Any]:
        """Write the features of all rows that can be read, after those written before.

        Parameters
        ----------
        path : Path
            A ``.npy`` file.

        Returns
        -------
        Z : memmap of shape (n_readable_rows, n_features)
            The file.
        """
        nothing_done = Progress(
            self._digest(), len(self.inputs), self.n_features, self.plan.dtype
        )
        file = FeatureFile(path, nothing_done)
        if not file.is_complete:
            with file:
                self._continue(file)
            file.finish()
        self._restore_skipped(file.progress)
        return file.read()

    def _continue(self, file: FeatureFile) -> None:
        """Extract the rows that are not done, and append them to a file."""
        start, n_rows = file.progress.n_done, len(self.inputs)
        self._restore_skipped(file.progress)
        with closing(self._features(start)) as batches:
            for rows, features in batches:
                n_done = self._end_of_batch(int(rows[-1]), start)
                file.append(self._as_stored(rows, features), n_done, self.skipped)
        # The last batches may have no row that can be read.
        file.append(np.empty((0, self.n_features)), n_rows, self.skipped)

    def _end_of_batch(self, row: int, start: int) -> int:
        """Return the first row after the batch of a row, batches being cut from one."""
        size = self.plan.batch_size
        n_batches = (row - start) // size + 1
        return min(start + n_batches * size, len(self.inputs))

    def _restore_skipped(self, progress: Progress) -> None:
        """Take over the rows that an earlier start skipped, if skipping is allowed."""
        self.skipped = [SkippedRow(*row) for row in progress.skipped]
        if self.skipped and not self.plan.skips:
            raise ImageFileError(
                f"`out` must hold every row with on_error='raise'; an extraction with "
                f"on_error='skip' left out {len(self.skipped)} rows, the first is row "
                f"{self.skipped[0].row}: {self.skipped[0].reason} Pass another path."
            )

    def _features(self, start: int) -> FeatureBatches:
        """Compute features from one row on, and show the progress."""
        plan, inputs = self.plan, self.inputs
        batches = feature_batches(
            self.module,
            self.tap,
            inputs,
            inputs.in_order(plan.batch_size, start),
            device=plan.device,
            num_workers=plan.num_workers,
            amp=plan.amp,
            skipped=self.skipped if plan.skips else None,
        )
        progress = tqdm(
            total=len(inputs),
            initial=start,
            desc="extracting features",
            unit="row",
            disable=None if plan.verbose else True,
        )
        with closing(batches), progress:
            for rows, features in batches:
                yield rows, features
                progress.update(len(rows))

    def _as_stored(
        self, rows: NDArray[np.intp], features: NDArray[np.float32]
    ) -> NDArray[Any]:
        """Convert features to the type of the file."""
        with np.errstate(over="ignore"):  # the error below names the row
            stored = features.astype(self.plan.dtype)
        wrong = ~np.isfinite(stored).all(axis=1)
        if wrong.any():
            location = self.inputs.location(rows[wrong][0])
            raise ValueError(
                f"Features must fit into `dtype`; {location} has "
                f"{np.abs(features[wrong][0]).max():g}, which {self.plan.dtype} cannot "
                "hold. Pass dtype='float32'."
            )
        return stored

    def _digest(self) -> str:
        """Compute a digest of all that the features depend on."""
        return digest(
            str((self.tap, self.plan.amp, self.plan.dtype)).encode(),
            _parts_of_network(self.module),
            _parts_of_inputs(self.inputs),
        )


def _first_readable(inputs: Inputs, *, skips: bool) -> Inputs:
    """Select the first row that can be read."""
    skipped: list[SkippedRow] = []
    batches = inputs.batches(inputs.in_order(1), skipped=skipped if skips else None)
    for rows, _ in batches:
        return inputs.take(rows)
    raise ImageFileError(
        f"`{inputs.name}` must hold an image that can be read; got {len(inputs)} that "
        f"cannot, the first is row 0: {skipped[0].reason}"
    )


def _check_layer(module: nn.Module, layer: str) -> None:
    names = [name for name, _ in module.named_modules()]
    if layer not in names:
        raise ValueError(
            f"`layer` must name a layer of the network; got {layer!r}. The last ones "
            f"are: {', '.join(map(repr, names[-10:]))}."
        )


def _parts_of_network(module: nn.Module) -> Iterator[bytes]:
    yield _without_addresses(repr(module)).encode()
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        yield f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode()
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        yield values.numpy().tobytes()


def _parts_of_inputs(inputs: Inputs) -> Iterator[bytes]:
    """Describe arrays and images by their values, files by paths, others by type."""
    items = inputs.items
    kind = f"{_kind(items)} {len(inputs)} {inputs.row_shape} {_code(inputs.transform)}"
    yield kind.encode()
    if inputs.paths is not None:
        for row in inputs.rows.tolist():
            yield inputs.paths[row].encode(errors="surrogateescape")
    elif isinstance(inputs, ArrayInputs):
        for rows in inputs.in_order(1024):
            yield np.ascontiguousarray(items[inputs.rows[rows]]).tobytes()
    elif isinstance(items, list):
        for row in inputs.rows.tolist():
            yield f"{items[row].mode} {items[row].size}".encode()
            yield items[row].tobytes()


def _kind(items: Any) -> str:
    item = getattr(items, "dataset", items)
    cls = type(item)
    package = cls.__module__.partition("._")[0]  # private modules may be renamed
    return f"{package}.{cls.__qualname__} {getattr(item, 'dtype', '')}"


def _code(transform: Any) -> str:
    """Describe a callable by its code and values, the same in every process."""
    if transform is None:
        return ""
    if isinstance(transform, ImageTransform):
        return repr(transform)  # all of its parameters
    function = transform if hasattr(transform, "__code__") else type(transform).__call__
    code = getattr(function, "__code__", None)
    steps = (code.co_code, code.co_consts, code.co_names) if code else ()
    values = getattr(transform, "__dict__", {})
    return _without_addresses(f"{type(transform)} {transform!r} {values} {steps}")


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
