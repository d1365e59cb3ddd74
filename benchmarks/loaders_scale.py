"""Seconds and memory that loaders need for label files of full size.

``open_images``
    ``--rows`` human labels in the form of Open Images V3 (``annotations-human.csv``).
    For comparison, pandas parses the same columns and keeps nothing.
``coco``
    ``--annotations`` outlines in the form of MS-COCO's ``instances_train2014.json``.
    For comparison, ``json.load`` keeps all of the same file, and ``ijson.items``, if
    ijson is installed, builds the items of the three lists and keeps nothing.

The files are simulated in a temporary folder and removed. Each is read in a process of
its own, and the operating system reports the largest memory of that process::

    python benchmarks/loaders_scale.py
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _machine import describe_machine

PARTS = ("open_images", "coco")
ROWS = 20_000_000
IMAGES_PER_ROW = 9_011_219 / 20_868_755  # of Open Images V3
CLASSES = 7186
ANNOTATIONS = 600_000  # about those of MS-COCO 2014, training
COCO_IMAGES = 82_783
MIB = 2**20
BATCH = 200_000  # rows at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--annotations", type=int, default=ANNOTATIONS)
    parser.add_argument("--folder", type=Path, default=None, help="of the files")
    parser.add_argument("--read", nargs=2, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read is not None:
        print(json.dumps(read(*arguments.read)))
        return
    print(
        *describe_machine(["cftlearn", "numpy", "pandas", "pyarrow", "ijson"]), sep="\n"
    )
    for part in arguments.parts:
        print(f"\n--- {part}")
        {"open_images": open_images, "coco": coco}[part](arguments)


def open_images(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "annotations-human.csv"
        write_open_images(path, arguments.rows)
        print(f"{arguments.rows:,} rows, {path.stat().st_size / 1e9:.2f} GB")
        report("load_open_images", path)
        report("pandas.read_csv", path)


def coco(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "instances_train2014.json"
        write_coco(path, arguments.annotations)
        print(
            f"{arguments.annotations:,} annotations, {path.stat().st_size / 1e9:.2f} GB"
        )
        report("load_coco", path)
        report("json.load", path)
        if find_spec("ijson") is not None:
            report("ijson.items", path)


def report(reader: str, path: Path) -> None:
    """Read a file in a process of its own, and print what that took."""
    command = [sys.executable, __file__, "--read", reader, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout)
    print(
        f"{reader:<17} {result['seconds']:6.1f} s, {result['processor']:6.1f} s of the "
        f"processor, largest memory "
        f"{result['peak']:,.0f} MiB, of which {result['before']:,.0f} before reading; "
        f"{result['made']}"
    )


def read(reader: str, path: str) -> dict[str, float | str]:
    from cftlearn.datasets import load_coco, load_open_images

    readers: dict[str, Callable] = {
        "load_open_images": load_open_images,
        "load_coco": load_coco,
        "json.load": json_load,
        "ijson.items": ijson_items,
        "pandas.read_csv": pandas_read_csv,
    }
    before = peak_memory()
    started, processor_started = time.perf_counter(), time.process_time()
    made = readers[reader](path)
    return {
        "seconds": time.perf_counter() - started,
        "processor": time.process_time() - processor_started,
        "peak": peak_memory(),
        "before": before,
        "made": str(made),
    }


def json_load(path: str) -> str:
    with Path(path).open() as file:
        return f"{len(json.load(file)):,} members"


def ijson_items(path: str) -> str:
    import ijson

    counts = []
    for name in ("images", "annotations", "categories"):
        with Path(path).open("rb") as file:
            items = ijson.items(file, f"{name}.item", use_float=True, buf_size=MIB)
            counts.append(sum(1 for _ in items))
    return f"{', '.join(f'{count:,}' for count in counts)} items"


def pandas_read_csv(path: str) -> str:
    import pandas

    words = dict.fromkeys(["Source", "LabelName", "Confidence"], "category")
    frames = pandas.read_csv(
        path,
        dtype={"ImageID": object, **words},
        keep_default_na=False,
        chunksize=BATCH,
    )
    return f"{sum(len(frame) for frame in frames):,} rows"


def peak_memory() -> float:
    """Return the largest memory so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


# --- files of full size -------------------------------------------------------------


def write_open_images(path: Path, n_rows: int) -> None:
    """Write labels grouped by image; categories are rarer and rarer."""
    rng = np.random.default_rng(0)
    names = [
        f"/m/0{np.base_repr(40_000 + 997 * j, 36).lower()}" for j in range(CLASSES)
    ]
    share = 1 / np.arange(10, CLASSES + 10)
    bounds = np.cumsum(share / share.sum())
    sources = ("verification", "crowdsource-verification")
    image, step = 0, 2**64 // (n_rows + 2)
    with path.open("w") as file:
        file.write("ImageID,Source,LabelName,Confidence\n")
        for start in range(0, n_rows, BATCH):
            n = min(BATCH, n_rows - start)
            images = image + np.cumsum(rng.random(n) < IMAGES_PER_ROW)
            image = int(images[-1])
            which = np.minimum(np.searchsorted(bounds, rng.random(n)), CLASSES - 1)
            people = (rng.random(n) < 0.1).astype(int)
            positive = rng.random(n) < 9_741_876 / 20_868_755
            file.writelines(
                f"{one * step:016x},{sources[crowd]},{names[j]},{yes:d}\n"
                for one, crowd, j, yes in zip(
                    images.tolist(), people, which, positive, strict=True
                )
            )


def write_coco(path: Path, n_annotations: int) -> None:
    """Write annotations with outlines as long as MS-COCO's."""
    rng = np.random.default_rng(0)
    ids = sorted(set(range(1, 91)) - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
    with path.open("w") as file:
        file.write('{"info": {"year": 2014}, "images": [')
        for image in range(COCO_IMAGES):
            name = f"COCO_train2014_{image:012d}.jpg"
            record = {
                "license": 5,
                "file_name": name,
                "coco_url": f"http://images.cocodataset.org/train2014/{name}",
                "height": 480,
                "width": 640,
                "date_captured": "2013-11-14 16:28:13",
                "flickr_url": "http://farm4.staticflickr.com/3153/2970773875_164f0c.jpg",
                "id": image,
            }
            file.write((", " if image else "") + json.dumps(record))
        file.write('], "licenses": [], "annotations": [')
        for number in range(n_annotations):
            points = (rng.random(2 * rng.integers(8, 76)) * 640).round(2)
            record = {
                "segmentation": [points.tolist()],
                "area": float(points[0]),
                "iscrowd": 0,
                "image_id": int(rng.integers(COCO_IMAGES)),
                "bbox": points[:4].tolist(),
                "category_id": ids[rng.integers(80)],
                "id": number,
            }
            file.write((", " if number else "") + json.dumps(record))
        categories = [
            {"supercategory": "thing", "id": item, "name": f"thing {item}"}
            for item in ids
        ]
        file.write(f'], "categories": {json.dumps(categories)}}}')


if __name__ == "__main__":
    main()
