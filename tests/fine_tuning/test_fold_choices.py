"""One choice from those of several folds."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from report_parts import n_held_out
from sklearn.metrics import log_loss, roc_auc_score

from cftlearn import CategoryWiseFineTuner
from cftlearn._report._columns import before_and_after, score_columns
from cftlearn.datasets import make_partial_multilabel
from cftlearn.fine_tuning._choice import Choice, fit_on_split
from cftlearn.fine_tuning._evidence import Evidence, weigh
from cftlearn.fine_tuning._fold_choices import combine_choices
from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.labels import check_partial_labels
from cftlearn.labels._held_out_scores import HeldOutScores
from cftlearn.labels._label_split import LabelSplit, deal_labels
from cftlearn.metrics._objectives import make_objective
from cftlearn.metrics._paired_intervals import paired_intervals

N_CATEGORIES, N_FOLDS = 3, 3


def near_likelihood(y_true, y_score):
    """Compute a callable objective that a change of the bias changes."""
    return -log_loss(y_true, 1 / (1 + np.exp(-y_score)), labels=[0, 1])


def fit_folds(y, Z, coef, *, n_folds=N_FOLDS, **parameters):
    """Fit each fold's choice, from initial weights that saw no label."""
    labels = check_partial_labels(y)
    folds = deal_labels(labels, n_folds, np.arange(y.shape[1]))
    choices = []
    for fold in range(n_folds):
        split = LabelSplit(
            labels.restricted_to(folds != fold),
            labels.restricted_to(folds == fold),
            same_rows=True,
        )
        tuner = CategoryWiseFineTuner(
            coef_init=coef,
            intercept_init=np.zeros(len(coef)),
            random_state=0,
            **parameters,
        )
        choices.append(fit_on_split(tuner, Z, Z, split))
    return choices


@pytest.fixture(scope="module")
def problem():
    Z, y, _ = make_partial_multilabel(
        240, n_features=6, n_categories=N_CATEGORIES, known=0.4, random_state=2
    )
    coef = np.random.default_rng(0).standard_normal((N_CATEGORIES, 6))
    return y, Z, coef


@pytest.fixture(scope="module")
def choices(problem):
    return fit_folds(*problem)


def recipe_of(result):
    """Return weights by candidate, those of no weight left out."""
    candidates, weights, initial = result.recipe
    pairs = zip(candidates, weights, strict=True)
    return {one: weight for one, weight in pairs if weight > 0} | {"initial": initial}


# --------------------------------------------------------------------------- pooling
def test_one_fold_alone_keeps_its_verdict(choices):
    for choice in choices:
        combined = combine_choices([choice])
        pairs = zip(choice.results, combined.results, strict=True)
        for own, result in pairs:
            assert own.report["status"] == result.report["status"]
            assert (own.recipe is None) == (result.recipe is None)
            if own.recipe is not None:
                assert recipe_of(result) == pytest.approx(recipe_of(own))
            for key in ("weight", *score_columns("roc_auc"), "n_held_out_positive"):
                assert result.report[key] == pytest.approx(own.report[key], nan_ok=True)
        for own, joined in zip(
            choice.tuner.held_out_.columns,
            combined.tuner.held_out_.columns,
            strict=True,
        ):
            assert_array_equal(joined.rows, own.rows)
            assert_allclose(joined.logits, own.logits)


def pool_by_hand(folds):
    """Average one category's evidence, candidate by candidate, fold by fold."""
    candidates = list(dict.fromkeys(one for own, _ in folds for one in own))

    def mean(values, labels):
        total = sum(labels)
        if not total:
            return np.nan
        pairs = zip(values, labels, strict=True)
        return sum(value * m for value, m in pairs if m) / total

    fields = {}
    for name, labels in (
        ("held_out", "held_out_labels"),
        ("against_unknown", "against_unknown_labels"),
        ("fitted", "fitted_labels"),
    ):
        counts = [getattr(own, labels) for _, own in folds]
        fields[labels] = sum(counts)
        fields[name] = np.array(
            [
                mean(
                    [getattr(e, name)[own.index(each)] for own, e in folds],
                    counts,
                )
                for each in candidates
            ]
        )
        if name in ("held_out", "against_unknown"):
            fields[f"initial_{name}"] = mean(
                [getattr(e, f"initial_{name}") for _, e in folds], counts
            )
    counts = [e.memory_labels for _, e in folds]
    fields |= {"memory": mean([e.memory for _, e in folds], counts)}
    fields |= {"memory_labels": sum(counts)}
    if fields["held_out_labels"]:
        fields["against_unknown_labels"] = 0.0
    return candidates, Evidence(
        **fields,
        independent=np.array([each.independent for each in candidates]),
        available=np.ones(len(candidates), dtype=bool),
    )


