"""Chest X-rays: Negative mode, CFT-GA on AUC, a report of the five categories.

CheXpert as published (train.csv with uncertain and blank labels, valid.csv and
test_labels.csv of radiologists)::

    python chexpert.py --labels CheXpert-v1.0-small/train.csv \
        --test-labels CheXpert-v1.0-small/valid.csv --images . \
        --backbone torchvision:densenet121 --train all --max-epochs 5

A small run on a CSV of fully labelled images: labels of training patients are hidden
the way reports leave them out, mostly the negatives; patients are split by seed::

    python chexpert.py --labels labels.csv --images images --group patient_id
"""

import argparse
from pathlib import Path

import numpy as np
from _recipe import Problem, Recipe, add_arguments, find_images

from cftlearn.datasets import LabelTable, load_chexpert, load_label_csv
from cftlearn.labels import hide_labels
from cftlearn.model_selection import partial_train_test_split
from cftlearn.training import NetworkTrainer

FIVE = ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"]
SHORT = {"Effusion": "Pleural Effusion"}  # names in other sets
# What the field's entries to the competition made of uncertain labels.
UNCERTAIN = {"Atelectasis": "positive", "Edema": "positive"} | dict.fromkeys(
    ["Cardiomegaly", "Consolidation", "Pleural Effusion"], "negative"
)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--test-labels", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--group", default="patient_id", help="column of patients")
    parser.add_argument(
        "--known",
        type=float,
        default=0.25,
        help="share of labels that stay known where they are hidden",
    )
    add_arguments(parser, size=224)
    arguments = parser.parse_args()

    if arguments.test_labels is None:
        table, problem_of = hidden_like_reports(arguments)
    else:
        table, problem_of = as_published(arguments)
    names = [SHORT.get(name, name) for name in table.categories]
    print(table)
    recipe = Recipe(
        arguments,
        objective="roc_auc",
        loss="bce",
        trainer=NetworkTrainer(num_workers=arguments.num_workers),
        learning_rate=1e-4,
        reported=[names.index(name) for name in FIVE],
    )
    recipe.run(find_images(arguments.images, table), problem_of)


def as_published(arguments: argparse.Namespace):
    """Read CheXpert's files; the test rows are radiologists' labels."""
    train = load_chexpert(arguments.labels)
    test = load_chexpert(arguments.test_labels)
    table = LabelTable.concatenate([train, test])
    y = table.labels(uncertain=UNCERTAIN)
    rows = np.arange(len(table))

    def problem_of(seed: int) -> Problem:
        in_train, in_test = rows[: len(train)], rows[len(train) :]
        return Problem(y, in_train, in_test, table.info["patient"])

    return table, problem_of


def hidden_like_reports(arguments: argparse.Namespace):
    """Read a fully labelled CSV, split patients, hide labels of the training rows."""
    table = load_label_csv(arguments.labels)
    y_full, groups = table.labels(), table.info[arguments.group]
    rows = np.arange(len(table))

    def problem_of(seed: int) -> Problem:
        train, test, y_train, _ = partial_train_test_split(
            rows, y_full, test_size=0.4, groups=groups, random_state=seed
        )
        y = y_full.copy()
        y[train] = hide_labels(
            y_train, known=arguments.known, scheme="report_like", random_state=seed
        )
        return Problem(y, train, test, np.asarray(groups))

    return table, problem_of


if __name__ == "__main__":
    main()
