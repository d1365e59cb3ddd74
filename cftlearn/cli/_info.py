"""``cftlearn info``: what a saved model is."""

from pathlib import Path
from typing import Any

from cftlearn.cli._tables import on_one_line, print_report
from cftlearn.ensemble import CFTEnsemble
from cftlearn.persistence._folder import load_without_network


def run_info(folder: Path) -> None:
    """Print what a saved model is, and what CFT did for every category.

    Its network is not made, so neither its library nor its code need be there.

    Parameters
    ----------
    folder : Path
        A folder written by ``save_model``.
    """
    model = load_without_network(folder)
    print(type(model).__name__)
    for name, value in sorted(model.get_params(deep=False).items()):
        if value is not None:
            print(f"  {name} = {_on_one_line(value)}")
    names = [on_one_line(name) for name in model.categories_]
    if isinstance(model, CFTEnsemble):
        print(f"  {len(names)} categories: {', '.join(names)}")
        print(f"  {len(model.named_estimators_)} members; for one of them:")
        for number, name in enumerate(model.named_estimators_):
            print(f"    {name}: cftlearn info {folder / 'members' / str(number)}")
        return
    head = getattr(model, "head_", None)
    if head is not None:
        print(f"  its classification layer is {head!r}")
    print(f"  {len(names)} categories, {model.coef_.shape[1]} features\n")
    print_report(model.report_)


def _on_one_line(value: Any) -> str:
    """Give the text of a parameter, which scikit-learn may break into lines."""
    return " ".join(repr(value).split())
