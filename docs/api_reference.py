"""The reference in one table; its pages are written from it, and a test compares it.

Every public module has an entry: what it is for, and its names by section. A new name
goes here and into its module's ``__all__``; tests/test_docs.py fails until both agree.
"""

from pathlib import Path
from typing import NamedTuple


class Section(NamedTuple):
    """Names that belong together."""

    title: str
    names: tuple[str, ...]


class Module(NamedTuple):
    """A public module: one page of the reference."""

    about: str
    sections: tuple[Section, ...]


API = {
    "cftlearn": Module(
        "Estimators, and how to keep them.",
        (
            Section(
                "Estimators",
                (
                    "CFTClassifier",
                    "CategoryWiseFineTuner",
                    "TorchFeatureExtractor",
                    "CFTEnsemble",
                ),
            ),
            Section("Saving", ("save_model", "load_model")),
        ),
    ),
    "cftlearn.labels": Module(
        "What a label is: known, unknown, uncertain, blank.",
        (
            Section(
                "Reading",
                (
                    "check_partial_labels",
                    "known_mask",
                    "label_summary",
                    "PartialLabels",
                    "encode_binary_labels",
                ),
            ),
            Section("Four states", ("LabelState", "resolve_labels")),
            Section("Hiding", ("hide_labels",)),
        ),
    ),
    "cftlearn.datasets": Module(
        "Label tables, and data made on the spot.",
        (
            Section("Tables", ("LabelTable",)),
            Section(
                "Label files",
                (
                    "load_chexpert",
                    "load_coco",
                    "load_label_csv",
                    "load_lvis",
                    "load_nus_wide",
                    "load_open_images",
                    "load_vaw",
                    "load_vg200",
                    "load_voc",
                ),
            ),
            Section("Made data", ("load_digit_panels", "make_partial_multilabel")),
        ),
    ),
    "cftlearn.solvers": Module(
        "Ways to refit one category.",
        (Section("Solvers", ("ProximalSolver", "GeneticSolver", "GradientSolver")),),
    ),
    "cftlearn.metrics": Module(
        "Scores over known labels only.",
        (
            Section(
                "Metrics",
                (
                    "partial_roc_auc_score",
                    "partial_average_precision_score",
                    "partial_f1_score",
                    "partial_log_loss",
                ),
            ),
            Section(
                "How sure they are",
                ("bootstrap_intervals", "compare_scores"),
            ),
            Section(
                "Scorers",
                (
                    "partial_roc_auc_scorer",
                    "partial_average_precision_scorer",
                    "partial_f1_scorer",
                    "neg_partial_log_loss_scorer",
                ),
            ),
        ),
    ),
    "cftlearn.training": Module(
        "How a network is trained in stage one.",
        (Section("Parameters", ("NetworkTrainer",)),),
    ),
    "cftlearn.images": Module(
        "From image files to a network's input.",
        (Section("Images", ("ImageTransform", "read_image")),),
    ),
    "cftlearn.networks": Module(
        "Networks made or trained elsewhere: by name, from files, and into ONNX.",
        (
            Section("In", ("Architecture", "load_network", "load_keras")),
            Section("Out", ("export_onnx",)),
        ),
    ),
    "cftlearn.ensemble": Module(
        "Several models, or several looks at a sample, for one decision.",
        (
            Section("Models", ("CFTEnsemble", "augmented_scores")),
            Section("Scores", ("combine_scores", "select_members", "merge_views")),
        ),
    ),
    "cftlearn.losses": Module(
        "Losses for torch, of known labels and of unknown ones.",
        (
            Section("Both", ("PartialLoss",)),
            Section(
                "Known labels",
                (
                    "PartialBCEWithLogitsLoss",
                    "PartialFocalLoss",
                    "PartialAsymmetricLoss",
                    "PartialStrictlyProperLoss",
                ),
            ),
            Section(
                "Unknown labels",
                (
                    "SelectionLoss",
                    "WeakNegativeLoss",
                    "SmoothedNegativeLoss",
                    "HillLoss",
                    "SelfPacedCorrectionLoss",
                    "SelectiveLoss",
                    "LargeLoss",
                    "ExpectedPositiveLoss",
                    "OnlineEstimationLoss",
                    "EntropyMaximizationLoss",
                    "EntropyPseudoLabelLoss",
                    "GeneralizedRobustLoss",
                    "UnknownLoss",
                ),
            ),
            Section(
                "Positive and unlabelled",
                ("NonNegativePULoss", "VariationalPULoss", "BiasedNegativesLoss"),
            ),
            Section("By name", ("available", "make_loss")),
        ),
    ),
    "cftlearn.model_selection": Module(
        "Splits and out-of-fold predictions with unknown labels.",
        (
            Section("Splits", ("PartialLabelKFold", "partial_train_test_split")),
            Section("Predictions", ("cross_val_predict",)),
        ),
    ),
    "cftlearn.calibration": Module(
        "Probabilities and thresholds of every category, set by known labels.",
        (
            Section("Probabilities", ("CategoryCalibrator", "held_out_predictions")),
            Section("Thresholds", ("tune_thresholds",)),
        ),
    ),
    "cftlearn.displays": Module(
        "Figures, in scikit-learn's manner.",
        (
            Section("Labels", ("LabelCoverageDisplay", "LabelStateDisplay")),
            Section("Refits", ("CategoryScoreDisplay", "FitnessCurveDisplay")),
            Section("Decisions", ("ReliabilityDisplay", "ThresholdDisplay")),
        ),
    ),
    "cftlearn.base": Module(
        "What a solver of one's own is made of.",
        (
            Section("Protocol of solvers", ("CategorySolver",)),
            Section(
                "What it gets and gives",
                ("CategoryProblem", "KnownRows", "UnknownRows", "RowFit", "Checkpoint"),
            ),
            Section("For estimators", ("PartialLabelMixin",)),
        ),
    ),
    "cftlearn.exceptions": Module(
        "Errors and warnings, each catchable by its name.",
        (
            Section(
                "Errors", ("ImageFileError", "ModelFormatError", "NonFiniteLossError")
            ),
            Section(
                "Warnings",
                (
                    "PartialWeightsWarning",
                    "SeenLabelsWarning",
                    "SkippedRowsWarning",
                    "UndefinedCategoryWarning",
                    "ValidationScaleWarning",
                    "WorkerLostWarning",
                ),
            ),
        ),
    ),
}


