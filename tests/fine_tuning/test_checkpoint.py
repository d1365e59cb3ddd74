"""Fits that go on where they were killed, and end as if they never had been."""

import signal
import subprocess
import sys
import textwrap
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cftlearn import CategoryWiseFineTuner, CFTClassifier, load_model, save_model
from cftlearn.datasets import make_partial_multilabel
from cftlearn.fine_tuning import _auto
from cftlearn.fine_tuning._checkpoint import load_result, save_result
from cftlearn.fine_tuning._solver_shares import RefittedRow
from cftlearn.solvers import GeneticSolver, ProximalSolver

SOLVERS = {
    "auto": "auto",
    "ga": GeneticSolver(n_generations=5),
    "list": ["bce", ProximalSolver(spreads=(1.0,))],
}
by_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


def data():
    return make_partial_multilabel(150, known=0.4, random_state=0)[:2]


def tuner_of(solver="auto", **settings):
    return CategoryWiseFineTuner(solver, random_state=0, device="cpu", **settings)


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".npz")


def assert_same(one, other, *, seconds=False):
    assert_array_equal(one.coef_, other.coef_)
    assert_array_equal(one.intercept_, other.intercept_)
    assert repr(one.history_) == repr(other.history_)
    for line, twin in zip(one.report_, other.report_, strict=True):
        if not seconds:
            twin = twin | {"seconds": line["seconds"]}
        assert repr(line) == repr(twin)


@by_solver
def test_a_checkpoint_changes_nothing(tmp_path, solver):
    Z, y = data()
    plain = tuner_of(solver).fit(Z, y)
    kept = tuner_of(solver, checkpoint=tmp_path).fit(Z, y)
    # other solvers than "auto" store what judged, and what was refitted
    assert len(files(tmp_path)) == (5 if solver == "auto" else 10)
    assert not list(tmp_path.glob("*.part"))
    assert_same(kept, plain)


@by_solver
def test_finished_categories_are_read_and_not_refitted(tmp_path, monkeypatch, solver):
    Z, y = data()
    first = tuner_of(solver, checkpoint=tmp_path / "new" / "folder").fit(Z, y)

    def refuse(*args):
        raise AssertionError

    monkeypatch.setattr(_auto, "judge_candidates", refuse)
    monkeypatch.setattr("cftlearn.fine_tuning._best_solver.refit_category", refuse)
    again = tuner_of(solver, checkpoint=str(tmp_path / "new" / "folder")).fit(Z, y)
    assert_same(again, first, seconds=solver != "auto")


