"""Does reading label files take long? Time, and counts against published ones.

Reads CheXpert's training labels five times and compares the counts of all 14
categories with those of the published table. The file is the one inside the wheel of
torchxrayvision, if that is installed, or the one given.

    python benchmarks/loaders.py
    python benchmarks/loaders.py --chexpert CheXpert-v1.0-small/train.csv
"""

import argparse
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _machine import describe_machine

from cftlearn.datasets import LabelTable, load_chexpert

REPEATS = 5
N_IMAGES, N_PATIENTS, N_FRONTAL = 223_414, 64_540, 191_027
COUNTS = {  # positive, negative, uncertain, blank
    "No Finding": (22_381, 0, 0, 201_033),
    "Enlarged Cardiomediastinum": (10_798, 21_638, 12_403, 178_575),
    "Cardiomegaly": (27_000, 11_116, 8_087, 177_211),
    "Lung Opacity": (105_581, 6_599, 5_598, 105_636),
    "Lung Lesion": (9_186, 1_270, 1_488, 211_470),
    "Edema": (52_246, 20_726, 12_984, 137_458),
    "Consolidation": (14_783, 28_097, 27_742, 152_792),
    "Pneumonia": (6_039, 2_799, 18_770, 195_806),
    "Atelectasis": (33_376, 1_328, 33_739, 154_971),
    "Pneumothorax": (19_448, 56_341, 3_145, 144_480),
    "Pleural Effusion": (86_187, 35_396, 11_628, 90_203),
    "Pleural Other": (3_523, 316, 2_653, 216_922),
    "Fracture": (9_040, 2_512, 642, 211_220),
    "Support Devices": (116_001, 6_137, 1_079, 100_197),
}


def installed_table() -> Path | None:
    """Find the table in torchxrayvision's wheel, without importing the package."""
    found = find_spec("torchxrayvision")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "data" / "chexpert_train.csv.gz"


def differences(table: LabelTable) -> list[str]:
    """List what differs from the published counts."""
    found = {
        "images": (len(table), N_IMAGES),
        "patients": (len(np.unique(table.info["patient"])), N_PATIENTS),
        "frontal images": (int((table.info["view"] == "frontal").sum()), N_FRONTAL),
    }
    for row in table.summary():
        counts = tuple(row[key] for key in row if key != "category")
        found[row["category"]] = (counts, COUNTS.get(row["category"]))
    found |= {name: (None, COUNTS[name]) for name in COUNTS if name not in found}
    return [
        f"{name}: {here}, published {published}"
        for name, (here, published) in found.items()
        if here != published
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chexpert", type=Path, default=installed_table())
    file = parser.parse_args().chexpert
    if file is None:
        parser.error("torchxrayvision is not installed; give --chexpert PATH")
    print(*describe_machine(["cftlearn", "numpy", "scipy"]), sep="\n")
    seconds, processor = [], []
    for _ in range(REPEATS):
        start, started = time.perf_counter(), time.process_time()
        table = load_chexpert(file)
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - started)
    print(f"\n{file.name}: {table}")
    print(
        f"load_chexpert: {np.median(seconds):.2f} s, median of {REPEATS} "
        f"({min(seconds):.2f} to {max(seconds):.2f} s); "
        f"{np.median(processor):.2f} s of the processor\n"
    )
    for row in table.summary():
        name, *counts = row.values()
        print("  ".join(f"{count:>9,}" for count in counts), f"  {name}")
    wrong = differences(table)
    print("\ncounts are those published" if not wrong else "\ncounts differ:")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
