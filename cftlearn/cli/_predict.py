"""``cftlearn predict``: the probability of every category, for one image or many."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import open_atomically
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
    """What is written of every image.

    Attributes
    ----------
    names : list of str
        The categories.
    thresholds : ndarray of shape (n_categories,) or None
        Probabilities from which a category is said to be positive; None says nothing.
    is_one : bool
        Whether there is one image only, which needs no heading.
    """

    names: list[str]
    thresholds: NDArray[np.float64] | None
    is_one: bool

    def positive(self, probabilities: NDArray[np.float64]) -> list[str]:
        """Name the categories that are positive."""
        if self.thresholds is None:
            return []
        decided = probabilities >= self.thresholds
        return [name for name, is_so in zip(self.names, decided, strict=True) if is_so]


def run_predict(
    predictor: Predictor,
    images: Sequence[Path],
    *,
    form: str,
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
    form : {"text", "csv", "json"}
        How to write.
    output : Path or None
        A file; None prints.
    threshold : float, "model" or None
        Also say what is positive, from this probability or the model's own ones on.
    skip_unreadable : bool
        Name unreadable images on stderr and go on, rather than stop.

    Returns
    -------
    n_skipped : int
        How many images could not be read.
    """
    skipped: list[str] = []
    if len(images) == 1 and is_extracted(images[0]):
        stored = read_extracted(images[0])
        paths = stored.paths
        scores = predictor.of_features(stored.Z)
        predicted: Iterator[Predicted] = zip(paths, scores, strict=True)
    else:
        paths = expand_paths(images, skips=skip_unreadable)
        left_out = skipped if skip_unreadable else None
        predicted = _of_images(predictor, paths, left_out, prints=output is None)
    layout = Layout(
        predictor.categories, _thresholds(predictor, threshold), len(paths) == 1
    )
    write = _WRITERS[form]
    if output is None:
        write(predicted, layout, sys.stdout)
    else:
        with open_atomically(output) as file:
            write(predicted, layout, file)
    for reason in skipped:
        print(f"cftlearn predict: skipped: {reason}", file=sys.stderr)
    return len(skipped)


def _thresholds(
    predictor: Predictor, threshold: float | str | None
) -> NDArray[np.float64] | None:
    if threshold is None:
        return None
    if threshold == "model":
        return predictor.thresholds
    return np.full(len(predictor.categories), float(threshold))


def _of_images(
    predictor: Predictor, paths: list[str], skipped: list[str] | None, *, prints: bool
) -> Iterator[Predicted]:
    """Predict some images at a time; unreadable ones go to ``skipped``, if given."""
    with predictor.progress(len(paths), prints=prints) as progress:
        for start in range(0, len(paths), AT_ONCE):
            some = paths[start : start + AT_ONCE]
            try:
                scores = predictor.of_images(some)
            except ImageFileError as error:
                if skipped is None:
                    raise SettingsError(
                        f"{error} Or pass --skip-unreadable to go on without it."
                    ) from error
                some = [path for path in some if _is_readable(path, skipped)]
                scores = predictor.of_images(some) if some else np.empty((0, 0))
            yield from zip(some, scores, strict=True)
            progress.update(len(paths[start : start + AT_ONCE]))


def _is_readable(path: str, skipped: list[str]) -> bool:
    try:
        read_image(path)
    except ImageFileError as error:
        skipped.append(str(error))
        return False
    return True


def _write_text(predicted: Iterable[Predicted], layout: Layout, out: TextIO) -> None:
    """Write ``name: probability`` lines, under the path where there are more images."""
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
    """Write a line per image; what is positive comes last, by its names."""
    decides = layout.thresholds is not None
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["path", *layout.names, *(["positive"] if decides else [])])
    for path, probabilities in predicted:
        positive = ["; ".join(layout.positive(probabilities))] if decides else []
        writer.writerow([path, *(f"{value:.9g}" for value in probabilities), *positive])


def _write_json(predicted: Iterable[Predicted], layout: Layout, out: TextIO) -> None:
    out.write("[")
    for i, (path, probabilities) in enumerate(predicted):
        numbers = (float(f"{value:.9g}") for value in probabilities)
        named = dict(zip(layout.names, numbers, strict=True))
        item: dict[str, Any] = {"path": path, "probabilities": named}
        if layout.thresholds is not None:
            item["positive"] = layout.positive(probabilities)
        out.write(("," if i else "") + "\n" + json.dumps(item, ensure_ascii=False))
    out.write("\n]\n")


_WRITERS: dict[str, Callable[[Iterable[Predicted], Layout, TextIO], Any]] = {
    "text": _write_text,
    "csv": _write_csv,
    "json": _write_json,
}
FORMS = tuple(_WRITERS)
