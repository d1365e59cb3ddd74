"""``cftlearn extract``: features of images, also when killed in the middle."""

import shutil

import numpy as np
import pytest

from cftlearn import load_model
from cftlearn.cli import main
from cftlearn.cli._features import read_extracted
from cftlearn.cli._settings import SettingsError
from cftlearn.feature_extraction._feature_file import FeatureFile
from cftlearn.images import read_image
from cftlearn.persistence._folder import load_without_network

NETWORK = ["--network", "cli_parts:make_network", "--size", "8", "--device", "cpu"]


def extract(photos, output, *options, network=NETWORK):
    paths = [str(photos / "images")]
    return main(["extract", *paths, *network, "--output", str(output), *options])


@pytest.fixture(scope="module")
def extracted(photos, tmp_path_factory):
    output = tmp_path_factory.mktemp("extracted") / "features"
    assert extract(photos, output) == 0
    return output


def test_a_row_per_image(photos, extracted):
    stored = read_extracted(extracted)
    assert stored.Z.shape == (60, 16)
    assert stored.paths == sorted(map(str, (photos / "images").iterdir()))
    assert stored.coef is None  # the layer of an architecture is a new one


def test_again_it_is_only_read(photos, extracted, capsys, monkeypatch):
    monkeypatch.setattr(FeatureFile, "append", None)
    assert extract(photos, extracted) == 0
    out, err = capsys.readouterr()
    assert out == f"60 images, 16 features: {extracted / 'features.npy'}\n"
    assert err == ""
    assert extract(photos, extracted, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_killed_extraction_goes_on(photos, extracted, tmp_path, capsys, monkeypatch):
    append, n_appended = FeatureFile.append, []

    def killed(self, features, n_done, skipped):
        append(self, features, n_done, skipped)
        n_appended.append(len(features))
        if len(n_appended) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FeatureFile, "append", killed)
        assert extract(photos, tmp_path / "f", "--batch-size", "10") == 130
    assert capsys.readouterr().err == "cftlearn extract: interrupted\n"
    said = main(["predict", str(tmp_path), str(tmp_path / "f")])  # it is no whole one
    assert said == 1
    n_appended.clear()
    monkeypatch.setattr(FeatureFile, "append", killed)
    n_appended.append(0)
    n_appended.append(0)  # never again the second
    assert extract(photos, tmp_path / "f", "--batch-size", "10") == 0
    assert sum(n_appended) == 40
    np.testing.assert_array_equal(
        read_extracted(tmp_path / "f").Z, read_extracted(extracted).Z
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--size", "9"], "image size or scale"),
        (["--layer", "3"], "layer"),
        (["--network", "cli_parts:other"], "network"),
        (["--head", "4", "--size", "9"], "network, image size or scale"),
    ],
)
def test_another_extraction_is_refused(
    photos, extracted, capsys, monkeypatch, options, what
):
    monkeypatch.setattr(
        "cli_parts.other", __import__("cli_parts").make_network, raising=False
    )
    assert extract(photos, extracted, *options) == 1
    assert f"differs in: {what}. Name another" in capsys.readouterr().err


def test_other_images_are_refused(photos, extracted, capsys):
    image = str(photos / "images" / "00.png")
    assert main(["extract", image, *NETWORK, "--output", str(extracted)]) == 1
    assert "differs in: images. Name another" in capsys.readouterr().err
    assert len(read_extracted(extracted).paths) == 60


def test_other_weights_are_refused(photos, tmp_path, capsys):
    network, features = tmp_path / "model", tmp_path / "features"
    data = ["--labels", str(photos / "labels.csv"), "--images", str(photos / "images")]
    torchvision = ["--network", "torchvision:mobilenet_v3_small", "--size", "32", "-q"]
    fit = ["fit", *data, *torchvision, "--max-epochs", "1", "--solver", "proximal"]
    fit += ["--overwrite", "--output", str(network)]
    assert main(fit) == 0
    options = ["--network", str(network), "--device", "cpu"]
    assert extract(photos, features, network=options) == 0
    model, stored = load_model(network), read_extracted(features)
    np.testing.assert_allclose(stored.coef, model.coef_, rtol=1e-6)
    assert stored.categories == ["red", "green", "blue"]
    # the saved model's own transform was taken
    images = [read_image(path) for path in stored.paths]
    logits = stored.Z @ stored.coef.T + stored.intercept
    # The untrained network's features hardly vary, so the weights are large, and the
    # biases are rounded to single precision.
    np.testing.assert_allclose(logits, model.decision_function(images), atol=5e-2)
    assert main([*fit, "--seed", "1"]) == 0
    capsys.readouterr()
    assert extract(photos, features, network=options) == 1
    assert "has something else" in capsys.readouterr().err
    np.testing.assert_array_equal(read_extracted(features).coef, stored.coef)


