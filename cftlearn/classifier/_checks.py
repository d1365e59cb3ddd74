"""Checks of parameters that must go together."""

from typing import Any

from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.losses._registry import TREATMENTS


def check_together(
    model: Any, tuner: CategoryWiseFineTuner, has_validation_data: bool
) -> None:
    """Check that the parameters of a classifier do not contradict each other.

    Parameters
    ----------
    model : CFTClassifier
        The classifier.
    tuner : CategoryWiseFineTuner
        Its fine-tuner, or the default one.
    has_validation_data : bool
        Whether ``fit`` got validation data.

    Raises
    ------
    ValueError
        If they do.
    """
    has_module = model.module is not None
    needs_module = model.unknown != "auto" and TREATMENTS[model.unknown] is not None
    if needs_module and not has_module:
        raise ValueError(
            "`unknown` must be 'auto', 'ignore' or 'negative' for plain features; "
            f"got unknown={model.unknown!r} without a `module`. Pass a `module`, or "
            "another treatment."
        )
    has_initial = tuner.coef_init is not None
    if has_initial and has_module:
        raise ValueError(
            "The initial weights come from the network; `fine_tuner` must not set "
            "`coef_init` where there is a `module`."
        )
    if not (has_module or model.train or has_initial):
        raise ValueError(
            "`train=False` without a `module` needs initial weights. Pass "
            "fine_tuner=CategoryWiseFineTuner(coef_init=..., intercept_init=...)."
        )
    if tuner.cross_fit is None:
        return
    is_auto = tuner.solver == "auto" and tuner.refit
    for rule, is_kept in (
        ("unknown other than 'ignore'", has_module or model.unknown != "ignore"),
        ("train=True", model.train or not has_module),
        ("rounds=1", model.rounds == 1),
        ("solver='auto' and refit=True", is_auto),
        ("validation_data=None", not has_validation_data),
    ):
        if not is_kept:
            raise ValueError(
                f"`fine_tuner` must have cross_fit=None without {rule}: every "
                "known label of `y` judges a network, or regressions, that did "
                f"not see it; got cross_fit={tuner.cross_fit}."
            )
