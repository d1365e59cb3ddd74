"""A network trained, refitted, and trained again: the order of the steps."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from torch import nn

from cftlearn._inputs import Inputs
from cftlearn.classifier._round_targets import (
    RoundTargets,
    choose_targets,
    held_out_scores,
)
from cftlearn.feature_extraction._in_memory import extract_features
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.fine_tuning._choice import Choice, fit_on_split
from cftlearn.fine_tuning._fold_choices import combine_choices
from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.fine_tuning._soft_targets import mean_held_out_auc, soft_targets
from cftlearn.fine_tuning._two_networks import NetworkFeatures
from cftlearn.labels._known_rates import KnownRates, LabelTotals
from cftlearn.labels._label_split import LabelSplit, deal_labels
from cftlearn.labels._pseudo_labels import PseudoTargets
from cftlearn.metrics._objectives import make_objective
from cftlearn.networks._joined import join_coef, join_networks
from cftlearn.training._pseudo_labels import make_rule
from cftlearn.training._stage_one import StageOne
from cftlearn.training._trainings import (
    SECOND,
    TrainingSettings,
    check_layers,
    check_other_rows,
    train_on_all_labels,
    train_without_held_out,
    widen,
)

# Of the ROC AUC on held-out labels, for which features of more layers are taken.
_LEAST_GAIN = 0.01


@dataclass(frozen=True)
class Rows:
    """What a classifier is fitted to.

    Attributes
    ----------
    inputs, inputs_val : Inputs
        Rows to train on, and rows with held-out labels; the same object if they are
        the same rows.
    split : LabelSplit
        Their labels.
    cell_seeds : ndarray of shape (n_categories,), int
        One seed per category.
    pseudo : PseudoTargets or None
        Targets of unknown cells of ``inputs`` that come from outside.
    """

    inputs: Inputs
    inputs_val: Inputs
    split: LabelSplit
    cell_seeds: NDArray[np.int64]
    pseudo: PseudoTargets | None = None


@dataclass(frozen=True)
class Round:
    """A network that saw no held-out label, and what these chose on its features."""

    number: int
    made: StageOne
    features: NetworkFeatures
    choice: Choice

    @property
    def held_out_auc(self) -> float:
        """How well the refit ranks labels that it did not see."""
        return mean_held_out_auc(self.choice.tuner.held_out_)


@dataclass
class NetworkFit:
    """The fit of a classifier with a network.

    Parameters
    ----------
    settings : TrainingSettings
        How to train.
    tuner : CategoryWiseFineTuner
        How to refit; it is cloned.
    rows : Rows
        Inputs and labels.
    validation_fraction : float
        Share of unknown cells that estimate rates.
    retrain : bool or "average"
        As in :class:`cftlearn.CFTClassifier`.
    rounds : int
        As there.
    seed : int
        Seed of all trainings.

    Attributes
    ----------
    history : list of dict
        Epochs of all trainings, and what rounds gained.
    """

    settings: TrainingSettings
    tuner: CategoryWiseFineTuner
    rows: Rows
    validation_fraction: float
    retrain: bool | Literal["average"]
    rounds: int
    seed: int
    history: list[dict[str, Any]] = field(default_factory=list)
    _layers_are_open: bool = False

    def run(self) -> tuple[nn.Module, str, str, CategoryWiseFineTuner]:
        """Train and refit.

        Returns
        -------
        network : nn.Module
            The network, or two as one.
        head : str
            Name of its classification layer.
        device : str
            Where torch computes.
        tuner : CategoryWiseFineTuner
            Fitted, with weights on the features of this network.
        """
        if self.settings.layers == "auto":
            check_layers(self.settings, self.rows.inputs, self.rows.split, self.seed)
            self._layers_are_open = self.tuner.cross_fit is None
        if self._layers_are_open:
            self.settings = replace(self.settings, layers=None)
        if self.retrain:
            check_other_rows(self.settings, self.rows.split)
        if self.tuner.cross_fit is not None:
            return self._cross_fit(self.tuner.cross_fit)
        best = self._round(1)
        while best.number < self.rounds and self.settings.train:
            number, targets = best.number + 1, self._round_targets(best)
            line = {"stage": "round", "round": number}
            if targets.n_chosen is not None:
                line["n_pseudo_labels"] = targets.n_chosen
            if targets.n_chosen == 0:  # the round would repeat the one before
                self.history.append({**line, "gain": 0.0})
                break
            further = self._round(number, best, targets)
            gain = further.held_out_auc - best.held_out_auc
            self.history.append({**line, "gain": gain})
            if not gain > 0:
                break
            best = further
        made, tuner = best.made, best.choice.tuner
        if not (self.retrain and self.settings.train):
            return made.network, made.head, made.device, tuner
        return self._train_again(best)

    def _round(
        self,
        number: int,
        before: Round | None = None,
        targets: RoundTargets | None = None,
    ) -> Round:
        """Train without held-out labels, and refit."""
        folder = "" if before is None else f"round {number}"
        rates = None if before is None else before.made.rates
        made = self._train(self.rows.split, self._seed(number), targets, folder, rates)
        if before is not None:
            made = replace(made, rates=rates)
        extra = {"round": number} if number > 1 else {}
        self._record("train", made, extra)
        features, choice = self._choose(made, self.rows.split, folder)
        found = Round(number, made, features, choice)
        return self._with_layers(found) if self._layers_are_open else found

    def _with_layers(self, narrow: Round) -> Round:
        """Take features of more layers, if held-out labels are ranked better by them.

        Later trainings have the same layers.
        """
        self._layers_are_open = False
        settings = replace(self.settings, layers="auto")
        made = widen(narrow.made, settings, self.rows.inputs)
        features, choice = self._choose(made, self.rows.split, "layers")
        wide = Round(narrow.number, made, features, choice)
        gain = wide.held_out_auc - narrow.held_out_auc
        is_taken = bool(gain > _LEAST_GAIN)
        self.history.append({"stage": "layers", "gain": gain, "taken": is_taken})
        if not is_taken:
            return narrow
        self.settings = settings
        return wide

    def _cross_fit(
        self, n_folds: int
    ) -> tuple[nn.Module, str, str, CategoryWiseFineTuner]:
        """Let every known label judge, on a network that did not see it.

        The last network is trained on all labels. On its features is fitted what the
        evidence of all folds together supports.
        """
        labels = self.rows.split.all_of_rows()
        groups = self.rows.split.groups
        folds = deal_labels(labels, n_folds, self.rows.cell_seeds, groups)
        choices = []
        for fold in range(n_folds):
            split = LabelSplit(
                labels.restricted_to(folds != fold),
                labels.restricted_to(folds == fold),
                same_rows=True,
                groups=groups,
                weights=self.rows.split.weights,
            )
            seed = self._seed(1 if fold == 0 else fold + 1)
            made = self._train(split, seed, None, f"fold {fold}")
            self._record("train", made, {"fold": fold})
            choices.append(self._choose(made, split, f"fold {fold}")[1])
            if fold == 0:
                first = made
        choice = combine_choices(choices)
        made = self._train_on_all(first, None)
        self._record("retrain", made, {})
        choice.take(self._features(made))
        return made.network, made.head, made.device, choice.tuner

    def _train(
        self,
        split: LabelSplit,
        seed: int,
        targets: RoundTargets | None,
        folder: str,
        rates: KnownRates | None = None,
    ) -> StageOne:
        targets = targets or RoundTargets(pseudo=self.rows.pseudo)
        return train_without_held_out(
            self.settings,
            self.rows.inputs,
            self.rows.inputs_val,
            split,
            make_objective(self.tuner.objective),
            fraction=self.validation_fraction,
            cell_seeds=self.rows.cell_seeds,
            seed=seed,
            soft=targets.soft,
            pseudo=targets.pseudo,
            rates=rates,
            folder=folder,
        )

    def _train_on_all(
        self, first: StageOne, targets: RoundTargets | None, folder: str = SECOND
    ) -> StageOne:
        targets = targets or RoundTargets(pseudo=self.rows.pseudo)
        return train_on_all_labels(
            self.settings,
            first,
            self.rows.inputs,
            self.rows.inputs_val,
            self.rows.split,
            seed=self._seed(0),
            soft=targets.soft,
            pseudo=targets.pseudo,
            folder=folder,
        )

    def _choose(
        self, made: StageOne, split: LabelSplit, folder: str
    ) -> tuple[NetworkFeatures, Choice]:
        """Refit on the features of a network."""
        features = self._features(made)
        tuner = clone(self.tuner).set_params(
            coef_init=made.coef, intercept_init=made.intercept, cross_fit=None
        )
        if tuner.checkpoint is not None and folder:  # a folder is for one fit
            tuner.set_params(checkpoint=Path(tuner.checkpoint) / folder)
        return features, fit_on_split(tuner, features.Z, features.Z_val, split)

    def _train_again(
        self, best: Round
    ) -> tuple[nn.Module, str, str, CategoryWiseFineTuner]:
        """Train on all labels, and fit what was chosen on the new features."""
        targets = self._round_targets(best, honest=False) if best.number > 1 else None
        # After another round it is another training, with a checkpoint of its own.
        folder = SECOND if best.number == 1 else f"{SECOND} of round {best.number}"
        again = self._train_on_all(best.made, targets, folder)
        self._record("retrain", again, {})
        features = self._features(again)
        choice = best.choice
        if self.retrain != "average":
            choice.take(features)
            return again.network, again.head, again.device, choice.tuner
        networks = [(made.network, made.head) for made in (best.made, again)]

        def join(one: InitialWeights, other: InitialWeights) -> InitialWeights:
            coef = join_coef(networks, [one.coef, other.coef])
            return InitialWeights(coef, one.intercept + other.intercept)

        choice.take(features, join)
        network, head = join_networks(networks)
        return network.eval(), head, again.device, choice.tuner

    def _round_targets(self, of: Round, *, honest: bool = True) -> RoundTargets:
        """Compute what the next training is trained on, beside known labels."""
        rule = make_rule(self.settings.trainer.pseudo_labels)
        if rule.rule != "adaptive":
            scores: NDArray[Any] = self._soft_targets(of, honest=honest)
            if rule.rule == "soft":
                return RoundTargets(scores, self.rows.pseudo)
            return choose_targets(rule, scores, [], self.rows.pseudo)
        # Held-out labels are compared with unknown ones here, so these must come from
        # weights that saw none of the two.
        split, n_rows = self.rows.split, len(self.rows.inputs)
        logits = of.features.logits(of.choice.weights_without_held_out())
        known = held_out_scores(logits if split.same_rows else logits[n_rows:], split)
        scores = np.where(split.unknown_cells(), logits[:n_rows], np.nan)
        return choose_targets(rule, scores, known, self.rows.pseudo)

    def _soft_targets(self, of: Round, *, honest: bool = True) -> NDArray[np.float32]:
        """Compute probabilities of unknown labels.

        Honest ones come from fits without the held-out labels: else these would reach
        the network that they are to judge.
        """
        split = self.rows.split
        weights = of.choice.weights_without_held_out() if honest else of.choice.weights
        n_rows = len(self.rows.inputs)
        logits = of.features.logits(weights)[:n_rows]
        totals = LabelTotals.of(split.all_of_rows().values)
        rates = of.made.rates
        share = totals.unknown_share(0.0 if rates is None else rates.log_ratio)
        held_out = of.choice.tuner.held_out_
        return soft_targets(logits, split.unknown_cells(), share, held_out)

    def _features(self, made: StageOne) -> NetworkFeatures:
        """Extract the features of a network for all rows."""
        rows = self.rows
        Z = self._features_of(made, rows.inputs)
        Z_val = Z if rows.split.same_rows else self._features_of(made, rows.inputs_val)
        return NetworkFeatures(Z, Z_val, InitialWeights(made.coef, made.intercept))

    def _features_of(self, made: StageOne, inputs: Inputs) -> NDArray[np.float32]:
        return extract_features(
            made.network,
            made.head,
            inputs,
            batch_size=self.settings.batch_size,
            device=made.device,
            num_workers=self.settings.trainer.num_workers,
        )

    def _record(self, stage: str, made: StageOne, extra: dict[str, int]) -> None:
        self.history += [{"stage": stage, **extra, **row} for row in made.history]

    def _seed(self, number: int) -> int:
        """Return another seed for every training: networks then differ more."""
        if number == 1:
            return self.seed
        rng = np.random.default_rng([self.seed, 1, number])
        return int(rng.integers(2**31 - 1))
