"""Bad arguments and configurations of the commands.

A command does not raise: it prints one message to stderr, and exits with 1 or 2. Here
both together are a :class:`CommandError`.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .case import Case

SPLITS = ["train"] * 6 + ["test"] * 2
LABELS = "path,split,person,cat,dog\n" + "".join(
    f"{i}.png,{split},p{i // 2},{i % 2 if i % 4 else ''},{'' if i % 3 else 1}\n"
    for i, split in enumerate(SPLITS)
)
SCORES = "path,cat,dog\n" + "".join(f"{i}.png,0.{i},0.5\n" for i in range(8))
CSV = ["--labels", "labels.csv"]
IMAGES = [*CSV, "--images", "images"]
FEATURES = [*CSV, "--features", "features"]
OWN = [*IMAGES, "--network", "torch.nn:Identity"]


class CommandError(Exception):
    """What a command printed to stderr, and its exit status."""


def command(*argv: str, files: Mapping[str, str | bytes] | None = None, **more: str):
    """Return a call that runs a command in the folder of the case.

    ``argv`` are its arguments; ``files`` and ``more`` are what to write first.
    """

    def call(folder: Path) -> None:
        write(folder, {**(files or {}), **more})
        here = Path.cwd()
        os.chdir(folder)
        try:
            run(list(argv))
        finally:
            os.chdir(here)

    return call


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write labels, scores and features, and other files."""
    from cftlearn.cli._features import FEATURES, write_paths

    for name, text in {"labels.csv": LABELS, "scores.csv": SCORES, **files}.items():
        content = text if isinstance(text, bytes) else text.encode()
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "images").mkdir(exist_ok=True)
    (folder / "features").mkdir(exist_ok=True)
    if not (folder / "features" / FEATURES).exists():
        np.save(folder / "features" / FEATURES, np.eye(8, 3))
    if not (folder / "features" / "paths.csv").exists():
        write_paths(folder / "features", [f"{i}.png" for i in range(8)])


def run(argv: list[str]) -> None:
    """Run a command; raise what it says if it fails."""
    from cftlearn.cli import main

    err = io.StringIO()
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        try:
            status = main(argv)
        except SystemExit as error:
            status = int(error.code or 0)
    if status:
        said = err.getvalue().rstrip()
        # argparse prints how to use a command before what is wrong.
        text = said.splitlines()[-1] if status == 2 else said
        raise CommandError(f"{status}: {text}")


def with_pipe(name: str, *argv: str) -> Callable[[Path], object]:
    """Return a call where a file is a pipe, to which nobody writes."""

    def call(folder: Path) -> None:
        os.mkfifo(folder / name)
        command(*argv)(folder)

    return call


def config(text: str | bytes, name: str = "c.toml") -> Callable[[Path], object]:
    """Return a call of ``cftlearn fit`` with a configuration."""
    return command("fit", name, files={name: text})


def case(
    entry: str, fault: str, call: Callable[[Path], object], said: str, needs: str = ""
) -> Case:
    """Return a case of a command."""
    return Case(f"cftlearn {entry}", fault, call, CommandError, said, needs)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
