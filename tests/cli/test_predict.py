"""``cftlearn predict``: one image, thousands, and images that cannot be read."""

import csv
import json
import shutil

import numpy as np
import pytest
from optional import optional

from cftlearn import CFTClassifier, CFTEnsemble, load_model, save_model
from cftlearn.cli import main
from cftlearn.cli._features import FEATURES, write_paths
from cftlearn.cli._prediction import Layout
from cftlearn.persistence._folder import load_without_network

Image = optional("PIL.Image")

OWN = ["--network", "cli_parts:make_network", "--device", "cpu"]
ODD = ["Ödème, 肺", "line\nbreak", 'a "b"']


@pytest.fixture(scope="module")
def expected(photos, photo_model):
    """Probabilities of the photos, by the library."""
    module = load_without_network(photo_model).module
    paths = sorted(str(path) for path in (photos / "images").iterdir())
    return load_model(photo_model, module=module).predict_proba(paths)


@pytest.fixture(scope="module")
def of_features(tmp_path_factory):
    """A model of features with odd names, and a folder of 5 rows with odd paths."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((60, 4))
    y = {name: Z[:, j] > 0 for j, name in enumerate(ODD)}
    import pandas as pd

    model = CFTClassifier(random_state=0, threshold=[0.2, 0.5, 0.9])
    model.set_params(fine_tuner__solver="proximal")
    save_model(model.fit(Z, pd.DataFrame(y).astype(float)), folder / "model")
    (folder / "Z").mkdir()
    np.save(folder / "Z" / FEATURES, Z[:5].astype(np.float32))
    write_paths(folder / "Z", [f"a, {i}\n.png" for i in range(5)])
    return folder / "model", folder / "Z", model.predict_proba(Z[:5].astype("f"))


def test_one_image_is_a_line_per_category(photos, photo_model, expected, capsys):
    image = str(photos / "images" / "00.png")
    assert main(["predict", str(photo_model), image, *OWN]) == 0
    out, err = capsys.readouterr()
    names = ("red", "green", "blue")
    lines = [f"{n}: {p:.4f}\n" for n, p in zip(names, expected[0], strict=True)]
    assert out == "".join(lines)
    assert err == ""


def test_more_images_have_headings(photos, photo_model, expected, capsys):
    paths = [str(photos / "images" / name) for name in ("01.png", "00.png")]
    assert main(["predict", str(photo_model), *paths, *OWN, "--batch-size", "1"]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.splitlines()[0] == paths[0]
    assert second.splitlines()[:2] == [paths[1], f"red: {expected[0, 0]:.4f}"]


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_folder(photos, photo_model, expected, tmp_path, capsys, form, workers):
    output = tmp_path / "scores"
    argv = ["predict", str(photo_model), str(photos / "images"), *OWN]
    argv += ["--format", form, "--output", str(output), "--num-workers", workers]
    assert main(argv) == 0
    assert capsys.readouterr() == ("", "")
    assert [file.name for file in tmp_path.iterdir()] == ["scores"]
    with output.open(encoding="utf-8", newline="") as file:
        if form == "csv":
            lines = [list(line.values()) for line in csv.DictReader(file)]
        else:
            items = json.load(file)
            lines = [[i["path"], *i["probabilities"].values()] for i in items]
    assert [line[0] for line in lines] == sorted(
        str(path) for path in (photos / "images").iterdir()
    )
    scores = np.array([line[1:] for line in lines], dtype=float)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_thousands_of_images(photos, photo_model, expected, tmp_path, capsys):
    for number in range(1100):
        (tmp_path / f"{number:04}.png").symlink_to(
            photos / "images" / f"{number % 60:02}.png"
        )
    argv = ["predict", str(photo_model), str(tmp_path), *OWN, "--format", "csv"]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1100].startswith(str(tmp_path / "1099.png"))
    scores = np.array([line.split(",")[1:] for line in lines[1:]], dtype=float)
    np.testing.assert_allclose(scores, np.tile(expected, (19, 1))[:1100], rtol=1e-5)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_images_of_every_mode(photo_model, tmp_path, capsys, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    path = tmp_path / f"bild ä, {mode[0]}.{suffix}"
    Image.new(mode, (9, 7)).save(path)
    assert main(["predict", str(photo_model), str(path), *OWN]) == 0
    assert capsys.readouterr().out.startswith("red: 0.")


# --------------------------------------------------------------- images, unreadable
@pytest.fixture
def mixed(photos, tmp_path):
    """Two images, and one between them that is none."""
    for name in ("00.png", "02.png"):
        shutil.copy(photos / "images" / name, tmp_path / name)
    (tmp_path / "01.png").write_bytes(b"\x89PNG")
    return tmp_path


def test_unreadable_images_stop_it(photo_model, mixed, tmp_path, capsys):
    output = tmp_path / "scores.csv"
    output.write_text("earlier")
    argv = ["predict", str(photo_model), str(mixed), *OWN, "--output", str(output)]
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert "01.png" in err
    assert "pass --skip-unreadable to go on" in err
    assert output.read_text() == "earlier"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_unreadable_images_are_skipped(photo_model, mixed, expected, capsys, form):
    paths = [*map(str, sorted(mixed.glob("*.png"))), str(mixed / "none.png")]
    argv = ["predict", str(photo_model), *paths, *OWN, "--skip-unreadable"]
    assert main([*argv, "--format", form]) == 3
    out, err = capsys.readouterr()
    skipped = [line.split(": ")[1:3] for line in err.splitlines()]
    assert [reason[0] for reason in skipped] == ["skipped", "skipped"]
    assert "01.png" in skipped[0][1]
    assert "none.png" in skipped[1][1]
    assert "00.png" in out
    assert "02.png" in out
    assert "01.png" not in out


def test_only_unreadable_images(photo_model, mixed, capsys):
    argv = ["predict", str(photo_model), str(mixed / "01.png"), *OWN]
    assert main([*argv, "--skip-unreadable", "--format", "json"]) == 3
    assert json.loads(capsys.readouterr().out) == []


def test_images_that_are_not_there(photo_model, mixed, capsys):
    argv = ["predict", str(photo_model), str(mixed / "00.png"), "gone.png", *OWN]
    assert main(argv) == 1
    assert "1 of 2 do not exist, the first is 'gone.png'" in capsys.readouterr().err


# ------------------------------------------------------------------ names, features
def test_odd_names_in_text(of_features, capsys):
    model, Z, proba = of_features
    assert main(["predict", str(model), str(Z)]) == 0
    block = capsys.readouterr().out.split("\n\n")[1].splitlines()
    names = ["Ödème, 肺", r"line\nbreak", 'a "b"']
    lines = [f"{n}: {p:.4f}" for n, p in zip(names, proba[1], strict=True)]
    assert block == [r"a, 1\n.png", *lines]


def test_odd_names_in_csv_and_json(of_features, tmp_path):
    model, Z, proba = of_features
    for form in ("csv", "json"):
        options = ["--format", form, "--output", str(tmp_path / form)]
        assert main(["predict", str(model), str(Z), *options]) == 0
    with (tmp_path / "csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["path", *ODD]
    assert lines[2][0] == "a, 1\n.png"
    items = json.loads((tmp_path / "json").read_text(encoding="utf-8"))
    assert list(items[1]["probabilities"]) == ODD
    for i, p in enumerate(proba):
        np.testing.assert_allclose(np.array(lines[i + 1][1:], dtype=float), p, 1e-8)
        np.testing.assert_allclose(list(items[i]["probabilities"].values()), p, 1e-8)


@pytest.mark.parametrize(
    ("threshold", "thresholds"), [("0.6", [0.6, 0.6, 0.6]), ("model", [0.2, 0.5, 0.9])]
)
def test_decisions(of_features, capsys, threshold, thresholds):
    model, Z, proba = of_features
    decided = proba >= thresholds
    argv = ["predict", str(model), str(Z), "--threshold", threshold]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    words = [line.split()[-1] for line in lines if line.endswith("tive")]
    expected = np.where(decided, "positive", "negative").ravel().tolist()
    assert words == expected
    assert main([*argv, "--format", "json"]) == 0
    items = json.loads(capsys.readouterr().out)
    names = np.array(ODD)
    assert [i["positive"] for i in items] == [names[row].tolist() for row in decided]
    assert main([*argv, "--format", "csv"]) == 0
    lines = list(csv.reader(capsys.readouterr().out.splitlines(keepends=True)))
    assert lines[0][-1] == "positive"
    assert [line[-1] for line in lines[1:]] == [
        "; ".join(names[row]) for row in decided
    ]


def test_a_category_is_positive_from_its_threshold_on():
    layout = Layout(["a", "b"], np.array([0.5, 0.25]), is_one=True)
    assert layout.positive(np.array([0.5, 0.2])) == ["a"]
    assert layout.positive(np.array([0.4, 0.25])) == ["b"]


# ------------------------------------------------------------------------- mistakes
def test_two_folders_of_features(of_features, capsys):
    model, Z, _ = of_features
    assert main(["predict", str(model), str(Z), str(Z)]) == 1
    assert "must hold images" in capsys.readouterr().err


def test_a_model_of_images_gets_features(photo_model, of_features, capsys):
    assert main(["predict", str(photo_model), str(of_features[1]), *OWN]) == 1
    assert "predicts from images, not from features" in capsys.readouterr().err


def test_a_model_of_features_gets_images(of_features, mixed, capsys):
    assert main(["predict", str(of_features[0]), str(mixed / "00.png")]) == 1
    assert "predicts from features, not from images" in capsys.readouterr().err


def test_a_network_of_ours_must_be_named(photos, photo_model, capsys):
    image = str(photos / "images" / "00.png")
    assert main(["predict", str(photo_model), image]) == 1
    err = capsys.readouterr().err
    assert "name the code, --network cli_parts:make_network, if you trust it" in err


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("cli_parts:nothing", "cli_parts:nothing"),
        ("torchvision:mobilenet_v3_small", "must have the architecture of the saved"),
    ],
)
def test_a_network_that_does_not_fit(photos, photo_model, capsys, network, message):
    image = str(photos / "images" / "00.png")
    assert main(["predict", str(photo_model), image, "--network", network]) == 1
    assert message in capsys.readouterr().err


def test_a_network_for_a_model_of_features(of_features, capsys):
    assert main(["predict", str(of_features[0]), str(of_features[1]), *OWN]) == 1
    assert "the saved model has no network" in capsys.readouterr().err


def test_an_output_that_cannot_be_written(of_features, tmp_path, capsys):
    output = tmp_path / "nowhere" / "scores.csv"
    argv = ["predict", str(of_features[0]), str(of_features[1]), "--output"]
    assert main([*argv, str(output)]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_no_model(tmp_path, capsys):
    assert main(["predict", str(tmp_path), "a.png"]) == 1
    assert "has no model.json" in capsys.readouterr().err


def test_an_ensemble(photo_model, photos, expected, tmp_path, capsys):
    module = load_without_network(photo_model).module
    members = [load_model(photo_model, module=module) for _ in range(2)]
    ensemble = CFTEnsemble([("a", members[0]), ("b", members[1])], prefit=True)
    paths = sorted(str(path) for path in (photos / "images").iterdir())
    y = np.tile([[1.0, 0, 1], [0, 1, 0]], (30, 1))
    save_model(ensemble.fit(paths, y), tmp_path / "ensemble")
    assert main(["predict", str(tmp_path / "ensemble"), paths[0], *OWN]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"red: {expected[0, 0]:.4f}"
