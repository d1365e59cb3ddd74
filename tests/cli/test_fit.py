"""``cftlearn fit`` and ``refit``: from files to a saved model."""

import contextlib
import csv
import io

import numpy as np
import pytest
import torch

from cftlearn import load_model
from cftlearn.cli import main
from cftlearn.networks import Architecture
from cftlearn.persistence._folder import load_without_network

CONFIG = """
output = "model"
seed = 3
device = "cpu"
[data]
labels = "labels.csv"
images = "images"
where = {split = "train"}
group = "person"
categories = ["blue", "red"]
[network]
name = "cli_parts:make_network"
options = {width = 3}
[image]
size = 8
[train]
max_epochs = 1
batch_size = 16
num_workers = 1
augment = ["cli_parts:mirror", {name = "cli_parts:Rotation", angle = 90}]
[refit]
solver = "proximal"
objective = "average_precision"
"""
YAML = """
output: model
seed: 3
device: cpu
data:
  labels: labels.csv
  images: images
  where: {split: train}
  group: person
  categories: [blue, red]
network: {name: "cli_parts:make_network", options: {width: 3}}
image: {size: 8}
train:
  max_epochs: 1
  batch_size: 16
  num_workers: 0
  augment: ["cli_parts:mirror", {name: "cli_parts:Rotation", angle: 90}]
refit: {solver: proximal, objective: average_precision}
"""


@pytest.fixture
def _no_training(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("it should have stopped before")

    monkeypatch.setattr("cftlearn.cli._model.CFTClassifier.fit", fail)


@pytest.fixture
def beside_photos(photos, tmp_path):
    """Return a folder that has the photos, and room for more."""
    (tmp_path / "images").symlink_to(photos / "images")
    (tmp_path / "labels.csv").write_bytes((photos / "labels.csv").read_bytes())
    return tmp_path


def error_of(argv, capsys):
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"cftlearn {argv[0]}: ")
    return captured.err


# ----------------------------------------------------------------------------- fit
def test_toml_and_yaml_give_one_model(beside_photos, capsys):
    rows = []
    for name, text in (("c.toml", CONFIG), ("c.yaml", YAML)):
        (beside_photos / name).write_text(text)
        assert main(["fit", str(beside_photos / name), "--overwrite"]) == 0
        model = load_without_network(beside_photos / "model")
        rows.append(model.coef_)
    np.testing.assert_array_equal(*rows)
    assert model.categories_.tolist() == ["blue", "red"]
    assert model.coef_.shape == (2, 2 * 12), "features of two networks"
    assert (model.random_state, model.batch_size, model.max_epochs) == (3, 16, 1)
    assert model.fine_tuner.objective == "average_precision"
    assert model.trainer.augment is None  # it is no text
    options = {"n_outputs": 2, "options": {"width": 3}}
    assert model.module == Architecture("cli_parts:make_network", **options)
    out, err = capsys.readouterr()
    assert "40 rows, 2 categories;" in out
    assert "choose the refits: labels of whole groups (person), in each " in out
    assert out.count("\nblue ") == out.count("\nred ") == 2
    command = f"cftlearn predict {beside_photos / 'model'} IMAGE"
    assert out.endswith(f"try: {command} --network cli_parts:make_network\n")
    assert err == ""
    argv = ["predict", str(beside_photos / "model"), str(beside_photos / "images")]
    assert main([*argv, "--network", "cli_parts:make_network"]) == 0  # options too


@pytest.mark.parametrize(
    ("refit", "held_out"),
    [
        ("", "labels of whole groups (person), in each category of others"),
        ("cross_fit = 3", "all known labels, in 3 folds of whole groups (person)"),
    ],
)
def test_a_fit_gets_the_groups(refit, held_out, beside_photos, monkeypatch, capsys):
    seen = []

    def stop(self, X, y, **rest):
        seen.append((len(y.values), rest))
        raise ValueError("seen enough")

    monkeypatch.setattr("cftlearn.cli._model.CFTClassifier.fit", stop)
    path = beside_photos / "c.toml"
    path.write_text(CONFIG.replace("[refit]", f"[refit]\n{refit}"))
    assert main(["fit", str(path)]) == 1
    out, err = capsys.readouterr()
    assert f"held out to choose the refits: {held_out}\n" in out
    assert "seen enough" in err
    ((n_rows, rest),) = seen
    assert n_rows == len(rest["groups"]) == 40
    assert rest["groups"][:4].tolist() == ["p0", "p0", "p1", "p1"]
    assert rest["validation_data"] is None