MERGED = "a0: &a0 {k: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40)
)
CASES = [
    case(
        "fit",
        "a configuration that is not there",
        command("fit", "none.toml"),
        (
            "1: cftlearn fit: A configuration must be a file; 'none.toml' does not "
            "exist in {folder}. Check the path."
        ),
    ),
    case(
        "fit",
        "a file of another kind as configuration",
        command("fit", "images/0.png", files={"images/0.png": ""}),
        (
            "1: cftlearn fit: A configuration must be a .toml, .yaml or .json file; "
            "got images/0.png. Name a label file by --labels."
        ),
    ),
    case(
        "fit",
        "a folder named as a configuration",
        command("fit", "c.toml", files={"c.toml/x": ""}),
        (
            "1: cftlearn fit: A configuration must be a file; 'c.toml' is a folder. "
            "Name a file in it."
        ),
    ),
    case(
        "fit",
        "a pipe as configuration",
        with_pipe("c.toml", "fit", "c.toml"),
        (
            "1: cftlearn fit: A configuration must be a file; 'c.toml' is a pipe, "
            "which may never end. Copy what it holds to a file."
        ),
    ),
    case(
        "fit",
        "labels as configuration",
        command("fit", "labels.csv"),
        (
            "1: cftlearn fit: A configuration must be a .toml, .yaml or .json file; "
            "got labels.csv. Name a label file by --labels."
        ),
    ),
    case(
        "fit",
        "a configuration of two megabytes",
        config("#" * 2**21),
        (
            "1: cftlearn fit: A configuration must have at most 262144 bytes; 'c.toml' "
            "has 2097152. Is this the right file?"
        ),
    ),
    case(
        "fit",
        "a configuration in UTF-16",
        config("seed = 1".encode("utf-16")),
        (
            "1: cftlearn fit: A configuration must be UTF-8 text; 'c.toml' has the "
            "byte 0xff in line 1. Save it as UTF-8."
        ),
    ),
    case(
        "fit",
        "a configuration in Latin-1",
        config('output = "m"\n# caf\xe9'.encode("latin-1")),
        (
            "1: cftlearn fit: A configuration must be UTF-8 text; 'c.toml' has the "
            "byte 0xe9 in line 2. Save it as UTF-8."
        ),
    ),
    case(
        "fit",
        "TOML that ends early",
        config("[data"),
        (
            "1: cftlearn fit: c.toml cannot be read: it is no TOML: Expected ']' at "
            "the end of a table declaration (at end of document)."
        ),
    ),
    case(
        "fit",
        "JSON that ends early",
        config('{"seed": ', "c.json"),
        (
            "1: cftlearn fit: c.json cannot be read: it is no JSON: Expecting value: "
            "line 1 column 10 (char 9)."
        ),
    ),
    case(
        "fit",
        "YAML that ends early",
        config("data: [a", "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: it is no YAML: expected ',' or "
            "']', but got '<stream end>' in line 1, column 9."
        ),
        "yaml",
    ),
    case(
        "fit",
        "deep TOML",
        config("x = " + "[" * 500 + "]" * 500),
        (
            "1: cftlearn fit: c.toml cannot be read: tables and lists lie in each "
            "other more than 20 deep. Leave out what is no setting."
        ),
    ),
    case(
        "fit",
        "a name of 100,000 parts",
        config("a." * 100_000 + "a = 1"),
        (
            "1: cftlearn fit: c.toml cannot be read: tables and lists lie in each "
            "other more than 20 deep. Leave out what is no setting."
        ),
    ),
    case(
        "fit",
        "deep JSON",
        config('{"x": ' + "[" * 50_000 + "]" * 50_000 + "}", "c.json"),
        (
            "1: cftlearn fit: c.json cannot be read: tables and lists lie in each "
            "other more than 20 deep. Leave out what is no setting."
        ),
    ),
    case(
        "fit",
        "deep YAML",
        config("x: " + "[" * 60 + "]" * 60, "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: tables and lists lie in each "
            "other more than 20 deep. Leave out what is no setting."
        ),
        "yaml",
    ),
    case(
        "fit",
        "rather deep JSON",
        config('{"x": ' + "[" * 30 + "]" * 30 + "}", "c.json"),
        (
            "1: cftlearn fit: c.json cannot be read: tables and lists lie in each "
            "other more than 20 deep. Leave out what is no setting."
        ),
    ),
    case(
        "fit",
        "aliases that stand for 10^10 values",
        config(BOMB, "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: it holds more than 100000 values, "
            "where every alias counts as what it stands for. Leave out what is no "
            "setting."
        ),
        "yaml",
    ),
    case(
        "fit",
        "merged tables without end",
        config(MERGED, "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: tables and lists lie in each "
            "other more than 20 deep. Leave out what is no setting."
        ),
        "yaml",
    ),
    case(
        "fit",
        "an alias of itself",
        config("seed: &a [*a]", "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: tables and lists lie in each "
            "other more than 20 deep. Leave out what is no setting."
        ),
        "yaml",
    ),
    case(
        "fit",
        "a list as document",
        config("[1, 2]", "c.json"),
        (
            "1: cftlearn fit: c.json must hold sections such as [data]; got a list. "
            "`cftlearn fit --help` shows a configuration."
        ),
    ),
    case(
        "fit",
        "a name twice in JSON",
        config('{"seed": 1, "seed": 2}', "c.json"),
        (
            "1: cftlearn fit: c.json cannot be read: 'seed' stands twice in a table. "
            "Write each name once."
        ),
    ),
    case(
        "fit",
        "a name twice in YAML",
        config("seed: 1\nn_jobs: 1\nseed: 2", "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: 'seed' stands twice in a table, "
            "the second time in line 3. Write each name once."
        ),
        "yaml",
    ),
    case(
        "fit",
        "a name twice in TOML",
        config("seed = 1\nseed = 2"),
        (
            "1: cftlearn fit: c.toml cannot be read: it is no TOML: Cannot overwrite a "
            "value (at end of document)."
        ),
    ),
    case(
        "fit",
        "a number of 5,000 digits in TOML",
        config("seed = " + "9" * 5000),
        (
            "1: cftlearn fit: c.toml cannot be read: it is no TOML: a number has more "
            "than 4000 digits."
        ),
    ),
    case(
        "fit",
        "a number of 5,000 digits in YAML",
        config("seed: " + "9" * 5000, "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: the value in line 1 has 5000 "
            "characters, and no number or date has more than 4000. Put texts in quotes."
        ),
        "yaml",
    ),
    case(
        "fit",
        "a number of 65 bits",
        config(f"seed = {2**64}"),
        (
            "1: cftlearn fit: c.toml cannot be read: the whole number "
            "18446744073709551616 does not fit into 64 bits. Write a smaller one."
        ),
    ),
    case(
        "fit",
        "an octal number",
        config("data: {where: {fold: 010}}", "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: '010' in line 1 is no plain whole "
            "number, and YAML would read another one. Write it in decimal, or put it "
            "in quotes."
        ),
        "yaml",
    ),
    case(
        "fit",
        "a value that does not fit its tag",
        config("seed: !!bool maybe", "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: it is no YAML: a value does not "
            "fit its tag, or is no number or date. Put texts in quotes."
        ),
        "yaml",
    ),
    case(
        "fit",
        "a date that is none",
        config("seed: 2020-99-99", "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: it is no YAML: a value does not "
            "fit its tag, or is no number or date. Put texts in quotes."
        ),
        "yaml",
    ),
    case(
        "fit",
        "code in YAML",
        config("seed: !!python/object/apply:os.getcwd []", "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: it is no YAML: could not "
            "determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.getcwd' in line 1, column 7."
        ),
        "yaml",
    ),
    case(
        "fit",
        "a bell in YAML",
        config("seed: 1\a", "c.yaml"),
        (
            "1: cftlearn fit: c.yaml cannot be read: it is no YAML: special characters "
            "are not allowed; got '\\x07' after 7."
        ),
        "yaml",
    ),
    case(
        "fit",
        "a name that is no text",
        config("data: {options: {1: 2}}", "c.yaml"),
        (
            "1: cftlearn fit: `data.options` must have names that are text; got 1 in "
            "c.yaml. Put it in quotes."
        ),
        "yaml",
    ),
    case(
        "fit",
        "a section that does not exist",
        config("[trian]\nmax_epochs = 1"),
        (
            "1: cftlearn fit: There is no setting `trian` (in c.toml). Did you mean "
            "`train`? There are: data, device, image, n_jobs, network, output, refit, "
            "seed, train."
        ),
    ),
    case(
        "fit",
        "a setting that does not exist",
        config("[train]\nmax_epoch = 1"),
        (
            "1: cftlearn fit: There is no setting `train.max_epoch` (in c.toml). Did "
            "you mean `train.max_epochs`? There are: train.accumulation_steps, "
            "train.amp, train.augment, train.batch_size, train.checkpoint, "
            "train.ema_decay, train.gradient_clip, train.layers, train.learning_rate, "
            "train.loss, train.max_epochs, train.mix, train.monitor, "
            "train.num_workers, train.optimizer, train.patience, train.pos_weight, "
            "train.pseudo_labels, train.retrain, train.rounds, train.schedule, "
            "train.threshold, train.unknown, train.unknown_weight, train.validate, "
            "train.validation_fraction, "
            "train.weight_decay."
        ),
    ),
    case(
        "fit",
        "a section that is a number",
        config("train = 3"),
        ("1: cftlearn fit: `train` must be a section of c.toml; got 3. Write [train]."),
    ),
    case(
        "fit",
        "a seed in quotes",
        config('seed = "1"'),
        (
            "1: cftlearn fit: `seed` must be a whole number in [0, 2**32 - 1); got '1' "
            "in c.toml."
        ),
    ),
    case(
        "fit",
        "a number written as text",
        config("train: {learning_rate: 1e-4}", "c.yaml"),
        (
            "1: cftlearn fit: `train.learning_rate` must be a float in the range (0.0, "
            "inf); got '1e-4' in c.yaml. A number stands without quotes, and in YAML "
            "with a point: 1.0e-4."
        ),
        "yaml",
    ),
    case(
        "fit",
        "true for a number",
        config("[train]\nmax_epochs = true"),
        (
            "1: cftlearn fit: `train.max_epochs` must be an int in the range [1, inf); "
            "got True in c.toml."
        ),
    ),
    case(
        "fit",
        "a learning rate that is not a number",
        config("[train]\nlearning_rate = nan"),
        (
            "1: cftlearn fit: `train.learning_rate` must be a float in the range (0.0, "
            "inf); got nan in c.toml."
        ),
    ),
    case(
        "fit",
        "a long value",
        config('[refit]\nsolver = "' + "x" * 9000 + '"'),
        "1: cftlearn fit: `refit.solver` must be 'asl', 'auto', 'bce', 'focal', 'ga', "
        f"'proximal', 'spa' or a list of these; got '{'x' * 199}... (9002 characters) "
        "in c.toml.",
    ),
    case(
        "fit",
        "100,000 workers",
        config("[train]\nnum_workers = 100_000"),
        (
            "1: cftlearn fit: `train.num_workers` must be at most 1024 processes; got "
            "100000 in c.toml."
        ),
    ),
    case(
        "fit",
        "a home folder of nobody",
        config('output = "~nobody-here/model"'),
        (
            "1: cftlearn fit: `output` must be a path; got '~nobody-here/model' in "
            "c.toml, and there is no such home folder. Write the whole path."
        ),
    ),
    case(
        "fit",
        "a NUL in a path",
        config('[data]\nlabels = "a\\u0000.csv"'),
        (
            "1: cftlearn fit: `data.labels` must be the path of a label file; got "
            "'a\\x00.csv' in c.toml."
        ),
    ),
    case(
        "fit",
        "a size of 10^9 pixels",
        config("[image]\nsize = 1000000000"),
        (
            "1: cftlearn fit: `size` must be at most 10,000 pixels a side, as networks "
            "take a few hundred; got 1000000000."
        ),
    ),
    case(
        "fit",
        "an image mode that is a list",
        config("[image]\nmode = [1]"),
        "1: cftlearn fit: `mode` must be 'RGB' or 'L'; got [1].",
    ),
    case(
        "fit",
        "the fine-tuner's own held-out fraction",
        config("[refit]\nvalidation_fraction = 0.3"),
        (
            "1: cftlearn fit: There is no setting `refit.validation_fraction` (in "
            "c.toml). There are: refit.checkpoint, refit.cross_fit, refit.device, "
            "refit.objective, refit.refit, refit.solver."
        ),
    ),
    case(
        "fit",
        "an augmentation that cannot be imported",
        config('[train]\naugment = "os.path:none"'),
        (
            "1: cftlearn fit: `train.augment` must be 'package.module:callable', a "
            "table with such a `name` and its options, or a list of these; "
            "os.path has no 'none'."
        ),
    ),
    case(
        "fit",
        "no labels",
        command("fit", "--network", "torch.nn:Identity"),
        "1: cftlearn fit: `labels` must be given: --labels FILE, or data.labels.",
    ),
    case(
        "fit",
        "labels that are not there",
        command("fit", "--labels", "none.csv", "--network", "torch.nn:Identity"),
        (
            "1: cftlearn fit: `path` must be a file that exists; got 'none.csv'. '.' "
            "holds: features, images, labels.csv, scores.csv. Labels are not "
            "downloaded: get them from the data set's own site."
        ),
    ),
    case(
        "fit",
        "no network",
        command("fit", *IMAGES),
        (
            "1: cftlearn fit: A network must be named: --network "
            "torchvision:densenet121, say; in a configuration, name = "
            '"torchvision:densenet121" in [network].'
        ),
    ),
    case(
        "fit",
        "DEFAULT weights without a network",
        command("fit", *IMAGES, "--weights", "DEFAULT"),
        (
            "1: cftlearn fit: A network must be named: --network "
            "torchvision:densenet121, say; in a configuration, name = "
            '"torchvision:densenet121" in [network].'
        ),
    ),
    case(
        "fit",
        "a network that does not exist",
        command("fit", *IMAGES, "--network", "none.pt"),
        (
            "1: cftlearn fit: `network` must be 'torchvision:<model>', 'timm:<model>', "
            "'package.module:callable', a file or a saved model; got 'none.pt', which "
            "does not exist."
        ),
    ),
    case(
        "fit",
        "a network and features",
        command("fit", *FEATURES, "--network", "torch.nn:Identity"),
        (
            "1: cftlearn fit: `network` and `features` must not both be given: the "
            "features in features are computed already. Leave one out."
        ),
    ),
    case(
        "fit",
        "--retrain with features",
        command("fit", *FEATURES, "--retrain", "average"),
        (
            "1: cftlearn fit: --retrain does not apply: the features are computed "
            "already, so that no network reads images or trains. Leave it out."
        ),
    ),
    case(
        "fit",
        "options of training with features",
        command("fit", *FEATURES, "--max-epochs", "2", "--size", "8"),
        (
            "1: cftlearn fit: --size and --max-epochs do not apply: the features are "
            "computed already, so that no network reads images or trains. Leave them "
            "out."
        ),
    ),
    case(
        "fit",
        "--images with features",
        command("fit", *FEATURES, "--images", "images"),
        (
            "1: cftlearn fit: --images does not apply: the features are computed "
            "already, so that no network reads images or trains. Leave it out."
        ),
    ),
    case(
        "fit",
        "a GPU for a solver of the CPU",
        command("fit", *FEATURES, "--device", "cuda"),
        (
            "1: cftlearn fit: --device does not apply: these solvers compute on the "
            "CPU. Leave it out."
        ),
    ),
    case(
        "fit",
        "a device that does not exist",
        command("fit", *OWN, "--device", "gpu"),
        (
            "1: cftlearn fit: `device` must be 'auto' or a device that torch can use; "
            "got 'gpu' (Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, "
            "ideep, hip, ve, fpga, maia, xla, lazy, vulkan, mps, meta, hpu, mtia, "
            "privateuseone device type at start of device string: gpu). Pass "
            'device="cpu" to compute without a GPU.'
        ),
    ),
    case(
        "fit",
        "more folds than labels",
        command(
            "fit",
            "c.toml",
            *FEATURES,
            "--categories",
            "cat",
            **{"c.toml": "[refit]\ncross_fit = 1000000000"},
        ),
        (
            "1: cftlearn fit: `cross_fit` must be at most 4, the largest number of "
            "known labels of a class in one category, so that every fold has labels; "
            "got 1000000000. Pass cross_fit=4, say."
        ),
    ),
    case(
        "fit",
        "more folds than groups",
        command(
            "fit",
            "c.toml",
            *FEATURES,
            "--group",
            "person",
            **{"c.toml": "[refit]\ncross_fit = 900"},
        ),
        (
            "1: cftlearn fit: `cross_fit` must be at most 4, the largest number of "
            "groups with known labels of a class in one category, so that every fold "
            "has labels; got 900. Pass cross_fit=4, say."
        ),
    ),
    case(
        "fit",
        "one column with two values",
        command("fit", *FEATURES, "--where", "split=train", "--where", "split=test"),
        (
            "1: cftlearn fit: `--where` must name a column once; got split=train and "
            "split=test, which no row has both. Add a column that marks all rows to "
            "use."
        ),
    ),
    case(
        "fit",
        "a value that no row has",
        command("fit", *FEATURES, "--where", "split=trian", "--categories", "cat,dog"),
        (
            "1: cftlearn fit: labels.csv has no row where split is 'trian'; it has "
            "'test', 'train'."
        ),
    ),
    case(
        "fit",
        "a category that no column has",
        command("fit", *FEATURES, "--categories", "cow"),
        (
            "1: cftlearn fit: `categories` must name a column of 'labels.csv'; got "
            "'cow'. It has: 'path', 'split', 'person', 'cat', 'dog'."
        ),
    ),
    case(
        "fit",
        "rows that train and choose",
        command(
            "fit", *FEATURES, "--validation", "labels.csv", "--categories", "cat,dog"
        ),
        (
            "1: cftlearn fit: Rows that choose the refits must not train: 8 images are "
            "on both sides, such as '0.png'. Name other rows by where and "
            "validation_where."
        ),
    ),
    case(
        "fit",
        "a group that trains and chooses",
        command(
            "fit",
            *FEATURES,
            "--validation",
            "other.csv",
            "--categories",
            "cat",
            "--group",
            "person",
            **{"other.csv": "path,person,cat\n9.png,p0,1\n"},
        ),
        (
            "1: cftlearn fit: Rows that choose the refits must not train: 1 groups "
            "(person) are on both sides, such as 'p0'. Name other rows by where and "
            "validation_where. If equal names mean different groups there, leave "
            "`group` out."
        ),
    ),
    case(
        "fit",
        "a pipe as labels",
        with_pipe("l.csv", "fit", "--labels", "l.csv", *FEATURES[2:]),
        (
            "1: cftlearn fit: A label file must be a file; 'l.csv' is a pipe, "
            "which may never end. Copy what it holds to a file."
        ),
    ),
    case(
        "fit",
        "JSON labels without a format",
        command(
            "fit", *FEATURES[2:], "--labels", "labels.json", files={"labels.json": "{}"}
        ),
        (
            "1: cftlearn fit: `format` must be named for labels.json, which is not a "
            "CSV file. It is one of csv, chexpert, coco, lvis, open_images, vaw, voc, "
            "nus_wide, vg200."
        ),
    ),
    case(
        "fit",
        "features that are damaged",
        command("fit", *FEATURES, files={"features/features.npy": b"\x93NUMPY"}),
        (
            "1: cftlearn fit: features/features.npy must be as `cftlearn extract` "
            "wrote it; it is damaged or of something else. Extract the features again, "
            "into another folder."
        ),
    ),
    case(
        "fit",
        "features without their paths",
        command(
            "fit",
            *FEATURES,
            "--categories",
            "cat",
            files={"features/paths.csv": "file\n1.png\n"},
        ),
        (
            "1: cftlearn fit: features/paths.csv must be as `cftlearn extract` wrote "
            "it; it is damaged or of something else. Extract the features again, into "
            "another folder."
        ),
    ),
    case(
        "fit",
        "an output that is a file",
        command("fit", *FEATURES, "--output", "labels.csv"),
        (
            "1: cftlearn fit: 'labels.csv' must be a folder, or free; it is a file. "
            "Name another place."
        ),
    ),
    case(
        "fit",
        "no whole number of epochs",
        command("fit", "--max-epochs", "1.5"),
        (
            "2: cftlearn fit: error: argument --max-epochs: must be a whole number, 1 "
            "or more; got 1.5"
        ),
    ),
    case(
        "fit",
        "categories twice",
        command("fit", "--categories", "cat,cat"),
        (
            "2: cftlearn fit: error: argument --categories: must be names with commas "
            "between them, each once, and quotes around one that has a comma; got "
            "cat,cat"
        ),
    ),
    case(
        "refit",
        "an option of training",
        command("refit", "--max-epochs", "1"),
        "2: cftlearn: error: unrecognized arguments: --max-epochs",
    ),
    case(
        "refit",
        "a network of random weights",
        command("refit", *IMAGES, "--network", "torchvision:resnet18"),
        (
            "1: cftlearn refit: `refit` needs a trained network; torchvision:resnet18 "
            "has random weights. Name its weights, --weights FILE, or use `cftlearn "
            "fit`."
        ),
    ),
    case(
        "refit",
        "features without weights",
        command("refit", *FEATURES),
        (
            "1: cftlearn refit: features has no weights of a trained classification "
            "layer to refit. Use `cftlearn fit`, which fits logistic regressions "
            "first; or extract the features with a network that has its own layer."
        ),
    ),
    case(
        "refit",
        "features with damaged weights",
        command("refit", *FEATURES, files={"features/rows.npz": b"PK\x03\x04"}),
        (
            "1: cftlearn refit: features/rows.npz must be as `cftlearn extract` wrote "
            "it; it is damaged or of something else. Extract the features again, into "
            "another folder."
        ),
    ),
    case(
        "extract",
        "no network",
        command("extract", "images", "--output", "f", files={"images/0.png": ""}),
        (
            "1: cftlearn extract: A network must be named: --network "
            "torchvision:densenet121, say; in a configuration, name = "
            '"torchvision:densenet121" in [network].'
        ),
        needs="PIL",
    ),
    case(
        "extract",
        "no output",
        command("extract", "images"),
        "2: cftlearn extract: error: the following arguments are required: --output",
    ),
    case(
        "extract",
        "one image twice",
        command(
            "extract",
            "images",
            "images/0.png",
            "--output",
            "f",
            "--network",
            "torch.nn:Identity",
            files={"images/0.png": ""},
        ),
        (
            "1: cftlearn extract: Every image must be named once, so that labels find "
            "its row; 'images/0.png' is named 2 times. Name files, or their folder, "
            "but not both."
        ),
        needs="PIL",
    ),
    case(
        "extract",
        "a layer and a head",
        command(
            "extract",
            "images",
            "--output",
            "f",
            "--network",
            "torch.nn:Identity",
            "--layer",
            "1",
            "--head",
            "2",
            files={"images/0.png": ""},
        ),
        (
            "1: cftlearn extract: --head does not apply: the output of --layer is "
            "written. Leave it out."
        ),
        needs="PIL",
    ),
    case(
        "extract",
        "an image that is not there",
        command("extract", "none.png", "--output", "f"),
        (
            "1: cftlearn extract: The images must be files, or folders of them; 1 of 1 "
            "do not exist, the first is 'none.png'."
        ),
    ),
    case(
        "extract",
        "a pipe as image",
        with_pipe("0.png", "extract", "0.png", "--output", "f"),
        (
            "1: cftlearn extract: An image must be a file; '0.png' is a pipe, "
            "which may never end. Copy what it holds to a file."
        ),
    ),
    case(
        "predict",
        "no model",
        command("predict", "images", "labels.csv"),
        (
            "1: cftlearn predict: `path` must be a folder written by save_model; "
            "images has no model.json."
        ),
    ),
    case(
        "predict",
        "a threshold above 1",
        command("predict", "model", "images", "--threshold", "2"),
        (
            "2: cftlearn predict: error: argument --threshold: must be a probability "
            "in [0, 1], or 'model' for the model's own; got 2"
        ),
    ),
    case(
        "predict",
        "a format that does not exist",
        command("predict", "model", "images", "--format", "xml"),
        (
            "2: cftlearn predict: error: argument --format: invalid choice: 'xml' "
            "(choose from 'text', 'csv', 'json')"
        ),
    ),
    case(
        "evaluate",
        "no labels",
        command("evaluate", "--scores", "scores.csv"),
        "1: cftlearn evaluate: `labels` must be given: --labels FILE.",
    ),
    case(
        "evaluate",
        "a model and scores",
        command("evaluate", "model", "--scores", "scores.csv"),
        (
            "2: cftlearn evaluate: error: argument --scores: not allowed with argument "
            "model"
        ),
    ),
    case(
        "evaluate",
        "views without studies",
        command("evaluate", "--scores", "scores.csv", *CSV, "--merge-views", "max"),
        (
            "1: cftlearn evaluate: `--merge-views` needs --group COLUMN, which names "
            "the studies."
        ),
    ),
    case(
        "evaluate",
        "options of images with scores",
        command("evaluate", "--scores", "scores.csv", *IMAGES, "--batch-size", "3"),
        (
            "1: cftlearn evaluate: --batch-size and --images do not apply: the scores "
            "are in a file, so that nothing is predicted. Leave them out."
        ),
    ),
    case(
        "evaluate",
        "scores that are not there",
        command("evaluate", "--scores", "none.csv", *CSV),
        (
            "1: cftlearn evaluate: A file of scores must be a file; 'none.csv' does "
            "not exist in {folder}. Check the path."
        ),
    ),
    case(
        "evaluate",
        "a pipe as scores",
        with_pipe("p.csv", "evaluate", "--scores", "p.csv", *CSV),
        (
            "1: cftlearn evaluate: A file of scores must be a file; 'p.csv' is a pipe, "
            "which may never end. Copy what it holds to a file."
        ),
    ),
    case(
        "evaluate",
        "scores without a header",
        command("evaluate", "--scores", "s.csv", *CSV, **{"s.csv": "a.png,0.5"}),
        (
            "1: cftlearn evaluate: s.csv must start with a line of 'path' and the "
            "categories, as `cftlearn predict --format csv` writes it."
        ),
    ),
    case(
        "evaluate",
        "a score that is no number",
        command(
            "evaluate", "--scores", "s.csv", *CSV, **{"s.csv": "path,cat\n0.png,high"}
        ),
        (
            "1: cftlearn evaluate: Scores must be finite numbers; got 'high' in column "
            "'cat', row 1 of s.csv. If the column is not a category, predict again "
            "without --threshold."
        ),
    ),
    case(
        "evaluate",
        "an image with two scores",
        command(
            "evaluate",
            "--scores",
            "s.csv",
            *CSV,
            **{"s.csv": "path,cat\n0.png,1\n0.png,0"},
        ),
        (
            "1: cftlearn evaluate: s.csv must have every path once; '0.png' is there 2 "
            "times. Delete what is doubled."
        ),
    ),
    case(
        "evaluate",
        "a category with two scores",
        command(
            "evaluate",
            "--scores",
            "s.csv",
            *CSV,
            **{"s.csv": "path,cat,cat\n0.png,1,0"},
        ),
        (
            "1: cftlearn evaluate: s.csv must have every category once; 'cat' is there "
            "2 times. Delete what is doubled."
        ),
    ),
    case(
        "evaluate",
        "scores of other categories",
        command(
            "evaluate", "--scores", "s.csv", *CSV, **{"s.csv": "path,cow\n0.png,1"}
        ),
        (
            "1: cftlearn evaluate: labels.csv must have labels of the model's "
            "categories, 'cow'; it has 'cat', 'dog'."
        ),
    ),
    case(
        "evaluate",
        "a quote that does not end",
        command(
            "evaluate", "--scores", "s.csv", *CSV, **{"s.csv": 'path,cat\n"0.png,1'}
        ),
        (
            "1: cftlearn evaluate: s.csv must be a CSV file; it is none in line 2. Is "
            "a quote left open, or the file cut short?"
        ),
    ),
    case(
        "evaluate",
        "10^12 resamples",
        command("evaluate", "--scores", "scores.csv", *CSV, "--resamples", "1e12"),
        (
            "2: cftlearn evaluate: error: argument --resamples: must be at most "
            "1000000 resamples, of which 2000 are plenty; got 1e12"
        ),
    ),
    case(
        "info",
        "no model",
        command("info", "images"),
        (
            "1: cftlearn info: `path` must be a folder written by save_model; images "
            "has no model.json."
        ),
    ),
    case(
        "demo",
        "no known labels",
        command("demo", "--known", "0"),
        (
            "2: cftlearn demo: error: argument --known: must be a fraction in (0, 1]; "
            "got 0"
        ),
    ),
    case(
        "demo",
        "100,000 workers",
        command("demo", "--n-jobs", "100000"),
        (
            "2: cftlearn demo: error: argument --n-jobs: must be a whole number of "
            "workers up to 1024, or -1 for all cores; got 100000"
        ),
    ),
]
