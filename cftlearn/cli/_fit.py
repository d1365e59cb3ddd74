"""``cftlearn fit``: from a label file and images to a saved model."""

import argparse
from pathlib import Path

from cftlearn.cli import _arguments
from cftlearn.cli._choices import OBJECTIVES, solvers, treatments
from cftlearn.cli._options import add_labels, add_network, add_reading

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
  uncertain = {Edema = "positive", Atelectasis = "soft_positive"}  # others: unknown
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
        f"{', '.join(treatments())}; auto, the default, learns "
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
        "--categories",
        dest="data.categories",
        type=_arguments.names,
        metavar="NAME,...",
        help="categories to learn, with commas between them; by default all that the "
        "label file has",
    )
    parser.add_argument(
        "--validation",
        dest="data.validation",
        type=Path,
        metavar="FILE",
        help="label file that is only used to choose the refits",
    )
    add_network(parser)
    for name, help_text, choices in (
        ("solver", "how to refit", solvers()),
        ("objective", "score that refits should raise", OBJECTIVES),
    ):
        words = ", ".join(choices)
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
    from cftlearn.cli._fitting import run_fitting

    return run_fitting(arguments, train=True)
