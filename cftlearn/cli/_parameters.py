"""Settings that are parameters, checked by the rules of the estimators they go to."""

from dataclasses import fields
from typing import Any

from cftlearn._dependencies import Interval, StrOptions, make_constraint
from cftlearn.classifier import CFTClassifier
from cftlearn.cli._arguments import MOST_WORKERS
from cftlearn.cli._console import shown
from cftlearn.cli._settings import SettingsError
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.images import ImageTransform
from cftlearn.training import NetworkTrainer

Constraints = list[Any]

CLASSIFIER_PARAMETERS = (  # in section [train]; other settings make the others
    "unknown",
    "loss",
    "max_epochs",
    "batch_size",
    "learning_rate",
    "retrain",
    "rounds",
    "layers",
    "threshold",
    "validation_fraction",
)
# Parameters that no file can hold, or that `seed`, `n_jobs` and --quiet set; and the
# fine-tuner's own fraction, since the classifier holds labels out for both stages.
_NOT_IN_FILES = {
    "validation_fraction",
    "fabric",
    "coef_init",
    "intercept_init",
    "random_state",
    "n_jobs",
    "verbose",
}
_NAMES = "names"  # a list of any text, unlike the words of `list`
# What a file can hold beside words and numbers. A rule leaves other constraints out,
# such as classes and callables.
_IN_WORDS: dict[Any, str] = {
    "boolean": "true or false",
    "array-like": "a list",
    list: "a list of these",
    _NAMES: "a list of names",
    str: "text",
}


def _in_files(section: str, constraints: dict[str, Constraints]) -> dict[str, Any]:
    return {
        f"{section}.{name}": items
        for name, items in constraints.items()
        if name not in _NOT_IN_FILES
    }


# By dotted name. An empty list leaves the value to what it is for: ImageTransform
# checks itself, and the steps of an augmentation are imported.
PARAMETERS: dict[str, Constraints] = {
    **{f"image.{item.name}": [] for item in fields(ImageTransform)},
    **{
        f"train.{name}": CFTClassifier._parameter_constraints[name]
        for name in CLASSIFIER_PARAMETERS
    },
    "train.layers": [StrOptions({"auto"}), _NAMES],
    **_in_files("train", NetworkTrainer._parameter_constraints),
    "train.augment": [],
    **_in_files("refit", CategoryWiseFineTuner._parameter_constraints),
}


def check_parameter(name: str, value: Any, source: object) -> None:
    """Check a setting by the constraints of the estimator that it is a parameter of.

    Parameters
    ----------
    name : str
        A name of ``PARAMETERS``.
    value : object
        Of the setting.
    source : object
        Where it stands, for the error.

    Raises
    ------
    SettingsError
        If the estimator would not accept the value.
    """
    constraints = PARAMETERS[name]
    if name == "train.num_workers" and isinstance(value, int) and value > MOST_WORKERS:
        raise SettingsError(
            f"`{name}` must be at most {MOST_WORKERS} processes; got {value} in "
            f"{source}."
        )
    if constraints and not _is_accepted(value, constraints):
        raise SettingsError(
            f"`{name}` must be {_rule(constraints)}; got {shown(value)} in {source}."
            f"{_remedy(value)}"
        )


def _remedy(value: Any) -> str:
    """Return what to do about a number that is written as text."""
    if not isinstance(value, str):
        return ""
    try:
        float(value)
    except ValueError:
        return ""
    return " A number stands without quotes, and in YAML with a point: 1.0e-4."


def words_of(owner: Any, parameter: str) -> list[str]:
    """Return the words that a parameter of an estimator or a function accepts."""
    constraints = getattr(owner, "_parameter_constraints", None)
    if constraints is None:  # validate_params leaves them on a function
        constraints = owner._skl_parameter_constraints
    return _words(constraints[parameter])


def _words(constraints: Constraints) -> list[str]:
    options = (item.options for item in constraints if isinstance(item, StrOptions))
    return sorted(word for words in options for word in words)


def _is_accepted(value: Any, constraints: Constraints) -> bool:
    if isinstance(value, bool):  # which is a number for scikit-learn
        return "boolean" in constraints
    if isinstance(value, list) and list in constraints:
        return all(item in _words(constraints) for item in value)
    if _NAMES in constraints:
        if isinstance(value, list):
            return all(isinstance(item, str) for item in value)
        constraints = [item for item in constraints if item is not _NAMES]
    return any(make_constraint(item).is_satisfied_by(value) for item in constraints)


def _rule(constraints: Constraints) -> str:
    """Return what the constraints accept, in words, as far as a file can hold it."""
    words = ", ".join(map(repr, _words(constraints)))
    numbers = [str(item) for item in constraints if isinstance(item, Interval)]
    others = [_IN_WORDS[item] for item in constraints if item in _IN_WORDS]
    return " or ".join([*([words] if words else []), *numbers, *others])
