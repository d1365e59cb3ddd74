"""One pass of a network over all inputs, into memory or into a file."""

import hashlib
import re
from collections.abc import Generator, Iterator
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

from cftlearn._inputs import ArrayInputs, Inputs, SkippedRow
from cftlearn.exceptions import ImageFileError
from cftlearn.feature_extraction._feature_file import FeatureFile, Progress
from cftlearn.feature_extraction._forward_hooks import (
    Tap,
    feature_batches,
    natural_tap,
    non_finite_error,
)


@dataclass(frozen=True)
class ExtractionPlan:
    """How to extract.

    Attributes
    ----------
    layer : str or None
        Whose output are the features; None for what the last step sees.
    batch_size : int
        Rows at a time.
    device : str
        Torch device.
    amp : bool
        Compute in half precision.
    num_workers : int
        Processes that read rows.
    dtype : str
        How a file stores features.
    skips : bool
        Leave out image files that cannot be read.
    verbose : int
        Above 0, shows a progress bar where the output is a terminal.
    """

    layer: str | None
    batch_size: int
    device: str
    amp: bool
    num_workers: int
    dtype: str
    skips: bool
    verbose: int


class Extraction:
    """A network, its inputs, and where features are taken; one row has been tried.

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
        How many features there are.
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
        if plan.layer is None:
            self.tap = natural_tap(module, first, plan.device)
        else:
            _check_layer(module, plan.layer)
            self.tap = Tap(plan.layer, "output")
        batches = feature_batches(
            module, self.tap, first, first.in_order(1), device=plan.device
        )
        with closing(batches):
            self.n_features = next(batches)[1].shape[1]

    def run(self) -> NDArray[np.float32]:
        """Compute the features of all rows that can be read."""
        Z = np.empty((len(self.inputs), self.n_features), dtype=np.float32)
        n_written = 0
        with closing(self._features(0)) as batches:
            for rows, features in batches:
                Z[n_written : n_written + len(rows)] = features
                n_written += len(rows)
        return Z[:n_written]

    def run_into(self, path: Path) -> np.memmap[Any, Any]:
        """Write the features of all rows that can be read, from where it was left."""
        plan = Progress(
            self._digest(), len(self.inputs), self.n_features, self.plan.dtype
        )
        file = FeatureFile(path, plan)
        if not file.is_ready:
            with file:
                self._continue(file)
            file.finish()
        self._take_over(file.progress)
        return file.read()

    def _continue(self, file: FeatureFile) -> None:
        start, size, n_rows = (
            file.progress.n_done,
            self.plan.batch_size,
            len(self.inputs),
        )
        self._take_over(file.progress)
        with closing(self._features(start)) as batches:
            for rows, features in batches:
                n_batches = (int(rows[-1]) - start) // size + 1
                n_done = min(start + n_batches * size, n_rows)
                stored = self._stored(rows, features)
                file.append(stored, n_done, [r for r in self.skipped if r.row < n_done])
        file.append(np.empty((0, self.n_features)), n_rows, self.skipped)

    def _take_over(self, progress: Progress) -> None:
        """Skip what an earlier start skipped, if that is still wanted."""
        self.skipped = [SkippedRow(*row) for row in progress.skipped]
        if self.skipped and not self.plan.skips:
            raise ImageFileError(
                f"`out` must hold every row with on_error='raise'; an extraction with "
                f"on_error='skip' left out {len(self.skipped)} rows, the first is row "
                f"{self.skipped[0].row}: {self.skipped[0].reason} Pass another path."
            )

    def _features(
        self, start: int
    ) -> Generator[tuple[NDArray[np.intp], NDArray[np.float32]], None, None]:
        """Compute features from a row on, and show how far it is."""
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
                wrong = ~np.isfinite(features).all(axis=1)
                if wrong.any():
                    raise non_finite_error(rows[wrong], inputs)
                yield rows, features
                progress.update(len(rows))

    def _stored(
        self, rows: NDArray[np.intp], features: NDArray[np.float32]
    ) -> NDArray[Any]:
        with np.errstate(over="ignore"):  # said below, with its place
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
        """Tell this extraction from others, by what its features depend on."""
        digest = hashlib.sha256()
        parts = chain(
            [str((self.tap, self.plan.amp, self.plan.dtype)).encode()],
            _parts_of_network(self.module),
            _parts_of_inputs(self.inputs),
        )
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.hexdigest()


def _first_readable(inputs: Inputs, *, skips: bool) -> Inputs:
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
    """Describe inputs: arrays by their values, images by paths, else by their kind."""
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
    return f"{cls.__module__}.{cls.__qualname__} {getattr(item, 'dtype', '')}"


def _code(transform: Any) -> str:
    """Describe a callable by its code and values, the same in every process."""
    if transform is None:
        return ""
    function = transform if hasattr(transform, "__code__") else type(transform).__call__
    code = getattr(function, "__code__", None)
    steps = (code.co_code, code.co_consts, code.co_names) if code else ()
    values = getattr(transform, "__dict__", {})
    return _without_addresses(f"{type(transform)} {transform!r} {values} {steps}")


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