@pytest.mark.filterwarnings("ignore::cftlearn.cli._unused.UnusedSettingsWarning")
def test_a_fit_gets_soft_labels_of_uncertain_cells(beside_photos, monkeypatch, capsys):
    seen = []

    def stop(self, X, y, **rest):
        seen.append((y, rest["pseudo_labels"]))
        raise ValueError("seen enough")

    monkeypatch.setattr("cftlearn.cli._model.CFTClassifier.fit", stop)
    labels, config = beside_photos / "labels.csv", beside_photos / "c.toml"
    lines = labels.read_text().splitlines()
    lines[1] = lines[1].rpartition(",")[0] + ",-1"  # of blue, in the first row
    labels.write_text("\n".join(lines))
    for policy in ('"soft_positive"', '{blue = "soft_positive"}', '"positive"'):
        text = CONFIG.replace("[data]", f"[data]\nuncertain = {policy}")
        config.write_text(text)
        assert main(["fit", str(config)]) == 1
    for y, soft in seen[:2]:
        assert np.isnan(y.values[0, 0])
        assert 0.55 <= soft[0, 0] <= 0.85
        assert np.isnan(soft).sum() == soft.size - 1
    assert seen[0][1][0, 0] == seen[1][1][0, 0]
    assert seen[2][0].values[0, 0] == 1
    assert seen[2][1] is None
    capsys.readouterr()
    config.write_text(text.replace('"positive"', '"soft_positive"'))
    error = error_of(["refit", str(config)], capsys)
    assert "only where a network is trained: in `cftlearn fit`" in error
    assert len(seen) == 3


def test_arguments_alone(photo_arguments, photo_model, tmp_path, capsys):
    options = ["--max-epochs", "2", "--output", str(tmp_path / "model")]
    assert main(["fit", *photo_arguments, *options]) == 0
    out = capsys.readouterr().out
    assert "40 rows, 3 categories" in out
    assert "held out to choose the refits: some known labels" in out
    same = load_without_network(photo_model)
    model = load_without_network(tmp_path / "model")
    np.testing.assert_array_equal(model.coef_, same.coef_)
    assert model.input_transform.size == 8


def test_arguments_override_a_configuration(beside_photos):
    path = beside_photos / "c.toml"
    path.write_text(CONFIG)
    options = ["--seed", "4", "--batch-size", "8", "--learning-rate", "1e-3", "--size"]
    options += ["9", "--num-workers", "0", "--max-epochs", "2", "--quiet"]
    options += ["--output", str(beside_photos / "other")]
    assert main(["fit", str(path), *options]) == 0
    assert not (beside_photos / "model").exists()
    model = load_without_network(beside_photos / "other")
    assert (model.random_state, model.batch_size, model.max_epochs) == (4, 8, 2)
    assert (model.learning_rate, model.trainer.num_workers) == (1e-3, 0)
    assert model.input_transform.size == 9


def test_how_to_train_can_be_said(photo_arguments, tmp_path):
    folder = str(tmp_path / "model")
    argv = ["fit", *photo_arguments, "--max-epochs", "1", "--quiet", "--output", folder]
    argv += ["--overwrite", "--unknown", "negative", "--rounds", "2", "--retrain"]
    features = {}
    for options in (["false"], ["true", "--layers", "1"], ["average", "--layers", "1"]):
        assert main([*argv, *options]) == 0
        model = load_without_network(tmp_path / "model")
        assert (model.unknown, model.rounds) == ("negative", 2)
        features[str(model.retrain)] = model.coef_.shape[1]
    assert model.layers == ["1"]
    assert features == {"False": 16, "True": 16 + 4, "average": 2 * (16 + 4)}


