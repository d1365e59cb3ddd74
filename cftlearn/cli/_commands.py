"""The commands: their arguments and helps, and what each calls."""

import argparse
import textwrap
from pathlib import Path
from typing import Any

from cftlearn.cli import _arguments

# Modules that import torch or scikit-learn are imported when a command runs, so that
# --help is quick.

_FIT_EPILOG = """\
examples:
  cftlearn fit --labels labels.csv --images photos --network torchvision:resnet50 \\
      --weights DEFAULT --output model
  cftlearn fit config.toml --seed 1

a configuration (TOML, YAML or JSON; its paths start from its folder):
  output = "model"
  seed = 0

  [data]
  labels = "train.csv"          # a path column, and columns of 1, 0, -1 and blank
  images = "photos"             # where the paths in it start
  where = {split = "train"}     # keep these rows
  group = "patient_id"          # rows that belong together are held out together
  uncertain = {Edema = "positive", Atelectasis = "positive"}  # others: unknown

  [network]
  name = "torchvision:densenet121"
  weights = "DEFAULT"

  [image]                       # of cftlearn.images.ImageTransform
  size = 224

  [train]                       # of CFTClassifier and NetworkTrainer
  max_epochs = 20
  ema_decay = 0.999

  [refit]                       # of CategoryWiseFineTuner
  solver = "auto"
  objective = "roc_auc"
"""
_PREDICT_EPILOG = """\
examples:
  cftlearn predict model xray.png
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
  cftlearn extract photos --network model --output features
"""


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wrap paragraphs; leave examples, which have lines, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return textwrap.fill(
            text, width, initial_indent=indent, subsequent_indent=indent
        )


def _add_fit(commands: Any) -> None:
    parser = _parser(
        commands,
        "fit",
        "train a network, refit every category, save the model",
        "Train a network on images with unknown labels assumed negative, hold known "
        "labels out, refit every category on its known labels (CFT), print what that "
        "did, and save the model.",
        _FIT_EPILOG,
    )
    _fit_arguments(parser)
    parser.add_argument(
        "--max-epochs", type=_arguments.count, help="epochs to train the network"
    )
    parser.set_defaults(run=lambda arguments: _run_fit(arguments, train=True))


def _add_refit(commands: Any) -> None:
    parser = _parser(
        commands,
        "refit",
        "refit every category of a network that is trained already",
        "As `fit`, but the network is trained already: its features are extracted "
        "once, and every category is refitted on its known labels. Labels that the "
        "network was trained on cannot choose refits honestly: give others with "
        "--validation or [data] validation_where.",
        _FIT_EPILOG.replace("cftlearn fit", "cftlearn refit"),
    )
    _fit_arguments(parser)
    parser.set_defaults(
        run=lambda arguments: _run_fit(arguments, train=False), max_epochs=None
    )


def _fit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", nargs="?", type=Path, help="a configuration; arguments overrule it"
    )
    _label_arguments(parser)
    parser.add_argument(
        "--validation", type=Path, help="label file that only chooses refits"
    )
    parser.add_argument(
        "--features", type=Path, help="a folder that `extract` wrote, for images"
    )
    _network_arguments(parser)
    parser.add_argument("--solver", help="how to refit: auto, ga, bce, asl, proximal")
    parser.add_argument("--objective", help="roc_auc or average_precision")
    parser.add_argument("--output", type=Path, help="folder of the model")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier model there"
    )
    parser.add_argument("--seed", type=_arguments.seed, help="seed of everything")
    _device_argument(parser)
    parser.add_argument(
        "--n-jobs", type=_arguments.workers, help="workers over categories, -1: all"
    )


def _label_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--labels", type=Path, help="label file")
    parser.add_argument(
        "--format", help="its format: csv (default), chexpert, coco, lvis, ..."
    )
    parser.add_argument(
        "--images", type=Path, help="folder that the paths in it start from"
    )
    parser.add_argument(
        "--where",
        type=_arguments.pair,
        action="append",
        metavar="COLUMN=VALUE",
        help="keep the rows with this value; may be repeated",
    )
    parser.add_argument("--group", help="column of what belongs together: patients")


def _network_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network",
        help=(
            "torchvision:NAME, timm:NAME, package.module:CALLABLE, a file that torch "
            "or Keras exported, or a saved model"
        ),
    )
    parser.add_argument(
        "--weights", help="DEFAULT, other weights the library knows, or a state dict"
    )
    parser.add_argument("--head", help="classification layer, the last one by default")
    parser.add_argument(
        "--size", type=_arguments.count, help="images become SIZE x SIZE pixels"
    )


def _device_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="torch device: auto, cpu, cuda, ...")


def _run_fit(arguments: argparse.Namespace, *, train: bool) -> int:
    from cftlearn.cli._fit import run_fit
    from cftlearn.cli._settings import read_settings

    overruling = _overruling(arguments) | {
        "data.validation": arguments.validation,
        "output": arguments.output,
        "seed": arguments.seed,
        "n_jobs": arguments.n_jobs,
        "train.max_epochs": arguments.max_epochs,
        "refit.solver": arguments.solver,
        "refit.objective": arguments.objective,
    }
    settings = read_settings(arguments.config, overruling)
    folder = run_fit(settings, train=train, overwrite=arguments.overwrite)
    example = settings.data.features or "IMAGE"
    print(f"model {folder}; try: cftlearn predict {folder} {example}")
    return 0


