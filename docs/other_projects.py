"""Inventories of other projects' names, so that links to them need no network.

Intersphinx would fetch every project's inventory at each build, and a build without
network would fail. Pages link to few foreign names: they are listed here with their
addresses, and written as the inventories that intersphinx reads. Sphinx runs with -n,
so a reference to a name that is not listed fails the build.
"""

import zlib
from pathlib import Path

_GENERATED = {  # address of the documentation, and of one name's page below it
    "sklearn": (
        "https://scikit-learn.org/stable/",
        "modules/generated/{name}.html#{name}",
        (
            "class sklearn.calibration.CalibratedClassifierCV",
            "class sklearn.linear_model.LogisticRegression",
            "class sklearn.model_selection.GridSearchCV",
            "class sklearn.model_selection.TunedThresholdClassifierCV",
            "class sklearn.pipeline.Pipeline",
            "class sklearn.frozen.FrozenEstimator",
            "exception sklearn.exceptions.NotFittedError",
            "function sklearn.metrics.average_precision_score",
            "function sklearn.metrics.roc_auc_score",
            "function sklearn.model_selection.cross_val_predict",
        ),
    ),
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        "generated/{name}.html#{name}",
        ("class torch.nn.BCEWithLogitsLoss", "class torch.nn.Linear"),
    ),
    "numpy": (
        "https://numpy.org/doc/stable/",
        "reference/generated/{name}.html#{name}",
        ("class numpy.memmap",),
    ),
    "pandas": (
        "https://pandas.pydata.org/docs/",
        "reference/api/{name}.html#{name}",
        ("class pandas.DataFrame",),
    ),
    "joblib": (
        "https://joblib.readthedocs.io/en/stable/",
        "generated/{name}.html#{name}",
        ("class joblib.parallel_config",),
    ),
}


def write_inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory per project and give ``intersphinx_mapping``."""
    folder.mkdir(exist_ok=True)
    mapping = {}
    for project, (address, page, names) in _GENERATED.items():
        path = folder / f"{project}.inv"
        entries = []
        for entry in names:
            role, name = entry.split()
            entries.append(f"{name} py:{role} 1 {page.format(name=name)} -\n")
        header = (
            "# Sphinx inventory version 2\n"
            f"# Project: {project}\n# Version: \n"
            "# The remainder of this file is compressed using zlib.\n"
        )
        path.write_bytes(header.encode() + zlib.compress("".join(entries).encode()))
        mapping[project] = (address, str(path))
    return mapping