def test_quiet_says_nothing(photo_arguments, tmp_path, capsys):
    options = ["--max-epochs", "1", "-q", "--output", str(tmp_path / "model")]
    assert main(["fit", *photo_arguments, *options]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_default_output_is_below_the_current_folder(
    photo_arguments, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *photo_arguments, "--max-epochs", "1"]) == 0
    assert load_without_network("model").categories_.tolist() == [
        "red",
        "green",
        "blue",
    ]


def test_validation_rows_of_the_same_file(beside_photos, capsys):
    path = beside_photos / "c.toml"
    text = CONFIG.replace('group = "person"', 'validation_where = {split = "test"}')
    path.write_text(text.replace("num_workers = 1", ""))
    assert main(["fit", str(path)]) == 0
    out = capsys.readouterr().out
    assert "40 rows" in out
    assert "choose the refits: 20 other rows" in out


@pytest.mark.usefixtures("_no_training")
def test_an_earlier_model_stays(photo_arguments, photo_model, capsys):
    argv = ["fit", *photo_arguments, "--output", str(photo_model)]
    assert "holds a model. Pass --overwrite" in error_of(argv, capsys)


@pytest.mark.usefixtures("_no_training")
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]], ids=["", "overwrite"])
def test_an_output_of_something_else_is_refused_before_training(
    photo_arguments, tmp_path, capsys, overwrite
):
    (tmp_path / "thesis.tex").touch()
    argv = ["fit", *photo_arguments, "--output", str(tmp_path), *overwrite]
    assert "is no saved model" in error_of(argv, capsys)
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.usefixtures("_no_training")
def test_an_output_that_cannot_be_made_is_refused_before_training(
    photo_arguments, tmp_path, capsys
):
    (tmp_path / "file").touch()
    argv = ["fit", *photo_arguments, "--output", str(tmp_path / "file" / "model")]
    assert "file" in error_of(argv, capsys)


@pytest.mark.usefixtures("_no_training")
def test_a_folder_without_permission_is_refused_before_training(
    photo_arguments, tmp_path, capsys, monkeypatch
):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)  # root may write any
    argv = ["fit", *photo_arguments, "--output", str(tmp_path / "m")]
    expected = f"'{tmp_path / 'm'}' cannot be written: permission is missing"
    assert expected in error_of(argv, capsys)


@pytest.mark.usefixtures("_no_training")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--network", "cli_parts:nothing"], "'cli_parts:nothing'"),
        (["--network", "resnet18"], "got 'resnet18', which does not exist"),
        (["--network", "torchvision:resnet0"], "got 'resnet0'"),
        (["--head", "last"], "'last'"),
        (["--weights", "DEFAULT"], "`weights` must be None or the path"),
        (["--where", "person=p99"], "no row where person is 'p99'"),
        (["--group", "patient"], "no column 'patient'"),
        (["--labels", "none.csv"], "none.csv"),
        (["--images", "nowhere"], "40 of 40 images do not exist"),
        (["--format", "chexpert"], "CheXpert"),
        (["--validation", "none.csv"], "none.csv"),
        (["--solver", "gda"], "'gda'"),
        (["--features", "f"], "`network` and `features` must not both be given"),
        (["--device", "cuda:99"], "cuda:99"),
    ],
    ids=lambda value: "=".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments(
    photo_arguments, tmp_path, capsys, monkeypatch, given, message
):
    if given[0] in ("--network", "--head", "--weights", "--device"):
        monkeypatch.undo()  # fit itself finds these, before it trains
    argv = ["fit", *photo_arguments, "--output", str(tmp_path / "m"), *given]
    assert message in error_of(argv, capsys)
    assert not (tmp_path / "m").exists()


