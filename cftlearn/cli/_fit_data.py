"""What a fit starts from, and the rows that it reads."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cftlearn.cli._features import read_extracted
from cftlearn.cli._labels import Labelled, read_labels
from cftlearn.cli._networks import saved_network
from cftlearn.cli._settings import (
    DataSettings,
    NetworkSettings,
    Settings,
    SettingsError,
)
from cftlearn.networks._architecture import LIBRARIES


@dataclass(frozen=True)
class Start:
    """What a fit starts from.

    Attributes
    ----------
    categories : list of str or None
        Categories of a trained network, in its order. None if there are none yet.
    coef, intercept : ndarray or None
        Initial weights, for extracted features that are only refitted.
    """

    categories: list[str] | None = None
    coef: Any = None
    intercept: Any = None


def check_sources(settings: Settings) -> None:
    """Check that there are labels, and either images or features.

    Raises
    ------
    SettingsError
        If no label file is given, the network and features are both given, or rows are
        named that choose the refits although every row shall judge.
    """
    if settings.data.labels is None:
        raise SettingsError("`labels` must be given: --labels FILE, or data.labels.")
    if settings.data.features is not None and settings.network.name is not None:
        raise SettingsError(
            "`network` and `features` must not both be given: the features in "
            f"{settings.data.features} are computed already. Leave one out."
        )
    data = settings.data
    if settings.refit.get("cross_fit") is not None:
        for name in ("validation", "validation_where"):
            if getattr(data, name) is not None:
                raise SettingsError(
                    f"`{name}` and `cross_fit` must not both be given: with cross_fit "
                    "no rows are held out, every known label judges. Leave one out."
                )


def read_start(settings: Settings, *, train: bool) -> Start:
    """Read what a fit starts from.

    Parameters
    ----------
    settings : Settings
        The network, or the folder of features.
    train : bool
        Whether the features get new logistic regressions, not initial weights.

    Raises
    ------
    SettingsError
        If there are no initial weights to refit, the network to refit has random
        weights, or the saved model has no network.
    """
    folder = settings.data.features
    if folder is None:
        saved = saved_network(settings.network)
        if saved is None:
            if not train:
                _check_trained(settings.network)
            return Start()
        return Start(categories=[str(name) for name in saved.categories_])
    if train:
        return Start()
    stored = read_extracted(folder)
    if stored.coef is None:
        raise SettingsError(
            f"{folder} has no weights of a trained classification layer to refit. Use "
            "`cftlearn fit`, which fits logistic regressions first; or extract the "
            "features with a network that has its own layer."
        )
    return Start(stored.categories, stored.coef, stored.intercept)


def _check_trained(network: NetworkSettings) -> None:
    """Refuse a network of random weights, of which no refit makes anything."""
    library, colon, _ = (network.name or "").partition(":")
    if colon and library in LIBRARIES and network.weights is None:
        raise SettingsError(
            f"`refit` needs a trained network; {network.name} has random weights. Name "
            "its weights, --weights FILE, or use `cftlearn fit`."
        )


def read_parts(
    data: DataSettings, categories: list[str] | None, *, soft_seed: int | None = None
) -> tuple[Labelled, Labelled | None]:
    """Read the rows to fit, and other rows that choose the refits.

    Parameters
    ----------
    data : DataSettings
        The label files and columns.
    categories : list of str or None
        Those that the network has. None takes those of the settings, or all.
    soft_seed : int, default=None
        Seed of soft labels, where a network is trained on them. None refuses them.

    Returns
    -------
    fitted : Labelled
        The rows to fit.
    held_out : Labelled or None
        The rows that choose. None leaves it to the fit to hold labels out.

    Raises
    ------
    SettingsError
        If the settings name other categories than the network has.
    """
    labels: Any = data.labels  # `check_sources` has seen it
    if categories and data.categories and categories != data.categories:
        raise SettingsError(
            "`categories` must be those of the network, in its order, or be left out; "
            f"got {data.categories}, but the network has {categories}."
        )
    fitted = read_labels(labels, data, data.where, categories, soft_seed=soft_seed)
    if data.validation is not None or data.validation_where is not None:
        path = data.validation or labels
        names = list(fitted.y.categories)
        held_out = read_labels(  # where a soft label would judge nothing
            path, data, data.validation_where, names, soft_seed=soft_seed
        )
        _check_apart(fitted, held_out, data)
        return fitted, held_out
    return fitted, None


def _check_apart(fitted: Labelled, held_out: Labelled, data: DataSettings) -> None:
    """Check that no image, and no group, is on both sides."""
    shared = set(fitted.table.paths) & set(held_out.table.paths)
    what, remedy = "images", "Name other rows by where and validation_where."
    if not shared and fitted.groups is not None and held_out.groups is not None:
        shared = set(fitted.groups) & set(held_out.groups)
        what = f"groups ({data.group})"
        remedy += " If equal names mean different groups there, leave `group` out."
    if shared:
        raise SettingsError(
            f"Rows that choose the refits must not train: {len(shared)} {what} are on "
            f"both sides, such as {str(min(shared))!r}. {remedy}"
        )


def read_inputs(labelled: Labelled, data: DataSettings) -> Any:
    """Return the image paths of labelled rows, or their features."""
    if data.features is None:
        return labelled.image_paths(data.images)
    stored = read_extracted(data.features)
    rows = stored.rows_of(list(labelled.table.paths))
    # An index would copy the features into memory.
    is_all = np.array_equal(rows, np.arange(len(stored.Z)))
    return stored.Z if is_all else stored.Z[rows]
