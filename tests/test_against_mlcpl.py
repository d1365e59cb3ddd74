"""Numbers beside those of mlcpl 0.1.7, on inputs where its code is right.

It is right for logits within 15 of 0, batches with a known label, and categories of two
classes. Where it means another thing by the same name, a test says which.
"""

import inspect
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from scipy.special import expit

from cftlearn.labels import decode_labels, encode_labels, hide_labels
from cftlearn.losses import (
    LargeLoss,
    PartialAsymmetricLoss,
    PartialBCEWithLogitsLoss,
    PartialFocalLoss,
    PartialStrictlyProperLoss,
    SelectiveLoss,
)
from cftlearn.metrics import (
    partial_average_precision_score,
    partial_f1_score,
    partial_roc_auc_score,
    partial_score,
)

pytest.importorskip("mlcpl", reason="mlcpl is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # its own

ROOT = Path(__file__).parent.parent
LOGITS = torch.linspace(-15, 15, 40, dtype=torch.float64).reshape(8, 5)
NAN = float("nan")


@pytest.fixture
def target():
    generator = torch.Generator().manual_seed(0)
    labels = torch.rand(LOGITS.shape, generator=generator).round()
    known = torch.rand(LOGITS.shape, generator=generator) < 0.6
    return torch.where(known, labels, NAN).double()


def both(theirs, ours, target):
    """Compare values and gradients."""
    results = []
    for loss in (theirs, ours):
        logits = LOGITS.clone().requires_grad_()
        value = loss(logits, target)
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        results.append((value.detach(), gradient))
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-9)


def asymmetric(**parameters):
    names = {"gamma_pos": "gamma_positive", "gamma_neg": "gamma_negative"}
    own = {names.get(key, key): value for key, value in parameters.items()}
    return PartialAsymmetricLoss(**{"clip": 0.0} | own)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_bce(target, reduction):
    from mlcpl.losses import PartialBCEWithLogitLoss

    both(
        PartialBCEWithLogitLoss(reduction=reduction),
        PartialBCEWithLogitsLoss(reduction=reduction),
        target,
    )


def test_weights_of_classes(target):
    from mlcpl.losses import PartialBCEWithLogitLoss

    ours = PartialBCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))
    both(PartialBCEWithLogitLoss(alpha_pos=3), ours, target)


def test_negative_mode_is_bce_with_zeros(target):
    from mlcpl.losses import PartialNegativeBCEWithLogitLoss

    ours = PartialBCEWithLogitsLoss()
    both(
        PartialNegativeBCEWithLogitLoss(),
        lambda logits, target: ours(logits, target.nan_to_num(0.0)),
        target,
    )


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_focal(target, gamma, detached):
    from mlcpl.losses import PartialFocalWithLogitLoss

    ours = asymmetric(gamma_pos=gamma, gamma_neg=gamma, detach_weight=detached)
    both(PartialFocalWithLogitLoss(gamma, discard_focal_grad=detached), ours, target)


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_asymmetric(target, clip, detached):
    from mlcpl.losses import PartialAsymmetricWithLogitLoss

    gammas = {"gamma_pos": 1.0, "gamma_neg": 4.0, "clip": clip}
    theirs = PartialAsymmetricWithLogitLoss(**gammas, discard_focal_grad=detached)
    both(theirs, asymmetric(**gammas, detach_weight=detached), target)


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_focal_by_its_name(target, gamma):
    from mlcpl.losses import PartialFocalWithLogitLoss

    ours = PartialFocalLoss(gamma=gamma, detach_weight=True)
    both(PartialFocalWithLogitLoss(gamma), ours, target)


def test_strictly_proper_there_is_computed_at_the_probability(target):
    """The published loss takes the logit itself; there it is squashed before."""
    from mlcpl.losses import PartialStrictlyProperAsymmetricWithLogitLoss

    ours = PartialStrictlyProperLoss()
    both(
        PartialStrictlyProperAsymmetricWithLogitLoss(),
        lambda logits, target: ours(ours.predict_proba(logits), target),
        target,
    )