@pytest.mark.usefixtures("_no_training")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nmax_epoch = 2", "Did you mean `train.max_epochs`?"),
        ("[train]\nmax_epochs = 'two'", "`train.max_epochs` must be an int"),
        ("[train]\naugment = 'mirror'", "`train.augment` must be"),
        ("[refit]\nobjectve = 'roc_auc'", "Did you mean `refit.objective`?"),
        ("[refit]\ncoef_init = [[1]]", "no setting `refit.coef_init`"),
        ("[image]\nsiz = 3", "Did you mean `image.size`?"),
        ("[image]\nsize = 0", "`size` must be an int above 0"),
        ("seed = 1\n[data]\nimages = 'x'", "`labels` must be given"),
        ("[data]\nlabels = 'labels.csv'", "A network must be named"),
    ],
)
def test_wrong_settings(beside_photos, capsys, text, message):
    path = beside_photos / "c.toml"
    path.write_text(text)
    argv = ["fit", str(path), "--output", str(beside_photos / "m")]
    assert message in error_of(argv, capsys)


def test_a_loss_that_is_no_number_is_no_traceback(photo_arguments, tmp_path, capsys):
    options = ["--learning-rate", "1e30", "--max-epochs", "9", "--output"]
    argv = ["fit", *photo_arguments, *options, str(tmp_path / "m")]
    assert "Lower `learning_rate`" in error_of(argv, capsys)


def test_a_reader_that_has_seen_enough_costs_no_model(
    photo_arguments, tmp_path, monkeypatch
):
    def closed(report):
        raise BrokenPipeError

    monkeypatch.setattr("cftlearn.cli._fitting.print_report", closed)
    monkeypatch.setattr("cftlearn.cli.end_output", lambda: None)
    options = ["--max-epochs", "1", "--output", str(tmp_path / "m")]
    assert main(["fit", *photo_arguments, *options]) == 0
    assert load_without_network(tmp_path / "m").max_epochs == 1


def test_categories_can_be_named(photo_arguments, tmp_path):
    options = ["--max-epochs", "1", "--quiet", "--output", str(tmp_path / "m")]
    assert main(["fit", *photo_arguments, *options, "--categories", "blue, red"]) == 0
    model = load_without_network(tmp_path / "m")
    assert model.categories_.tolist() == ["blue", "red"]


@pytest.mark.usefixtures("_no_training")
def test_an_option_twice_is_said(photo_arguments, tmp_path, capsys):
    argv = ["fit", *photo_arguments, "--output", str(tmp_path / "m")]
    err = error_of([*argv, "--labels", "none.csv", "--size", "8"], capsys)
    first, second = err.splitlines()
    assert first.startswith("cftlearn fit: warning: --labels is given twice; none.csv")
    assert "none.csv" in second


# --------------------------------------------------------------------------- refit
@pytest.mark.usefixtures("_no_training")
def test_a_network_of_random_weights_is_not_refitted(photos, tmp_path, capsys):
    data = ["--labels", str(photos / "labels.csv"), "--images", str(photos / "images")]
    argv = ["refit", *data, "--network", "timm:resnet10t", "--output"]
    err = error_of([*argv, str(tmp_path / "m")], capsys)
    assert "timm:resnet10t has random weights. Name its weights, --weights" in err


