"""The benchmark of quality: its summary, its CSV, its peers, and a short run."""

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
CELLS = [("scene", "raw", "uniform", share) for share in ("0.1", "0.3", "0.6", "0.9")]
MEANS = {
    CELLS[0]: {"an": 0.5, "ga_published": 0.55, "ignore_lr": 0.6, "auto": 0.61},
    CELLS[1]: {"an": 0.5, "ga_published": 0.55, "ignore_lr": 0.6, "auto": 0.596},
    CELLS[2]: {"an": 0.5, "ga_published": 0.55, "ignore_lr": 0.6, "auto": 0.49},
    CELLS[3]: {"an": 0.5, "ga_published": 0.44, "ignore_lr": 0.45, "auto": 0.498},
}
NO_PEER = {("scene", "mlp", "uniform", "0.1"): {"an": 0.5, "ga": 0.7, "auto": 0.1}}


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of the folder of benchmarks, as its scripts do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def summary(benchmark):
    return benchmark("_quality_summary")


@pytest.fixture
def peers(benchmark):
    return benchmark("_peers")


@pytest.fixture
def quality(benchmark):
    return benchmark("quality")


@pytest.fixture
def line(summary):
    return summary.Line(
        source="scene",
        trunk="raw",
        scheme="uniform",
        known="0.1",
        seed=0,
        objective="roc_auc",
        method="auto",
        n_scored=6,
        n_refittable=6,
        mAP=0.25,
        mAUC=0.75,
        worse=0.5,
        improved=0.125,
        seconds=1.5,
    )


def test_claims_count_cells_by_the_best_peer_and_by_the_initial_weights(summary):
    claims = summary.check_claims(MEANS | NO_PEER, "auto")
    assert claims.n_cells == 4
    assert claims.close == 0.75
    assert claims.best == 0.5
    assert claims.n_below == 1
    assert claims.worst == pytest.approx(-0.01)
    assert claims.distance == pytest.approx((0.01 - 0.004 - 0.11 + 0.048) / 4)


def test_claims_without_a_cell_to_judge_are_none(summary):
    assert summary.check_claims(NO_PEER, "auto") is None
    assert summary.check_claims(MEANS, "asl") is None


def test_failing_cells_are_far_from_the_best_peer_or_below_the_initial_weights(summary):
    below = {CELLS[0]: {"an": 0.5, "ignore_lr": 0.4, "auto": 0.45}}
    assert list(summary.failing_cells(MEANS | NO_PEER, "auto")) == [CELLS[2]]
    assert list(summary.failing_cells(below, "auto")) == [CELLS[0]]


def test_best_peer_is_none_of_ours_and_not_the_initial_weights(summary):
    scores = {"an": 0.9, "ga": 0.8, "ignore_lr": 0.3, "libauc_auc": 0.4, "auto": 0.7}
    assert summary.best_peer(scores) == "libauc_auc"
    assert summary.best_peer({"an": 0.9, "auto": 0.7}) is None


def test_comparable_keeps_methods_that_ran_on_the_subjects_seeds(summary, line):
    lines = [replace(line, seed=seed) for seed in (0, 1)]
    lines += [replace(line, seed=seed, method="an") for seed in (0, 1, 2)]
    lines += [replace(line, seed=1, method="mlcpl_ga")]
    kept = summary.comparable(lines, "auto")
    assert {(own.method, own.seed) for own in kept} == {
        ("auto", 0),
        ("auto", 1),
        ("an", 0),
        ("an", 1),
    }


def test_comparable_leaves_out_cells_that_nobody_refits(summary, line):
    alone = replace(line, known="0.01", n_refittable=0)  # the subject moved rows
    nothing = replace(alone, known="0.05", worse=0.0, improved=0.0)
    assert summary.comparable([line, alone, nothing], "auto") == [line, alone]