def with_unknown(loss, logits, target):
    """Return the sum over known labels by BCE, and over unknown ones by a loss."""
    known = PartialBCEWithLogitsLoss(reduction="sum")(logits, target)
    return known + loss(logits, target) * torch.isnan(target).sum()


@pytest.mark.parametrize("top", [0, 1])
@pytest.mark.parametrize("priors", [[0.01] * 5, [0.01, 0.4, 0.02, 0.01, 0.3]])
def test_selective_bce(target, top, priors):
    from mlcpl.losses import PartialSelectiveBCEWithLogitLoss

    theirs = PartialSelectiveBCEWithLogitLoss(
        label_priors=torch.tensor(priors), likelihood_topk=top, reduction="sum"
    )
    ours = SelectiveLoss(gamma=0.0, top=top, prior=priors)
    both(theirs, lambda *pair: with_unknown(ours, *pair), target)


@pytest.mark.parametrize("scheme", ["rejection", "temporary"])
def test_large_losses_but_for_their_number(target, scheme):
    """Where a share says k of the cells, one less is chosen there."""
    from mlcpl import losses

    n_unknown, k = int(torch.isnan(target).sum()), 6
    name = {"rejection": "Rejection", "temporary": "CorrectionTemporary"}[scheme]
    theirs = getattr(losses, f"LargeLoss{name}")(
        delta_rel=100 * k / n_unknown, reduction="sum"
    )
    ours = LargeLoss(scheme, share_per_epoch=(k - 1) / n_unknown)
    ours.set_epoch(1, 10)
    both(
        lambda logits, target: theirs(logits, target, 1),
        lambda *pair: with_unknown(ours, *pair),
        target,
    )


# Metrics


@pytest.fixture
def scored():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (60, 4)).astype(float)
    y = np.where(rng.random(truth.shape) < 0.4, NAN, truth)
    return y, rng.standard_normal(truth.shape) + truth


def theirs(name, y, scores, average, **options):
    from mlcpl import metrics

    function = getattr(metrics, f"partial_multilabel_{name}")
    value = function(
        torch.from_numpy(scores),
        torch.from_numpy(y),
        average=average or "none",
        **options,
    )
    return value.numpy()


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("auroc", partial_roc_auc_score),
        ("average_precision", partial_average_precision_score),
        ("f1_score", partial_f1_score),
    ],
)
def test_metrics(scored, name, ours, average):
    y, scores = scored
    own = (scores > 0).astype(int) if name == "f1_score" else scores
    expected = theirs(name, y, scores, average)
    np.testing.assert_allclose(ours(y, own, average=average), expected, atol=1e-6)


def test_a_category_of_one_class_is_left_out_of_the_mean(scored):
    y, scores = scored
    y[:, 2] = np.where(y[:, 2] == 1, 1.0, NAN)
    ours = partial_roc_auc_score(y, scores)
    assert ours == pytest.approx(float(theirs("auroc", y, scores, "macro")), abs=1e-6)


def hinge_of_squashed(y, scores):
    """Return the hinge loss of probabilities: there, scores pass a sigmoid first."""
    return sk.hinge_loss(2 * y - 1, expit(scores))


ANY = {  # name there: metric, kind, options there
    "fbeta_score": (partial(sk.fbeta_score, beta=2.0), "decision", {"beta": 2.0}),
    "precision": (partial(sk.precision_score, zero_division=0), "decision", {}),
    "recall": (sk.recall_score, "decision", {}),
    "sensitivity": (sk.recall_score, "decision", {}),
    "specificity": (partial(sk.recall_score, pos_label=0), "decision", {}),
    "accuracy": (sk.accuracy_score, "decision", {}),
    "hamming_distance": (sk.hamming_loss, "decision", {}),
    "jaccard_index": (sk.jaccard_score, "decision", {}),
    "cohen_kappa": (sk.cohen_kappa_score, "decision", {}),
    "hinge_loss": (hinge_of_squashed, "score", {}),
}


