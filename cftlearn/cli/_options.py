"""What several commands are told alike, and what it overrules."""

import argparse
import textwrap
from pathlib import Path
from typing import Any

from cftlearn.cli import _arguments


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wrap paragraphs; leave examples, which have lines, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return textwrap.fill(
            text, width, initial_indent=indent, subsequent_indent=indent
        )


def add_parser(
    commands: Any, name: str, summary: str, description: str, epilog: str
) -> argparse.ArgumentParser:
    """Add a command, with examples as its epilog."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=HelpFormatter,
    )
    return parser


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add what says where labels and images are."""
    parser.add_argument("--labels", type=Path, metavar="FILE", help="label file")
    parser.add_argument(
        "--format",
        help=(
            "its format: csv (default), chexpert, coco, lvis, open_images, vaw, voc, "
            "nus_wide or vg200"
        ),
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="folder that the paths in it start from, the current one by default",
    )
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FOLDER",
        help="a folder that `extract` wrote, in place of images",
    )
    parser.add_argument(
        "--where",
        type=_arguments.pair,
        action="append",
        metavar="COLUMN=VALUE",
        help="keep the rows with this value; may be repeated",
    )
    parser.add_argument(
        "--group", metavar="COLUMN", help="column of what belongs together: patients"
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add what says which network."""
    parser.add_argument(
        "--network",
        help=(
            "torchvision:NAME, timm:NAME, package.module:CALLABLE, a file that torch "
            "or Keras exported, or a saved model"
        ),
    )
    parser.add_argument(
        "--weights",
        help=(
            "DEFAULT or other weights that the library knows and downloads, or a file "
            "of a state dict; random ones by default"
        ),
    )
    parser.add_argument(
        "--head", metavar="LAYER", help="classification layer, the last by default"
    )
    parser.add_argument(
        "--size",
        type=_arguments.count,
        help=(
            "images become SIZE x SIZE pixels; 224 by default, or as in the saved "
            "model that is the network"
        ),
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what says how images are read and computed."""
    parser.add_argument(
        "--batch-size",
        type=_arguments.count,
        metavar="N",
        help="images at a time; less needs less memory",
    )
    parser.add_argument(
        "--num-workers",
        type=_arguments.readers,
        metavar="N",
        help="processes that read images; 0, the default, reads between batches",
    )
    parser.add_argument("--device", help="torch device: auto (default), cpu, cuda, ...")
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="no progress and no notes; warnings and errors stay",
    )


def add_network_of_model(parser: argparse.ArgumentParser) -> None:
    """Add what names the code of a saved network, where the model cannot."""
    parser.add_argument(
        "--network",
        help=(
            "the network of a model that was made from code or a file of yours, named "
            "as for `fit`; a saved model runs no foreign code by itself"
        ),
    )


def overruling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Name the settings that the shared arguments overrule."""
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
