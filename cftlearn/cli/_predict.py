"""``cftlearn predict``: the probability of every category, for one image or many."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from cftlearn._inputs import image_files
from cftlearn.cli._features import is_extracted, read_extracted
from cftlearn.cli._predictor import Predictor
from cftlearn.cli._settings import NetworkSettings
from cftlearn.exceptions import ImageFileError
from cftlearn.images import read_image

Predicted = tuple[str, NDArray[np.float64]]

_AT_ONCE = 1024  # images between two writes


def run_predict(
    folder: Path,
    images: Sequence[Path],
    *,
    form: str,
    output: Path | None,
    network: NetworkSettings,
    batch_size: int | None,
    device: str | None,
    skip_unreadable: bool,
) -> int:
    """Print or write the probabilities of images.

    Parameters
    ----------
    folder : Path
        A saved model.
    images : sequence of Path
        Images, and folders of images.
    form : {"text", "csv", "json"}
        How to write.
    output : Path or None
        A file; None prints.
    network : NetworkSettings
        The network to put the weights into, where the folder cannot say.
    batch_size : int or None
        Images at a time; None as in training.
    device : str or None
        Torch device; None takes ``"auto"``.
    skip_unreadable : bool
        Name unreadable images on stderr and go on, rather than stop.

    Returns
    -------
    n_skipped : int
        How many images could not be read.
    """
    predictor = Predictor.read(folder, network, batch_size=batch_size, device=device)
    skipped: list[str] = []
    if len(images) == 1 and is_extracted(images[0]):
        predicted = _of_features(predictor, images[0])
    else:
        paths = [path for one in images for path in _expanded(one)]
        predicted = _of_images(predictor, paths, skipped if skip_unreadable else None)
    write, names = _WRITERS[form], predictor.categories
    if output is None:
        write(predicted, names, sys.stdout)
    else:
        partial = output.with_name(f".{output.name}.partial")
        with partial.open("w", encoding="utf-8", newline="") as file:
            write(predicted, names, file)
        partial.replace(output)
    for reason in skipped:
        print(f"cftlearn predict: skipped: {reason}", file=sys.stderr)
    return len(skipped)


def _expanded(path: Path) -> list[str]:
    return image_files(path, "images") if path.is_dir() else [str(path)]


def _of_images(
    predictor: Predictor, paths: list[str], skipped: list[str] | None
) -> Iterator[Predicted]:
    """Predict some images at a time; unreadable ones go to ``skipped``, if given."""
    for start in range(0, len(paths), _AT_ONCE):
        some = paths[start : start + _AT_ONCE]
        if skipped is not None:
            some = [path for path in some if _is_readable(path, skipped)]
        if some:
            yield from zip(some, predictor.of_images(some), strict=True)


def _of_features(predictor: Predictor, folder: Path) -> Iterator[Predicted]:
    stored = read_extracted(folder)
    return zip(stored.paths, predictor.of_features(stored.Z), strict=True)


def _is_readable(path: str, skipped: list[str]) -> bool:
    try:
        read_image(path)
    except (ImageFileError, OSError) as error:
        skipped.append(str(error))
        return False
    return True


def _write_text(predicted: Iterable[Predicted], names: list[str], out: TextIO) -> None:
    """Write ``name: probability`` lines; a line with its path before each image."""
    for i, (path, probabilities) in enumerate(predicted):
        lead = "\n" if i else ""
        print(f"{lead}{path}", file=out)
        for name, probability in zip(names, probabilities, strict=True):
            print(f"{name}: {probability:.4f}", file=out)


def _write_csv(predicted: Iterable[Predicted], names: list[str], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["path", *names])
    for path, probabilities in predicted:
        writer.writerow([path, *(f"{value:.6f}" for value in probabilities)])


def _write_json(predicted: Iterable[Predicted], names: list[str], out: TextIO) -> None:
    out.write("[")
    for i, (path, probabilities) in enumerate(predicted):
        numbers = (round(float(value), 6) for value in probabilities)
        item = {"path": path, "probabilities": dict(zip(names, numbers, strict=True))}
        out.write(("," if i else "") + "\n" + json.dumps(item, ensure_ascii=False))
    out.write("\n]\n")


_WRITERS: dict[str, Callable[[Iterable[Predicted], list[str], TextIO], Any]] = {
    "text": _write_text,
    "csv": _write_csv,
    "json": _write_json,
}
FORMS = tuple(_WRITERS)
