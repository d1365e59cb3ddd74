"""The commands: their arguments and helps, and what each calls."""

import argparse
from pathlib import Path
from typing import Any

from cftlearn import losses
from cftlearn.cli import _arguments
from cftlearn.cli._options import (
    add_labels,
    add_network,
    add_network_of_model,
    add_parser,
    add_reading,
    overruling,
)

# Modules that import torch or scikit-learn are imported when a command runs, so that
# --help is quick.

_FIT_EPILOG = """\
examples:
  cftlearn fit --labels labels.csv --images photos --network torchvision:resnet50 \\
      --weights DEFAULT --learning-rate 1e-4 --output model
  cftlearn fit config.toml --seed 1

labels.csv: a column of paths first, and columns of 1, 0, -1 (uncertain) and blank.

a configuration (TOML, YAML or JSON; its paths start from its folder):
  output = "model"
  seed = 0

  [data]
  labels = "train.csv"
  images = "photos"             # where the paths in it start
  where = {split = "train"}     # keep these rows
  group = "patient_id"          # rows that belong together are held out together
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
  ema_decay = 0.999
  augment = ["torchvision.transforms.v2:RandomHorizontalFlip",
             {name = "torchvision.transforms.v2:RandAugment", num_ops = 2}]

  [refit]                       # of CategoryWiseFineTuner
  solver = "auto"
  objective = "roc_auc"
"""
_REFIT_EPILOG = """\
examples:
  cftlearn refit --network model --labels new.csv --images photos --output model2
  cftlearn refit --network chexnet.pt2 --labels labels.csv --images photos \\
      --validation valid.csv --output model
  cftlearn refit --features features --labels labels.csv --output model

`cftlearn fit --help` shows a configuration.
"""
_PREDICT_EPILOG = """\
examples:
  cftlearn predict model xray.png
  cftlearn predict model xray.png --threshold model
  cftlearn predict model folder-of-images --format csv --output scores.csv
"""
_EVALUATE_EPILOG = """\
examples:
  cftlearn evaluate model --labels labels.csv --images photos --where split=test
  cftlearn evaluate --scores scores.csv --labels test.csv --group patient_id
"""
_EXTRACT_EPILOG = """\
examples:
  cftlearn extract photos --network torchvision:resnet50 --weights DEFAULT \\
      --output features
  cftlearn fit --features features --labels labels.csv --output model
"""


def _add_fit(commands: Any) -> None:
    parser = add_parser(
        commands,
        "fit",
        "train a network, refit every category, save the model",
        "Train a network on images with unknown labels assumed negative, hold known "
        "labels out, refit every category on its known labels (CFT), print what that "
        "did, and save the model. With --features there is no network to train: "
        "logistic regressions on the features take its place.",
        _FIT_EPILOG,
    )
    _add_fitting(parser)
    parser.add_argument(
        "--max-epochs",
        type=_arguments.count,
        metavar="N",
        help="epochs to train the network",
    )
    parser.add_argument(
        "--learning-rate",
        type=_arguments.rate,
        metavar="RATE",
        help="peak of its schedule; 2e-3 by default, too much for pretrained weights",
    )
    parser.set_defaults(run=lambda arguments: _run_fit(arguments, train=True))


def _add_refit(commands: Any) -> None:
    parser = add_parser(
        commands,
        "refit",
        "refit every category of a network that is trained already",
        "As `fit`, but the network is trained already: its features are extracted "
        "once, and every category is refitted on its known labels. Labels that the "
        "network was trained on cannot choose refits honestly: give others with "
        "--validation or [data] validation_where.",
        _REFIT_EPILOG,
    )
    _add_fitting(parser)
    parser.set_defaults(
        run=lambda arguments: _run_fit(arguments, train=False),
        max_epochs=None,
        learning_rate=None,
    )


