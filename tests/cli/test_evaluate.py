"""``cftlearn evaluate``: by a model or by scores, with groups and merged views."""

import csv
import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn.cli import main
from cftlearn.metrics import bootstrap_intervals

OWN = ["--network", "cli_parts:make_network", "--device", "cpu"]
QUICK = ["--resamples", "20"]


@pytest.fixture(scope="module")
def scores(photos, photo_model, tmp_path_factory):
    """Scores of all photos, as ``predict`` writes them."""
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    argv = ["predict", str(photo_model), str(photos / "images"), *OWN]
    assert main([*argv, "--format", "csv", "--output", str(path)]) == 0
    return path


@pytest.fixture
def options(photos):
    return ["--labels", str(photos / "labels.csv"), "--where", "split=test", *QUICK]


def evaluate(*argv):
    return main(["evaluate", *map(str, argv)])


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_it_scores_as_scikit_learn(photos, scores, options, tmp_path, capsys):
    output = tmp_path / "table.csv"
    assert evaluate("--scores", scores, *options, "--output", output) == 0
    out, err = capsys.readouterr()
    assert err == ""
    head, titles, *lines, note = out.splitlines()
    assert note == "with fewer than 10 cases of a class, intervals tell little"
    assert head == "20 rows; 95 % intervals from 20 resamples of rows"
    assert titles.split() == ["category", "cases", "+/-", "AUC", "AP"]
    assert [line.split()[0] for line in lines] == ["red", "green", "blue", "mean"]
    labels = [row for row in rows_of(photos / "labels.csv") if row["split"] == "test"]
    predicted = rows_of(scores)[40:]
    table = {(line["metric"], line["category"]): line for line in rows_of(output)}
    for metric, score in (
        ("roc_auc", roc_auc_score),
        ("average_precision", average_precision_score),
    ):
        estimates = []
        for name, line in zip(("red", "green", "blue"), lines, strict=False):
            y = [int(row[name]) for row in labels]
            expected = score(y, [float(row[name]) for row in predicted])
            found = table[metric, name]
            assert float(found["estimate"]) == pytest.approx(expected)
            assert f"{expected:.3f}" in line
            assert line.split()[1] == f"{sum(y)}/{20 - sum(y)}"
            assert int(found["n_positive"]) == sum(y)
            estimates.append(expected)
        mean = float(table[metric, "mean"]["estimate"])
        assert mean == pytest.approx(np.mean(estimates))


def test_a_model_and_its_scores_agree(photos, photo_model, scores, options, capsys):
    assert evaluate("--scores", scores, *options) == 0
    expected = capsys.readouterr().out
    images = ["--images", photos / "images"]
    assert evaluate(*options, *images, *OWN, photo_model) == 0
    assert capsys.readouterr() == (expected, "")
    assert evaluate(photo_model, *options, *OWN, "--images", photos) == 1
    assert "20 of 20 images do not exist" in capsys.readouterr().err


def test_json(scores, options, capsys):
    assert evaluate("--scores", scores, *options, "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["category"] for record in records] == [
        *["red", "green", "blue", None] * 2
    ]
    assert [record["metric"] for record in records] == (
        ["roc_auc"] * 4 + ["average_precision"] * 4
    )
    assert all(r["low"] <= r["estimate"] <= r["high"] for r in records)


def test_the_seed_is_that_of_the_intervals(scores, options, capsys):
    printed = []
    for seed in ("0", "1", "1"):
        assert evaluate("--scores", scores, *options, "--seed", seed) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] != printed[1] == printed[2]


def test_groups_are_drawn_as_a_whole(photos, scores, options, capsys):
    argv = ["--scores", scores, *options, "--group", "person"]
    assert evaluate(*argv) == 0
    assert capsys.readouterr().out.startswith(
        "20 rows; 95 % intervals from 20 resamples of whole groups (person)\n"
    )
    assert evaluate(*argv, "--json") == 0
    first = json.loads(capsys.readouterr().out)[0]
    rows = rows_of(photos / "labels.csv")[40:]
    expected = bootstrap_intervals(
        [[float(row["red"])] for row in rows],
        [[float(row["red"])] for row in rows_of(scores)[40:]],
        groups=[row["person"] for row in rows],
        n_resamples=20,
        random_state=0,
    )[0]
    assert {k: first[k] for k in ("low", "high")} == pytest.approx(
        {k: expected[k] for k in ("low", "high")}
    )


def test_views_are_merged(photos, scores, options, tmp_path, capsys):
    rows = rows_of(photos / "labels.csv")
    for first, second in zip(rows[::2], rows[1::2], strict=True):  # one label each
        second |= {name: first[name] for name in ("red", "green", "blue")}
    labels = write_rows(tmp_path / "labels.csv", rows)
    options = ["--labels", labels, *options[2:], "--group", "person", "--json"]
    assert evaluate("--scores", scores, *options, "--merge-views", "mean") == 0
    record = json.loads(capsys.readouterr().out)[0]
    y = [int(row["red"]) for row in rows[40::2]]
    p = np.array([float(row["red"]) for row in rows_of(scores)[40:]])
    assert record["n_positive"] + record["n_negative"] == 10
    assert record["estimate"] == pytest.approx(roc_auc_score(y, p[::2] + p[1::2]))
    argv = ["--scores", scores, *options[:-1], "--merge-views", "max"]
    assert evaluate(*argv) == 0
    assert capsys.readouterr().out.startswith(
        "10 rows; 95 % intervals from 20 resamples of rows\n"
    )


