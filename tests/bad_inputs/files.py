"""Bad inputs of what writes files: models, checkpoints, features, tables."""

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cftlearn import CategoryWiseFineTuner, CFTEnsemble, save_model
from cftlearn.cli._settings import SettingsError
from cftlearn.datasets import make_partial_multilabel

from .case import Case

LONG = "n" * 300  # more than any disk takes for a name


@cache
def data() -> Any:
    return make_partial_multilabel(40, n_categories=2, n_features=3, random_state=0)


def quick_tuner(**settings: Any) -> Any:
    from cftlearn.solvers import GradientSolver

    solver = GradientSolver(max_epochs=1)
    return CategoryWiseFineTuner(solver, random_state=0, device="cpu", **settings)


@cache
def fitted() -> Any:
    return quick_tuner().fit(*data()[:2])


@cache
def ensemble() -> Any:
    model = CFTEnsemble([("a", fitted()), ("b", fitted())], prefit=True)
    return model.fit(*data()[:2])


# ------------------------------------------------------------- what is in the way
def a_file(path: Path) -> None:
    path.write_text("precious")


def a_link_to_a_file(path: Path) -> None:
    path.with_name("file").write_text("precious")
    path.symlink_to("file")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_full_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("precious")


def a_model(path: Path) -> None:
    save_model(fitted(), path)


def a_model_with_notes(path: Path) -> None:
    a_model(path)
    (path / "notes.txt").write_text("precious")


def a_model_with_an_empty_folder(path: Path) -> None:
    a_model(path)
    (path / "plots").mkdir()


def a_model_with_weights_of_somebody(path: Path) -> None:
    a_model(path)
    (path / "network.pt").write_text("precious")


def a_model_with_a_link(path: Path) -> None:
    a_model(path)
    (path / "members").symlink_to("/")


def an_ensemble_with_notes(path: Path) -> None:
    save_model(ensemble(), path)
    (path / "members" / "notes.txt").write_text("precious")
    (path / "members" / "1" / "readme.md").write_text("precious")


def an_ensemble_with_a_link(path: Path) -> None:
    save_model(ensemble(), path)
    (path / "members" / "2").symlink_to("/")


def a_document(path: Path) -> None:
    path.mkdir()
    (path / "model.json").write_text('{"my": "settings"}')


def saving(occupy: Any, path: str = "model", **options: Any) -> Any:
    """Return a call that saves a model where something is already."""

    def call(folder: Path) -> object:
        if occupy is not None:
            occupy(folder / "model")
        return save_model(fitted(), folder / path, **options)

    return call


def saving_to(path: Any) -> Any:
    return lambda _: save_model(fitted(), path)


def with_limited_files(size: int, call: Any) -> object:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        return call()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def saving_with_little_room(folder: Path) -> object:
    a_model(folder / "model")
    return with_limited_files(
        100, lambda: save_model(fitted(), folder / "model", overwrite=True)
    )


# --------------------------------------------------------------------- checkpoints
def refitting(occupy: Any, path: str = "run") -> Any:
    """Return a call that refits with a checkpoint where something is already."""

    def call(folder: Path) -> object:
        if occupy is not None:
            occupy(folder / "run")
        try:
            return quick_tuner(checkpoint=folder / path).fit(*data()[:2])
        except ValueError as error:  # names of files depend on last digits
            words = re.sub(r"[0-9a-f]{20}\.npz", "CATEGORY.npz", str(error))
            raise type(error)(words) from error

    return call


def a_note(text: str) -> Any:
    def occupy(path: Path) -> None:
        path.mkdir()
        (path / "fit.json").write_text(text)

    return occupy


def a_note_that_is_a_pipe(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path / "fit.json")


def another_fit(path: Path) -> None:
    quick_tuner(checkpoint=path).set_params(random_state=1).fit(*data()[:2])


def pieces(path: Path) -> list[Path]:
    quick_tuner(checkpoint=path).fit(*data()[:2])
    # what judged each category; what was refitted is beside it
    return sorted(each for each in path.glob("*.npz") if "-" not in each.name)