def test_means_are_of_the_objectives_own_metric(summary, line):
    lines = [line, replace(line, seed=1, mAUC=0.25)]
    other = replace(line, objective="average_precision")
    cell = ("scene", "raw", "uniform", "0.1")
    assert summary.mean_scores([*lines, other], "roc_auc") == {cell: {"auto": 0.5}}
    assert summary.mean_scores([*lines, other], "average_precision") == {
        cell: {"auto": 0.25}
    }


def test_shares_are_means_over_problems(summary, line):
    lines = [line, replace(line, seed=1, worse=0.0), replace(line, method="an")]
    assert summary.mean_shares(lines, "worse") == {"auto": 0.25, "an": 0.5}
    assert summary.mean_shares(lines, "improved") == {"auto": 0.125, "an": 0.125}


def test_groups_are_all_cells_then_schemes_then_known_shares_then_both(summary):
    cells = [CELLS[0], CELLS[1], ("birds", "mlp", "report_like", "0.1")]
    groups = dict(summary.cell_groups(cells))
    assert groups == {
        "all": set(cells),
        "uniform": set(cells[:2]),
        "report_like": {cells[2]},
        "0.1 known": {cells[0], cells[2]},
        "0.3 known": {cells[1]},
        "uniform 0.1": {cells[0]},
        "uniform 0.3": {cells[1]},
        "report_like 0.1": {cells[2]},
    }


def test_csv_returns_its_lines_and_drops_an_unfinished_one(quality, line, tmp_path):
    path = tmp_path / "quality.csv"
    lines = [line, replace(line, method="an")]
    quality.append_lines(path, lines[:1])
    quality.append_lines(path, lines[1:])
    whole = path.read_text()
    with path.open("a") as file:
        file.write("scene,raw,uniform,0.1,0,roc_")
    assert quality.read_lines(path) == lines
    assert path.read_text() == whole


