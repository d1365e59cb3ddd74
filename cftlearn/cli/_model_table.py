"""What ``cftlearn info`` prints of a saved model."""

from pathlib import Path
from typing import Any

from cftlearn.cli._tables import on_one_line, print_report
from cftlearn.ensemble import CFTEnsemble


def print_model(folder: Path) -> None:
    """Print what a saved model is, and what CFT did for every category.

    Its network is not built, so neither the network's library nor its code is needed.

    Parameters
    ----------
    folder : Path
        A folder written by ``save_model``.
    """
    from cftlearn.persistence._folder import load_without_network

    model = load_without_network(folder)
    print(type(model).__name__)
    for name, value in sorted(model.get_params(deep=False).items()):
        if value is not None:
            print(f"  {name} = {_repr_on_one_line(value)}")
    names = [on_one_line(name) for name in model.categories_]
    if isinstance(model, CFTEnsemble):
        print(f"  {len(names)} categories: {', '.join(names)}")
        print(f"  {len(model.named_estimators_)} members; to see one of them:")
        for number, name in enumerate(model.named_estimators_):
            print(f"    {name}: cftlearn info {folder / 'members' / str(number)}")
        return
    head = getattr(model, "head_", None)
    if head is not None:
        print(f"  classification layer: {head!r}")
    print(f"  {len(names)} categories, {model.coef_.shape[1]} features\n")
    print_report(model.report_)


def _repr_on_one_line(value: Any) -> str:
    """Return the text of a parameter. scikit-learn may break it into lines."""
    return " ".join(repr(value).split())