def _add_fitting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", nargs="?", type=Path, help="a configuration; arguments overrule it"
    )
    add_labels(parser)
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="FILE",
        help="label file that only chooses refits",
    )
    add_network(parser)
    solvers = ", ".join(["auto", "ga", "proximal", *losses.available()])
    parser.add_argument("--solver", help=f"how to refit: {solvers}")
    parser.add_argument("--objective", help="roc_auc or average_precision")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder of the model, `model` by default",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier model there"
    )
    parser.add_argument(
        "--seed", type=_arguments.seed, help="seed of everything, 0 by default"
    )
    parser.add_argument(
        "--n-jobs",
        type=_arguments.workers,
        metavar="N",
        help="workers over categories, -1 for all",
    )
    add_reading(parser)


def _run_fit(arguments: argparse.Namespace, *, train: bool) -> int:
    from cftlearn.cli._fit import run_fit
    from cftlearn.cli._settings import read_settings

    overruled_by = overruling(arguments) | {
        "data.validation": arguments.validation,
        "output": arguments.output,
        "seed": arguments.seed,
        "n_jobs": arguments.n_jobs,
        "train.max_epochs": arguments.max_epochs,
        "train.learning_rate": arguments.learning_rate,
        "train.batch_size": arguments.batch_size,
        "train.num_workers": arguments.num_workers,
        "refit.solver": arguments.solver,
        "refit.objective": arguments.objective,
    }
    settings = read_settings(arguments.config, overruled_by)
    folder = run_fit(
        settings,
        train=train,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    if not arguments.quiet:
        example = settings.data.features or "IMAGE"
        print(f"model {folder}; try: cftlearn predict {folder} {example}")
    return 0


def _add_extract(commands: Any) -> None:
    parser = add_parser(
        commands,
        "extract",
        "compute the features of images, once",
        "Run images through a network and write what its classification layer sees "
        "to OUTPUT/features.npy, one row per image; the images' paths to "
        "OUTPUT/paths.csv; and the rows of a trained layer to OUTPUT/rows.npz. Called "
        "again after an interruption, it goes on where it was.",
        _EXTRACT_EPILOG,
    )
    parser.add_argument("paths", nargs="+", type=Path, help="images, or folders")
    add_network(parser)
    parser.add_argument("--layer", help="give this layer's output instead")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="a folder"
    )
    _add_skipping(parser)
    add_reading(parser)
    parser.set_defaults(run=_run_extract)


def _add_skipping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="name unreadable images and go on; the exit code is then 3",
    )


def _run_extract(arguments: argparse.Namespace) -> int:
    from cftlearn.cli._extract import run_extract
    from cftlearn.cli._settings import read_settings

    n_skipped = run_extract(
        read_settings(None, overruling(arguments)),
        arguments.paths,
        layer=arguments.layer,
        output=arguments.output,
        reading=_reading(arguments),
        skip_unreadable=arguments.skip_unreadable,
    )
    return 3 if n_skipped else 0


def _reading(arguments: argparse.Namespace) -> Any:
    from cftlearn.cli._predictor import ReadingOptions

    return ReadingOptions(
        batch_size=arguments.batch_size,
        num_workers=arguments.num_workers or 0,
        device=arguments.device or "auto",
        quiet=arguments.quiet,
    )


def _add_predict(commands: Any) -> None:
    parser = add_parser(
        commands,
        "predict",
        "print the probability of every category for images",
        "Print `name: probability`, a line per category, for every image; or write "
        "CSV or JSON.",
        _PREDICT_EPILOG,
    )
    parser.add_argument("model", type=Path, help="folder of a saved model")
    parser.add_argument(
        "images",
        nargs="+",
        type=Path,
        help="images, folders of them, or one folder that `extract` wrote",
    )
    parser.add_argument(
        "--format", choices=("text", "csv", "json"), default="text", help="how to write"
    )
    parser.add_argument(
        "--threshold",
        type=_arguments.threshold,
        metavar="P",
        help=(
            "also say which categories are positive: from this probability on, or with "
            "`model` from those that the model was saved with"
        ),
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="a file, instead of printing"
    )
    _add_skipping(parser)
    add_network_of_model(parser)
    add_reading(parser)
    parser.set_defaults(run=_run_predict)