def test_merged_views_must_agree(scores, options, capsys):
    argv = ["--scores", scores, *options, "--merge-views", "max"]
    assert evaluate(*argv) == 1
    assert "`--merge-views` needs --group COLUMN" in capsys.readouterr().err
    assert evaluate(*argv, "--group", "person") == 1
    err = capsys.readouterr().err
    assert "must have the same labels; they differ in group 'p" in err


@pytest.mark.filterwarnings("always::UserWarning")
def test_categories_that_lack_a_class(photos, scores, options, tmp_path, capsys):
    rows = [row | {"green": "0"} for row in rows_of(photos / "labels.csv")]
    labels = write_rows(tmp_path / "labels.csv", rows)
    argv = ["--scores", scores, "--labels", labels, *options[2:]]
    assert evaluate(*argv) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[3].split() == ["green", "0/20", "-", "-"]
    assert err.count("warning") == 1
    assert "'green'" in err
    assert evaluate(*argv, "--json", "--output", tmp_path / "t.csv") == 0
    records = json.loads(capsys.readouterr().out)
    assert records[1]["estimate"] is records[1]["low"] is None
    assert rows_of(tmp_path / "t.csv")[1]["estimate"] == ""


@pytest.mark.filterwarnings("always::UserWarning")
def test_labels_of_some_of_the_categories(photos, scores, options, tmp_path, capsys):
    rows = rows_of(photos / "labels.csv")
    rows = [{k: row[k] for k in ("path", "split", "blue", "red")} for row in rows]
    labels = write_rows(tmp_path / "labels.csv", rows)
    assert evaluate("--scores", scores, *options) == 0
    whole = capsys.readouterr().out.splitlines()
    assert evaluate("--scores", scores, "--labels", labels, *options[2:]) == 0
    out, err = capsys.readouterr()
    assert "1 of the model's 3 categories, which are left out: 'green'" in err
    assert out.splitlines()[2:4] == [whole[2], whole[4]]


def test_unknown_labels_do_not_count(photos, scores, capsys):
    labels = ["--labels", photos / "labels.csv", "--where", "split=train", *QUICK]
    assert evaluate("--scores", scores, *labels, "--json") == 0
    first = json.loads(capsys.readouterr().out)[0]
    known = [r["red"] for r in rows_of(photos / "labels.csv")[:40] if r["red"]]
    assert first["n_positive"] == known.count("1")
    assert first["n_negative"] == known.count("0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must start with a line of 'path' and the categories"),
        ("image,red\n00.png,1\n", "must start with a line of 'path'"),
        ("path\n00.png\n", "must start with a line of 'path'"),
        ("path,red\n40.png,1,2\n", "must have 2 columns in every row; got 3 in row 1"),
        ("path,red\n40.png,high\n", "got 'high' in column 'red', row 1 of"),
        ("path,red\n40.png,nan\n", "got 'nan' in column 'red', row 1 of"),
        (
            "path,red\n40.png,1\n",
            "one row of scores.* no image of 1 end with '41.png'",
        ),
        ("path,cow\n40.png,1\n", "the model's categories, 'cow'; it has 'blue'"),
    ],
)
def test_scores_that_are_none(options, tmp_path, capsys, text, message):
    import re

    path = tmp_path / "scores.csv"
    path.write_text(text)
    assert evaluate("--scores", path, *options) == 1
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--scores", "s.csv"], "`labels` must be given: --labels FILE"),
        (["--scores", "s.csv", "--labels", "l.csv"], "s.csv"),
        (["none", "--labels", "l.csv"], "none has no model.json"),
    ],
)
def test_what_is_missing(tmp_path, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(tmp_path)
    assert evaluate(*argv) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--labels", "l.csv"], "one of the arguments model --scores is required"),
        (["m", "--scores", "s.csv"], "not allowed with argument"),
    ],
)
def test_a_model_or_scores(capsys, argv, message):
    with pytest.raises(SystemExit, match=r"^2$"):
        evaluate(*argv)
    assert message in capsys.readouterr().err


def test_chexpert_from_labels_to_a_table(photos, tmp_path, capsys):
    """Uncertain labels, patients and views, as CheXpert's files have them."""
    rng = np.random.default_rng(0)
    rows = []
    for number, row in enumerate(rows_of(photos / "labels.csv")):
        patient = f"patient{number // 4:05}/study{number // 2 % 2 + 1}"
        path = f"CheXpert-v1.0/train/{patient}/view{number % 2 + 1}_frontal.jpg"
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / "images" / row["path"], tmp_path / path)
        uncertain = "-1.0" if rng.random() < 0.2 else row["red"]
        rows.append(
            {
                "Path": path,
                "Frontal/Lateral": "Frontal",
                "AP/PA": "AP",
                "Edema": uncertain,
                "Pleural Effusion": row["green"],
            }
        )
    labels = write_rows(tmp_path / "train.csv", rows)
    (tmp_path / "c.toml").write_text(
        """
        device = "cpu"
        output = "model"
        [data]
        labels = "train.csv"
        images = "."
        format = "chexpert"
        group = "patient"
        categories = ["Pleural Effusion", "Edema"]
        uncertain = {Edema = "positive"}
        [network]
        name = "cli_parts:make_network"
        [image]
        size = 8
        [train]
        max_epochs = 1
        [refit]
        solver = "proximal"
        """
    )
    assert main(["fit", str(tmp_path / "c.toml")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("60 rows")  # no row is left aside, but labels of patients
    assert "held out to choose the refits: labels of whole groups (patient)" in said
    options = ["--labels", labels, "--format", "chexpert", "--images", tmp_path, *QUICK]
    assert evaluate(tmp_path / "model", *options, *OWN, "--group", "patient") == 0
    out = capsys.readouterr().out
    assert out.startswith("60 rows")
    assert out.splitlines()[2].startswith("Pleural Effusion ")
