"""Bad inputs of losses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cftlearn import CFTClassifier, losses
from cftlearn.datasets import make_partial_multilabel

from .case import Case

NAN, INF = float("nan"), float("inf")


def loss_case(
    entry: str,
    fault: str,
    act: Callable[..., object],
    error: type[BaseException],
    message: str,
) -> Case:
    """Make a case of the losses, torch, logits of 0 and labels that are unknown."""

    def call(folder: Path) -> object:
        import torch

        return act(losses, torch, torch.zeros(2, 2), torch.full((2, 2), NAN))

    return Case(f"losses.{entry}", fault, call, error, message)


def after_warm_up(Z: Any, Y: Any, loss: Any) -> object:
    loss.set_epoch(1, 2)
    return loss(Z, Y)


def started(Y: Any, loss: Any) -> Any:
    loss.start(Y)
    loss.set_epoch(0, 2)
    return loss


def with_epoch(loss: Any) -> Any:
    loss.set_epoch(0, 2)
    return loss


def labelled() -> Any:
    return make_partial_multilabel(40, n_features=4, n_categories=2, random_state=0)[:2]


def biased(L: Any, proba: object, **changes: object) -> Any:
    shares = {"prior": 0.3, "negative_share": 0.2}
    return L.BiasedNegativesLoss(proba, **shares | changes)


CASES = [
    loss_case(
        "PartialBCEWithLogitsLoss",
        "factors of positives that are a list",
        lambda L, torch, Z, Y: L.PartialBCEWithLogitsLoss(pos_weight=[1.0, 2.0]),
        TypeError,
        "`pos_weight` must be a tensor of one factor per category; got "
        "list. Pass torch.tensor([...]).",
    ),
    loss_case(
        "PartialBCEWithLogitsLoss",
        "an infinite factor of positives",
        lambda L, torch, Z, Y: L.PartialBCEWithLogitsLoss(
            pos_weight=torch.tensor([1.0, INF])
        ),
        ValueError,
        "`pos_weight` must be finite and above 0; got [1.0, inf].",
    ),
    loss_case(
        "PartialBCEWithLogitsLoss",
        "a reduction that there is not",
        lambda L, torch, Z, Y: L.PartialBCEWithLogitsLoss(reduction="average"),
        ValueError,
        "`reduction` must be 'mean', 'sum' or 'none'; got 'average'.",
    ),
    loss_case(
        "PartialBCEWithLogitsLoss",
        "a factor too many",
        lambda L, torch, Z, Y: L.PartialBCEWithLogitsLoss(pos_weight=torch.ones(3))(
            Z, Y
        ),
        ValueError,
        "`pos_weight` must hold one factor per category, shape (2,); got shape (3,).",
    ),
    loss_case(
        "PartialBCEWithLogitsLoss",
        "a label of -1",
        lambda L, torch, Z, Y: L.PartialBCEWithLogitsLoss()(
            Z, torch.full((2, 2), -1.0)
        ),
        ValueError,
        "`target` must hold labels in [0, 1] or NaN (unknown); got -1. Read"
        " labels with cftlearn.labels.check_partial_labels first.",
    ),
    loss_case(
        "PartialBCEWithLogitsLoss",
        "labels of fewer categories",
        lambda L, torch, Z, Y: L.PartialBCEWithLogitsLoss()(Z, Y[:, :1]),
        ValueError,
        "`target` must have the shape of `logits`, (2, 2); got (2, 1).",
    ),
    loss_case(
        "PartialBCEWithLogitsLoss",
        "a negative weight of a label",
        lambda L, torch, Z, Y: L.PartialBCEWithLogitsLoss()(
            Z, Z, torch.full((2, 2), -0.5)
        ),
        ValueError,
        "`weight` must be finite and 0 or more where a label is known; got -0.5.",
    ),
    loss_case(
        "PartialBCEWithLogitsLoss",
        "one weight per row",
        lambda L, torch, Z, Y: L.PartialBCEWithLogitsLoss()(Z, Y, torch.ones(2)),
        ValueError,
        "`weight` must have the shape of `logits`, (2, 2); got (2,).",
    ),
    loss_case(
        "PartialFocalLoss",
        "a negative power",
        lambda L, torch, Z, Y: L.PartialFocalLoss(gamma=-1),
        ValueError,
        "`gamma` must be finite and 0 or more; got -1.",
    ),
    loss_case(
        "PartialFocalLoss",
        "a margin that is text",
        lambda L, torch, Z, Y: L.PartialFocalLoss(margin="1"),
        TypeError,
        "`margin` must be a number; got '1' of type str.",
    ),
    loss_case(
        "PartialAsymmetricLoss",
        "a clip of 1",
        lambda L, torch, Z, Y: L.PartialAsymmetricLoss(clip=1),
        ValueError,
        "`clip` must be in [0, 1); got 1.",
    ),
    loss_case(
        "PartialAsymmetricLoss",
        "a power that is NaN",
        lambda L, torch, Z, Y: L.PartialAsymmetricLoss(gamma_negative=NAN),
        ValueError,
        "`gamma_negative` must be finite and 0 or more; got nan.",
    ),
    loss_case(
        "PartialStrictlyProperLoss",
        "a slope of 0",
        lambda L, torch, Z, Y: L.PartialStrictlyProperLoss(slope_positive=0),
        ValueError,
        "`slope_positive` must be finite and above 0; got 0.",
    ),
    loss_case(
        "PartialStrictlyProperLoss",
        "an infinite shift",
        lambda L, torch, Z, Y: L.PartialStrictlyProperLoss(shift_negative=INF),
        ValueError,
        "`shift_negative` must be finite; got inf.",
    ),
    loss_case(
        "PartialStrictlyProperLoss",
        "a link that there is not",
        lambda L, torch, Z, Y: L.PartialStrictlyProperLoss(link="logit"),
        ValueError,
        "`link` must be 'published' or 'logistic'; got 'logit'.",
    ),
    loss_case(
        "PartialLoss",
        "a treatment with a typing error",
        lambda L, torch, Z, Y: L.PartialLoss("bce", "hil"),
        ValueError,
        "`unknown` must be one of 'auto', 'entropy', 'entropy_pseudo', "
        "'expected_positive', 'hill', 'ignore', 'imbalanced_nnpu', "
        "'label_smoothing', 'large_loss_permanent', 'large_loss_rejection',"
        " 'large_loss_temporary', 'negative', 'nnpu', 'robust', 'role', "
        "'selective', 'splc', 'vpu', 'weak_negative', or a loss of unknown "
        "labels, an UnknownLoss; got 'hil'.",
    ),
    loss_case(
        "PartialLoss",
        "a class in place of an object",
        lambda L, torch, Z, Y: L.PartialLoss("bce", L.HillLoss),
        TypeError,
        "`unknown` must be one of 'auto', 'entropy', 'entropy_pseudo', "
        "'expected_positive', 'hill', 'ignore', 'imbalanced_nnpu', "
        "'label_smoothing', 'large_loss_permanent', 'large_loss_rejection',"
        " 'large_loss_temporary', 'negative', 'nnpu', 'robust', 'role', "
        "'selective', 'splc', 'vpu', 'weak_negative', or a loss of unknown "
        "labels, an UnknownLoss; got <class "
        "'cftlearn.losses._unknown._cells.HillLoss'> of type type.",
    ),
    loss_case(
        "PartialLoss",
        "a treatment that needs rates",
        lambda L, torch, Z, Y: L.PartialLoss("bce", "auto"),
        ValueError,
        "`unknown` must be a treatment without rates that a training of "
        "CFTClassifier estimates; got 'auto'. Pass 'hill', or an object "
        "that has its shares, such as NonNegativePULoss(prior=0.1).",
    ),
    loss_case(
        "PartialLoss",
        "a loss of one's own for known labels",
        lambda L, torch, Z, Y: L.PartialLoss(torch.nn.BCEWithLogitsLoss()),
        TypeError,
        "`known` must be a name or a loss of cftlearn.losses for known "
        "labels; got BCEWithLogitsLoss. To a loss of your own, add the "
        "value of an UnknownLoss, such as HillLoss()(logits, target).",
    ),
    loss_case(
        "PartialLoss",
        "a negative weight of unknown cells",
        lambda L, torch, Z, Y: L.PartialLoss("bce", "hill", unknown_weight=-1.0),
        ValueError,
        "`unknown_weight` must be finite and 0 or more; got -1.0.",
    ),
    loss_case(
        "PartialLoss",
        "no rows for a loss that remembers them",
        lambda L, torch, Z, Y: L.PartialLoss("bce", "large_loss_permanent")(Z, Y),
        ValueError,
        "`rows` must hold the numbers of the rows in the training set, "
        "which LargeLoss needs; got None.",
    ),
    loss_case(
        "PartialLoss",
        "an epoch after the last",
        lambda L, torch, Z, Y: L.PartialLoss("bce", "hill").set_epoch(3, 3),
        ValueError,
        "`epoch` must be in [0, n_epochs) = [0, 3); got 3. Epochs are counted from 0.",
    ),
    loss_case(
        "HillLoss",
        "a peak below 1",
        lambda L, torch, Z, Y: L.HillLoss(peak=0.5),
        ValueError,
        "`peak` must be 1 or more; got 0.5.",
    ),
    loss_case(
        "HillLoss",
        "labels of fewer rows",
        lambda L, torch, Z, Y: L.HillLoss()(Z, Y[:1]),
        ValueError,
        "`target` and `logits` must both have the shape (n_samples, "
        "n_categories); got (1, 2) and (2, 2).",
    ),
    loss_case(
        "HillLoss",
        "counted cells that are numbers",
        lambda L, torch, Z, Y: L.HillLoss()(Z, Y, torch.ones(2, 2)),
        ValueError,
        "`unknown` must be a bool tensor of the shape of `target`, (2, 2); "
        "got torch.float32 of shape (2, 2).",
    ),
    loss_case(
        "SmoothedNegativeLoss",
        "a label of 1",
        lambda L, torch, Z, Y: L.SmoothedNegativeLoss(smoothing=1.0),
        ValueError,
        "`smoothing` must be in [0, 1); got 1.0.",
    ),
    loss_case(
        "SelfPacedCorrectionLoss",
        "a threshold of 0",
        lambda L, torch, Z, Y: L.SelfPacedCorrectionLoss(threshold=0),
        ValueError,
        "`threshold` must be in (0, 1]; got 0.",
    ),
    loss_case(
        "SelfPacedCorrectionLoss",
        "half an epoch",
        lambda L, torch, Z, Y: L.SelfPacedCorrectionLoss(first_epoch=0.5),
        ValueError,
        "`first_epoch` must be a whole number, 0 or more; got 0.5.",
    ),
    loss_case(
        "EntropyMaximizationLoss",
        "a negative factor",
        lambda L, torch, Z, Y: L.EntropyMaximizationLoss(alpha=-0.1),
        ValueError,
        "`alpha` must be finite and 0 or more; got -0.1.",
    ),
    loss_case(
        "GeneralizedRobustLoss",
        "a slope of one epoch",
        lambda L, torch, Z, Y: L.GeneralizedRobustLoss(slope=10.0),
        ValueError,
        "`slope` must hold two numbers, of the first and of the last epoch; got 10.0.",
    ),
    loss_case(
        "GeneralizedRobustLoss",
        "an infinite offset",
        lambda L, torch, Z, Y: L.GeneralizedRobustLoss(offset=(0.0, INF)),
        ValueError,
        "`offset` must hold two finite numbers; got (0.0, inf).",
    ),
    loss_case(
        "GeneralizedRobustLoss",
        "a width of 0",
        lambda L, torch, Z, Y: L.GeneralizedRobustLoss(width=(2.0, 0.0)),
        ValueError,
        "`width` must hold two numbers above 0; got (2.0, 0.0).",
    ),
    loss_case(
        "GeneralizedRobustLoss",
        "a power above its range",
        lambda L, torch, Z, Y: L.GeneralizedRobustLoss(power_positive=2.0),
        ValueError,
        "`power_positive` must be in (0, 1.5]; got 2.0.",
    ),
    loss_case(
        "SelectiveLoss",
        "half a cell per row",
        lambda L, torch, Z, Y: L.SelectiveLoss(top=2.5),
        ValueError,
        "`top` must be a whole number, 0 or more; got 2.5.",
    ),
    loss_case(
        "SelectiveLoss",
        "a prior above 1",
        lambda L, torch, Z, Y: L.SelectiveLoss(prior=[0.1, 1.5]),
        ValueError,
        "`prior` must hold shares in [0, 1], one per category or one for "
        "all; got [0.1, 1.5].",
    ),
    loss_case(
        "SelectiveLoss",
        "priors of other categories",
        lambda L, torch, Z, Y: L.SelectiveLoss(prior=[0.1, 0.2, 0.3])(Z, Y),
        ValueError,
        "`prior` must hold one share per category, 2, or one for all; got 3.",
    ),
    loss_case(
        "SelectiveLoss",
        "a missed warm-up",
        lambda L, torch, Z, Y: after_warm_up(Z, Y, L.SelectiveLoss()),
        ValueError,
        "`prior` must be given, or estimated in the first epochs; got none,"
        " and epoch 1 of 2 before any batch of these. Call set_epoch(epoch,"
        " n_epochs) from epoch 0 on.",
    ),
    loss_case(
        "SelectiveLoss",
        "a warm-up of no epoch",
        lambda L, torch, Z, Y: L.SelectiveLoss(warm_up=0),
        ValueError,
        "`warm_up` must be in (0, 1); got 0.",
    ),
    loss_case(
        "LargeLoss",
        "a scheme that there is not",
        lambda L, torch, Z, Y: L.LargeLoss("reject"),
        ValueError,
        "`scheme` must be 'rejection', 'temporary' or 'permanent'; got 'reject'.",
    ),
    loss_case(
        "LargeLoss",
        "a share in percent",
        lambda L, torch, Z, Y: L.LargeLoss(share_per_epoch=50),
        ValueError,
        "`share_per_epoch` must be in [0, 1]; got 50.",
    ),
    loss_case(
        "LargeLoss",
        "no start",
        lambda L, torch, Z, Y: with_epoch(L.LargeLoss("permanent"))(
            Z, Y, rows=torch.arange(2)
        ),
        ValueError,
        "`rows` must be among those that `start` was called with; got no call."
        " Call start(target) with the labels of all rows before a training.",
    ),
    loss_case(
        "EntropyPseudoLabelLoss",
        "a share above 1",
        lambda L, torch, Z, Y: L.EntropyPseudoLabelLoss(negative_share=1.5),
        ValueError,
        "`negative_share` must be in [0, 1]; got 1.5.",
    ),
    loss_case(
        "EntropyPseudoLabelLoss",
        "a row that was not there",
        lambda L, torch, Z, Y: started(Y, L.EntropyPseudoLabelLoss())(
            Z, Y, rows=torch.tensor([0, 2])
        ),
        ValueError,
        "`rows` must be numbers from 0 to below 2, the rows of the training"
        " set; got 2. Call start(target) with the labels of all rows before"
        " a training.",
    ),
    loss_case(
        "EntropyPseudoLabelLoss",
        "one number of a row too many",
        lambda L, torch, Z, Y: started(Y, L.EntropyPseudoLabelLoss())(
            Z, Y, rows=torch.arange(3)
        ),
        ValueError,
        "`rows` must hold one number per row of `target`, shape (2,); got shape (3,).",
    ),
    loss_case(
        "OnlineEstimationLoss",
        "a learning rate of 0",
        lambda L, torch, Z, Y: L.OnlineEstimationLoss(learning_rate=0),
        ValueError,
        "`learning_rate` must be finite and above 0; got 0.",
    ),
    loss_case(
        "OnlineEstimationLoss",
        "a start below a half",
        lambda L, torch, Z, Y: L.OnlineEstimationLoss(start_proba=0.4),
        ValueError,
        "`start_proba` must be in [0.5, 1); got 0.4.",
    ),
    loss_case(
        "OnlineEstimationLoss",
        "other categories than at the start",
        lambda L, torch, Z, Y: started(Y, L.OnlineEstimationLoss(n_positive=1))(
            Z[:, :1], Y[:, :1], rows=torch.arange(2)
        ),
        ValueError,
        "`logits` must have the categories that `start` was called with, 2;"
        " got 1. Call start(target) with the labels of all rows before a "
        "training.",
    ),
    loss_case(
        "ExpectedPositiveLoss",
        "both shares",
        lambda L, torch, Z, Y: L.ExpectedPositiveLoss(n_positive=1, prevalence=0.1),
        ValueError,
        "`n_positive` must be None where there is a `prevalence`; got "
        "n_positive=1. Pass one of the two.",
    ),
    loss_case(
        "ExpectedPositiveLoss",
        "no share",
        lambda L, torch, Z, Y: L.ExpectedPositiveLoss()(Z, Y),
        ValueError,
        "`prevalence` must be given, or estimated in a training of "
        "CFTClassifier; ExpectedPositiveLoss has none. Pass "
        "prevalence=[...], one share per category.",
    ),
    loss_case(
        "NonNegativePULoss",
        "no share",
        lambda L, torch, Z, Y: L.NonNegativePULoss()(Z, Y),
        ValueError,
        "`prior` must be given, or estimated in a training of "
        "CFTClassifier; NonNegativePULoss has none. Pass prior=[...], one "
        "share per category.",
    ),
    loss_case(
        "NonNegativePULoss",
        "a balanced share of 1",
        lambda L, torch, Z, Y: L.NonNegativePULoss(balanced_prior=1),
        ValueError,
        "`balanced_prior` must be in (0, 1); got 1.",
    ),
    loss_case(
        "NonNegativePULoss",
        "a surrogate that there is not",
        lambda L, torch, Z, Y: L.NonNegativePULoss(surrogate="ramp"),
        ValueError,
        "`surrogate` must be 'sigmoid' or 'logistic'; got 'ramp'.",
    ),
    loss_case(
        "NonNegativePULoss",
        "a factor above 1",
        lambda L, torch, Z, Y: L.NonNegativePULoss(gamma=2),
        ValueError,
        "`gamma` must be in [0, 1]; got 2.",
    ),
    loss_case(
        "VariationalPULoss",
        "a temperature of 0",
        lambda L, torch, Z, Y: L.VariationalPULoss(temperature=0),
        ValueError,
        "`temperature` must be finite and above 0; got 0.",
    ),
    loss_case(
        "BiasedNegativesLoss",
        "a probability above 1",
        lambda L, torch, Z, Y: biased(L, [[0.5, 1.5]]),
        ValueError,
        "`selected_proba` must hold probabilities in [0, 1], shape "
        "(n_samples, n_categories); got 1.5 in row 0, column 1.",
    ),
    loss_case(
        "BiasedNegativesLoss",
        "probabilities of one category without columns",
        lambda L, torch, Z, Y: biased(L, [0.5]),
        ValueError,
        "`selected_proba` must hold probabilities in [0, 1], shape "
        "(n_samples, n_categories); got shape (1,).",
    ),
    loss_case(
        "BiasedNegativesLoss",
        "no prior",
        lambda L, torch, Z, Y: biased(L, [[0.5]], prior=None),
        ValueError,
        "`prior` must hold one share per category, 1, or one for all; got None.",
    ),
    loss_case(
        "BiasedNegativesLoss",
        "probabilities of other rows",
        lambda L, torch, Z, Y: biased(L, [[0.5, 0.5]]).start(Y),
        ValueError,
        "`selected_proba` must hold one probability per cell of `y`, shape "
        "(2, 2); got shape (1, 2).",
    ),
    loss_case(
        "BiasedNegativesLoss",
        "a row without a probability",
        lambda L, torch, Z, Y: biased(L, [[0.5, 0.5]])(Z, Y, rows=torch.arange(2)),
        ValueError,
        "`rows` must be numbers from 0 to below 1, the rows of the training"
        " set; got 1. `selected_proba` has no others.",
    ),
    loss_case(
        "available",
        "a part that there is not",
        lambda L, torch, Z, Y: L.available("both"),
        ValueError,
        "`part` must be 'known' or 'unknown'; got 'both'.",
    ),
    loss_case(
        "make_loss",
        "a name that there is not",
        lambda L, torch, Z, Y: L.make_loss("hinge"),
        ValueError,
        "`loss` must be one of 'asl', 'bce', 'focal', 'spa', or a callable;"
        " got 'hinge'.",
    ),
    loss_case(
        "make_loss",
        "a parameter of another loss",
        lambda L, torch, Z, Y: L.make_loss("bce", margin=1.0),
        ValueError,
        "`margin` needs a loss that has this parameter, such as 'focal'; "
        "got loss='bce'. Leave `margin` out, or write it into a loss of "
        "your own.",
    ),
    *(
        Case(
            "CFTClassifier.fit",
            f"{shown} as the other part of the loss",
            lambda folder, params=params: CFTClassifier(**params).fit(*labelled()),
            ValueError,
            message,
        )
        for shown, params, message in (
            (
                "'hill'",
                {"loss": "hill"},
                "`loss` must say what known labels cost; got 'hill', which is for "
                "`unknown`. Pass unknown='hill'.",
            ),
            (
                "'focal'",
                {"unknown": "focal"},
                "`unknown` must say what unknown labels cost; got 'focal', which is "
                "for `loss`. Pass loss='focal'.",
            ),
            (
                "PartialFocalLoss",
                {"unknown": losses.PartialFocalLoss()},
                "`unknown` must say what unknown labels cost; got PartialFocalLoss, "
                "which is for `loss`. Pass loss=PartialFocalLoss.",
            ),
        )
    ),
]