def _run_predict(arguments: argparse.Namespace) -> int:
    from cftlearn.cli._predict import run_predict
    from cftlearn.cli._predictor import Predictor

    n_skipped = run_predict(
        Predictor.read(arguments.model, arguments.network, _reading(arguments)),
        arguments.images,
        form=arguments.format,
        output=arguments.output,
        threshold=arguments.threshold,
        skip_unreadable=arguments.skip_unreadable,
    )
    return 3 if n_skipped else 0


def _add_evaluate(commands: Any) -> None:
    parser = add_parser(
        commands,
        "evaluate",
        "score a model on labelled images, with intervals",
        "Print AUC and AP of every category and their means on known labels, with "
        "95 % bootstrap intervals and the number of cases.",
        _EVALUATE_EPILOG,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("model", nargs="?", type=Path, help="folder of a saved model")
    source.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="a CSV that `predict` wrote, instead of a model",
    )
    add_labels(parser)
    parser.add_argument(
        "--merge-views",
        choices=("max", "mean"),
        help="merge the scores of a --group before scoring, as of a study's views",
    )
    parser.add_argument(
        "--resamples",
        type=_arguments.count,
        default=2000,
        metavar="N",
        help="draws for the intervals (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=_arguments.seed, default=0, help="of these (default: 0)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of a table"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="also write the table as CSV"
    )
    add_network_of_model(parser)
    add_reading(parser)
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(arguments: argparse.Namespace) -> int:
    from cftlearn.cli._evaluate import run_evaluate
    from cftlearn.cli._settings import read_settings

    run_evaluate(
        read_settings(None, overruling(arguments)),
        model=arguments.model,
        scores=arguments.scores,
        reading=_reading(arguments),
        merge=arguments.merge_views,
        n_resamples=arguments.resamples,
        seed=arguments.seed,
        as_json=arguments.json,
        output=arguments.output,
    )
    return 0


def _add_info(commands: Any) -> None:
    parser = add_parser(
        commands,
        "info",
        "tell what a saved model is",
        "Print a saved model's parameters, categories and what CFT did for each. Its "
        "network is not loaded.",
        "example:\n  cftlearn info model\n",
    )
    parser.add_argument("model", type=Path, help="folder of a saved model")
    parser.set_defaults(run=_run_info)


def _run_info(arguments: argparse.Namespace) -> int:
    from cftlearn.cli._info import run_info

    run_info(arguments.model)
    return 0


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="refit a network on images of which most labels are hidden",
        description=(
            "Paste scikit-learn's scanned digits into panels, hide most labels of "
            "'which digits appear?', train a small network with the hidden ones "
            "assumed negative, refit every category by CFT, and compare on fully "
            "labelled test panels."
        ),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--known",
        type=_arguments.share,
        default=0.1,
        help="share of labels that stay known",
    )
    parser.add_argument(
        "--seed", type=_arguments.seed, default=0, help="seed of everything"
    )
    parser.add_argument(
        "--max-epochs",
        type=_arguments.count,
        default=20,
        help="epochs to train the network",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        help="folder for the figure and the model",
    )
    parser.add_argument(
        "--n-jobs",
        type=_arguments.workers,
        default=1,
        help="workers over categories, -1 for all",
    )
    parser.set_defaults(run=_run_demo)


def _run_demo(arguments: argparse.Namespace) -> int:
    from cftlearn.cli._demo import run_demo

    run_demo(
        known=arguments.known,
        seed=arguments.seed,
        max_epochs=arguments.max_epochs,
        output=arguments.output,
        n_jobs=arguments.n_jobs,
    )
    return 0


ALL = (
    _add_fit,
    _add_refit,
    _add_extract,
    _add_predict,
    _add_evaluate,
    _add_info,
    _add_demo,
)