@pytest.mark.parametrize("average", ["macro", "micro", None])
@pytest.mark.parametrize("name", ANY)
def test_other_metrics_by_a_function_of_scikit_learn(scored, name, average):
    y, scores = scored
    metric, kind, options = ANY[name]
    given = (scores > 0).astype(int) if kind == "decision" else scores
    expected = theirs(name, y, scores, average, **options)
    got = partial_score(y, given, metric, kind=kind, average=average)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_correlation_of_matthews_is_pooled(scored):
    from mlcpl.metrics import partial_multilabel_matthews_corrcoef

    y, scores = scored
    decisions = (scores > 0).astype(int)
    expected = partial_multilabel_matthews_corrcoef(
        torch.from_numpy(scores), torch.from_numpy(y)
    )
    got = partial_score(
        y, decisions, sk.matthews_corrcoef, kind="decision", average="micro"
    )
    assert got == pytest.approx(float(expected), abs=1e-6)


# Simulators


def dataset_of(truth):
    from mlcpl.datasets import MLCPLDataset

    records = [
        (row, "", np.flatnonzero(labels == 1).tolist(), np.flatnonzero(labels == 0))
        for row, labels in enumerate(truth)
    ]
    records = [(*start, list(map(int, last))) for *start, last in records]
    return MLCPLDataset("made", "", records, truth.shape[1])


def labels_of(dataset):
    from mlcpl.datasets import labels_to_one_hot

    rows = [
        labels_to_one_hot(positive, negative, dataset.num_categories)
        for _, _, positive, negative in dataset.records
    ]
    return decode_labels(torch.stack(rows).numpy(), source="mlcpl")


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return (rng.random((400, 6)) < [0.1, 0.3, 0.5, 0.2, 0.4, 0.6]).astype(float)


def test_uniform_hiding_keeps_as_many(truth):
    theirs = labels_of(dataset_of(truth).drop_labels_uniform(0.3))
    ours = hide_labels(truth, known=0.3, random_state=0)
    for y in (theirs, ours):
        assert np.mean(~np.isnan(y)) == pytest.approx(0.3, abs=0.03)
        assert (np.isnan(y) | (y == truth)).all()


def test_a_single_positive_stays_in_the_same_rows(truth):
    theirs = labels_of(dataset_of(truth).drop_labels_single_positive())
    ours = hide_labels(truth, scheme="single_positive", random_state=0)
    for y in (theirs, ours):
        np.testing.assert_array_equal(np.nansum(y, axis=1), truth.max(axis=1))
        assert not (y == 0).any()


def test_its_fixed_number_is_of_both_classes_together(truth):
    theirs = labels_of(dataset_of(truth).drop_labels_fix_per_category(60))
    ours = hide_labels(truth, known=30, scheme="fixed_per_category", random_state=0)
    for kind in (0, 1):
        assert (np.sum(theirs == kind, axis=0) == 30).all()
        assert (np.sum(ours == kind, axis=0) == 30).all()


def test_labels_go_there_and_back(truth):
    y = hide_labels(truth, known=0.5, random_state=0)
    records = [
        (row, "", np.flatnonzero(own == 1).tolist(), np.flatnonzero(own == 0).tolist())
        for row, own in enumerate(encode_labels(y, to="mlcpl"))
    ]
    dataset = dataset_of(truth)
    dataset.records = records
    np.testing.assert_array_equal(labels_of(dataset), y)


def test_every_public_name_has_a_row_in_the_guide():
    import mlcpl

    page = (ROOT / "docs" / "user_guide" / "coming_from.md").read_text(encoding="utf-8")
    text = page[page.index("## mlcpl") : page.index("## LibAUC")]
    absent = []
    for module in vars(mlcpl).values():
        if not inspect.ismodule(module):
            continue
        for name, item in vars(module).items():
            own = getattr(item, "__module__", "").startswith("mlcpl.")
            if own and not name.startswith("_") and name not in text:
                absent.append(f"{module.__name__}.{name}")
    assert not absent