def test_summary_only_prints_tables_and_claims(
    quality, line, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "quality.csv"
    scores = {"an": 0.5, "ignore_lr": 0.75, "auto": 0.625}
    lines = [replace(line, method=name, mAUC=score) for name, score in scores.items()]
    quality.append_lines(path, lines)
    command = ["quality.py", "--summary-only", "--output", str(path)]
    monkeypatch.setattr(sys, "argv", command)
    quality.main()
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    cell = ["scene", "raw", "uniform", "0.1"]
    assert [*cell, "0.500", "0.750", "0.625", "ignore_lr"] in rows
    assert ["all", "1", "0.0%", "0.0%", "-0.1250", "0", "+0.1250"] in rows
    failing = ["0.6250", "ignore_lr", "0.7500", "-0.1250!", "0.5000", "+0.1250"]
    assert [*cell, *failing] in rows


def test_shares_count_categories_that_moved_by_more_than_a_hundredth(quality, peers):
    problem = peers.small_problem()
    right, wrong = problem.y_test.T @ problem.Z_test, -problem.y_test.T @ problem.Z_test
    task = quality.Task("synthetic", "raw", "single_positive", None, 0, ())

    def score(coef):
        rows = peers.Rows(coef, problem.intercept)
        return quality.score_rows(task, problem, "roc_auc", "auto", rows, 1.0)

    half = score(np.stack([right[0], problem.coef[1]]))
    assert (half.worse, half.improved, half.known) == (0.0, 0.5, "-")
    assert half.n_scored == half.n_refittable == 2
    assert (score(wrong).worse, score(wrong).improved) == (1.0, 0.0)


@pytest.mark.parametrize("name", ["ignore_lr", "ignore_lr_ll"])
def test_logistic_peer_leaves_a_category_without_both_classes(peers, name):
    problem = peers.small_problem()
    problem.y_held[problem.y_held[:, 1] == 1, 1] = np.nan
    rows = peers.METHODS[name].fit(problem, "roc_auc", 0)
    assert list(peers.refittable(problem)) == [True, False]
    assert np.any(rows.coef[0] != problem.coef[0])
    assert np.array_equal(rows.coef[1], problem.coef[1])
    assert rows.intercept[1] == problem.intercept[1]


def test_logistic_peer_is_the_best_penalty_on_all_known_labels(peers):
    problem = peers.small_problem()
    fitted, held = (~np.isnan(y[:, 0]) for y in (problem.y, problem.y_held))
    y = np.where(held, problem.y_held[:, 0], problem.y[:, 0])
    scaler = StandardScaler().fit(problem.Z)
    Z = scaler.transform(problem.Z)
    scores = {}
    for C in np.logspace(-4, 2, 7):
        model = LogisticRegression(C=C, max_iter=1000).fit(Z[fitted], y[fitted])
        scores[C] = roc_auc_score(y[held], model.decision_function(Z[held]))
    best = max(scores, key=lambda C: (scores[C], -C))
    pipeline = make_pipeline(scaler, LogisticRegression(C=best, max_iter=1000))
    expected = pipeline.fit(problem.Z, y).decision_function(problem.Z)
    rows = peers.METHODS["ignore_lr"].fit(problem, "roc_auc", 0)
    logits = problem.Z @ rows.coef[0] + rows.intercept[0]
    np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_what_cannot_run_is_named_with_its_reason(peers, monkeypatch):
    monkeypatch.setitem(sys.modules, "libauc", None)
    assert "pip install --no-deps libauc==2.0.1" in peers.missing("libauc_ap")
    assert "refuses it" in peers.refused("unheard-of")
    assert peers.missing("bce") is None
    assert peers.missing("ignore_lr") is None


def test_plan_lists_what_the_csv_lacks_seed_by_seed(quality, monkeypatch):
    command = "quality.py --sources birds --trunks raw --known 0.1 0.3 --seeds 2"
    monkeypatch.setattr(sys, "argv", [*command.split(), "--methods", "an", "libauc_ap"])
    arguments = quality.parse_arguments()
    cell = ("birds", "raw", "uniform", "0.1")
    pairs = [(objective, "an") for objective in quality.OBJECTIVES]
    done = {(*cell, 0, *pair) for pair in [*pairs, (pairs[0][0], "libauc_ap")]}
    tasks = quality.plan_tasks(arguments, done)
    settings = [("uniform", "0.1"), ("uniform", "0.3")]
    settings += [("report_like", "0.1"), ("report_like", "0.3")]
    settings += [("single_positive", "-")]
    expected = [(seed, setting) for seed in (0, 1) for setting in settings]
    assert [(task.seed, task.cell[2:]) for task in tasks] == expected[1:]
    assert set(tasks[0].wanted) == {*pairs, ("average_precision", "libauc_ap")}


@pytest.mark.slow
def test_short_run_writes_its_lines_and_goes_on_from_them(tmp_path, summary):
    pytest.importorskip("matplotlib", minversion="3.10")  # boxplot(orientation=...)
    table, figure = tmp_path / "quality.csv", tmp_path / "quality.png"
    script = str(BENCHMARKS / "quality.py")
    command = [sys.executable, script, "--short", "--output", str(table)]

    def run(*options):
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = run()
    lines = table.read_text().splitlines()
    keys = [tuple(row.split(",")[3:7]) for row in lines[1:]]
    assert sorted(keys) == sorted(
        (known, "0", objective, method)
        for known in ("0.1", "0.3")
        for objective in summary.OBJECTIVES
        for method in ("an", "ignore_lr", "bce", "auto")
    )
    assert "16 to compute" in first
    for words in ("test mAP by cell", "auto against the best peer", "Seconds of stage"):
        assert words in first

    table.write_text("\n".join(lines[:-1]) + "\n")
    assert "15 lines are in the CSV; 1 to compute" in run()
    again = table.read_text()
    assert len(again.splitlines()) == len(lines)
    assert "16 lines are in the CSV; 0 to compute" in run("--figure", str(figure))
    assert table.read_text() == again
    assert figure.stat().st_size > 10_000