def reordered(photos, path, names):
    """Write the labels with their columns in another order."""
    with (photos / "labels.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(
            file, ["path", "split", *names], extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(lines)


@pytest.fixture
def exported(photo_model, tmp_path):
    """Return the fitted network as torch exports it."""
    module = load_without_network(photo_model).module
    network = load_model(photo_model, module=module).to_torch().eval()
    batch = torch.export.Dim("batch", min=1, max=512)
    program = torch.export.export(
        network, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, tmp_path / "network.pt2")
    return tmp_path / "network.pt2", network


VALIDATED = ["--where", "split=test", "--device", "cpu", "--solver", "proximal"]


@pytest.mark.filterwarnings("ignore::cftlearn.exceptions.SeenLabelsWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # torch 2.9
def test_refit_of_an_exported_network(exported, photos, tmp_path, capsys):
    path, network = exported
    data = ["--labels", str(photos / "labels.csv"), "--images", str(photos / "images")]
    options = ["--network", str(path), "--size", "8", "--output", str(tmp_path / "m")]
    assert main(["refit", *data, *VALIDATED, *options]) == 0
    model = load_without_network(tmp_path / "m")
    expected = network.head.weight.detach().numpy()
    np.testing.assert_allclose(model.fine_tuner_.coef_init_, expected, rtol=1e-6)
    capsys.readouterr()
    argv = ["predict", str(tmp_path / "m"), str(photos / "images" / "00.png")]
    assert "code makes; name the code, --network FILE" in error_of(argv, capsys)
    assert main([*argv, "--network", str(path)]) == 0
    assert capsys.readouterr().out.startswith("red: 0.")


@pytest.mark.filterwarnings("ignore::cftlearn.exceptions.SeenLabelsWarning")
def test_refit_of_a_saved_model_keeps_its_categories_and_transform(
    photos, tmp_path, capsys
):
    data = ["--labels", str(photos / "labels.csv"), "--images", str(photos / "images")]
    options = ["--network", "torchvision:mobilenet_v3_small", "--size", "32"]
    options += ["--max-epochs", "1", "--output", str(tmp_path / "first")]
    assert main(["fit", *data, *options, "--where", "split=train", *VALIDATED[2:]]) == 0
    other = tmp_path / "other.csv"
    reordered(photos, other, ["blue", "red", "green"])
    options = [
        "--network",
        str(tmp_path / "first"),
        "--output",
        str(tmp_path / "second"),
    ]
    argv = ["refit", "--labels", str(other), *data[2:], *VALIDATED, *options]
    assert main(argv) == 0
    first = load_without_network(tmp_path / "first")
    second = load_model(tmp_path / "second")
    assert second.categories_.tolist() == ["red", "green", "blue"]
    assert second.input_transform == first.input_transform
    assert second.train is False
    np.testing.assert_allclose(second.fine_tuner_.coef_init_, first.coef_, rtol=1e-6)
    config = tmp_path / "c.toml"
    config.write_text('[data]\ncategories = ["blue", "red", "green"]\n')
    capsys.readouterr()
    argv = ["refit", str(config), *argv[1:-1], str(tmp_path / "third")]
    assert "must be those of the network, in its order" in error_of(argv, capsys)


@pytest.mark.filterwarnings("always::cftlearn.exceptions.SeenLabelsWarning")
def test_refit_of_a_saved_model_whose_code_is_the_users(
    photos, photo_model, tmp_path, capsys
):
    data = ["--labels", str(photos / "labels.csv"), "--images", str(photos / "images")]
    argv = ["refit", *data, *VALIDATED, "--output", str(tmp_path / "m"), "--network"]
    said = error_of([*argv, str(photo_model)], capsys)
    code = ["cli_parts:make_network", "--weights", str(photo_model)]
    assert said.endswith(" ".join(code) + ".\n")
    assert main([*argv, *code]) == 0
    err = capsys.readouterr().err
    assert err.count("warning: ") == 1
    assert "Name other labels with --validation FILE" in err
    first, second = (load_without_network(m) for m in (photo_model, tmp_path / "m"))
    np.testing.assert_allclose(second.fine_tuner_.coef_init_, first.coef_, rtol=1e-6)
    assert second.input_transform == first.input_transform
    again = load_model(tmp_path / "m", module=first.module)
    images = str(photos / "images")
    assert again.predict_proba(images).shape == (60, 3)


@pytest.mark.usefixtures("_no_training")
def test_refit_of_a_damaged_model(photos, tmp_path, capsys):
    (tmp_path / "model.json").write_text("{}")
    argv = ["refit", "--labels", str(photos / "labels.csv"), "--network", str(tmp_path)]
    assert "is damaged" in error_of([*argv, "--output", str(tmp_path / "m")], capsys)


def test_categories_and_other_columns_are_named(photos, photo_arguments, tmp_path):
    """So that a label column taken for something else is seen before training."""
    printed = io.StringIO()
    options = ["--max-epochs", "1", "--output", str(tmp_path / "m")]
    with contextlib.redirect_stdout(printed):
        assert main(["fit", *photo_arguments, *options]) == 0
    lines = printed.getvalue().splitlines()
    assert "categories: red, green, blue" in lines
    assert "other columns: split, person" in lines
