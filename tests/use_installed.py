"""Use an installed cftlearn without extras: fit, save, load, the command's help."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import cftlearn
from cftlearn import CFTClassifier, load_model, save_model
from cftlearn.datasets import make_partial_multilabel


def main() -> None:
    """Raise if anything is amiss."""
    package = Path(cftlearn.__file__).parent
    if "site-packages" not in package.parts:
        raise SystemExit(f"cftlearn is imported from {package}, not as installed")
    if not (package / "py.typed").is_file():
        raise SystemExit("the wheel lacks py.typed")
    X, y, _ = make_partial_multilabel(random_state=0)
    model = CFTClassifier(random_state=0).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_model(save_model(model, f"{folder}/model"))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    command = [sys.executable, "-m", "cftlearn", "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    try:
        from cftlearn.displays import CategoryScoreDisplay

        CategoryScoreDisplay(["cat"], [0.5], [0.6], "AP").plot()
    except ImportError as error:
        if 'pip install "cftlearn[plots]"' not in str(error):
            raise
    else:
        raise SystemExit("matplotlib is installed, so this is no environment without")
    sys.stdout.write(f"cftlearn {cftlearn.__version__} works as installed\n")


if __name__ == "__main__":
    main()
