"""Write ``auto_results.json``: what ``solver="auto"`` makes of three small problems.

Run it again only where results are meant to change, and say in the commit why.
"""

import json
import warnings
from pathlib import Path

from cftlearn import CategoryWiseFineTuner
from cftlearn.datasets import make_partial_multilabel
from cftlearn.labels import hide_labels

PATH = Path(__file__).parent / "auto_results.json"
PROBLEMS = {
    "uniform": {"known": 0.3, "scheme": "uniform"},
    "report_like": {"known": 0.2, "scheme": "report_like"},
    "single_positive": {"known": None, "scheme": "single_positive"},
}


def refit(name: str) -> dict[str, list[float]]:
    """Refit one of the problems, and return what the golden file holds of it."""
    Z, _, full = make_partial_multilabel(
        240, n_features=6, n_categories=4, known=1.0, random_state=7
    )
    y = hide_labels(full, **PROBLEMS[name], random_state=7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of categories that have too few labels
        tuner = CategoryWiseFineTuner(random_state=7).fit(Z, y)
    columns = ("status", "weight", "roc_auc_before", "roc_auc_after")
    found = {key: [line[key] for line in tuner.report_] for key in columns}
    found |= {"coef": tuner.coef_.tolist(), "intercept": tuner.intercept_.tolist()}
    return found


def main() -> None:
    """Write the file."""
    results = {name: refit(name) for name in PROBLEMS}
    PATH.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
