"""A DenseNet-121 refitted, exported, and served by ONNX Runtime with equal outputs.

Without ``--weights`` the network has random weights, which is enough to compare
outputs; a state dict or ``DEFAULT`` gives it others::

    python densenet_onnx.py --labels labels.csv --images images --size 64 --most 200
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
from _recipe import find_images

from cftlearn import CFTClassifier
from cftlearn.datasets import load_label_csv
from cftlearn.images import ImageTransform, read_image
from cftlearn.labels import check_partial_labels
from cftlearn.model_selection import partial_train_test_split
from cftlearn.networks import Architecture, export_onnx


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--group", default="patient_id", help="column of patients")
    parser.add_argument("--weights")
    parser.add_argument("--size", type=int, default=224, help="pixels a side")
    parser.add_argument("--most", type=int, help="use so many images only")
    arguments = parser.parse_args()

    table = load_label_csv(arguments.labels).take(slice(arguments.most))
    paths = np.array(find_images(arguments.images, table))
    rows = np.arange(len(paths))
    fit, held_out, _, _ = partial_train_test_split(
        rows, table.labels(), groups=table.info[arguments.group], random_state=0
    )
    y = check_partial_labels(table.labels(), categories=table.categories)
    transform = ImageTransform(arguments.size)
    model = CFTClassifier(
        Architecture(
            "torchvision:densenet121",
            n_outputs=len(table.categories),
            weights=arguments.weights,
        ),
        train=False,
        input_transform=transform,
        batch_size=32,
        random_state=0,
    )
    started = time.perf_counter()
    y_fit, y_held_out = (
        check_partial_labels(y.values[part], categories=y.categories)
        for part in (fit, held_out)
    )
    model.fit(paths[fit], y_fit, validation_data=(paths[held_out], y_held_out))
    outcomes = [line["status"] for line in model.report_]
    print(
        f"{len(paths)} images, {len(table.categories)} categories, "
        f"{outcomes.count('refitted')} refitted in "
        f"{time.perf_counter() - started:.0f} s"
    )

    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(model, Path(folder) / "model.onnx")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        print(
            f"torch {version('torch')}, onnx {version('onnx')}, onnxruntime "
            f"{version('onnxruntime')}; {path.stat().st_size / 2**20:.1f} MiB"
        )
        name = session.get_inputs()[0].name
        for size in (1, 7, 32):
            some = paths[:size]
            batch = np.stack([transform(read_image(p)).numpy() for p in some])
            served = session.run(None, {name: batch})[0]
            largest = np.abs(served - model.predict_proba(some)).max()
            print(f"batch of {size:2}: largest difference {largest:.1e}")


if __name__ == "__main__":
    main()
