"""``cftlearn fit`` and ``cftlearn refit``: from a label file to a saved model."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cftlearn._files import folder_beside
from cftlearn.classifier import CFTClassifier
from cftlearn.cli._augment import make_augmentation
from cftlearn.cli._features import read_extracted
from cftlearn.cli._labels import Labelled, read_labels
from cftlearn.cli._networks import make_transform, read_network, saved_network
from cftlearn.cli._settings import DataSettings, Settings, SettingsError, check_known
from cftlearn.cli._tables import print_coverage, print_report
from cftlearn.exceptions import SeenLabelsWarning
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.model_selection import partial_train_test_split
from cftlearn.persistence import save_model
from cftlearn.persistence._folder import check_target, is_saved_model
from cftlearn.training import NetworkTrainer

_CLASSIFIERS_OWN = {  # parameters of the classifier that section [train] may set
    "unknown",
    "loss",
    "max_epochs",
    "batch_size",
    "learning_rate",
    "threshold",
    "validation_fraction",
}
_SEEN_LABELS = (
    "labels that the network was trained on cannot choose refits honestly. Name others "
    "by --validation FILE, or by validation_where in [data]."
)
_NOT_FROM_FILES = {"coef_init", "intercept_init", "random_state", "n_jobs", "verbose"}


def run_fit(settings: Settings, *, train: bool, overwrite: bool, quiet: bool) -> Path:
    """Fit a model as the settings say, print its table and save it.

    Parameters
    ----------
    settings : Settings
        What to do.
    train : bool
        Train the network first; else it is trained already and only refitted.
    overwrite : bool
        Replace an earlier model in the folder of output.
    quiet : bool
        Show and print nothing.

    Returns
    -------
    folder : Path
        Where the model is.
    """
    # What is wrong is told now, not after hours of training.
    output = settings.output or Path("model")
    _check_output(output, overwrite=overwrite)
    model = make_model(settings, train=train, verbose=0 if quiet else 1)
    data = settings.data
    start = _start_of(settings, train=train)
    fitted, held_out = _read_parts(settings, start.categories)
    saved_as = None
    if data.features is None:
        network = read_network(settings.network, len(fitted.y.categories))
        model.set_params(module=network.module, head=network.head)
        saved_as = network.saved_as
    elif not train:
        model.set_params(
            fine_tuner__coef_init=start.coef, fine_tuner__intercept_init=start.intercept
        )
    if not quiet:
        print_coverage(fitted, held_out)
    if not train and held_out is None:
        warnings.warn(_SEEN_LABELS, SeenLabelsWarning, stacklevel=2)
    validation_data = None
    if held_out is not None:
        validation_data = _inputs(held_out, data), held_out.y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeenLabelsWarning)  # said in our words above
        model.fit(_inputs(fitted, data), fitted.y, validation_data=validation_data)
    if not quiet:
        print_report(model.report_)
    # callables cannot be written as text; predictions need none of them
    model.set_params(module=saved_as, trainer__augment=None)
    return save_model(model, output, overwrite=overwrite)


def _check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse a folder that could not be written at the end."""
    if is_saved_model(output) and not overwrite:
        raise SettingsError(
            f"{output} holds a model. Pass --overwrite to replace it, or another "
            "--output."
        )
    check_target(output, overwrite=overwrite)
    with folder_beside(output):  # which save_model needs, too
        pass


@dataclass(frozen=True)
class _Start:
    """What a fit starts from: rows of features, or a saved model's categories."""

    categories: list[str] | None = None
    coef: Any = None
    intercept: Any = None


def _start_of(settings: Settings, *, train: bool) -> _Start:
    """Read what rows there are, whose categories those of the labels must be."""
    folder = settings.data.features
    if folder is None:
        saved = saved_network(settings.network)
        if saved is None:
            return _Start()
        return _Start(categories=[str(name) for name in saved.categories_])
    if settings.network.name is not None:
        raise SettingsError(
            "`network` and `features` must not both be given: the features in "
            f"{folder} have been computed. Leave one out."
        )
    if train:
        return _Start()
    stored = read_extracted(folder)
    if stored.coef is None:
        raise SettingsError(
            f"{folder} has no rows of a trained classification layer to refit. Use "
            "`cftlearn fit`, which fits logistic regressions first; or extract the "
            "features with a network that has its own layer."
        )
    return _Start(stored.categories, stored.coef, stored.intercept)


def _inputs(labelled: Labelled, data: DataSettings) -> Any:
    """Give the images of labelled rows, or their features."""
    if data.features is None:
        return labelled.image_paths(data.images)
    stored = read_extracted(data.features)
    rows = stored.rows_of(list(labelled.table.paths))
    is_all = np.array_equal(rows, np.arange(len(stored.Z)))
    return stored.Z if is_all else stored.Z[rows]


def make_model(settings: Settings, *, train: bool, verbose: int = 0) -> CFTClassifier:
    """Make the classifier that the settings describe, its network left out.

    Raises
    ------
    SettingsError
        If there is no such parameter.
    TypeError, ValueError
        If a parameter is out of its range.
    """
    transform = make_transform(settings)
    trainer, own = NetworkTrainer(), {}
    known = _CLASSIFIERS_OWN | set(trainer.get_params()) - {"fabric"}
    for name, value in settings.train.items():
        check_known(name, known, "section [train]")
        if name in _CLASSIFIERS_OWN:
            own[name] = value
        elif name == "augment":
            trainer.set_params(augment=make_augmentation(value, transform))
        else:
            trainer.set_params(**{name: value})
    tuner = CategoryWiseFineTuner()
    known = set(tuner.get_params()) - _NOT_FROM_FILES
    for name, value in settings.refit.items():
        check_known(name, known, "section [refit]")
        tuner.set_params(**{name: value})
    model = CFTClassifier(
        train=train,
        input_transform=transform,
        trainer=trainer,
        fine_tuner=tuner,
        device=settings.device or "auto",
        n_jobs=settings.n_jobs,
        random_state=0 if settings.seed is None else settings.seed,
        verbose=verbose,
        **own,
    )
    for part in (trainer, tuner, model):
        part._validate_params()
    return model


def _read_parts(
    settings: Settings, categories: list[str] | None
) -> tuple[Labelled, Labelled | None]:
    """Read the rows to fit, and those to choose refits by where they are other rows."""
    data = settings.data
    if data.labels is None:
        raise SettingsError("`labels` must be given: --labels FILE, or data.labels.")
    if categories and data.categories and categories != data.categories:
        raise SettingsError(
            "`categories` must be those of the network, in its order, or be left out; "
            f"got {data.categories} for {categories}."
        )
    fitted = read_labels(data.labels, data, data.where, categories)
    if data.validation is not None or data.validation_where is not None:
        path = data.validation or data.labels
        names = list(fitted.y.categories)
        return fitted, read_labels(path, data, data.validation_where, names)
    if fitted.groups is None:
        return fitted, None
    rows: Any = np.arange(len(fitted))
    rows, others, _, _ = partial_train_test_split(
        rows,
        fitted.y.values,
        test_size=settings.train.get("validation_fraction", 0.25),
        groups=fitted.groups,
        random_state=settings.seed or 0,
    )
    return fitted.take(rows), fitted.take(others)