def names_of(module: str) -> set[str]:
    """Return the names that the reference has of a module."""
    return {name for section in API[module].sections for name in section.names}


def write_reference(folder: Path) -> None:
    """Write the pages of the reference, one per module, and their index."""
    folder.mkdir(exist_ok=True)
    for module, entry in API.items():
        write_if_new(folder / f"{module}.rst", _page(module, entry))
    write_if_new(folder / "index.rst", _index())


def write_if_new(path: Path, text: str) -> None:
    """Write a file unless it says so already, so that a rebuild reads only news."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _index() -> str:
    lines = [*_title("API reference", "="), ".. list-table::", "   :widths: 30 70", ""]
    for module, entry in API.items():
        lines += [f"   * - :doc:`{module} <{module}>`", f"     - {entry.about}"]
    lines += ["", ".. toctree::", "   :hidden:", ""]
    return "\n".join([*lines, *(f"   {module}" for module in API), ""])


def _page(module: str, entry: Module) -> str:
    lines = [*_title(module, "="), f".. module:: {module}", "", entry.about, ""]
    for title, names in entry.sections:
        if len(entry.sections) > 1:
            lines += _title(title, "-")
        own = [name for name in names if not _is_at_the_top(module, name)]
        others = [name for name in names if _is_at_the_top(module, name)]
        if others:  # they have their page there
            lines += [".. currentmodule:: cftlearn", "", ".. autosummary::", ""]
            lines += [*(f"   {name}" for name in others), ""]
            lines += [f".. currentmodule:: {module}", ""]
        lines += [".. autosummary::", "   :toctree: generated/", ""]
        lines += [*(f"   {name}" for name in own), ""]
    return "\n".join(lines)


def _is_at_the_top(module: str, name: str) -> bool:
    """Return whether the package itself exports a name of one of its modules."""
    top = (each for section in API["cftlearn"].sections for each in section.names)
    return module != "cftlearn" and name in top


def _title(text: str, underline: str) -> list[str]:
    return [text, underline * len(text), ""]
