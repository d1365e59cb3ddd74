"""``cftlearn info``: what a saved model is."""

from pathlib import Path

from cftlearn.classifier import CFTClassifier
from cftlearn.cli._tables import print_report
from cftlearn.persistence import load_model


def run_info(folder: Path) -> None:
    """Print what a saved model is, and what CFT did for every category.

    Parameters
    ----------
    folder : Path
        A folder written by ``save_model``.
    """
    model = load_model(folder)
    print(type(model).__name__)
    for name, value in sorted(model.get_params(deep=True).items()):
        if value is not None and "__" not in name:
            print(f"  {name} = {value!r}")
    if isinstance(model, CFTClassifier) and model.module_ is not None:
        n_weights = sum(p.numel() for p in model.module_.parameters())
        print(f"  network of {n_weights:,} weights, rows in {model.head_!r}")
    print(f"  {len(model.categories_)} categories, {model.coef_.shape[1]} features\n")
    print_report(model.report_)
