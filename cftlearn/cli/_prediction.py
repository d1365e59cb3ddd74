"""What ``cftlearn predict`` does: probabilities of images, written image by image."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import open_atomically
from cftlearn.cli._console import json_text, print_problem
from cftlearn.cli._features import is_extracted, read_extracted
from cftlearn.cli._image_paths import expand_paths
from cftlearn.cli._predictor import AT_ONCE, Predictor
from cftlearn.cli._settings import SettingsError
from cftlearn.cli._tables import on_one_line
from cftlearn.exceptions import ImageFileError
from cftlearn.images import read_image

Predicted = tuple[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Layout:
    """What is written about every image.

    Attributes
    ----------
    names : list of str
        The categories.
    thresholds : ndarray of shape (n_categories,) or None
        A category is positive from this probability on. None leaves decisions out.
    is_one : bool
        Whether there is only one image, which needs no heading.
    """

    names: list[str]
    thresholds: NDArray[np.float64] | None
    is_one: bool

    def positive(self, probabilities: NDArray[np.float64]) -> list[str]:
        """Return the names of the categories that are positive."""
        if self.thresholds is None:
            return []
        decisions = zip(self.names, probabilities >= self.thresholds, strict=True)
        return [name for name, is_positive in decisions if is_positive]


def predict(
    predictor: Predictor,
    images: Sequence[Path],
    *,
    output_format: str,
    output: Path | None,
    threshold: float | str | None,
    skip_unreadable: bool,
) -> int:
    """Print or write the probabilities of images.

    Parameters
    ----------
    predictor : Predictor
        A saved model.
    images : sequence of Path
        Images, and folders of images; or one folder of features.
    output_format : {"text", "csv", "json"}
        How to write.
    output : Path or None
        A file. None prints.
    threshold : float, "model" or None
        Also write what is positive, by this probability or by the model's own ones.
    skip_unreadable : bool
        Name unreadable images on stderr and go on. Otherwise one stops the command.

    Returns
    -------
    n_skipped : int
        Number of images that could not be read.
    """
    skipped: list[str] = []
    if reads_features(images):
        stored = read_extracted(images[0])
        paths = stored.paths
        scores = predictor.predict_features(stored.Z)
        predicted: Iterator[Predicted] = zip(paths, scores, strict=True)
    else:
        paths = expand_paths(images, skips=skip_unreadable)
        predicted = _predict_images(
            predictor,
            paths,
            skipped if skip_unreadable else None,
            prints=output is None,
        )
    layout = Layout(
        predictor.categories, _thresholds(predictor, threshold), len(paths) == 1
    )
    write = _WRITERS[output_format]
    if output is None:
        write(predicted, layout, sys.stdout)
    else:
        with open_atomically(output) as file:
            write(predicted, layout, file)
    for reason in skipped:
        print_problem(f"cftlearn predict: skipped: {reason}")
    return len(skipped)


def reads_features(images: Sequence[Path]) -> bool:
    """Return whether the only argument is a folder of features."""
    return len(images) == 1 and is_extracted(images[0])


def _thresholds(
    predictor: Predictor, threshold: float | str | None
) -> NDArray[np.float64] | None:
    """Return a threshold per category; None if there are to be no decisions."""
    if threshold is None:
        return None
    if threshold == "model":
        return predictor.thresholds
    return np.full(len(predictor.categories), float(threshold))


def _predict_images(
    predictor: Predictor, paths: list[str], skipped: list[str] | None, *, prints: bool
) -> Iterator[Predicted]:
    """Predict some images at a time.

    The reasons why images cannot be read go to ``skipped``. If that is None, the first
    such image raises an error.
    """
    with predictor.progress(len(paths), prints=prints) as progress:
        for start in range(0, len(paths), AT_ONCE):
            part = paths[start : start + AT_ONCE]
            readable = part
            try:
                scores = predictor.predict_images(part)
            except ImageFileError as error:
                if skipped is None:
                    raise SettingsError(
                        f"{error} Or pass --skip-unreadable to go on without it."
                    ) from error
                # The error names one image only; each must be tried.
                readable = [path for path in part if _is_readable(path, skipped)]
                scores = (
                    predictor.predict_images(readable) if readable else np.empty((0, 0))
                )
            yield from zip(readable, scores, strict=True)
            progress.update(len(part))


def _is_readable(path: str, skipped: list[str]) -> bool:
    """Check whether an image can be read; if not, append the reason to ``skipped``."""
    try:
        read_image(path)
    except ImageFileError as error:
        skipped.append(str(error))
        return False
    return True


def _write_text(predicted: Iterable[Predicted], layout: Layout, out: TextIO) -> None:
    """Write ``name: probability`` lines, below the path if there are more images."""
    for i, (path, probabilities) in enumerate(predicted):
        if not layout.is_one:
            print(("\n" if i else "") + on_one_line(path), file=out)
        positive = set(layout.positive(probabilities))
        for name, probability in zip(layout.names, probabilities, strict=True):
            decision = "" if layout.thresholds is None else " negative"
            if name in positive:
                decision = " positive"
            print(f"{on_one_line(name)}: {probability:.4f}{decision}", file=out)


def _write_csv(predicted: Iterable[Predicted], layout: Layout, out: TextIO) -> None:
    """Write one line per image; names of positive categories come last."""
    decides = layout.thresholds is not None
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["path", *layout.names, *(["positive"] if decides else [])])
    for path, probabilities in predicted:
        positive = ["; ".join(layout.positive(probabilities))] if decides else []
        writer.writerow([path, *(f"{value:.9g}" for value in probabilities), *positive])


def _write_json(predicted: Iterable[Predicted], layout: Layout, out: TextIO) -> None:
    """Write a list image by image, since many images need not fit into memory."""
    out.write("[")
    for i, (path, probabilities) in enumerate(predicted):
        numbers = (float(f"{value:.9g}") for value in probabilities)
        named = dict(zip(layout.names, numbers, strict=True))
        item: dict[str, Any] = {"path": path, "probabilities": named}
        if layout.thresholds is not None:
            item["positive"] = layout.positive(probabilities)
        out.write(("," if i else "") + "\n" + json_text(item, out))
    out.write("\n]\n")


_WRITERS: dict[str, Callable[[Iterable[Predicted], Layout, TextIO], Any]] = {
    "text": _write_text,
    "csv": _write_csv,
    "json": _write_json,
}
