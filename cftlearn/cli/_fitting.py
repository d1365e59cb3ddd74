"""What ``cftlearn fit`` and ``refit`` do: read, train, refit, save."""

import argparse
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cftlearn.cli._configuration import read_settings
from cftlearn.cli._fit_data import (
    Start,
    check_sources,
    read_inputs,
    read_parts,
    read_start,
)
from cftlearn.cli._model import make_model
from cftlearn.cli._networks import needs_code, own_name, read_network
from cftlearn.cli._options import settings_given
from cftlearn.cli._settings import Settings, SettingsError
from cftlearn.cli._tables import print_coverage, print_report
from cftlearn.cli._unused import check_used
from cftlearn.exceptions import SeenLabelsWarning

_SEEN_LABELS = (
    "the network may have been trained on these labels; then they cannot fairly choose "
    "the refits. Name other labels with --validation FILE, or validation_where in "
    "[data]."
)


def run_fitting(arguments: argparse.Namespace, *, train: bool) -> int:
    """Run ``fit``, or ``refit`` if the network is trained already."""
    given = settings_given(arguments) | {
        "output": arguments.output,
        "seed": arguments.seed,
        "n_jobs": arguments.n_jobs,
        "train.batch_size": arguments.batch_size,
        "train.num_workers": arguments.num_workers,
    }
    settings = read_settings(arguments.config, given)
    folder = fit_and_save(
        settings,
        given,
        arguments.config,
        train=train,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    if not arguments.quiet:
        example = settings.data.features or f"IMAGE{_network_option(folder)}"
        print(f"saved in {folder}; try: cftlearn predict {folder} {example}")
    return 0


def _network_option(folder: Path) -> str:
    """Return the option that ``predict`` needs for a network of the user's code."""
    from cftlearn.persistence._folder import load_without_network

    saved = load_without_network(folder)
    return f" --network {own_name(saved)}" if needs_code(saved) else ""


def fit_and_save(
    settings: Settings,
    given: Mapping[str, Any],
    source: Path | None,
    *,
    train: bool,
    overwrite: bool,
    quiet: bool,
) -> Path:
    """Fit a model, print its table and save it.

    Parameters
    ----------
    settings : Settings
        What to fit, and on which data.
    given : mapping of str to object
        The settings that arguments set, by dotted name.
    source : Path or None
        The configuration that set the others.
    train : bool
        Train the network first. Otherwise it is trained already and only refitted.
    overwrite : bool
        Replace an earlier model in the folder of output.
    quiet : bool
        Print nothing.

    Returns
    -------
    folder : Path
        Where the model is.
    """
    # Everything that can be wrong is checked now, not after hours of training.
    model = make_model(settings, train=train, verbose=0 if quiet else 1)
    check_sources(settings)
    check_used(settings, given, source, trains=train)
    _check_device(settings.device)
    output = settings.output or Path("model")
    _check_output(output, overwrite=overwrite)
    data = settings.data
    start = read_start(settings, train=train)
    trains_network = train and data.features is None
    soft_seed = settings.seed or 0 if trains_network else None
    fitted, held_out = read_parts(data, start.categories, soft_seed=soft_seed)
    saved_module = _set_start(model, settings, start, len(fitted.y.categories))
    if not quiet:
        print_coverage(fitted, held_out, _held_out_by_itself(settings))
    if not train and held_out is None and fitted.groups is None:
        warnings.warn(_SEEN_LABELS, SeenLabelsWarning, stacklevel=2)
    validation_data = None
    if held_out is not None:
        validation_data = read_inputs(held_out, data), held_out.y
    with warnings.catch_warnings():
        # It names parameters of Python; the line above names arguments.
        warnings.simplefilter("ignore", SeenLabelsWarning)
        model.fit(
            read_inputs(fitted, data),
            fitted.y,
            groups=fitted.groups,
            pseudo_labels=fitted.soft,
            validation_data=validation_data,
        )
    # A file cannot hold callables, and predictions need none of them.
    model.set_params(module=saved_module, trainer__augment=None)
    from cftlearn.persistence import save_model

    folder = save_model(model, output, overwrite=overwrite)
    if not quiet:  # after saving: a reader that has closed its pipe ends the command
        print_report(model.report_)
    return folder


def _held_out_by_itself(settings: Settings) -> str:
    """Return what a fit holds out where no rows are named for that."""
    group = settings.data.group
    what = "labels of these rows" if group is None else f"whole groups ({group})"
    n_folds = settings.refit.get("cross_fit")
    if n_folds is not None:
        return f"all known labels, in {n_folds} folds of {what}"
    if group is None:
        return "some known labels of these rows"
    return f"labels of {what}, in each category of others"


def _check_device(device: str | None) -> None:
    if device not in (None, "auto", "cpu"):  # which need no torch to know
        from cftlearn._devices import resolve_device

        resolve_device(device)


def _check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse a folder that could not be written at the end."""
    from cftlearn.persistence._folder import is_saved_model
    from cftlearn.persistence._target import check_target

    if is_saved_model(output) and not overwrite:
        raise SettingsError(
            f"{output} holds a model. Pass --overwrite to replace it, or another "
            "--output."
        )
    check_target(output, overwrite=overwrite)


def _set_start(model: Any, settings: Settings, start: Start, n_categories: int) -> Any:
    """Set the network, or the initial weights; return the module to save with it."""
    if settings.data.features is None:
        network = read_network(settings.network, n_categories)
        model.set_params(module=network.module, head=network.head)
        return network.saved_as
    if start.coef is not None:
        model.set_params(
            fine_tuner__coef_init=start.coef, fine_tuner__intercept_init=start.intercept
        )
    return None
