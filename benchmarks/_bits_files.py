"""Cases of same_bits.py: labels, loaders, networks from files, and saved models."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _bits import CASES, Results, case, of_files, of_model, split
from _bits_classifier import fit as fit_classifier
from _bits_networks import fit as fit_network
from _bits_networks import image_labels, make_image_network, write_images
from _bits_problems import features, frames, make_network, panels
from _bits_tuner import fit as fit_tuner
from _bits_tuner import initial

from cftlearn import (
    CategoryWiseFineTuner,
    CFTEnsemble,
    datasets,
    labels,
    load_model,
    networks,
    save_model,
)
from cftlearn.calibration import CategoryCalibrator
from cftlearn.datasets import LabelTable
from cftlearn.images import ImageTransform
from cftlearn.solvers import GeneticSolver, ProximalSolver
from cftlearn.training import NetworkTrainer

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
_WIDE = "image,patient,Edema,Mass\na.png,p1,1,\nb.png,p1,-1,0\nc.png,p2,0,1\n"
_LONG = "image,label,value\na.png,Edema,1\nb.png,Mass,0\na.png,Mass,-1\n"


# --- labels ---------------------------------------------------------------------------


@case("labels")
def encodings(_: Path) -> Results:
    _, y = features(90, 4, 4, known=0.5)
    full = np.nan_to_num(y)
    found: Results = {
        "table": labels.check_partial_labels(y),
        "frame": labels.check_partial_labels(frames()[1]),
        "integers": labels.check_partial_labels(
            np.where(np.isnan(y), -1, y).astype(int)
        ),
        "named": labels.check_partial_labels(y, categories=list("abcd")),
        "known": labels.known_mask(y),
        "summary": labels.label_summary(frames()[1]),
        "binary": labels.encode_binary_labels(np.where(full[:, 0] > 0, "b", "a")),
    }
    for scheme, known in (
        ("uniform", 0.3),
        ("report_like", 0.2),
        ("report_like", 0.7),
        ("fixed_per_category", 5),
        ("single_positive", None),
    ):
        found[f"{scheme}.{known}"] = labels.hide_labels(
            full, known=known, scheme=scheme, random_state=3
        )
    states = pd.DataFrame(
        {"Edema": [1.0, 0.0, -1.0, np.nan], "Mass": [-1.0, np.nan, 1.0, 0.0]}
    )
    for uncertain in ("unknown", "positive", "negative"):
        for blank in ("unknown", "negative"):
            found[f"{uncertain}.{blank}"] = labels.resolve_labels(
                states, uncertain=uncertain, blank=blank
            )
    found["per_category"] = labels.resolve_labels(
        states, uncertain={"Mass": "positive"}
    )
    return found


# --- loaders --------------------------------------------------------------------------

LOADERS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "chexpert": [
        ("load_chexpert", "chexpert/train.csv", {}),
        ("load_chexpert", "chexpert", {"split": "valid", "view": "frontal"}),
        ("load_chexpert", "chexpert", {"split": "test"}),
        ("load_chexpert", "chexpert/train.csv", {"categories": "competition"}),
    ],
    "coco": [("load_coco", "coco/instances_val2014.json", {})],
    "lvis": [("load_lvis", "lvis/lvis_v1_val.json", {})],
    "nus_wide": [
        ("load_nus_wide", "nus_wide", {"split": split_name})
        for split_name in ("train", "test", "all")
    ],
    "open_images": [
        ("load_open_images", "open_images/annotations-human.csv", {}),
        (
            "load_open_images",
            "open_images/annotations-human.csv",
            {
                "classes": DATA / "open_images" / "classes-trainable.txt",
                "descriptions": DATA / "open_images" / "class-descriptions.csv",
            },
        ),
    ],
    "vaw": [("load_vaw", "vaw", {"split": "train"})],
    "vg200": [
        ("load_vg200", "vg200", {"split": split_name})
        for split_name in ("train", "test")
    ],
    "voc": [
        ("load_voc", "VOCdevkit", {}),
        ("load_voc", "VOCdevkit", {"split": "train", "year": 2007}),
        ("load_voc", "VOCdevkit", {"source": "annotations"}),
    ],
}


def of_table(table: LabelTable) -> Results:
    """List what a label table holds."""
    found: Results = {
        "paths": list(table.paths),
        "categories": list(table.categories),
        "states": table.states,
        "info": {name: np.asarray(values) for name, values in table.info.items()},
        "summary": table.summary(),
        "labels": table.labels(),
        "positive": table.labels(uncertain="positive", blank="negative"),
    }
    if len(table) > 1:
        found["taken"] = table.take([1, 0]).states
        both = LabelTable.concatenate([table.take([0]), table.take([1])])
        found["twice"] = [both.paths, both.states, dict(both.info)]
    return found


def _loaded(calls: list[tuple[str, str, dict[str, Any]]], _: Path) -> Results:
    results: Results = {}
    for number, (name, path, options) in enumerate(calls):
        found = of_table(getattr(datasets, name)(DATA / path, **options))
        results |= {f"{number}.{key}": value for key, value in found.items()}
    return results


for _name, _calls in LOADERS.items():
    CASES[f"loader.{_name}"] = partial(_loaded, _calls)


@case("loader.csv")
def label_csv(folder: Path) -> Results:
    contents = {
        "wide": (_WIDE, {"categories": ["Edema", "Mass"]}),
        "guessed": (_WIDE.replace(",", ";"), {}),
        "values": (
            _WIDE,
            {"categories": ["Mass"], "values": {1: "negative", 0: "positive"}},
        ),
        "long": (_LONG, {"label_column": "label", "value_column": "value"}),
    }
    results: Results = {}
    for name, (text, options) in contents.items():
        file = folder / f"{name}.csv"
        file.write_text(text, encoding="utf-8-sig")
        found = of_table(datasets.load_label_csv(file, **options))
        results |= {f"{name}.{key}": value for key, value in found.items()}
    return results


@case("made_data")
def made_data(_: Path) -> Results:
    panels = {
        subset: list(
            datasets.load_digit_panels(subset, n_samples=9, random_state=1).values()
        )
        for subset in ("train", "validation", "test")
    }
    return {
        **panels,
        "features": datasets.make_partial_multilabel(80, known=0.2, random_state=5),
    }


# --- networks -------------------------------------------------------------------------


@case("networks")
def from_files(folder: Path) -> Results:
    """Networks that torch wrote with their code, and what is made by name."""
    network = torch.nn.Sequential(make_image_network(), torch.nn.Sigmoid()).eval()
    rows = torch.from_numpy(
        np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype(np.float32)
    )
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(
        torch.export.export(network, (rows,), dynamic_shapes=shapes), folder / "n.pt2"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about TorchScript
        torch.jit.script(network).save(folder / "n.pt")
        read = {
            name: networks.load_network(folder / name) for name in ("n.pt2", "n.pt")
        }
        found: Results = {name: own(rows) for name, own in read.items()}
        for name, own in read.items():
            X, y = rows.numpy().repeat(10, axis=0), image_labels(40)
            X = X + np.arange(40, dtype=np.float32)[:, None, None, None] / 40
            model = fit_classifier(X, y, module=own, train=False)
            found[f"{name}.fitted"] = model.decision_function(X)
    torch.save(make_image_network(5).state_dict(), folder / "weights.pt")
    made = networks.Architecture(
        "_bits_networks:make_image_network",
        n_outputs=3,
        weights=str(folder / "weights.pt"),
    )
    found["architecture"] = {
        key: value for key, value in made().state_dict().items() if "4." not in key
    }
    described = made.describe()
    return found | split("described", described)


# --- saved models ---------------------------------------------------------------------


def saved(model: Any, X: Any, folder: Path, **options: Any) -> Results:
    """Save a model, load it, and list its files and what it predicts then."""
    path = save_model(model, folder / "model")
    loaded = load_model(path, **options)
    results = of_model(loaded, X)
    return of_files(path) | {f"loaded.{key}": value for key, value in results.items()}


@case("saved.features")
def saved_features(folder: Path) -> Results:
    X, y = frames()
    calibration = CategoryCalibrator("isotonic", min_isotonic=5, prevalence=0.2)
    model = fit_classifier(X, y, calibration=calibration, threshold=[0.3, 0.5, 0.7])
    return saved(model, X, folder)


@case("saved.network")
def saved_network(folder: Path) -> Results:
    X, y = panels()
    tuner = CategoryWiseFineTuner(["bce", GeneticSolver(n_generations=5)])
    model = fit_network(
        X,
        y,
        fine_tuner=tuner,
        calibration="sigmoid",
        trainer=NetworkTrainer(ema_decay=0.9, pos_weight=[2.0] * 10),
    )
    return saved(model, X, folder, module=make_network)


@case("saved.images")
def saved_images(folder: Path) -> Results:
    paths = write_images(folder / "images")
    model = fit_network(
        paths,
        image_labels(),
        module=networks.Architecture("_bits_networks:make_image_network", n_outputs=3),
        input_transform=ImageTransform(8, crop=0.9),
        batch_size=8,
    )
    return saved(model, paths, folder, module=make_image_network)


@case("saved.tuner")
def saved_tuner(folder: Path) -> Results:
    Z, y = features()
    solver = ProximalSolver(spreads=np.array([0.5, 2.0]), toward=("zero",))
    return saved(fit_tuner(Z, y, solver, **initial()), Z, folder)


@case("saved.per_category")
def saved_per_category(folder: Path) -> Results:
    Z, y = features()
    own = np.stack([np.roll(Z, j, axis=1) for j in range(5)], axis=1)
    return saved(fit_tuner(own, y), own, folder)


@case("saved.binary")
def saved_binary(folder: Path) -> Results:
    X, y = features(120, 6, 1, known=1.0)
    model = fit_classifier(X, np.where(y[:, 0] == 1.0, "yes", "no"))
    return saved(model, X, folder)


@case("saved.ensemble")
def saved_ensemble(folder: Path) -> Results:
    X, y = features()
    tuner = CategoryWiseFineTuner(ProximalSolver(spreads=(1.0,)))
    members = [
        ("auto", fit_classifier(X, y)),
        ("p", fit_classifier(X, y, fine_tuner=tuner)),
    ]
    model = CFTEnsemble(
        members, prefit=True, weights="greedy", combine="rank_mean", random_state=0
    )
    return saved(model.fit(X, y), X, folder)


@case("saved.format_1")
def format_1(_: Path) -> Results:
    rows = np.arange(60)[:, np.newaxis]
    X = pd.DataFrame(
        np.sin(rows * [1.0, 2.3, 3.1, 4.7]), columns=["sin1", "sin2", "sin3", "sin5"]
    )
    layers = torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)
    network = torch.nn.Sequential(*layers)
    return of_model(load_model(DATA / "model_format_1", module=network), X)