def test_folds_are_weighed_as_if_pooled_by_hand(choices):
    pooled = [
        pool_by_hand([choice.results[j].evidence for choice in choices])
        for j in range(N_CATEGORIES)
    ]
    candidates = pooled[0][0]
    assert all(own == candidates for own, _ in pooled)
    log_prior = np.array([each.log_prior for each in candidates])
    verdicts = weigh([own for _, own in pooled], log_prior)
    combined = combine_choices(choices)
    for result, verdict in zip(combined.results, verdicts, strict=True):
        assert result.report["status"] == "refitted"
        assert result.recipe.candidates == candidates
        assert_allclose(result.recipe.weights, verdict.candidates, atol=1e-12)
        assert result.recipe.initial == pytest.approx(verdict.initial)
        assert result.report["weight"] == pytest.approx(1 - verdict.initial)
    own = [recipe_of(result) for result in choices[0].results]
    assert own[0] != pytest.approx(recipe_of(combined.results[0]))


def with_evidence(choice, change):
    """Change the evidence of all categories."""
    results = [
        replace(own, evidence=(own.evidence[0], change(own.evidence[1])))
        for own in choice.results
    ]
    return replace(choice, results=results)


def test_a_fold_without_labels_says_nothing(choices):
    """Its values may be anything; so may NaN be there."""

    def forget(own):
        nothing = np.full(len(own.held_out), np.nan)
        return replace(
            own,
            held_out=nothing,
            held_out_labels=0.0,
            fitted=nothing,
            fitted_labels=0.0,
            initial_held_out=np.nan,
            memory=np.nan,
            memory_labels=0.0,
        )

    silent = with_evidence(choices[1], forget)
    one, two = combine_choices([choices[0], silent]), combine_choices([choices[0]])
    for own, other in zip(one.results, two.results, strict=True):
        assert recipe_of(own) == pytest.approx(recipe_of(other))


def test_held_out_negatives_replace_unknown_labels(choices):
    """A fold without a negative is judged against unknown labels; they are left out."""

    def stand_in(own):
        values = np.linspace(0, 1, len(own.held_out))
        return replace(
            own,
            held_out=np.full(len(values), np.nan),
            held_out_labels=0.0,
            initial_held_out=np.nan,
            against_unknown=values,
            against_unknown_labels=1000.0,
            initial_against_unknown=0.5,
        )

    only = with_evidence(choices[1], stand_in)
    mixed = combine_choices([choices[0], only])
    pooled = [
        pool_by_hand([choices[0].results[j].evidence, only.results[j].evidence])
        for j in range(N_CATEGORIES)
    ]
    assert all(own.against_unknown_labels == 0 for _, own in pooled)
    log_prior = np.array([each.log_prior for each in pooled[0][0]])
    for result, verdict in zip(
        mixed.results, weigh([own for _, own in pooled], log_prior), strict=True
    ):
        assert_allclose(result.recipe.weights, verdict.candidates, atol=1e-12)
    alone = combine_choices([only])  # where nothing else speaks, they count
    assert not np.allclose(alone.results[0].recipe.weights, verdict.candidates)


