"""Bad inputs of many entries: no table at all, words in a cell, rows for nothing."""

from pathlib import Path
from typing import Any

import numpy as np

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.calibration import CategoryCalibrator
from cftlearn.datasets import make_partial_multilabel

from . import command_line, leftovers
from .case import Case
from .label_files import tags

X, Y, _ = make_partial_multilabel(
    40, n_features=4, n_categories=2, known=0.8, random_state=0
)
REMEDY = (
    "Pass an array, a frame or a list; if the numbers are in a file, read it first, "
    "with numpy.load or pandas.read_csv for example."
)


def ensemble(**params: Any) -> CFTEnsemble:
    weights = CategoryWiseFineTuner(
        "bce", coef_init=np.ones((2, 4)), intercept_init=np.zeros(2)
    )
    return CFTEnsemble([("a", weights), ("b", weights)], random_state=0, **params)


def with_validation_rows(**params: Any) -> CFTEnsemble:
    return ensemble(**params).fit(X[:30], Y[:30], X_val=X[30:], y_val=Y[30:])


def tuner_with_a_loader(folder: Path) -> object:
    tuner = CategoryWiseFineTuner("bce")
    return tuner.fit(X, Y, X_val=leftovers.loader(), y_val=Y)


def network_with(X_val: Any, **params: Any) -> object:
    model = CFTClassifier(
        leftovers.make_network(), train=False, random_state=0, **params
    )
    return model.fit(X.astype(np.float32), Y, X_val=X_val, y_val=Y[: len(X_val)])


def no_item(item: Any) -> Any:
    raise RuntimeError("The item is empty.")


def failing_transform(folder: Path) -> object:
    from cftlearn import TorchFeatureExtractor

    extractor = TorchFeatureExtractor(
        leftovers.make_network(), input_transform=no_item, device="cpu"
    )
    return extractor.fit_transform(X.astype(np.float32))


def paths_in_another_order(folder: Path) -> None:
    import json

    from cftlearn.cli._features import fingerprint

    note = json.dumps({"images": fingerprint([f"{i}.png" for i in reversed(range(8))])})
    run = command_line.command(
        "fit", *command_line.FEATURES, files={"features/extraction.json": note}
    )
    run(folder)


NO_CHOICE = (
    "`X_val` must be None where nothing is chosen or ranked by it; got ndarray with "
    'weights={} and combine={}. Pass CFTEnsemble(weights="greedy"), or leave `X_val` '
    "and `y_val` out."
)

