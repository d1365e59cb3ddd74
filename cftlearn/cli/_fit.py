"""``cftlearn fit``: from a label file and images to a saved model."""

import argparse
import warnings
from pathlib import Path
from typing import Any

from cftlearn.classifier import CFTClassifier
from cftlearn.cli import _arguments
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
from cftlearn.cli._options import (
    add_labels,
    add_network,
    add_reading,
    settings_given,
)
from cftlearn.cli._parameters import words_of
from cftlearn.cli._settings import Settings, SettingsError
from cftlearn.cli._tables import print_coverage, print_report
from cftlearn.exceptions import SeenLabelsWarning
from cftlearn.fine_tuning import CategoryWiseFineTuner

DESCRIPTION = (
    "Train a network on images of which only some labels are known. Hold some of these "
    "out, refit every category on its known labels (CFT), and train the network again "
    "on all of them. Print what that did, and save the model. With --features there is "
    "no network to train: logistic regressions on the features take its place."
)
EXAMPLES = """\
examples:
  cftlearn fit --labels labels.csv --images photos --network torchvision:resnet50 \\
      --weights DEFAULT --learning-rate 1e-4 --output model
  cftlearn fit config.toml --seed 1

labels.csv: first a column of paths, then columns of 1, 0, -1 (uncertain) and blank.

a configuration (TOML, YAML or JSON; paths in it start from its folder):
  output = "model"
  seed = 0

  [data]
  labels = "train.csv"
  images = "photos"             # folder where the paths in the labels start
  where = {split = "train"}     # use only these rows
  group = "patient_id"          # rows of one patient are held out together
  uncertain = {Edema = "positive", Atelectasis = "positive"}  # others: unknown
  # format, options (of the loader), categories, blank, features, validation,
  # validation_where

  [network]
  name = "torchvision:densenet121"
  weights = "DEFAULT"
  # head, options (of the constructor)

  [image]                       # of cftlearn.images.ImageTransform
  size = 224

  [train]                       # of CFTClassifier and NetworkTrainer
  max_epochs = 20
  unknown = "auto"
  retrain = "average"           # or true, false
  ema_decay = 0.999
  augment = ["torchvision.transforms.v2:RandomHorizontalFlip",
             {name = "torchvision.transforms.v2:RandAugment", num_ops = 2}]

  [refit]                       # of CategoryWiseFineTuner
  solver = "auto"
  objective = "roc_auc"
"""
_SEEN_LABELS = (
    "the network may have been trained on these labels; then they cannot fairly choose "
    "the refits. Name other labels with --validation FILE, or validation_where in "
    "[data]."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``fit``."""
    add_fitting(parser)
    parser.add_argument(
        "--max-epochs",
        dest="train.max_epochs",
        type=_arguments.count,
        metavar="N",
        help="epochs to train the network",
    )
    parser.add_argument(
        "--learning-rate",
        dest="train.learning_rate",
        type=_arguments.positive_number,
        metavar="RATE",
        help="highest learning rate; the default, 2e-3, is too high for pretrained "
        "weights",
    )
    parser.add_argument(
        "--unknown",
        dest="train.unknown",
        metavar="MODE",
        help="what unknown labels are in training: "
        f"{', '.join(words_of(CFTClassifier, 'unknown'))}; auto, the default, learns "
        "from held-out labels how much more often positives are known",
    )
    parser.add_argument(
        "--retrain",
        dest="train.retrain",
        type=_arguments.retraining,
        metavar="HOW",
        help="train a second time, on all labels: average (default) saves the mean of "
        "both networks, true the second one; false trains only once",
    )
    parser.add_argument(
        "--rounds",
        dest="train.rounds",
        type=_arguments.count,
        metavar="N",
        help="trainings before the last one; from the second on, probabilities of "
        "unknown labels by the refits before are targets, 1 by default",
    )
    parser.add_argument(
        "--layers",
        dest="train.layers",
        type=_arguments.layers,
        metavar="LAYERS",
        help="layers whose outputs stand beside the last features: auto, or names with "
        "commas between them",
    )


def add_fitting(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that ``fit`` and ``refit`` share."""
    parser.add_argument(
        "config", nargs="?", type=Path, help="configuration; arguments override it"
    )
    add_labels(parser)
    parser.add_argument(
        "--validation",
        dest="data.validation",
        type=Path,
        metavar="FILE",
        help="label file that is only used to choose the refits",
    )
    add_network(parser)
    for name, help_text in (
        ("solver", "how to refit"),
        ("objective", "score that refits should raise"),
    ):
        words = ", ".join(words_of(CategoryWiseFineTuner, name))
        parser.add_argument(
            f"--{name}",
            dest=f"refit.{name}",
            metavar=name.upper(),
            help=f"{help_text}: {words}",
        )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder for the model, `model` by default",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier model there"
    )
    parser.add_argument(
        "--seed", type=_arguments.seed, help="seed of all random numbers, 0 by default"
    )
    parser.add_argument(
        "--n-jobs",
        type=_arguments.n_jobs,
        metavar="N",
        help="workers over categories, -1 for all cores",
    )
    add_reading(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, refit and save a model."""
    return run_fitting(arguments, train=True)


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
        settings, train=train, overwrite=arguments.overwrite, quiet=arguments.quiet
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
    settings: Settings, *, train: bool, overwrite: bool, quiet: bool
) -> Path:
    """Fit a model, print its table and save it.

    Parameters
    ----------
    settings : Settings
        What to fit, and on which data.
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
    output = settings.output or Path("model")
    _check_output(output, overwrite=overwrite)
    data = settings.data
    start = read_start(settings, train=train)
    fitted, held_out = read_parts(
        data,
        start.categories,
        validation_fraction=model.validation_fraction,
        seed=settings.seed or 0,
    )
    saved_module = _set_start(model, settings, start, len(fitted.y.categories))
    if not quiet:
        print_coverage(fitted, held_out)
    if not train and held_out is None:
        warnings.warn(_SEEN_LABELS, SeenLabelsWarning, stacklevel=2)
    validation_data = None
    if held_out is not None:
        validation_data = read_inputs(held_out, data), held_out.y
    with warnings.catch_warnings():
        # It names parameters of Python; the line above names arguments.
        warnings.simplefilter("ignore", SeenLabelsWarning)
        model.fit(read_inputs(fitted, data), fitted.y, validation_data=validation_data)
    if not quiet:
        print_report(model.report_)
    # A file cannot hold callables, and predictions need none of them.
    model.set_params(module=saved_module, trainer__augment=None)
    from cftlearn.persistence import save_model

    return save_model(model, output, overwrite=overwrite)


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
