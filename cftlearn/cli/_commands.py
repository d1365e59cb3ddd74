"""The table of commands, and the parser that is built from it."""

import argparse
import textwrap
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import cftlearn
from cftlearn.cli._arguments import StoreLast

# A command is one line here and one module `_<name>.py`, which holds DESCRIPTION,
# EXAMPLES, add_arguments(parser) and run(arguments), which returns the exit code.
COMMANDS = {
    "fit": "train a network, refit every category, save the model",
    "refit": "refit every category of a network that is already trained",
    "extract": "compute the features of images once, and store them",
    "predict": "print the probability of every category for images",
    "evaluate": "score a model on labelled images, with intervals",
    "info": "show what a saved model is",
    "demo": "try the method on images of which most labels are hidden",
}

_DESCRIPTION = (
    "Multi-label learning from partially known labels: train a network with labels of "
    "which most may be unknown, refit every category on its known labels, predict, and "
    "evaluate with intervals."
)
_EPILOG = """\
from labels to a prediction:
  cftlearn fit --labels labels.csv --images photos --network torchvision:resnet50 \\
      --weights DEFAULT --where split=train --output model
  cftlearn evaluate model --labels labels.csv --images photos --where split=test
  cftlearn predict model photo.jpg

`cftlearn COMMAND --help` explains one command, with examples.

exit codes:
  0    done
  1    failed; stderr says why, and what to do
  2    the arguments are wrong
  3    done, but unreadable images were left out (--skip-unreadable)
  130  interrupted (Ctrl-C)
"""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wrap paragraphs; leave examples, which have several lines, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return textwrap.fill(
            text, width, initial_indent=indent, subsequent_indent=indent
        )


def make_parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Build the parser for some arguments.

    Parameters
    ----------
    argv : sequence of str
        The arguments. Only the module of the command among them is imported.

    Returns
    -------
    parser : argparse.ArgumentParser
        Its result holds ``command``, the name, and ``run``, which runs it.

    Notes
    -----
    ``cftlearn --help`` needs no other package this way. Modules of commands import
    numpy and scikit-learn, whose tables name the choices that help lists. They import
    torch inside functions: it takes seconds, and wrong arguments and settings should
    be found before.
    """
    parser = argparse.ArgumentParser(
        prog="cftlearn",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    version = f"%(prog)s {cftlearn.__version__}"
    parser.add_argument("--version", action="version", version=version)
    parsers: Any = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    asked_for = next((word for word in argv if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        own = parsers.add_parser(name, help=summary, formatter_class=HelpFormatter)
        if name == asked_for:
            module = import_module(f"cftlearn.cli._{name}")
            own.register("action", None, StoreLast)
            own.description, own.epilog = module.DESCRIPTION, module.EXAMPLES
            module.add_arguments(own)
            own.set_defaults(run=module.run)
    return parser