def a_changed_piece(path: Path) -> None:
    piece = pieces(path)[0]
    content = bytearray(piece.read_bytes())
    content[len(content) // 2] ^= 1
    piece.write_bytes(content)


def an_empty_piece(path: Path) -> None:
    pieces(path)[0].write_bytes(b"")


def swapped_pieces(path: Path) -> None:
    one, other = pieces(path)
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])


def a_piece_that_is_a_folder(path: Path) -> None:
    piece = pieces(path)[0]
    piece.unlink()
    piece.mkdir()


def training(occupy: Any) -> Any:
    """Return a call that trains with a checkpoint where something is already."""

    def call(folder: Path) -> object:
        if occupy is not None:
            occupy(folder / "run")
        return train(folder / "run")

    return call


def train(checkpoint: Path, seed: int = 0) -> object:
    from torch import nn

    from cftlearn import CFTClassifier
    from cftlearn.training import NetworkTrainer

    model = CFTClassifier(
        lambda: nn.Sequential(nn.Linear(3, 2)),
        trainer=NetworkTrainer(checkpoint=checkpoint),
        unknown="ignore",
        retrain=False,
        max_epochs=1,
        fine_tuner=quick_tuner(),
        device="cpu",
        random_state=seed,
    )
    X, y, _ = data()
    return model.fit(X.astype(np.float32), y)


def a_changed_state(path: Path) -> None:
    train(path)
    content = bytearray((path / "training.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "training.pt").write_bytes(content)


def a_state_of_torch(path: Path) -> None:
    import torch

    train(path)
    torch.save({"network": {}}, path / "training.pt")


def another_training(path: Path) -> None:
    train(path, seed=1)


# ------------------------------------------------------------------------ features
def extracting(occupy: Any, out: str = "Z.npy") -> Any:
    """Return a call that extracts features to a file where something is already."""

    def call(folder: Path) -> object:
        if occupy is not None:
            occupy(folder / "Z.npy")
        return extract(folder / out)

    return call


def extract(out: Any) -> object:
    import torch
    from torch import nn

    from cftlearn import TorchFeatureExtractor

    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    X = data()[0].astype(np.float32)
    return TorchFeatureExtractor(network, out=out, device="cpu").transform(X)


def other_features(path: Path) -> None:
    np.save(path, np.zeros((40, 4)))


def changed_features(path: Path) -> None:
    extract(path)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)


def shorter_features(path: Path) -> None:
    extract(path)
    path.write_bytes(path.read_bytes()[:-8])


def a_changed_note(path: Path) -> None:
    extract(path)
    note = path.with_name("Z.npy.json")
    note.write_text(note.read_text().replace('"n_done": 40', '"n_done": 30'))


def a_note_of_features_that_is_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("Z.npy.json"))


def features_of_another_network(path: Path) -> None:
    extract(path)
    note = path.with_name("Z.npy.json")
    note.unlink()


def extracting_with_little_room(folder: Path) -> object:
    return with_limited_files(300, lambda: extract(folder / "Z.npy"))


# ------------------------------------------------------------------------- commands
def command(*argv: str) -> Any:
    """Return a call of a command; ``{folder}`` stands for the empty folder."""

    def call(folder: Path) -> object:
        from cftlearn.cli import make_parser

        (folder / "labels.csv").write_text("path,a\na.png,1\nb.png,0\n")
        arguments = [argument.replace("{folder}", str(folder)) for argument in argv]
        parsed = make_parser(arguments).parse_args(arguments)
        return parsed.run(parsed)

    return call


def occupied(occupy: Any, call: Any) -> Any:
    def both(folder: Path) -> object:
        occupy(folder / "model")
        return call(folder)

    return both


FIT = command(
    "fit",
    "--labels={folder}/labels.csv",
    "--network=torchvision:resnet18",
    "--output={folder}/model",
)
FIT_OVER = command(
    "fit",
    "--labels={folder}/labels.csv",
    "--network=torchvision:resnet18",
    "--output={folder}/model",
    "--overwrite",
)
EVALUATE = command(
    "evaluate",
    "--scores={folder}/scores.csv",
    "--labels={folder}/labels.csv",
    "--output={folder}/model",
)


