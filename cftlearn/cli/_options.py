"""Options that several commands share.

An option whose ``dest`` has a dot, ``"data.labels"`` say, sets that setting of a
configuration.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cftlearn.cli import _arguments
from cftlearn.cli._choices import FORMATS
from cftlearn.cli._settings import SettingsError


@dataclass(frozen=True)
class ReadingOptions:
    """How images are read, and where the network computes.

    Attributes
    ----------
    batch_size : int or None
        Images at a time. None takes the number of the training.
    num_workers : int
        Processes that read images.
    device : str
        Torch device.
    quiet : bool
        Show no progress.
    """

    batch_size: int | None = None
    num_workers: int = 0
    device: str = "auto"
    quiet: bool = False


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where labels and images are."""
    parser.add_argument(
        "--labels", dest="data.labels", type=Path, metavar="FILE", help="label file"
    )
    parser.add_argument(
        "--format",
        dest="data.format",
        metavar="FORMAT",
        help=f"format of the label file, csv by default: {', '.join(FORMATS)}",
    )
    parser.add_argument(
        "--images",
        dest="data.images",
        type=Path,
        metavar="FOLDER",
        help="folder where the image paths start; by default the current folder",
    )
    parser.add_argument(
        "--features",
        dest="data.features",
        type=Path,
        metavar="FOLDER",
        help="folder that `extract` wrote, instead of images",
    )
    parser.add_argument(
        "--where",
        dest="data.where",
        type=_arguments.column_and_value,
        action="append",
        metavar="COLUMN=VALUE",
        help="use only the rows with this value; may be repeated",
    )
    parser.add_argument(
        "--group",
        dest="data.group",
        metavar="COLUMN",
        help="column that names what belongs together, such as the patient",
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which network."""
    parser.add_argument(
        "--network",
        dest="network.name",
        metavar="NETWORK",
        help=(
            "torchvision:NAME, timm:NAME, package.module:CALLABLE, a file that torch "
            "or Keras exported, or a saved model"
        ),
    )
    parser.add_argument(
        "--weights",
        dest="network.weights",
        metavar="WEIGHTS",
        help=(
            "DEFAULT, other weights that the library can download, the file of a state "
            "dict, or a saved model; random weights by default"
        ),
    )
    parser.add_argument(
        "--head",
        dest="network.head",
        metavar="LAYER",
        help="classification layer; by default the last one",
    )
    parser.add_argument(
        "--size",
        dest="image.size",
        metavar="SIZE",
        type=_arguments.count,
        help=(
            "images become SIZE x SIZE pixels; by default 224, or the size of the "
            "saved model that --network names"
        ),
    )


def add_network_of_model(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the code of a saved network."""
    parser.add_argument(
        "--network",
        dest="network.name",
        metavar="NETWORK",
        help=(
            "needed for a model whose network came from your own code or file: name "
            "it as you did for `fit`. A saved model runs no such code by itself"
        ),
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how images are read, and where the network computes."""
    parser.add_argument(
        "--batch-size",
        type=_arguments.count,
        metavar="N",
        help="images at a time; a smaller number needs less memory",
    )
    parser.add_argument(
        "--num-workers",
        type=_arguments.workers_or_zero,
        metavar="N",
        help="processes that read images; 0, the default, reads between batches",
    )
    parser.add_argument(
        "--device",
        dest="device",
        help="torch device: auto (default), cpu, cuda, ...",
    )
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="print no progress and no notes, only warnings and errors",
    )


def add_skipping(parser: argparse.ArgumentParser) -> None:
    """Add the option that goes on without unreadable images."""
    parser.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="name unreadable images and go on; the exit code is then 3",
    )


def reading_options(arguments: argparse.Namespace) -> ReadingOptions:
    """Return what the options of :func:`add_reading` say."""
    return ReadingOptions(
        batch_size=arguments.batch_size,
        num_workers=arguments.num_workers or 0,
        device=arguments.device or "auto",
        quiet=arguments.quiet,
    )


def options_of_images(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that only images need, and what was given; None if not."""
    return {
        "--network": getattr(arguments, "network.name"),
        "--batch-size": arguments.batch_size,
        "--num-workers": arguments.num_workers,
        "--device": arguments.device,
    }


def settings_given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that options set, by dotted name; None if not given."""
    given = {name: value for name, value in vars(arguments).items() if "." in name}
    if given.get("data.where"):
        given["data.where"] = _one_value_each(given["data.where"])
    return given | {"device": arguments.device}


def _one_value_each(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the value of every column; no row has two in one column."""
    where: dict[str, str] = {}
    for column, value in pairs:
        if where.setdefault(column, value) != value:
            raise SettingsError(
                f"`--where` must name a column once; got {column}={where[column]} and "
                f"{column}={value}, which no row has both. Add a column that marks all "
                "rows to use."
            )
    return where
