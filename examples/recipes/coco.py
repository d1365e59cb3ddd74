"""MS-COCO with 10 to 90 % known labels: the published experiment, and an honest one.

The published setting (ResNet-101 at 448 x 448, ASL, CFT-GA on AP and CFT-BP-ASL)::

    python coco.py --labels annotations/instances_train2014.json \
        --test-labels annotations/instances_val2014.json --images . \
        --backbone torchvision:resnet101 --size 448 --train all

A small run on any CSV of image paths and 0/1 columns, with frozen features of
EfficientNet-Lite0 and a column that tells test rows apart::

    python coco.py --labels labels.csv --images images --test-where split=val
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from _recipe import Problem, Recipe, add_arguments, find_images

from cftlearn.datasets import LabelTable, load_coco, load_label_csv
from cftlearn.labels import hide_labels
from cftlearn.losses import PartialAsymmetricLoss
from cftlearn.training import NetworkTrainer


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--test-labels", type=Path)
    parser.add_argument("--test-where", default="split=val", metavar="COLUMN=VALUE")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument(
        "--known",
        type=float,
        nargs="+",
        default=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        help="shares of the training labels that stay known",
    )
    add_arguments(parser, size=224)
    arguments = parser.parse_args()

    table, is_test = read_tables(arguments)
    paths = find_images(arguments.images, table)
    y_full = table.labels()
    print(table)
    recipe = Recipe(
        arguments,
        objective="average_precision",
        loss=published_loss,
        trainer=published_trainer(arguments.num_workers),
        learning_rate=2e-4,
        reported=list(range(len(table.categories))),
    )
    for known in arguments.known:

        def problem_of(seed: int, known: float = known) -> Problem:
            hidden = hide_labels(y_full, known=known, random_state=seed)
            y = np.where(is_test[:, np.newaxis], y_full, hidden)
            return Problem(y, np.flatnonzero(~is_test), np.flatnonzero(is_test))

        print(f"\n=== {known:.0%} of the training labels known")
        recipe.run(paths, problem_of)


def read_tables(arguments: argparse.Namespace) -> tuple[LabelTable, np.ndarray]:
    """Read training and test rows as one table, and tell which are which."""
    if arguments.test_labels is None:
        table = load_label_csv(arguments.labels)
        column, _, value = arguments.test_where.partition("=")
        return table, np.asarray(table.info[column]).astype(str) == value
    parts = [load_coco(path) for path in (arguments.labels, arguments.test_labels)]
    is_test = np.repeat([False, True], [len(part) for part in parts])
    return LabelTable.concatenate(parts), is_test


def published_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Sum the asymmetric loss over a batch (gamma 0 and 4, clip 0.05)."""
    return PartialAsymmetricLoss(reduction="sum")(logits, targets)


def published_trainer(num_workers: int) -> NetworkTrainer:
    """Return the authors' setting for MS-COCO, but with a schedule that completes.

    Their script stepped the one-cycle schedule once in four batches, so only a
    quarter of it was run; ours steps with the optimiser.
    """
    from torchvision.transforms import v2

    return NetworkTrainer(
        optimizer="adam",
        weight_decay=1e-4,
        ema_decay=0.999,
        accumulation_steps=4,
        patience=10,
        augment=v2.RandAugment(interpolation=v2.InterpolationMode.BICUBIC),
        num_workers=num_workers,
    )


if __name__ == "__main__":
    main()