PREDICT = command("predict", "{folder}/m", "a.png", "--output={folder}/model")
PREDICT_FAR = command("predict", "{folder}/m", "a.png", "--output={folder}/new/file")


def exporting(occupy: Any, path: str = "model") -> Any:
    """Return a call that exports a model where something is already."""

    def call(folder: Path) -> object:
        from cftlearn import CFTClassifier
        from cftlearn.networks import export_onnx

        occupy(folder / "model")
        model = CFTClassifier(fine_tuner=quick_tuner(), random_state=0)
        return export_onnx(model.fit(*data()[:2]), folder / path)

    return call


CASES = [
    Case(
        "save_model",
        "no path",
        saving_to(None),
        TypeError,
        "`path` must be a str or a pathlib.Path; got NoneType None. Name a "
        "file or folder.",
    ),
    Case(
        "save_model",
        "a number as path",
        saving_to(3),
        TypeError,
        "`path` must be a str or a pathlib.Path; got int 3. Name a file or folder.",
    ),
    Case(
        "save_model",
        "bytes as path",
        saving_to(b"model"),
        TypeError,
        "`path` must be a str or a pathlib.Path; got bytes b'model'. Name a "
        "file or folder.",
    ),
    Case(
        "save_model",
        "an empty path",
        saving_to(""),
        ValueError,
        "`path` must be a path; got '', which is empty or holds a NUL "
        "character. Name a file or folder; '.' is the current folder.",
    ),
    Case(
        "save_model",
        "a NUL character in the path",
        saving_to("model\0"),
        ValueError,
        "`path` must be a path; got 'model\\x00', which is empty or holds a "
        "NUL character. Name a file or folder; '.' is the current folder.",
    ),
    Case(
        "save_model",
        "a name that is too long",
        saving(None, LONG),
        OSError,
        "'{folder}/"
        + LONG
        + "' cannot be written: the name is too long. Name a shorter one.",
    ),
    Case(
        "save_model",
        "a long name in a new folder",
        saving(None, "new/" + LONG),
        OSError,
        "'{folder}/new/"
        + LONG
        + "' cannot be written: the name is too long. Name a shorter one.",
    ),
    Case(
        "save_model",
        "a file in the way",
        saving(a_file, overwrite=True),
        FileExistsError,
        "'{folder}/model' must be a folder, or free; it is a file. Name another place.",
    ),
    Case(
        "save_model",
        "a link to a file",
        saving(a_link_to_a_file, overwrite=True),
        FileExistsError,
        "'{folder}/model' must be a folder, or free; it is a file. Name another place.",
    ),
    Case(
        "save_model",
        "a pipe in the way",
        saving(a_pipe, overwrite=True),
        FileExistsError,
        "'{folder}/model' must be a folder, or free; it is a pipe. Name another place.",
    ),
    Case(
        "save_model",
        "a file as folder",
        saving(a_file, "model/model"),
        NotADirectoryError,
        "'{folder}/model/model' cannot be written: a part of the path is a "
        "file. Name another place.",
    ),
    Case(
        "save_model",
        "a link to itself",
        saving(a_loop),
        OSError,
        "'{folder}/model' cannot be written: its links lead back to "
        "themselves. Name another place.",
    ),
    Case(
        "save_model",
        "a folder of somebody else",
        saving(a_full_folder, overwrite=True),
        FileExistsError,
        "`path` must be free; {folder}/model exists and is no saved model. "
        "Choose another path.",
    ),
    Case(
        "save_model",
        "a document of somebody else",
        saving(a_document, overwrite=True),
        FileExistsError,
        "`path` must be free; {folder}/model exists and is no saved model. "
        "Choose another path.",
    ),
    Case(
        "save_model",
        "a model in the way",
        saving(a_model),
        FileExistsError,
        "`path` must be free; {folder}/model holds a saved model. Pass "
        "overwrite=True to replace it.",
    ),
    Case(
        "save_model",
        "a model with notes",
        saving(a_model_with_notes, overwrite=True),
        FileExistsError,
        "`path` must be free; {folder}/model holds, beside a saved model, "
        "notes.txt. Choose another path, or move these away.",
    ),
    Case(
        "save_model",
        "a model with an empty folder",
        saving(a_model_with_an_empty_folder, overwrite=True),
        FileExistsError,
        "`path` must be free; {folder}/model holds, beside a saved model, "
        "plots/. Choose another path, or move these away.",
    ),
    Case(
        "save_model",
        "a model with weights of somebody else",
        saving(a_model_with_weights_of_somebody, overwrite=True),
        FileExistsError,
        "`path` must be free; {folder}/model holds, beside a saved model, "
        "network.pt. Choose another path, or move these away.",
    ),
    Case(
        "save_model",
        "a model with a link",
        saving(a_model_with_a_link, overwrite=True),
        FileExistsError,
        "`path` must be free; {folder}/model holds, beside a saved model, "
        "members. Choose another path, or move these away.",
    ),
    Case(
        "save_model",
        "an ensemble with notes",
        saving(an_ensemble_with_notes, overwrite=True),
        FileExistsError,
        "`path` must be free; {folder}/model holds, beside a saved model, "
        "members/1/readme.md, members/notes.txt. Choose another path, or "
        "move these away.",
    ),
    Case(
        "save_model",
        "an ensemble with a link for a member",
        saving(an_ensemble_with_a_link, overwrite=True),
        FileExistsError,
        "`path` must be free; {folder}/model holds, beside a saved model, "
        "members/2. Choose another path, or move these away.",
    ),
    Case(
        "save_model",
        "a disk without room",
        saving_with_little_room,
        OSError,
        "'{folder}/model' cannot be written: the file would be larger than "
        "the disk or a limit (ulimit -f) allows. What was there before has "
        "not changed. Raise the limit, or name another disk.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: a file",
        refitting(a_file),
        FileExistsError,
        "'{folder}/run' must be a folder, or free; it is a file. Name another place.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: a pipe",
        refitting(a_pipe),
        FileExistsError,
        "'{folder}/run' must be a folder, or free; it is a pipe. Name another place.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: in a file",
        refitting(a_file, "run/run"),
        NotADirectoryError,
        "'{folder}/run/run' cannot be written: a part of the path is a file. "
        "Name another place.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: a link to itself",
        refitting(a_loop),
        OSError,
        "'{folder}/run' cannot be written: its links lead back to "
        "themselves. Name another place.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: a long name",
        refitting(None, LONG),
        OSError,
        "'{folder}/"
        + LONG
        + "' cannot be written: the name is too long. Name a shorter one.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: notes",
        refitting(a_note("my notes")),
        ValueError,
        "`checkpoint` must name a folder that cftlearn wrote; "
        "'{folder}/run/fit.json' cannot be read. Name another folder.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: a list",
        refitting(a_note("[1]")),
        ValueError,
        "`checkpoint` must name a folder that cftlearn wrote; "
        "'{folder}/run/fit.json' cannot be read. Name another folder.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: deep brackets",
        refitting(a_note("[" * 100_000)),
        ValueError,
        "`checkpoint` must name a folder that cftlearn wrote; "
        "'{folder}/run/fit.json' cannot be read. Name another folder.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: a note that is a pipe",
        refitting(a_note_that_is_a_pipe),
        ValueError,
        "`checkpoint` must name a folder that cftlearn wrote; "
        "'{folder}/run/fit.json' cannot be read. Name another folder.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: another fit",
        refitting(another_fit),
        ValueError,
        "`checkpoint` must name a new folder, or that of the same fit; "
        "'{folder}/run' holds one that differs in: seed, labels, initial "
        "weights. Name another folder, or delete this one.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: changed",
        refitting(a_changed_piece),
        ValueError,
        "A file in `checkpoint` must be a finished category; "
        "'{folder}/run/CATEGORY.npz' cannot be read: it was changed, or "
        "written for something else. Delete it, and the category is refitted.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: empty",
        refitting(an_empty_piece),
        ValueError,
        "A file in `checkpoint` must be a finished category; "
        "'{folder}/run/CATEGORY.npz' cannot be read: it was changed, or "
        "written for something else. Delete it, and the category is refitted.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: swapped",
        refitting(swapped_pieces),
        ValueError,
        "A file in `checkpoint` must be a finished category; "
        "'{folder}/run/CATEGORY.npz' cannot be read: it was changed, or "
        "written for something else. Delete it, and the category is refitted.",
    ),
    Case(
        "CategoryWiseFineTuner",
        "checkpoint: a folder as category",
        refitting(a_piece_that_is_a_folder),
        ValueError,
        "A file in `checkpoint` must be a finished category; "
        "'{folder}/run/CATEGORY.npz' cannot be read: "
        "'{folder}/run/CATEGORY.npz' must be a file; it is a folder. Delete "
        "it, and the category is refitted.",
    ),
    Case(
        "training.NetworkTrainer",
        "checkpoint: a file",
        training(a_file),
        FileExistsError,
        "'{folder}/run' must be a folder, or free; it is a file. Name another place.",
    ),
    Case(
        "training.NetworkTrainer",
        "checkpoint: notes",
        training(a_note("my notes")),
        ValueError,
        "`checkpoint` must name a folder that cftlearn wrote; "
        "'{folder}/run/fit.json' cannot be read. Name another folder.",
    ),
    Case(
        "training.NetworkTrainer",
        "checkpoint: changed",
        training(a_changed_state),
        ValueError,
        "`checkpoint` must hold a state of training; "
        "'{folder}/run/training.pt' cannot be read: it was changed, or "
        "written for something else. Delete the folder to train from the "
        "start; an optimizer or schedule of one's own must have a state_dict "
        "of tensors and plain values.",
    ),
    Case(
        "training.NetworkTrainer",
        "checkpoint: of torch",
        training(a_state_of_torch),
        ValueError,
        "`checkpoint` must hold a state of training; "
        "'{folder}/run/training.pt' cannot be read: it was changed, or "
        "written for something else. Delete the folder to train from the "
        "start; an optimizer or schedule of one's own must have a state_dict "
        "of tensors and plain values.",
    ),
    Case(
        "training.NetworkTrainer",
        "checkpoint: another",
        training(another_training),
        ValueError,
        "`checkpoint` must name a new folder, or that of the same fit; "
        "'{folder}/run' holds one that differs in: network, seed, labels, "
        "validation. Name another folder, or delete this one.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: another ending",
        extracting(None, "Z.npz"),
        ValueError,
        "`out` must end in .npy; got '{folder}/Z.npz'. Write '{folder}/Z.npy'.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: a missing folder",
        extracting(None, "new/Z.npy"),
        ValueError,
        "`out` must be in a folder that exists; got '{folder}/new/Z.npy'. "
        "Make '{folder}/new' first.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: a folder",
        extracting(a_folder),
        ValueError,
        "'{folder}/Z.npy' must be a file; it is a folder.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: a pipe",
        extracting(a_pipe),
        ValueError,
        "'{folder}/Z.npy' must be a file; it is a pipe.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: other features",
        extracting(other_features),
        ValueError,
        "`out` must be a new file, or the one of the same inputs, network "
        "and parameters; '{folder}/Z.npy' has something else. Pass another "
        "path, or delete it and 'Z.npy.json'.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: changed",
        extracting(changed_features),
        ValueError,
        "'{folder}/Z.npy' must hold the features that were written, as the "
        "note 'Z.npy.json' says; it was changed. Delete both to start again.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: shorter",
        extracting(shorter_features),
        ValueError,
        "'{folder}/Z.npy' must hold the features that were written, as the "
        "note 'Z.npy.json' says; it was changed. Delete both to start again.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: a changed note",
        extracting(a_changed_note),
        ValueError,
        "The note '{folder}/Z.npy.json' of an earlier extraction cannot be "
        "read: it was changed. Delete it and '{folder}/Z.npy' to start again.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: a note that is a pipe",
        extracting(a_note_of_features_that_is_a_pipe),
        ValueError,
        "'{folder}/Z.npy.json' must be a file; it is a pipe.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: a lost note",
        extracting(features_of_another_network),
        ValueError,
        "`out` must be a new file, or the one of the same inputs, network "
        "and parameters; '{folder}/Z.npy' has something else. Pass another "
        "path, or delete it and 'Z.npy.json'.",
    ),
    Case(
        "TorchFeatureExtractor",
        "out: no room",
        extracting_with_little_room,
        OSError,
        "'{folder}/Z.npy' cannot be written: the file would be larger than "
        "the disk or a limit (ulimit -f) allows. The rows so far are kept, "
        "and the same call goes on after them. Raise the limit, or name "
        "another disk.",
    ),
    Case(
        "cftlearn fit",
        "output: a file",
        occupied(a_file, FIT),
        FileExistsError,
        "'{folder}/model' must be a folder, or free; it is a file. Name another place.",
    ),
    Case(
        "cftlearn fit",
        "output: a pipe",
        occupied(a_pipe, FIT_OVER),
        FileExistsError,
        "'{folder}/model' must be a folder, or free; it is a pipe. Name another place.",
    ),
    Case(
        "cftlearn fit",
        "output: a folder with files",
        occupied(a_full_folder, FIT),
        FileExistsError,
        "`path` must be free; {folder}/model exists and is no saved model. "
        "Choose another path.",
    ),
    Case(
        "cftlearn fit",
        "output: a model",
        occupied(a_model, FIT),
        SettingsError,
        "{folder}/model holds a model. Pass --overwrite to replace it, or "
        "another --output.",
    ),
    Case(
        "cftlearn fit",
        "output: a model with notes",
        occupied(a_model_with_notes, FIT_OVER),
        FileExistsError,
        "`path` must be free; {folder}/model holds, beside a saved model, "
        "notes.txt. Choose another path, or move these away.",
    ),
    Case(
        "cftlearn evaluate",
        "output: a folder",
        occupied(a_folder, EVALUATE),
        IsADirectoryError,
        "'{folder}/model' must be a file, or free; it is a folder. Name a file in it.",
    ),
    Case(
        "cftlearn evaluate",
        "output: a pipe",
        occupied(a_pipe, EVALUATE),
        FileExistsError,
        "'{folder}/model' must be a file, or free; it is a pipe. Name another place.",
    ),
    Case(
        "cftlearn predict",
        "output: a folder",
        occupied(a_folder, PREDICT),
        IsADirectoryError,
        "'{folder}/model' must be a file, or free; it is a folder. Name a file in it.",
    ),
    Case(
        "cftlearn predict",
        "output: a pipe",
        occupied(a_pipe, PREDICT),
        FileExistsError,
        "'{folder}/model' must be a file, or free; it is a pipe. Name another place.",
    ),
    Case(
        "cftlearn predict",
        "output: a missing folder",
        PREDICT_FAR,
        FileNotFoundError,
        "'{folder}/new/file' cannot be written: its folder does not exist. "
        "Make the folder first.",
    ),
    Case(
        "networks.export_onnx",
        "a pipe in the way",
        exporting(a_pipe),
        FileExistsError,
        "'{folder}/model' must be a file, or free; it is a pipe. Name another place.",
        needs="onnxscript",
    ),
    Case(
        "networks.export_onnx",
        "a folder",
        exporting(a_folder),
        IsADirectoryError,
        "`path` must be a file; got the folder '{folder}/model'. Name a file "
        "in it: '{folder}/model/model.onnx'.",
        needs="onnxscript",
    ),
    Case(
        "networks.export_onnx",
        "a file as folder",
        exporting(a_file, "model/m.onnx"),
        FileExistsError,
        "'{folder}/model' must be a folder, or free; it is a file. Name another place.",
        needs="onnxscript",
    ),
]
