"""What a classifier checks before stage one costs hours."""

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike
from sklearn.base import clone

from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.fine_tuning._fine_tuner import check_before_stage_one
from cftlearn.labels import PartialLabels
from cftlearn.labels._label_split import LabelSplit
from cftlearn.labels._pseudo_labels import (
    PseudoTargets,
    read_pseudo_labels,
    refuse_known,
)
from cftlearn.losses._registry import TREATMENTS

if TYPE_CHECKING:
    from cftlearn.classifier._classifier import CFTClassifier


def prepare_fine_tuner(
    classifier: "CFTClassifier", seed: int, *, has_validation_data: bool
) -> CategoryWiseFineTuner:
    """Copy the fine-tuner of a classifier, and set what it does not set itself.

    Parameters
    ----------
    classifier : CFTClassifier
        Before its fit.
    seed : int
        Seed of a fine-tuner without ``random_state``.
    has_validation_data : bool
        Whether the fit gets any.

    Returns
    -------
    tuner : CategoryWiseFineTuner
        Not fitted.

    Raises
    ------
    ValueError
        If a parameter of the fine-tuner is out of its range, those of the two stages
        contradict each other, or ``checkpoint`` is set without a seed.
    """
    tuner = clone(classifier.fine_tuner or CategoryWiseFineTuner())
    gets_seed = classifier.random_state is not None and tuner.random_state is None
    check_before_stage_one(tuner, has_seed=gets_seed)
    _check_stages(classifier, tuner)
    if tuner.cross_fit is not None:
        _check_cross_fit(classifier, tuner, has_validation_data)
    n_jobs, random_state = tuner.n_jobs, tuner.random_state
    asks_for_cpu = classifier.device == "cpu"
    return tuner.set_params(
        random_state=seed if random_state is None else random_state,
        n_jobs=classifier.n_jobs if n_jobs is None else n_jobs,
        # The CPU is asked for in both stages; "auto" would take a GPU for one.
        device="cpu" if asks_for_cpu and tuner.device == "auto" else tuner.device,
        verbose=max(tuner.verbose, classifier.verbose),
    )


def read_pseudo(
    classifier: "CFTClassifier",
    given: tuple[ArrayLike | None, ArrayLike | None],
    y: ArrayLike,
    labels: PartialLabels,
) -> PseudoTargets | None:
    """Read pseudo-labels, which only a training of a network can use.

    Parameters
    ----------
    classifier : CFTClassifier
        Before its fit.
    given : tuple of array-like or None
        Pseudo-labels and their weight.
    y, labels
        The labels as they were passed, and as they were read.

    Returns
    -------
    pseudo : PseudoTargets or None
        None if there are none.

    Raises
    ------
    TypeError, ValueError
        If they are not accepted, or no network is trained.
    """
    has_module = classifier.module is not None
    if given[0] is not None and not (has_module and classifier.train):
        got = f"train={classifier.train}" if has_module else "module=None"
        raise ValueError(
            "`pseudo_labels` needs a `module` and train=True, since pseudo-labels "
            f"train a network and nothing else; got {got}. Pass pseudo_labels=None, or "
            "a network to train."
        )
    return read_pseudo_labels(*given, y, labels)


def check_apart(pseudo: PseudoTargets | None, split: LabelSplit) -> None:
    """Check that no pseudo-label is on a cell whose label the user has held out.

    Parameters
    ----------
    pseudo : PseudoTargets or None
        Of the rows to fit.
    split : LabelSplit
        The labels.

    Raises
    ------
    ValueError
        If there is one.
    """
    if pseudo is not None and split.same_rows:
        refuse_known(pseudo.values, split.held_out, "y_val")


def _check_stages(classifier: "CFTClassifier", tuner: CategoryWiseFineTuner) -> None:
    has_module = classifier.module is not None
    unknown = classifier.unknown
    is_plain = isinstance(unknown, str) and TREATMENTS[unknown] is None
    needs_module = unknown != "auto" and not is_plain
    if needs_module and not has_module:
        raise ValueError(
            "`unknown` must be 'auto', 'ignore' or 'negative' for plain features; got "
            f"unknown={unknown!r} without a `module`. Pass a `module`, or another "
            "treatment."
        )
    if classifier.layers is not None and not has_module:
        raise ValueError(
            "`layers` needs a `module`, of which they are layers; got "
            f"layers={classifier.layers!r} without one. Pass layers=None."
        )
    if classifier.rounds > 1 and not (has_module and classifier.train):
        raise ValueError(
            "`rounds` above 1 needs a `module` and train=True, since every round "
            f"trains a network; got rounds={classifier.rounds}. Pass rounds=1."
        )
    has_initial = tuner.coef_init is not None
    if has_initial and has_module:
        raise ValueError(
            "The initial weights come from the network; `fine_tuner` must not set "
            "`coef_init` where there is a `module`."
        )
    if not (has_module or classifier.train or has_initial):
        raise ValueError(
            "`train=False` without a `module` needs initial weights. Pass "
            "fine_tuner=CategoryWiseFineTuner(coef_init=..., intercept_init=...)."
        )


def _check_cross_fit(
    classifier: "CFTClassifier",
    tuner: CategoryWiseFineTuner,
    has_validation_data: bool,
) -> None:
    has_module = classifier.module is not None
    is_auto = tuner.solver == "auto" and tuner.refit
    for rule, is_kept in (
        ("unknown other than 'ignore'", has_module or classifier.unknown != "ignore"),
        ("train=True", classifier.train or not has_module),
        ("rounds=1", classifier.rounds == 1),
        ("solver='auto' and refit=True", is_auto),
        ("X_val=None", not has_validation_data),
    ):
        if not is_kept:
            raise ValueError(
                f"`fine_tuner` must have cross_fit=None without {rule}: every known "
                "label of `y` judges a network, or regressions, that did not see it; "
                f"got cross_fit={tuner.cross_fit}."
            )