@pytest.mark.parametrize("n_jobs", [1, 2])
@by_solver
def test_some_finished_categories_give_the_same(tmp_path, solver, n_jobs):
    Z, y = data()
    first = tuner_of(solver, checkpoint=tmp_path).fit(Z, y)
    for name in files(tmp_path)[1::2]:
        (tmp_path / name).unlink()
    again = tuner_of(solver, checkpoint=tmp_path, n_jobs=n_jobs).fit(Z, y)
    assert_same(again, first)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_fit_goes_on(tmp_path):
    code = """
        import os, signal, sys
        from cftlearn import (CategoryWiseFineTuner)
        from cftlearn.fine_tuning import _auto
        from cftlearn.datasets import make_partial_multilabel

        Z, y = make_partial_multilabel(150, known=0.4, random_state=0)[:2]
        judge, finished = _auto.judge_candidates, []

        def until_killed(*args):
            if len(finished) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            finished.append(args)
            return judge(*args)

        _auto.judge_candidates = until_killed
        CategoryWiseFineTuner(random_state=0, checkpoint=sys.argv[1]).fit(Z, y)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    killed = subprocess.run(command, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(files(tmp_path)) == 3
    ages = {place: place.stat().st_mtime_ns for place in tmp_path.glob("*.npz")}
    Z, y = data()
    again = tuner_of(checkpoint=tmp_path).fit(Z, y)
    assert len(files(tmp_path)) == 5
    assert all(place.stat().st_mtime_ns == age for place, age in ages.items())
    assert_same(again, tuner_of().fit(Z, y))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("features", "features"),
        ("labels", "labels"),
        ("seed", "seed"),
        ("solver", "solver"),
        ("objective", "objective"),
        ("refit", "refit"),
        ("rows", "initial weights"),
        ("names", "categories"),
        ("rows moved", "features"),
        ("precision", "features"),
    ],
)
def test_another_fit_is_refused_and_loses_nothing(tmp_path, change, named):
    Z, y = data()
    tuner_of(checkpoint=tmp_path).fit(Z, y)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    tuner = tuner_of(checkpoint=tmp_path)
    if change == "features":
        Z = Z + 1.0
    elif change == "rows moved":
        Z = Z[::-1]
    elif change == "precision":
        Z = Z.astype(np.float32)
    elif change == "labels":
        known = np.flatnonzero(~np.isnan(y[:, 2]))[:2]
        y = y.copy()
        y[known, 2] = 1 - y[known, 2]
    elif change == "seed":
        tuner.set_params(random_state=1)
    elif change == "solver":
        tuner.set_params(solver="proximal")
    elif change == "objective":
        tuner.set_params(objective="average_precision")
    elif change == "refit":
        tuner.set_params(refit=False)
    elif change == "rows":
        tuner.set_params(coef_init=np.ones((5, 20)), intercept_init=np.zeros(5))
    else:
        pd = pytest.importorskip("pandas")
        y = pd.DataFrame(y, columns=list("abcde"))
    with pytest.raises(ValueError, match=f"differs in: .*{named}.*another folder"):
        tuner.fit(Z, y)
    assert before == {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}


def test_parameters_of_a_solver_count(tmp_path):
    Z, y = data()
    tuner_of(SOLVERS["ga"], checkpoint=tmp_path).fit(Z, y)
    with pytest.raises(ValueError, match=r"differs in: solver\."):
        tuner_of(GeneticSolver(n_generations=6), checkpoint=tmp_path).fit(Z, y)


@pytest.mark.parametrize("content", [b"", b"not ours", None], ids=str)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    Z, y = data()
    tuner_of(checkpoint=tmp_path).fit(Z, y)
    place = tmp_path / files(tmp_path)[2]
    if content is None:
        np.savez(place, something=np.zeros(3))
    else:
        place.write_bytes(content)
    with pytest.raises(ValueError, match=f"{place.name}.* cannot be read"):
        tuner_of(checkpoint=tmp_path).fit(Z, y)
    place.unlink()
    tuner_of(checkpoint=tmp_path).fit(Z, y)


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "fit.json").write_text("my own notes")
    with pytest.raises(ValueError, match="must name a folder that cftlearn wrote"):
        tuner_of(checkpoint=tmp_path).fit(*data())
    assert (tmp_path / "fit.json").read_text() == "my own notes"


def test_a_seed_is_needed(tmp_path):
    tuner = CategoryWiseFineTuner(checkpoint=tmp_path / "new")
    with pytest.raises(ValueError, match=r"`checkpoint` needs a seed.*random_state=0"):
        tuner.fit(*data())
    assert not (tmp_path / "new").exists()


def test_a_classifier_goes_on_too(tmp_path):
    Z, y = data()
    model = CFTClassifier(fine_tuner=CategoryWiseFineTuner(), random_state=0)
    plain = model.fit(Z, y).coef_
    model.set_params(fine_tuner__checkpoint=tmp_path)
    model.fit(Z, y)
    (tmp_path / files(tmp_path)[0]).unlink()
    assert_array_equal(model.fit(Z, y).coef_, plain)


def test_numbers_of_numpy_in_a_history_are_kept_and_strangers_refused(tmp_path):
    class Made:
        def __init__(self, value):
            self.value = value

        def pack(self):
            return {"array": np.arange(3)}, {"value": self.value}

        @classmethod
        def unpack(cls, arrays, plain):
            assert_array_equal(arrays["array"], np.arange(3))
            return cls(plain["value"])

    for k, value in enumerate([np.float32(0.1), np.int64(3), float("nan"), None, "x"]):
        place = tmp_path / f"{k}.npz"
        save_result(place, Made(value))
        assert repr(load_result(place, Made).value) == repr(
            value.item() if isinstance(value, np.generic) else value
        )
    with pytest.raises(TypeError, match="must hold numbers and text; got object"):
        save_result(tmp_path / "other.npz", Made(object()))
    assert not (tmp_path / "other.npz").exists()


def test_other_validation_features_are_another_fit(tmp_path):
    Z, y = data()
    parts = Z[:100], y[:100]
    tuner = tuner_of(checkpoint=tmp_path)
    tuner.fit(*parts, validation_data=(Z[100:], y[100:]))
    with pytest.raises(ValueError, match="differs in: validation features"):
        tuner.fit(*parts, validation_data=(Z[100:] + 1.0, y[100:]))


def test_fits_that_start_together_do_not_mix(tmp_path):
    """Of two fits one gets the folder, the other is refused, or they are the same."""
    Z, y = data()
    expected = {seed: tuner_of().set_params(random_state=seed) for seed in (0, 1)}
    for tuner in expected.values():
        tuner.fit(Z, y)

    def fit(seed, folder):
        try:
            tuner = tuner_of(checkpoint=folder).set_params(random_state=seed)
            return seed, tuner.fit(Z, y).coef_
        except ValueError as error:
            return seed, str(error)

    for k, seeds in enumerate([(0, 1), (0, 0), (0, 1, 0, 1)]):
        with ThreadPool(len(seeds)) as pool:
            found = pool.starmap(fit, [(seed, tmp_path / str(k)) for seed in seeds])
        assert any(not isinstance(answer, str) for _, answer in found)
        for seed, answer in found:
            if isinstance(answer, str):
                assert "differs in: seed" in answer
            else:
                assert_array_equal(answer, expected[seed].coef_)
        assert not list((tmp_path / str(k)).glob("*.part"))


@pytest.mark.parametrize("text", ["[1, 2]", "null", "3", "{"])
def test_a_damaged_note_of_the_fit_is_named(tmp_path, text):
    (tmp_path / "fit.json").write_text(text)
    with pytest.raises(ValueError, match=r"`checkpoint` must name"):
        tuner_of(checkpoint=tmp_path).fit(*data())


def test_damaged_arrays_are_named(tmp_path):
    Z, y = data()
    tuner_of(checkpoint=tmp_path).fit(Z, y)
    place = tmp_path / files(tmp_path)[0]
    with place.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=f"{place.name}.* cannot be read"):
        tuner_of(checkpoint=tmp_path).fit(Z, y)
    np.savez(place, plain=np.array("[]"))
    with pytest.raises(ValueError, match=f"{place.name}.* cannot be read"):
        tuner_of(checkpoint=tmp_path).fit(Z, y)


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)], ids=str)
def test_a_classifier_needs_a_seed_before_it_trains(tmp_path, seed):
    tuner = CategoryWiseFineTuner(checkpoint=tmp_path, random_state=seed)

    def never():
        raise AssertionError

    with pytest.raises(ValueError, match="`checkpoint` needs a seed"):
        CFTClassifier(never, fine_tuner=tuner).fit(*data())


def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError("not supported")

    monkeypatch.setattr("os.link", refuse)
    Z, y = data()
    tuner_of(checkpoint=tmp_path).fit(Z, y)
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(ValueError, match="differs in: seed"):
        tuner_of(checkpoint=tmp_path).set_params(random_state=1).fit(Z, y)


def test_a_saved_model_remembers_its_folder(tmp_path):
    tuner = tuner_of(checkpoint=tmp_path / "fit").fit(*data())
    save_model(tuner, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.checkpoint == str(tmp_path / "fit")


def test_swapped_categories_are_refused(tmp_path):
    Z, y = data()
    tuner_of("bce", checkpoint=tmp_path).fit(Z, y)
    one, other = (tmp_path / name for name in files(tmp_path)[:2])
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])
    words = r"cannot be read: it was changed, or written for something else\. Delete it"
    with pytest.raises(ValueError, match=words):
        tuner_of("bce", checkpoint=tmp_path).fit(Z, y)


def test_a_category_of_another_fit_is_refused(tmp_path):
    Z, y = data()
    for folder, seed in (("one", 0), ("other", 1)):
        tuner = tuner_of("bce", checkpoint=tmp_path / folder)
        tuner.set_params(random_state=seed).fit(Z, y)
    ours, theirs = (files(tmp_path / folder) for folder in ("one", "other"))
    assert not set(ours) & set(theirs)
    (tmp_path / "other" / theirs[0]).replace(tmp_path / "one" / ours[0])
    with pytest.raises(ValueError, match="written for something else"):
        tuner_of("bce", checkpoint=tmp_path / "one").fit(Z, y)


def test_every_changed_byte_of_a_category_is_told(tmp_path):
    Z, y = data()
    tuner_of("bce", checkpoint=tmp_path).fit(Z, y)
    path = tmp_path / files(tmp_path)[0]
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 60):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="it was changed"):
            load_result(path, RefittedRow)
    path.write_bytes(whole)
    load_result(path, RefittedRow)
