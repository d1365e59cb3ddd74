"""The benchmark of the whole classifier: its loops, its summary, and a short run."""

import functools
import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from cftlearn import CFTClassifier
from cftlearn._inputs import read_inputs
from cftlearn.labels import hide_labels
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score
from cftlearn.training._plan import make_plan
from cftlearn.training._stage_one import fit_network

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of the folder of benchmarks, as its scripts do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def loops(benchmark):
    return benchmark("_loops")


@pytest.fixture
def methods(benchmark):
    return benchmark("_end_to_end_methods")


@pytest.fixture
def summary(benchmark):
    return benchmark("_end_to_end_summary")


@pytest.fixture
def script(benchmark):
    return benchmark("end_to_end")


@pytest.fixture
def problem(benchmark, loops):
    """Return 300 rows; half the labels are unknown, and all of the first 128 rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5)).astype(np.float32)
    full = (X[:, :3] + rng.normal(size=(300, 3)) > 0.5).astype(np.float64)
    y = np.where(rng.random(full.shape) < 0.5, np.nan, full)
    y[:128] = np.nan
    make_network = functools.partial(benchmark("_problems").make_mlp, 5, 3)
    return loops.Problem(X, y, X[:50], full[:50], make_network, epochs=3)


@pytest.fixture
def line(summary):
    return summary.Line(
        source="scene",
        scheme="uniform",
        known="0.1",
        seed=0,
        epochs=20,
        method="loop_ignore",
        n_scored=3,
        mAP=0.5,
        mAUC=0.75,
        seconds=2.0,
        category_ap="5000 - 4000 6000",
    )


# --- problems and loops -------------------------------------------------------------


@pytest.mark.parametrize("unknown", ["ignore", "negative"])
def test_loop_trains_the_network_that_stage_one_trains(loops, problem, unknown):
    problem.y[:298] = np.nan  # of three batches one has nothing known
    values = problem.y if unknown == "ignore" else np.nan_to_num(problem.y)
    targets = TrainingTargets(values)
    plan = make_plan(
        None,
        targets,
        loss="bce",
        max_epochs=problem.epochs,
        batch_size=loops.BATCH,
        learning_rate=loops.LEARNING_RATE,
        seed=7,
        device="cpu",
    )
    inputs = read_inputs(problem.X)
    network = fit_network(plan, problem.make_network, inputs, targets).network
    weight = {"ignore": 0.0, "negative": 1.0}[unknown]
    logits = loops.loop(problem, 7, unknown_weight=weight)
    expected = loops.logits_of(network, problem.X_test)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    other = loops.loop(problem, 8, unknown_weight=weight)
    assert np.abs(other - expected).max() > 1e-3


def test_loops_train_as_the_classifier_does_by_default(loops):
    model = CFTClassifier()
    assert model.max_epochs == loops.EPOCHS
    assert (model.batch_size, model.learning_rate) == (loops.BATCH, 2e-3)


def test_weak_loss_is_the_mean_over_weights(loops):
    y = np.array([[1.0, np.nan], [0.0, np.nan], [np.nan, np.nan]])
    logits = torch.tensor([[0.5, -1.0]])
    loss = loops.weighted_bce(y, 0.05)(logits, torch.tensor([0]), 0)
    known, unknown = np.log1p(np.exp(-0.5)), np.log1p(np.exp(-1.0))
    assert loss.item() == pytest.approx((known + 0.05 * unknown) / 1.05)
    ignoring = loops.weighted_bce(y, 0.0)
    assert ignoring(logits, torch.tensor([0]), 0).item() == pytest.approx(known)
    assert ignoring(logits, torch.tensor([2]), 0) is None


def test_hiding_leaves_cells_unknown_that_nobody_knows(loops):
    Y = (np.arange(400).reshape(100, 4) % 3 == 0).astype(np.float64)
    natural = Y.copy()
    natural[::5, 1] = np.nan
    Y[::5, 1] = 0.0
    hidden = loops.hide(natural, "uniform", 0.5, 3)
    expected = hide_labels(Y, known=0.5, random_state=3)
    expected[::5, 1] = np.nan
    np.testing.assert_array_equal(hidden, expected)
    assert np.isnan(hidden).mean() < 0.7


def test_tox21_is_split_by_the_seed_and_keeps_its_unknown_labels(benchmark, tmp_path):
    rows = np.arange(100)
    Y = np.where(rows[:, None] % 7 == 0, np.nan, rows[:, None] % 2.0)
    X = rows[:, None].astype(np.float16)
    np.savez(tmp_path / "tox21.npz", X=X, Y=Y.astype(np.float32))
    problems = benchmark("_problems")
    first, again, other = (
        problems.load_source("tox21", seed, folder=tmp_path) for seed in (0, 0, 1)
    )
    assert (len(first.X), len(first.X_test), first.X.dtype) == (60, 40, np.float32)
    numbers = np.concatenate([first.X, first.X_test])[:, 0].astype(int)
    assert sorted(numbers) == list(rows)
    np.testing.assert_array_equal(np.concatenate([first.Y, first.Y_test]), Y[numbers])
    np.testing.assert_array_equal(first.X, again.X)
    assert np.any(first.X != other.X)


def test_problem_scales_vectors_by_training_rows_alone(loops, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, size=(60, 4))
    is_test = np.arange(60) < 20
    X[is_test] += 100
    Y = (X > 3).astype(np.int8)
    np.savez(tmp_path / "made.npz", X=X, Y=Y, is_test=is_test)
    made = loops.make_problem("made", "uniform", 0.5, 0, folder=tmp_path)
    np.testing.assert_allclose(made.X.mean(axis=0), 0, atol=1e-6)
    assert made.X_test.mean() > 10
    assert made.make_network()(torch.from_numpy(made.X)).shape == (40, 4)


# seen once in scikit-learn's own fit, of finite numbers: a flag that other code had set
@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul")
def test_regression_of_a_category_without_both_classes_is_constant(loops, problem):
    problem.y[:, 1] = np.where(np.isnan(problem.y[:, 1]), np.nan, 1.0)
    logits = loops.regressions(problem, 0, unknown="ignore")
    assert np.all(logits[:, 1] == 0.0)
    assert np.ptp(logits[:, 0]) > 0
    assert np.ptp(loops.regressions(problem, 0, unknown="negative")[:, 1]) > 0


def test_regression_takes_a_strong_penalty_where_nothing_can_choose(loops, problem):
    y = np.zeros(300)
    y[5] = 1.0
    model = loops.regression(problem.X, y, 0)
    expected = LogisticRegression(C=0.01).fit(problem.X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-5)


def test_regression_takes_the_penalty_of_least_log_loss_in_folds(loops, problem):
    y = (problem.X[:, 0] + np.random.default_rng(1).normal(size=300) > 2).astype(float)
    folds = StratifiedKFold(3, shuffle=True, random_state=9)
    scores = [
        cross_val_score(
            LogisticRegression(C=C),
            problem.X,
            y,
            cv=folds,
            scoring="neg_log_loss",
        ).mean()
        for C in loops.CS
    ]
    chosen = loops.regression(problem.X, y, 9)
    assert list(loops.CS).index(chosen.C) == np.argmax(scores)


# --- methods ------------------------------------------------------------------------


def test_ensemble_is_the_mean_of_loops_and_counts_their_seconds(
    methods, loops, problem
):
    runs = methods.Runs(problem, 4)
    logits, seconds = methods.METHODS["loop_ignore_3"].run(runs)
    parts = [loops.loop(problem, 4 + 1000 * i, unknown_weight=0.0) for i in range(3)]
    np.testing.assert_allclose(logits, np.mean(parts, axis=0))
    first, second = methods.METHODS["loop_ignore"].run(runs)
    np.testing.assert_array_equal(first, parts[0])
    assert seconds == pytest.approx(sum(took for _, took in runs.done.values()))
    assert len(runs.done) == 3
    assert second < seconds


@pytest.mark.filterwarnings("ignore::cftlearn.exceptions.UndefinedCategoryWarning")
def test_ours_is_the_classifier_and_the_output_of_its_first_stage(methods, problem):
    runs = methods.Runs(problem, 5)
    after, _ = methods.METHODS["cft_ignore"].run(runs)
    before, _ = methods.METHODS["cft_ignore_before"].run(runs)
    model = CFTClassifier(
        problem.make_network,
        unknown="ignore",
        max_epochs=3,
        device="cpu",
        random_state=5,
    ).fit(problem.X, problem.y)
    np.testing.assert_array_equal(after, model.decision_function(problem.X_test))
    expected = model.module_(torch.from_numpy(problem.X_test)).detach().numpy()
    np.testing.assert_allclose(before, expected, atol=1e-5)


def test_what_cannot_run_is_named_with_its_reason(methods, monkeypatch):
    def absent(name):
        raise ImportError("mlcpl is not installed")

    monkeypatch.setattr(methods, "import_part", absent)
    assert "pip install --no-deps mlcpl==0.1.7" in methods.missing("mlcpl_csl")
    assert "no permanent correction" in methods.missing("mlcpl_ll_cp")
    assert methods.missing("loop_weak") is None
    assert methods.missing("cft_before") is None


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"unheard_of": 1}, "has no parameter unheard_of"),
        ({"unknown": "unheard-of"}, "'unknown' parameter"),
        ({"fine_tuner__unheard_of": 1}, "unheard_of"),
    ],
)
def test_variant_that_this_version_refuses_is_named(
    methods, monkeypatch, params, words
):
    monkeypatch.setitem(methods.OURS, f"cft_{words}", params)
    assert words in methods.refused(f"cft_{words}")


@pytest.fixture
def mlcpl_loops(benchmark):
    module = benchmark("_mlcpl_loops")
    try:
        benchmark("_mlcpl").import_part("losses")
    except ImportError as error:
        pytest.skip(str(error))
    return module


def test_loss_of_mlcpl_trains_the_same_network(mlcpl_loops, loops, problem):
    for name, weight in (("mlcpl_ignore", 0.0), ("mlcpl_negative", 1.0)):
        logits = mlcpl_loops.run(name, problem, 2)
        expected = loops.loop(problem, 2, unknown_weight=weight)
        np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["mlcpl_csl", "mlcpl_p_asl", "mlcpl_ll_r", "mlcpl_ll_ct"]
)
def test_other_losses_of_mlcpl_train(mlcpl_loops, problem, name):
    logits = mlcpl_loops.run(name, problem, 2)
    assert logits.shape == problem.y_test.shape
    assert np.ptp(logits) > 0


def test_curriculum_is_the_loop_until_there_are_pseudo_labels(
    mlcpl_loops, loops, problem, monkeypatch
):
    longer = replace(problem, epochs=8)
    logits = mlcpl_loops.run("mlcpl_curriculum", longer, 2)
    plain = loops.loop(longer, 2, unknown_weight=0.0)
    assert np.abs(logits - plain).max() > 0.01
    monkeypatch.setattr(mlcpl_loops, "UPDATES", ())
    logits = mlcpl_loops.run("mlcpl_curriculum", longer, 2)
    np.testing.assert_allclose(logits, plain, atol=1e-4)


def test_output_that_is_not_finite_is_an_error(mlcpl_loops, problem, monkeypatch):
    monkeypatch.setattr(mlcpl_loops, "logits_of", lambda *_: np.array([np.nan]))
    with pytest.raises(ArithmeticError, match="NaN or infinite"):
        mlcpl_loops.run("mlcpl_ignore", problem, 0)


# --- the summary --------------------------------------------------------------------


def hand_made(line):
    """Two cells, two seeds, a method of each kind."""
    scores = {
        ("scene", "0.1"): {
            "loop_ignore": (0.50, 0.52),
            "loop_ignore_2": (0.52, 0.54),
            "loop_negative": (0.60, 0.62),
            "cft": (0.64, 0.62),
        },
        ("birds", "0.3"): {
            "loop_ignore": (0.40, 0.40),
            "loop_ignore_2": (0.45, 0.45),
            "loop_negative": (0.30, 0.30),
            "cft": (0.39, 0.39),
        },
    }
    return [
        replace(
            line,
            source=source,
            known=known,
            seed=seed,
            method=method,
            mAP=score,
            seconds=6.0 if method == "cft" else 2.0,
            category_ap="5000 - 3899 5900" if method == "cft" else line.category_ap,
        )
        for (source, known), methods in scores.items()
        for method, own in methods.items()
        for seed, score in enumerate(own)
    ]


def test_comparison_is_over_cells_of_means_over_seeds(summary, line):
    cells, left_out = summary.comparable(hand_made(line))
    assert left_out == []
    found = summary.compare(cells, "mAP", "cft", "loop_ignore")
    assert (found.n_cells, found.above) == (2, 0.5)
    assert found.gain == pytest.approx((0.12 - 0.01) / 2)
    assert found.least == pytest.approx(-0.01)
    assert found.worst == ("birds", "uniform", "0.3")
    found = summary.compare(cells, "mAP", "cft", "loop_ignore_2")
    assert found.gain == pytest.approx((0.10 - 0.06) / 2)
    assert summary.compare(cells, "mAP", "cft", "loop_ignore_3") is None


def test_standing_of_a_method_among_all_others(summary, line):
    cells, _ = summary.comparable(hand_made(line))
    found = summary.standing(cells, "mAP", "cft")
    assert found.n_cells == 2
    assert found.distance == pytest.approx((0 + 0.06) / 2)
    assert found.close == 0.5
    assert found.best == 0.5
    assert found.spread == pytest.approx(np.std([0.64, 0.62], ddof=1) / 2)
    assert found.harmed == pytest.approx(1 / 3)  # .0101 below counts, .01 does not
    assert found.cost == 3.0
    assert summary.standing(cells, "mAP", "lr_known") is None


def test_ensembles_are_no_peers_and_a_peer_is_not_its_own(summary, line):
    cells, _ = summary.comparable(hand_made(line))
    assert summary.standing(cells, "mAP", "loop_negative").best == 0.5
    assert summary.standing(cells, "mAP", "loop_ignore_2").best == 0.5
    alone = [replace(line, method=name) for name in ("loop_ignore", "cft")]
    cells, _ = summary.comparable(alone)
    found = summary.standing(cells, "mAP", "loop_ignore")
    assert (found.best, found.spread) == (None, None)


def test_what_cannot_be_compared_is_named(summary, line):
    lines = [replace(line, seed=seed) for seed in (0, 1)]
    lines += [replace(line, method="cft", seed=1), replace(line, method="gone")]
    lines += [replace(line, source="birds", method="cft")]
    cells, left_out = summary.comparable(lines)
    assert cells == {line.cell: {"loop_ignore": {0: lines[0], 1: lines[1]}}}
    assert left_out == [
        "gone: no method has this name",
        "cft on scene uniform 0.1: no seeds [0]",
        "birds uniform 0.1: it has no loop_ignore",
    ]


def test_scores_of_categories_survive_the_csv(summary):
    scores = np.array([1.0, np.nan, 0.12344, 0.0])
    text = summary.pack_ap(scores)
    assert text == "10000 - 1234 0"
    expected = [1.0, np.nan, 0.1234, 0.0]
    np.testing.assert_array_equal(summary.unpack_ap(text), expected)


def test_summary_only_prints_a_hand_made_csv(
    script, benchmark, line, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "lines.csv"
    benchmark("_tables").append_csv(path, hand_made(line))
    command = ["end_to_end.py", "--summary-only", "--output", str(path)]
    monkeypatch.setattr(sys, "argv", command)
    script.main()
    out = capsys.readouterr().out
    rows = [row.split() for row in out.splitlines()]
    assert ["scene", "uniform", "0.1", "0.630", "±", "0.014"] in rows
    against = ["cft", "50%", "+0.0550", "50%", "+0.0200", "-", "-", "100%", "+0.0550"]
    assert [*against, "2", "-0.010", "birds", "uniform", "0.3"] in rows
    assert ["cft", "2", "0.0300", "50%", "50%", "0.0071", "33.3%", "3.0"] in rows
    by_share = by_source = ["+0.1200", "-0.0100"]
    assert ["cft", "+0.0550", "+0.0550", *by_share, *by_source] in rows


# --- the command --------------------------------------------------------------------


def test_line_scores_known_test_labels(script, summary, problem):
    logits = np.random.default_rng(0).normal(size=problem.y_test.shape)
    problem.y_test[::4, 0] = np.nan
    problem.y_test[:, 2] = 1.0
    task = script.Task("tox21", "single_positive", None, 3, 20, ())
    line = script.score_line(task, problem, "cft", logits, 1.23456)
    y, own = problem.y_test[:, :2], logits[:, :2]
    ap = partial_average_precision_score(y, own, average=None)
    assert (line.cell, line.seed) == (("tox21", "single_positive", "-"), 3)
    assert (line.n_scored, line.epochs, line.seconds) == (2, 20, 1.2346)
    assert line.mAP == pytest.approx(ap.mean(), abs=1e-6)
    assert line.mAUC == pytest.approx(partial_roc_auc_score(y, own), abs=1e-6)
    packed = summary.unpack_ap(line.category_ap)
    np.testing.assert_allclose(packed, [*ap, np.nan], atol=1e-4)


def test_plan_lists_what_the_csv_lacks(script, monkeypatch):
    command = "end_to_end.py --sources panels birds --known 0.1 --schemes uniform"
    command += " single_positive --seeds 1 --methods loop_ignore lr_known"
    monkeypatch.setattr(sys, "argv", command.split())
    arguments = script.parse_arguments()
    done = {("birds", "uniform", "0.1", 0, "loop_ignore")}
    tasks = script.plan_tasks(arguments, done)
    assert [(*task.cell, task.wanted) for task in tasks] == [
        ("panels", "uniform", "0.1", ("loop_ignore",)),
        ("panels", "single_positive", "-", ("loop_ignore",)),
        ("birds", "uniform", "0.1", ("lr_known",)),
        ("birds", "single_positive", "-", ("loop_ignore", "lr_known")),
    ]


def test_method_that_fails_is_named_and_stops_no_other(
    script, methods, problem, monkeypatch
):
    def fail(runs):
        raise ArithmeticError("no number")

    broken = replace(methods.METHODS["cft"], run=fail)
    monkeypatch.setitem(methods.METHODS, "cft", broken)
    task = script.Task("birds", "uniform", 0.1, 0, 3, ("cft", "loop_weak"))
    lines, notes = script.run_methods(task, problem)
    assert [line.method for line in lines] == ["loop_weak"]
    place = "birds uniform 0.1 seed 0"
    assert notes == [f"failed    cft on {place}: ArithmeticError('no number')"]


def test_csv_of_other_epochs_is_not_continued(script, line, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["end_to_end.py", "--epochs", "3"])
    arguments = script.parse_arguments()
    with pytest.raises(SystemExit, match="is of 20 epochs, and --epochs is 3"):
        script.check_epochs([line], arguments)


@pytest.mark.slow
def test_short_run_writes_its_lines_and_computes_nothing_twice(tmp_path):
    pytest.importorskip("matplotlib")
    table, figure = tmp_path / "lines.csv", tmp_path / "lines.png"
    path = str(BENCHMARKS / "end_to_end.py")
    command = [sys.executable, path, "--short", "--output", str(table)]

    def run(*options):
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = run()
    lines = table.read_text().splitlines()
    keys = [tuple(row.split(",")[i] for i in (1, 2, 3, 5)) for row in lines[1:]]
    names = ["loop_ignore", "loop_ignore_2", "loop_negative", "lr_known", "cft"]
    assert sorted(keys) == sorted(
        (scheme, "0.3", seed, method)
        for scheme in ("uniform", "report_like")
        for seed in ("0", "1")
        for method in names
    )
    assert "20 to compute" in first
    for words in (
        "Test mAP by cell: ours",
        "against the best method",
        "mean gain over",
    ):
        assert words in first

    table.write_text("\n".join(lines[:-1]) + "\n")
    assert "19 lines are in the CSV; 1 to compute" in run()
    again = table.read_text()
    assert len(again.splitlines()) == len(lines)
    assert "20 lines are in the CSV; 0 to compute" in run("--figure", str(figure))
    assert table.read_text() == again
    assert figure.stat().st_size > 10_000