def test_unreadable_images(photos, tmp_path, capsys):
    for name in ("00.png", "01.png"):
        shutil.copy(photos / "images" / name, tmp_path / name)
    (tmp_path / "00a.png").write_text("no image")
    images = [str(path) for path in sorted(tmp_path.glob("*.png"))]
    options = [*NETWORK, "--output", str(tmp_path / "g")]
    assert main(["extract", *images, *NETWORK, "--output", str(tmp_path / "f")]) == 1
    assert "00a.png" in capsys.readouterr().err
    options += ["--skip-unreadable"]
    assert main(["extract", *images, str(tmp_path / "none.png"), *options]) == 3
    out, err = capsys.readouterr()
    assert out.startswith("2 images, 16 features")
    assert [line.split("'")[0] for line in err.splitlines()] == [
        "cftlearn extract: skipped: Image "
    ] * 2
    stored = read_extracted(tmp_path / "g")
    assert stored.paths == [str(tmp_path / "00.png"), str(tmp_path / "01.png")]
    assert main(["extract", *images, *options]) == 1  # other images
    paths = tmp_path / "g" / "paths.csv"
    head, first, second = paths.read_text().splitlines()
    paths.write_text(f"{head}\n{second}\n{first}\n")
    with pytest.raises(SettingsError, match=r"paths\.csv must be as .* wrote it"):
        read_extracted(tmp_path / "g")


def test_a_head_that_is_not_the_last_layer(photos, tmp_path):
    """Its input is written, also where further layers follow."""
    import cli_parts
    from torch import nn

    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = cli_parts.make_network()[:-1]
            self.first, self.second = nn.Linear(16, 3), nn.Linear(3, 2)

        def forward(self, x):
            return self.second(self.first(self.body(x)))

    cli_parts.make_two_heads = TwoHeads
    network = ["--network", "cli_parts:make_two_heads", "--size", "8"]
    network += ["--device", "cpu", "-q"]
    for name, options, width in (
        ("last", [], 3),
        ("first", ["--head", "first"], 16),
        ("same", ["--head", "second"], 3),
    ):
        assert extract(photos, tmp_path / name, *options, network=network) == 0
        assert read_extracted(tmp_path / name).Z.shape == (60, width)


def test_a_network_of_ones_own_code_with_options(photos, tmp_path, capsys):
    """What an error asks for works: the code, and the model as its weights."""
    config = tmp_path / "c.toml"
    config.write_text(
        '[network]\nname = "cli_parts:make_network"\noptions = {width = 3}'
    )
    data = ["--labels", str(photos / "labels.csv"), "--images", str(photos / "images")]
    fit = ["fit", str(config), *data, "--size", "8", "--device", "cpu", "--max-epochs"]
    model = tmp_path / "model"
    fit += ["1", "--solver", "proximal", "-q", "--retrain", "false", "--output"]
    assert main([*fit, str(model)]) == 0
    options = ["--device", "cpu", "-q", "--network"]
    assert extract(photos, tmp_path / "f", network=[*options, str(model)]) == 1
    assert not (tmp_path / "f").exists()
    asked = capsys.readouterr().err.partition("name the code, --network ")[2]
    name, _, weights = asked.rstrip(".\n").split()
    told = [*options, name, "--weights", weights]
    assert extract(photos, tmp_path / "f", network=told) == 0
    stored = read_extracted(tmp_path / "f")
    saved = load_without_network(model)
    np.testing.assert_allclose(stored.coef, saved.coef_, rtol=1e-6)
    assert stored.categories == ["red", "green", "blue"]