CASES = [
    Case(
        "CFTClassifier.fit",
        "text alone in place of features",
        lambda folder: CFTClassifier().fit("abc", Y),
        TypeError,
        f"`X` must hold real numbers; got text ('abc'). {REMEDY}",
    ),
    Case(
        "CFTClassifier.predict",
        "text alone in place of features",
        lambda folder: leftovers.fitted().predict("abc"),
        TypeError,
        f"`X` must hold real numbers; got text ('abc'). {REMEDY}",
    ),
    Case(
        "CFTClassifier.predict",
        "bytes alone in place of features",
        lambda folder: leftovers.fitted().predict(b"abc"),
        TypeError,
        f"`X` must hold real numbers; got bytes (b'abc'). {REMEDY}",
    ),
    Case(
        "CFTClassifier.predict",
        "bytes that can be changed, which numpy takes for numbers",
        lambda folder: leftovers.fitted().predict(bytearray(b"abcd")),
        TypeError,
        f"`X` must hold real numbers; got bytes (bytearray(b'abcd')). {REMEDY}",
    ),
    Case(
        "CFTClassifier.predict_proba",
        "a function in place of features",
        lambda folder: leftovers.fitted().predict_proba(max),
        TypeError,
        "`X` must hold real numbers; got builtin_function_or_method. Pass an array, a "
        "frame or a list.",
    ),
    Case(
        "CFTClassifier.score",
        "text alone in place of features",
        lambda folder: leftovers.fitted().score("", Y),
        TypeError,
        f"`X` must hold real numbers; got text (''). {REMEDY}",
    ),
    Case(
        "CFTClassifier.fit",
        "text alone as validation rows",
        lambda folder: CFTClassifier().fit(X, Y, X_val="abc", y_val=Y),
        TypeError,
        f"`X_val` must hold real numbers; got text ('abc'). {REMEDY}",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "text alone in place of features",
        lambda folder: CategoryWiseFineTuner().fit("abc", Y),
        TypeError,
        f"`Z` must hold real numbers; got text ('abc'). {REMEDY}",
    ),
    Case(
        "CategoryWiseFineTuner.transform",
        "the name of a file in place of its features",
        lambda folder: leftovers.fitted().fine_tuner_.transform(Path("Z.npy")),
        TypeError,
        f"`Z` must hold real numbers; got a path ({Path('Z.npy')!r}). {REMEDY}",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "a DataLoader as validation rows",
        tuner_with_a_loader,
        TypeError,
        "`X_val` must hold rows in a fixed order; got a DataLoader, which gives "
        "batches in an order of its own. Pass the arrays that its dataset is made of.",
    ),
    Case(
        "CFTClassifier.fit",
        "validation rows of a network with another shape",
        lambda folder: network_with(np.ones((2, 1, 4), dtype=np.float32)),
        ValueError,
        "`X_val` must hold rows of shape (4,) as in `fit`, rows first; got shape (2, "
        "1, 4). Pass x[np.newaxis] for a single row x.",
    ),
    Case(
        "CFTClassifier.fit",
        "no validation rows for a network",
        lambda folder: network_with(np.ones((0, 4), dtype=np.float32)),
        ValueError,
        "`X_val` must hold at least one row; got none.",
    ),
    Case(
        "calibration.CategoryCalibrator.transform",
        "text alone in place of log odds",
        lambda folder: CategoryCalibrator().fit(X[:, :2], Y).transform("abc"),
        TypeError,
        f"`X` must hold real numbers; got text ('abc'). {REMEDY}",
    ),
    Case(
        "TorchFeatureExtractor.fit_transform",
        "a transform that fails, with a sentence",
        failing_transform,
        ValueError,
        "`X` and `input_transform` must give an array or tensor per row; row 0 failed: "
        "RuntimeError: The item is empty.",
    ),
    Case(
        "datasets.load_label_csv",
        "several labels with blanks between them",
        tags("image,tag\na,Edema Mass\nb,Mass\nc,Edema\n"),
        ValueError,
        "`label_separator` must be given where a cell has several labels; got 'Edema "
        "Mass' in column 'tag' in line 2 of '{folder}/labels.csv', and all of its "
        "words stand elsewhere alone. Pass label_separator=' ' if no label has a blank "
        "of its own, else write '|' between labels. If it is one label, name it in "
        "`categories`.",
    ),
    Case(
        "datasets.load_label_csv",
        "several labels with blanks between them, of which categories has all",
        tags("image,tag\na,mass  edema\n", categories=["Edema", "Mass"]),
        ValueError,
        "`label_separator` must be given where a cell has several labels; got 'mass  "
        "edema' in column 'tag' in line 2 of '{folder}/labels.csv', and all of its "
        "words stand elsewhere alone. Pass label_separator=' ' if no label has a blank "
        "of its own, else write '|' between labels. If it is one label, name it in "
        "`categories`.",
    ),
    Case(
        "CFTEnsemble.fit",
        "validation rows where all members weigh the same",
        lambda folder: with_validation_rows(),
        ValueError,
        NO_CHOICE.format("None", "'mean'"),
    ),
    Case(
        "CFTEnsemble.fit",
        "validation rows where weights are given",
        lambda folder: with_validation_rows(weights=[1, 2], combine="logit_mean"),
        ValueError,
        NO_CHOICE.format("an array", "'logit_mean'"),
    ),
    Case(
        "cftlearn fit",
        "features with their paths in another order",
        paths_in_another_order,
        command_line.CommandError,
        "1: cftlearn fit: features/paths.csv must be as `cftlearn extract` wrote it; "
        "it is damaged or of something else. Extract the features again, into another "
        "folder.",
    ),
    Case(
        "CFTClassifier.fit",
        "a masked array without a masked cell",
        lambda folder: CFTClassifier().fit(np.ma.array(X), Y),
        TypeError,
        "`X` must be a plain array; got a masked array, whose mask would be dropped (0 "
        "of 160 cells are masked). Pass numpy.ma.filled(X, value), with the value that "
        "masked cells are to have.",
    ),
]
