"""``cftlearn fit`` and ``cftlearn refit``: from a label file to a saved model."""

from pathlib import Path
from typing import Any

import numpy as np

from cftlearn.classifier import CFTClassifier
from cftlearn.cli._features import ExtractedFeatures, read_extracted
from cftlearn.cli._labels import Labelled, read_labels
from cftlearn.cli._networks import make_transform, read_network
from cftlearn.cli._settings import DataSettings, Settings, SettingsError, check_known
from cftlearn.cli._tables import print_coverage, print_report
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.model_selection import partial_train_test_split
from cftlearn.persistence import save_model
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
_NOT_FROM_FILES = {"coef_init", "intercept_init", "random_state", "n_jobs", "verbose"}


def run_fit(settings: Settings, *, train: bool, overwrite: bool) -> Path:
    """Fit a model as the settings say, print its table and save it.

    Parameters
    ----------
    settings : Settings
        What to do.
    train : bool
        Train the network first; else it is trained already and only refitted.
    overwrite : bool
        Replace an earlier model in the folder of output.

    Returns
    -------
    folder : Path
        Where the model is.
    """
    output = settings.output or Path("model")
    if output.exists() and not overwrite:
        raise SettingsError(f"{output} exists. Pass --overwrite, or another --output.")
    model = make_model(settings, train=train)  # wrong settings are told at once
    data = settings.data
    fitted, held_out = _read_parts(settings)
    saved_as = None
    if data.features is None:
        network = read_network(settings.network, len(fitted.y.categories))
        model.set_params(module=network.module, head=network.head)
        saved_as = network.saved_as
    elif not train:
        _start_from_rows(model, read_extracted(data.features), data.features)
    print_coverage(fitted, held_out)
    validation_data = None
    if held_out is not None:
        validation_data = _inputs(held_out, data), held_out.y
    model.fit(_inputs(fitted, data), fitted.y, validation_data=validation_data)
    print_report(model.report_)
    # callables cannot be written as text; predictions need none of them
    model.set_params(module=saved_as, trainer__augment=None)
    return save_model(model, output, overwrite=overwrite)


def _inputs(labelled: Labelled, data: DataSettings) -> Any:
    """Give the images of labelled rows, or their features."""
    if data.features is None:
        return labelled.image_paths(data.images)
    stored = read_extracted(data.features)
    rows = stored.rows_of(list(labelled.table.paths))
    is_all = np.array_equal(rows, np.arange(len(stored.Z)))
    return stored.Z if is_all else stored.Z[rows]


def _start_from_rows(
    model: CFTClassifier, stored: ExtractedFeatures, folder: Path
) -> None:
    if stored.coef is None:
        raise SettingsError(
            f"{folder} has no rows of a trained classification layer to refit. Use "
            "`cftlearn fit`, which fits logistic regressions first; or extract the "
            "features with a network that has its own layer."
        )
    model.set_params(
        fine_tuner__coef_init=stored.coef, fine_tuner__intercept_init=stored.intercept
    )


def make_model(settings: Settings, *, train: bool) -> CFTClassifier:
    """Make the classifier that the settings describe, its network left out.

    Raises
    ------
    SettingsError
        If there is no such parameter.
    TypeError, ValueError
        If a parameter is out of its range.
    """
    trainer, own = NetworkTrainer(), {}
    known = _CLASSIFIERS_OWN | set(trainer.get_params()) - {"fabric"}
    for name, value in settings.train.items():
        check_known(name, known, "section [train]")
        if name in _CLASSIFIERS_OWN:
            own[name] = value
        else:
            trainer.set_params(**{name: value})
    tuner = CategoryWiseFineTuner()
    known = set(tuner.get_params()) - _NOT_FROM_FILES
    for name, value in settings.refit.items():
        check_known(name, known, "section [refit]")
        tuner.set_params(**{name: value})
    model = CFTClassifier(
        train=train,
        input_transform=make_transform(settings.image),
        trainer=trainer,
        fine_tuner=tuner,
        device=settings.device or "auto",
        n_jobs=settings.n_jobs,
        random_state=0 if settings.seed is None else settings.seed,
        verbose=1,
        **own,
    )
    for part in (trainer, tuner, model):
        part._validate_params()
    return model


def _read_parts(settings: Settings) -> tuple[Labelled, Labelled | None]:
    """Read the rows to fit, and those to choose refits by where they are other rows."""
    data = settings.data
    if data.labels is None:
        raise SettingsError("`labels` must be given: --labels FILE, or data.labels.")
    fitted = read_labels(data.labels, data, data.where)
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