def test_a_candidate_that_a_fold_lacks_does_not_count(choices):
    own, evidence = choices[0].results[0].evidence
    best = int(np.argmax(recipe_weights(combine_choices(choices).results[0], own)))
    keep = np.arange(len(own)) != best
    arrays = ("held_out", "against_unknown", "fitted", "independent", "available")
    less = replace(evidence, **{key: getattr(evidence, key)[keep] for key in arrays})
    fewer = [each for each, is_kept in zip(own, keep, strict=True) if is_kept]
    results = [
        replace(choices[0].results[0], evidence=(fewer, less)),
        *choices[0].results[1:],
    ]
    combined = combine_choices([replace(choices[0], results=results), *choices[1:]])
    weights = recipe_weights(combined.results[0], own)
    assert weights[best] == 0
    assert weights.sum() + combined.results[0].recipe.initial == pytest.approx(1)


def recipe_weights(result, candidates):
    found = dict(zip(result.recipe.candidates, result.recipe.weights, strict=True))
    return np.array([found[each] for each in candidates])


# ---------------------------------------------------------------------------- reports
def test_the_report_is_of_all_folds(choices, problem):
    y = problem[0]
    combined = combine_choices(choices)
    assert combined.tuner is not choices[0].tuner
    assert len(combined.tuner.report_) == N_CATEGORIES
    for j, line in enumerate(combined.tuner.report_):
        lines = [choice.results[j].report for choice in choices]
        known = int((~np.isnan(y[:, j])).sum())
        assert n_held_out(line) == known == line["n_positive"] + line["n_negative"]
        assert line["n_unknown"] == len(y) - known
        counts = [n_held_out(own) for own in lines]
        for key in ("roc_auc_before", "roc_auc_after"):
            expected = np.average([own[key] for own in lines], weights=counts)
            assert line[key] == pytest.approx(expected)
        pairs = [choice.results[j].held_out for choice in choices]
        expected = paired_intervals(
            pairs,
            before_and_after(line),
            make_objective("roc_auc"),
            choices[0].seeds[j],
        )
        columns = score_columns("roc_auc")
        for part, value in expected._asdict().items():
            assert line[getattr(columns, part)] == value
        assert 0 < line[columns.after_low] < line[columns.after] < 1
        gain = line[columns.after] - line[columns.before]
        assert line["reason"].endswith(f"; here roc_auc {gain:+.3f}")
        assert (line["solver"], line["metric"]) == ("auto", "roc_auc")
        assert line["seconds"] == pytest.approx(sum(own["seconds"] for own in lines))
        assert line["reason"].startswith(f"refits weigh {line['weight']:.2f}, by 3 net")
    history = combined.tuner.history_
    expected = [
        {"fold": fold, **record}
        for fold, choice in enumerate(choices)
        for record in choice.tuner.history_
    ]
    assert history == expected
    assert {record["fold"] for record in history} == {0, 1, 2}


def test_good_initial_weights_are_kept():
    Z, y, full = make_partial_multilabel(
        240, n_features=6, n_categories=3, known=0.4, random_state=2
    )
    coef = np.array([np.linalg.lstsq(Z, own - own.mean())[0] for own in full.T])
    combined = combine_choices(fit_folds(y, Z, coef))
    for result in combined.results:
        line = result.report
        assert line["status"] == "kept"
        assert (line["weight"], line["n_iter"], line["solver"]) == (0, 0, None)
        assert line["roc_auc_after"] == line["roc_auc_before"]
        assert line["roc_auc_gain_low"] == line["roc_auc_gain_high"] == 0.0
        assert result.recipe is None
        assert line["reason"].startswith("refits would weigh only 0.")


def test_all_labels_of_a_skipped_category_are_counted(problem):
    y, Z, coef = problem
    y = y.copy()
    y[y[:, 1] == 1, 1] = np.nan
    line = combine_choices(fit_folds(y, Z, coef)).tuner.report_[1]
    assert (line["status"], line["reason"]) == ("skipped", "no known positive")
    assert n_held_out(line) == line["n_negative"] == (y[:, 1] == 0).sum()


