"""What should a further round be trained on, and does mixing help? Digit panels.

One network, one training (``retrain=False``) per round, 15 epochs; 1,000 panels with
few known labels, 2,000 other panels to test on. Printed is the test mAP after the
refit, per rule of ``NetworkTrainer(pseudo_labels=...)`` with ``rounds=2``, and per
``NetworkTrainer(mix=...)``: mean and spread over seeds, and how often held-out labels
did not keep the second round.

    python benchmarks/rounds.py                  # some six minutes
    python benchmarks/rounds.py --seeds 5
"""

import argparse
import warnings

import numpy as np
import torch
from _machine import describe_machine
from torch import nn

from cftlearn import CFTClassifier
from cftlearn.datasets import load_digit_panels
from cftlearn.labels import hide_labels
from cftlearn.metrics import partial_average_precision_score
from cftlearn.training import NetworkTrainer

VARIANTS = {
    "rounds=1": {},
    "soft": {"rounds": 2},
    **{
        rule: {"rounds": 2, "trainer": NetworkTrainer(pseudo_labels=rule)}
        for rule in ("threshold", "top_share", "adaptive")
    },
    **{
        f"mix={mix}": {"trainer": NetworkTrainer(mix=mix)} for mix in ("mixup", "logic")
    },
}
SCHEMES = ("uniform", "report_like")


def make_network() -> nn.Module:
    """Build the small convolutional network."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((2, 6)),
        nn.Flatten(),
        nn.Linear(384, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def measure(name: str, scheme: str, known: float, seed: int) -> tuple[float, bool]:
    """Fit a variant; return the test mAP, and whether a second round was kept."""
    train = load_digit_panels("train", n_samples=1000, random_state=seed)
    test = load_digit_panels("test", n_samples=2000, random_state=seed + 1)
    y = hide_labels(train.target, known=known, scheme=scheme, random_state=seed)
    model = CFTClassifier(
        make_network,
        max_epochs=15,
        retrain=False,
        learning_rate=0.005,
        random_state=seed,
        device="cpu",
        **VARIANTS[name],
    )
    model.fit(train.images, y)
    score = partial_average_precision_score(
        test.target, model.decision_function(test.images)
    )
    gains = [row["gain"] for row in model.history_ if row["stage"] == "round"]
    return float(score), bool(gains) and gains[0] > 0


def main() -> None:
    """Measure all variants, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--known", type=float, default=0.1, help="known share")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("\n".join(describe_machine(["cftlearn", "numpy", "torch", "scikit-learn"])))
    print(f"panels    known {arguments.known}, seeds 0 to {arguments.seeds - 1}")
    print(f"{'':<12}" + "".join(f"{scheme:>22}" for scheme in SCHEMES))
    for name in arguments.variants:
        cells = []
        for scheme in SCHEMES:
            runs = [
                measure(name, scheme, arguments.known, seed)
                for seed in range(arguments.seeds)
            ]
            scores = [score for score, _ in runs]
            rejected = sum(not kept for _, kept in runs)
            note = f" ({rejected} not kept)" if "rounds" in VARIANTS[name] else ""
            cells.append(f"{np.mean(scores):.4f} +-{np.std(scores):.4f}{note}")
        print(f"{name:<12}" + "".join(f"{cell:>32}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
