"""What a classifier needs before stage one, and the fit that needs no network."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from cftlearn.base import CountedRows
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.fine_tuning._choice import fit_on_split
from cftlearn.fine_tuning._fine_tuner import check_before_stage_one
from cftlearn.fine_tuning._initial_coef import fit_initial_weights
from cftlearn.fine_tuning._validation_rows import warn_of_scale
from cftlearn.labels import PartialLabels
from cftlearn.labels._label_split import (
    LabelSplit,
    hold_out_given,
    hold_out_nothing,
    split_labels,
)
from cftlearn.labels._pseudo_labels import (
    PseudoTargets,
    read_pseudo_labels,
    refuse_known,
)
from cftlearn.losses._registry import LOSSES, TREATMENTS

if TYPE_CHECKING:
    from cftlearn.classifier._classifier import CFTClassifier


def refuse_swapped_losses(loss: Any, unknown: Any) -> None:
    """Refuse a loss of the other kind of labels in ``loss`` or ``unknown``.

    Parameters
    ----------
    loss, unknown : object
        Parameters of a classifier, not checked yet.

    Raises
    ------
    ValueError
        If one of them would be right as the other.
    """
    for name, value, names, other in (
        ("loss", loss, TREATMENTS, "unknown"),
        ("unknown", unknown, LOSSES, "loss"),
    ):
        kind = "known" if name == "loss" else "unknown"
        is_other = isinstance(value, str) and value in names
        # A loss of known labels, without importing torch.
        is_other |= name == "unknown" and hasattr(value, "class_losses")
        if is_other:
            shown = repr(value) if isinstance(value, str) else type(value).__name__
            raise ValueError(
                f"`{name}` must say what {kind} labels cost; got {shown}, which is "
                f"for `{other}`. Pass {other}={shown}."
            )


def prepare_fine_tuner(
    classifier: "CFTClassifier",
    seed: int,
    *,
    has_validation_data: bool,
    weighted: bool = False,
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
    weighted : bool, default=False
        Whether labels have weights.

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
    check_before_stage_one(tuner, has_seed=gets_seed, weighted=weighted)
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


def hold_out_labels(
    classifier: "CFTClassifier",
    tuner: CategoryWiseFineTuner,
    X: Any,
    counted: CountedRows,
    validation_data: tuple[Any, ArrayLike] | None,
    sample_weight_val: ArrayLike | None,
    seeds: NDArray[np.int64],
) -> tuple[Any, LabelSplit]:
    """Hold labels out, or take those of validation rows.

    Parameters
    ----------
    classifier : CFTClassifier
        In its fit.
    tuner : CategoryWiseFineTuner
        Of :func:`prepare_fine_tuner`.
    X : object
        What the user passed.
    counted : CountedRows
        The rows of it that count.
    validation_data : tuple (X_val, y_val), or None
        Rows to choose by.
    sample_weight_val : array-like or None
        Weights of their labels.
    seeds : ndarray of shape (n_categories,), int
        One seed per category.

    Returns
    -------
    inputs_val : array-like or Inputs
        Rows to choose by; the inputs themselves if they are the same rows.
    split : LabelSplit
        The labels of both.

    Raises
    ------
    TypeError, ValueError
        If validation rows, their labels or weights are not accepted.
    """
    inputs, labels, weights, groups, _ = counted
    if tuner.cross_fit is not None:
        return inputs, hold_out_nothing(labels, groups, weights)
    if validation_data is None:
        fraction = classifier.validation_fraction
        return inputs, split_labels(labels, fraction, seeds, groups, weights)
    inputs_val, held_out = classifier._read_validation(
        X, inputs, labels, validation_data, classifier._read_inputs, "X"
    )
    warn_of_scale(inputs, inputs_val, stacklevel=4)
    held_out, weights_val = classifier._weigh_validation(
        held_out, sample_weight_val, validation_data
    )
    return inputs_val, hold_out_given(
        labels,
        held_out,
        groups,
        same_rows=inputs_val is inputs,
        weights=weights,
        weights_val=weights_val,
    )


def fit_on_features(
    classifier: "CFTClassifier",
    tuner: CategoryWiseFineTuner,
    features: Any,
    features_val: Any,
    split: LabelSplit,
) -> None:
    """Refit on plain features; fit regressions first if no initial weights are given.

    Parameters
    ----------
    classifier : CFTClassifier
        In its fit.
    tuner : CategoryWiseFineTuner
        Is fitted.
    features, features_val : array-like
        Rows to fit, and rows to choose by.
    split : LabelSplit
        Their labels.
    """
    initial = None
    if tuner.coef_init is None:
        is_left_out = classifier.unknown == "ignore"
        initial = fit_initial_weights(
            features,
            split.targets("ignore" if is_left_out else "negative"),
            features_val,
            split.held_out.values,
            n_jobs=tuner.n_jobs,
            weights=split.relative_tables(),
        )
        tuner.set_params(coef_init=initial.coef, intercept_init=initial.intercept)
    fit_on_split(tuner, features, features_val, split, initial)


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
    _check_loss(classifier.loss)
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


def _check_loss(loss: Any) -> None:
    """Refuse losses that would train nothing, or something else than they say."""
    if hasattr(loss, "set_epoch"):  # an UnknownLoss, or a PartialLoss
        raise ValueError(
            "`loss` must be a loss of known labels; got "
            f"{type(loss).__name__}, which is one of unknown labels, or has one. Pass "
            "it as unknown=, and in loss= a name or a loss of known labels."
        )
    if getattr(loss, "link", None) == "published":
        raise ValueError(
            "`loss` must have logits that are log-odds, as predict_proba takes them; "
            f"got {type(loss).__name__} with link='published'. Pass loss='spa', or "
            "link='logistic'."
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