def _overruling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Name what the shared arguments overrule."""
    given = vars(arguments)
    where = given.get("where")
    return {
        "data.labels": given.get("labels"),
        "data.format": given.get("format"),
        "data.images": given.get("images"),
        "data.features": given.get("features"),
        "data.where": dict(where) if where else None,
        "data.group": given.get("group"),
        "network.name": given.get("network"),
        "network.weights": given.get("weights"),
        "network.head": given.get("head"),
        "image.size": given.get("size"),
        "device": given.get("device"),
    }


def _add_extract(commands: Any) -> None:
    parser = _parser(
        commands,
        "extract",
        "compute the features of images, once",
        "Run images through a network and write what its classification layer sees "
        "to OUTPUT/features.npy, one row per image; the images' paths to "
        "OUTPUT/paths.csv; and the layer's rows to OUTPUT/rows.npz. Called again "
        "after an interruption, it goes on where it was.",
        _EXTRACT_EPILOG,
    )
    parser.add_argument("paths", nargs="+", type=Path, help="images, or folders")
    _network_arguments(parser)
    parser.add_argument("--layer", help="give this layer's output instead")
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    _batch_arguments(parser)
    parser.set_defaults(run=_run_extract)


def _model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network",
        help=(
            "as for `fit`: the network of a model that cannot make its own, since it "
            "is code or a file of yours"
        ),
    )
    _batch_arguments(parser)


def _batch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch-size", type=_arguments.count, help="images at a time")
    _device_argument(parser)


def _run_extract(arguments: argparse.Namespace) -> int:
    from cftlearn.cli._extract import run_extract
    from cftlearn.cli._settings import read_settings

    run_extract(
        read_settings(None, _overruling(arguments)),
        arguments.paths,
        layer=arguments.layer,
        output=arguments.output,
        batch_size=arguments.batch_size,
    )
    return 0


def _add_predict(commands: Any) -> None:
    parser = _parser(
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
    parser.add_argument("--output", type=Path, help="a file, instead of printing")
    parser.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="name unreadable images and go on; the exit code is then 3",
    )
    _model_arguments(parser)
    parser.set_defaults(run=_run_predict)


def _run_predict(arguments: argparse.Namespace) -> int:
    from cftlearn.cli._predict import run_predict
    from cftlearn.cli._settings import NetworkSettings

    n_skipped = run_predict(
        arguments.model,
        arguments.images,
        network=NetworkSettings(name=arguments.network),
        form=arguments.format,
        output=arguments.output,
        batch_size=arguments.batch_size,
        device=arguments.device,
        skip_unreadable=arguments.skip_unreadable,
    )
    return 3 if n_skipped else 0


def _add_evaluate(commands: Any) -> None:
    parser = _parser(
        commands,
        "evaluate",
        "score a model on labelled images, with intervals",
        "Print AUC and AP of every category and their means on known labels, with "
        "95 % bootstrap intervals and the number of cases.",
        _EVALUATE_EPILOG,
    )
    parser.add_argument("model", nargs="?", type=Path, help="folder of a saved model")
    parser.add_argument(
        "--scores", type=Path, help="a CSV that `predict` wrote, instead of a model"
    )
    parser.add_argument(
        "--features", type=Path, help="a folder that `extract` wrote, for images"
    )
    _label_arguments(parser)
    parser.add_argument(
        "--merge-views",
        choices=("max", "mean"),
        help="merge the scores of a --group before scoring, as of a study's views",
    )
    parser.add_argument(
        "--resamples", type=_arguments.count, default=2000, help="for the intervals"
    )
    parser.add_argument("--seed", type=_arguments.seed, default=0, help="of these")
    parser.add_argument("--output", type=Path, help="also write the table as CSV")
    _model_arguments(parser)
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(arguments: argparse.Namespace) -> int:
    from cftlearn.cli._evaluate import run_evaluate
    from cftlearn.cli._settings import read_settings

    run_evaluate(
        read_settings(None, _overruling(arguments)),
        model=arguments.model,
        scores=arguments.scores,
        merge=arguments.merge_views,
        n_resamples=arguments.resamples,
        seed=arguments.seed,
        batch_size=arguments.batch_size,
        output=arguments.output,
    )
    return 0


def _add_info(commands: Any) -> None:
    parser = _parser(
        commands,
        "info",
        "tell what a saved model is",
        "Print a saved model's parameters, categories and what CFT did for each.",
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


def _parser(
    commands: Any, name: str, summary: str, description: str, epilog: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=_HelpFormatter,
    )
    return parser


ALL = (
    _add_fit,
    _add_refit,
    _add_extract,
    _add_predict,
    _add_evaluate,
    _add_info,
    _add_demo,
)