def test_a_callable_objective_must_not_fall(problem):
    """Large initial logits of the right order: any other scale has less likelihood."""
    y, Z, coef = problem

    def constant(y_true, y_score):
        return 0.5

    choices = fit_folds(y, Z, coef, objective=constant)
    for line in combine_choices(choices).tuner.report_:
        assert line["status"] == "kept"
        assert line["weight"] == 0
        assert line["reason"].startswith(
            "held-out constant did not rise; refits weigh 0.9"
        ) or line["reason"].startswith(
            "held-out constant did not rise; refits weigh 1.0"
        )
    choices = fit_folds(y, Z, coef, objective=near_likelihood)
    for line in combine_choices(choices).tuner.report_:
        assert line["status"] == "refitted"
        before, after = before_and_after(line)
        assert after > before


# ------------------------------------------------------------------------------ scores
def test_every_known_label_has_a_score(choices, problem):
    y = problem[0]
    scores = combine_choices(choices).tuner.held_out_
    assert scores.n_rows == len(y)
    for j, column in enumerate(scores.columns):
        assert_array_equal(column.rows, np.flatnonzero(~np.isnan(y[:, j])))
        assert_array_equal(column.y, y[column.rows, j] == 1)
        assert roc_auc_score(column.y, column.logits) > 0.7


def stretched(choice: Choice, factor: float, shift: float) -> Choice:
    """Return the choice of a network whose logits lie elsewhere."""
    tuner = copy.copy(choice.tuner)
    tuner.coef_ = factor * tuner.coef_
    tuner.intercept_ = factor * tuner.intercept_ + shift
    columns = [
        own._replace(logits=factor * own.logits + shift)
        for own in tuner.held_out_.columns
    ]
    tuner.held_out_ = HeldOutScores(tuner.held_out_.n_rows, columns)
    return replace(choice, tuner=tuner)


def test_scores_of_all_folds_have_one_scale(choices):
    """Networks whose logits differ in spread and position give the same scores."""
    plain = combine_choices(choices).tuner.held_out_
    first, second, third = choices
    other = combine_choices([first, stretched(second, 7, 3), stretched(third, 0.2, -5)])
    for own, expected in zip(other.tuner.held_out_.columns, plain.columns, strict=True):
        assert_allclose(own.logits, expected.logits, atol=1e-9)


# -------------------------------------------------------- weights without the held-out
def test_weights_without_held_out_do_not_know_their_values(choices):
    choice = choices[0]
    fitted, held_out = choice.split[:2]
    flipped = held_out._replace(values=1 - held_out.values)
    other = replace(choice, split=LabelSplit(fitted, flipped, same_rows=True))
    own, same = choice.weights_without_held_out(), other.weights_without_held_out()
    assert_array_equal(own.coef, same.coef)
    assert_array_equal(own.intercept, same.intercept)
    assert not np.allclose(own.coef, choice.weights.coef, rtol=1e-3)


def test_weights_without_held_out_where_nothing_else_is_known(problem):
    """What is left to fit has no positive, or no label: the initial weights remain."""
    y, Z, coef = problem
    labels = check_partial_labels(y)
    held_out = np.zeros_like(labels.known)
    held_out[::2] = labels.known[::2]
    held_out[:, 0] = labels.values[:, 0] == 1
    held_out[:, 1] = labels.known[:, 1]
    split = LabelSplit(
        labels.restricted_to(~held_out), labels.restricted_to(held_out), same_rows=True
    )
    tuner = CategoryWiseFineTuner(
        coef_init=coef, intercept_init=np.zeros(N_CATEGORIES), random_state=0
    )
    choice = fit_on_split(tuner, Z, Z, split)
    assert all(result.recipe is not None for result in choice.results[1:])
    own = choice.weights_without_held_out()
    assert isinstance(own, InitialWeights)
    assert_array_equal(own.coef[:2], coef[:2])
    assert not np.allclose(own.coef[2], coef[2])


def test_labels_that_are_clearly_against_are_named(choices, monkeypatch):
    def refuse(evidence, log_prior):
        return [replace(own, is_refused=True) for own in weigh(evidence, log_prior)]

    monkeypatch.setattr("cftlearn.fine_tuning._fold_choices.weigh", refuse)
    for result in combine_choices(choices).results:
        assert result.report["status"] == "kept"
        assert result.report["reason"].startswith("its own labels are clearly against")