def test_an_image_that_is_named_twice(photos, tmp_path, capsys):
    images = [str(photos / "images"), str(photos / "images" / "00.png")]
    assert main(["extract", *images, *NETWORK, "--output", str(tmp_path / "f")]) == 1
    assert "00.png' is named 2 times" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "3", "--head", "4"], "--head does not apply"),
        (["--layer", "9"], "`layer` must name a layer"),
        (["--head", "9"], "`head` must name a layer of the network; got '9'"),
    ],
)
def test_a_wrong_layer_leaves_no_folder(photos, tmp_path, capsys, options, message):
    assert extract(photos, tmp_path / "f", *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere.png"], "1 of 1 do not exist, the first is 'nowhere.png'"),
        (["."], "must hold images; got the folder '.' without any"),
    ],
)
def test_images_that_are_not_there(tmp_path, monkeypatch, capsys, options, message):
    if options == ["."]:
        pytest.importorskip("PIL", reason="the images extra")
    monkeypatch.chdir(tmp_path)
    assert main(["extract", *options, *NETWORK, "--output", "f"]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "f").exists()


def test_an_output_that_is_a_file(photos, tmp_path, capsys):
    (tmp_path / "f").touch()
    assert extract(photos, tmp_path / "f") == 1
    assert str(tmp_path / "f") in capsys.readouterr().err


# ------------------------------------------------------------- fits on the features
def test_a_fit_on_features(photos, extracted, tmp_path, capsys):
    labels = ["--labels", str(photos / "labels.csv"), "--features", str(extracted)]
    options = ["--where", "split=train", "--output", str(tmp_path / "m")]
    assert main(["fit", *labels, *options, "--solver", "proximal"]) == 0
    out = capsys.readouterr().out
    assert out.endswith(f"cftlearn predict {tmp_path / 'm'} {extracted}\n")
    model = load_model(tmp_path / "m")
    argv = ["predict", str(tmp_path / "m"), str(extracted), "--format", "csv"]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "path,red,green,blue"
    scores = np.array([line.split(",")[1:] for line in lines[1:]], dtype=float)
    expected = model.predict_proba(read_extracted(extracted).Z)
    np.testing.assert_allclose(scores, expected, rtol=1e-8)
    argv = ["evaluate", str(tmp_path / "m"), *labels, "--where", "split=test"]
    assert main([*argv, "--resamples", "9"]) == 0
    assert capsys.readouterr().out.startswith("20 rows; 95 % intervals from 9 resam")
    assert main(["predict", str(tmp_path / "m"), str(photos / "images")]) == 1
    assert "predicts from features, not from images" in capsys.readouterr().err


def test_a_refit_needs_rows(photos, extracted, tmp_path, capsys):
    labels = ["--labels", str(photos / "labels.csv"), "--features", str(extracted)]
    assert main(["refit", *labels, "--output", str(tmp_path / "m")]) == 1
    assert "has no weights of a trained classification layer" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::cftlearn.exceptions.SeenLabelsWarning")
def test_a_refit_of_rows(photos, extracted, tmp_path):
    from cftlearn.cli._features import write_head

    folder = tmp_path / "f"
    shutil.copytree(extracted, folder)
    coef = np.random.default_rng(0).standard_normal((3, 16))
    write_head(folder, coef, np.zeros(3), ["blue", "red", "green"])
    labels = ["--labels", str(photos / "labels.csv"), "--features", str(folder)]
    options = ["--output", str(tmp_path / "m"), "--solver", "proximal", "--quiet"]
    assert main(["refit", *labels, *options]) == 0
    model = load_without_network(tmp_path / "m")
    assert model.categories_.tolist() == ["blue", "red", "green"]
    np.testing.assert_array_equal(model.fine_tuner_.coef_init_, coef)


def test_features_lack_an_image_of_the_labels(photos, tmp_path, capsys):
    image = str(photos / "images" / "00.png")
    options = ["--output", str(tmp_path / "f"), "--quiet"]
    assert main(["extract", image, *NETWORK, *options]) == 0
    argv = ["fit", "--labels", str(photos / "labels.csv"), "--features"]
    argv += [str(tmp_path / "f"), "--output", str(tmp_path / "m")]
    assert main(argv) == 1
    assert "no image of 1 end with '01.png'" in capsys.readouterr().err
