"""The whole method: train, refit every category, decide."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from cftlearn._dependencies import N_JOBS, HasMethods, Interval, StrOptions
from cftlearn._report._html import ReportMixin
from cftlearn._seeding import category_seeds
from cftlearn.base import (
    FitWeights,
    PartialLabelMixin,
    unchanged_by_errors,
    weights_of_fit,
)
from cftlearn.calibration import CategoryCalibrator
from cftlearn.calibration._calibrator import (
    calibrate,
    calibrated_proba,
    calibrated_weights,
    start_calibrator,
)
from cftlearn.calibration._thresholds import check_threshold
from cftlearn.classifier._preparation import (
    check_apart,
    fit_on_features,
    hold_out_labels,
    prepare_fine_tuner,
    read_pseudo,
    refuse_swapped_losses,
)
from cftlearn.exceptions import SeenLabelsWarning, UndefinedCategoryWarning
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.fine_tuning._report import mark_unlabelled, unlabelled, warn_skipped
from cftlearn.fine_tuning._validation_rows import validation_pair
from cftlearn.labels._encoding import UNKNOWN
from cftlearn.labels._groups import read_groups
from cftlearn.labels._names import check_same_rows
from cftlearn.labels._plain_arrays import check_flag
from cftlearn.losses._registry import LOSSES, TREATMENTS
from cftlearn.training import NetworkTrainer
from cftlearn.training._trainer import check_trainer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cftlearn.classifier._network_fit import Rows
    from cftlearn.losses import UnknownLoss

__all__ = ["CFTClassifier"]

# What tells an UnknownLoss from other things, without importing torch.
_UNKNOWN_LOSS = ["of_batch", "set_epoch", "set_rates"]
_BATCHES_AT_A_TIME = 32  # of which features are in memory together
_PARTS = {"fine_tuner": CategoryWiseFineTuner, "trainer": NetworkTrainer}
_SEEN_LABELS = (
    "`train=False`: labels of `y` that the network was trained on cannot choose refits "
    "honestly. Pass X_val=..., y_val=... that it never saw."
)


class CFTClassifier(ReportMixin, PartialLabelMixin, ClassifierMixin, BaseEstimator):
    """Learn categories from partially known labels by category-wise fine-tuning.

    Stage one trains a network, or plain logistic regressions on features; ``unknown``
    says what unknown labels are there. Stage two takes each category's weights in the
    classification layer, and refits them on extracted features with only the known
    labels of the category. Labels that neither stage has seen decide whether the
    refit replaces the initial weights [1]_. Then the network is trained again, on all
    known labels.

    Parameters
    ----------
    module : torch.nn.Module or callable, default=None
        The network, or a function or class that makes it. Its last ``nn.Linear``
        computes the output and is the classification layer. The network is copied;
        yours is not trained. None: ``X`` holds features, and stage one fits logistic
        regressions. Held-out labels choose their penalty, as for ``coef_init=None`` of
        :class:`CategoryWiseFineTuner`.
    head : str, default=None
        Name of the classification layer (``"fc"``, ``"classifier.1"``). None takes
        the last ``nn.Linear`` of the network.
    train : bool, default=True
        Train the network in stage one. False: it is trained already, and only stage
        two runs; ``fit`` then needs ``X_val`` that the network never saw.
    unknown : str or cftlearn.losses.UnknownLoss, default="auto"
        What unknown labels are in stage one. ``"ignore"`` leaves them out,
        ``"negative"`` takes them for negatives. ``"auto"`` estimates from held-out
        labels how much more often positives are known than negatives, and trains with
        the likelihood of what stayed unknown [2]_. Where both classes are known equally
        often, that is ``"ignore"``. For plain features ``"auto"`` is ``"negative"``. A
        network can also be trained with any other published loss of unknown labels, by
        its name in ``cftlearn.losses.available("unknown")`` or as an object with
        parameters, such as ``cftlearn.losses.HillLoss()``; see the
        :ref:`User Guide <losses>`.
    loss : str or callable, default="bce"
        Loss of a network's known labels in stage one: one of
        :func:`cftlearn.losses.available` (``"bce"`` is binary cross-entropy, ``"asl"``
        the asymmetric loss, ``"focal"`` the focal one, ``"spa"`` the strictly proper
        asymmetric one), or ``loss(logits, targets) -> tensor`` where NaN targets must
        be left out.
    max_epochs : int, default=20
        Passes of a network over the data.
    batch_size : int, default=128
        Rows at a time, for training and for extracting features.
    learning_rate : float, default=0.002
        Peak of the schedule, by default one cycle of AdamW; above 0.
    retrain : bool or "average", default="average"
        Train the network a second time, on all known labels, after the held-out labels
        have chosen. What they chose is then fitted on its features. ``"average"`` keeps
        both networks and averages their logits, so that a prediction computes two
        networks. True keeps the second one, False trains only once, without the
        held-out labels. Not used without a ``module``, and with ``train=False``. With
        a fine-tuner of ``cross_fit=k``, ``k`` networks judge, and the last one, which
        is trained on all labels, is kept.
    rounds : int, default=1
        With 2 or more, probabilities of unknown labels, by the refit of one round, are
        targets of a new training in the next one, as heavy as the known labels
        together; ``pseudo_labels`` of the trainer has other rules. It ends when
        held-out labels are ranked no better than in the round before. Every round costs
        a training, so it needs a ``module`` and ``train=True``.
    layers : list of str or "auto", default=None
        Layers of the network whose outputs stand beside the features of the last one;
        ``""`` is its input, which must then be a vector. ``"auto"`` tries the input
        where it is a vector, and else some layers in the middle, and takes them if a
        refit with them ranks held-out labels better, by more than 0.01 in ROC AUC (with
        ``cross_fit`` always); this costs another refit. None takes the last
        features alone, and is the only choice without a ``module``.
    input_transform : callable, default=None
        Converts one item of ``X`` to the network's input. Images need one, such as
        :class:`cftlearn.images.ImageTransform` or a transform of torchvision.
    trainer : NetworkTrainer, default=None
        Further parameters of training a network. A grid search reaches them as
        ``trainer__weight_decay`` and the like. None takes its defaults.
    fine_tuner : CategoryWiseFineTuner, default=None
        How to refit. A grid search reaches its parameters as ``fine_tuner__solver``
        and the like. None takes its defaults.
    calibration : {"sigmoid", "isotonic"} or CategoryCalibrator, default=None
        How to calibrate probabilities. The calibration is fitted on held-out labels
        and on scores by weights that did not see them; after a second training, these
        are moved to the scale of the final weights. None takes the logistic function.
    threshold : float or array-like of shape (n_categories,), default=0.5
        Probability in [0, 1] from which :meth:`predict` says positive. A Series that
        is labelled by categories goes by these names, not by place.
    validation_fraction : float, default=0.25
        Share in (0, 1) of every category's known positives and known negatives to
        hold out of both stages where ``fit`` gets no ``X_val``.
    device : str, default="auto"
        Torch device of the network: ``"auto"`` takes a GPU where there is one.
        ``"cpu"`` also applies to a fine-tuner with ``device="auto"``.
    n_jobs : int, default=None
        Workers over categories, where the fine-tuner does not set its own.
    random_state : int, RandomState instance or None, default=None
        Seed of both stages. A fine-tuner with its own ``random_state`` keeps that.
    verbose : int, default=0
        Above 0, shows progress bars where the output is a terminal.

    Attributes
    ----------
    module_ : torch.nn.Module or None
        The network as stage one left it, with ``retrain="average"`` both networks as
        one that returns the mean of their logits; :meth:`to_torch` gives the refitted
        one.
    head_ : str or None
        Name of its classification layer.
    fine_tuner_ : CategoryWiseFineTuner
        The fitted fine-tuner.
    calibrator_ : CategoryCalibrator or None
        Converts logits to probabilities; None without ``calibration``.
    input_shape_ : tuple of int or None
        Shape of one row of the network's input, () where it depends on the row or is
        not known; None without a network.
    coef_ : ndarray of shape (n_categories, n_features), float64
        The weights after both stages.
    intercept_ : ndarray of shape (n_categories,), float64
        Their biases.
    categories_ : ndarray of shape (n_categories,), object
        Names of the categories.
    classes_ : ndarray of shape (n_categories, 2), or (2,) for a 1-D target
        The classes of each category.
    report_ : list of dict, one per category
        See :class:`CategoryWiseFineTuner`.
    history_ : list of dict
        Stage one's epochs (``stage="train"``: ``epoch``, ``loss``, ``learning_rate``
        and, from the labels held out, ``val_loss`` and ``val_score``; with
        ``unknown="auto"`` also ``known_log_ratio``, the logarithm of how much more
        often positives are known than negatives, and, where labels can tell,
        ``known_z``, its distance from 0 in standard errors), those of the second
        training (``stage="retrain"``), what further rounds and layers gained in
        held-out ROC AUC (``stage="round"``, with ``n_pseudo_labels`` where a rule chose
        labels; ``stage="layers"``), then the fine-tuner's
        iterations (``stage="cft"``).
    n_features_in_ : int
        Length of the second axis of ``X`` in ``fit``, where ``X`` is an array.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where ``X`` has string column names.

    See Also
    --------
    CategoryWiseFineTuner : Stage two alone, as a transformer of features.
    cftlearn.training.NetworkTrainer : The finer parameters of stage one.

    References
    ----------
    .. [1] Chong et al., "Category-Wise Fine-Tuning for Image Multi-label
       Classification with Partial Labels", ICONIP 2023; arXiv 2401.16991.
    .. [2] Little and Rubin, "Statistical Analysis with Missing Data", Wiley: what is
       known depends on the label, a selection model.

    Examples
    --------
    >>> from cftlearn import CFTClassifier
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> X, y, y_full = make_partial_multilabel(1000, known=0.3, random_state=0)
    >>> model = CFTClassifier(random_state=0).fit(X[:500], y[:500])
    >>> model.predict(X[500:]).shape
    (500, 5)
    """

    module_: Any  # a torch.nn.Module, or None; annotated without importing torch
    head_: Any
    input_shape_: tuple[int, ...] | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "module": [callable, None],
        "head": [str, None],
        "train": ["boolean"],
        "unknown": [StrOptions(TREATMENTS.keys()), HasMethods(_UNKNOWN_LOSS)],
        "loss": [StrOptions(LOSSES.keys()), callable],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "retrain": ["boolean", StrOptions({"average"})],
        "rounds": [Interval(Integral, 1, None, closed="left")],
        "layers": [list, tuple, StrOptions({"auto"}), None],
        "input_transform": [callable, None],
        "trainer": [NetworkTrainer, None],
        "fine_tuner": [CategoryWiseFineTuner, None],
        "calibration": [StrOptions({"sigmoid", "isotonic"}), CategoryCalibrator, None],
        "threshold": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "device": [str],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        module: "nn.Module | Callable[[], nn.Module] | None" = None,
        *,
        head: str | None = None,
        train: bool = True,
        unknown: "str | UnknownLoss" = "auto",
        loss: "str | Callable[[Tensor, Tensor], Tensor]" = "bce",
        max_epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        retrain: bool | Literal["average"] = "average",
        rounds: int = 1,
        layers: Sequence[str] | Literal["auto"] | None = None,
        input_transform: Callable[[Any], Any] | None = None,
        trainer: NetworkTrainer | None = None,
        fine_tuner: CategoryWiseFineTuner | None = None,
        calibration: str | CategoryCalibrator | None = None,
        threshold: float | ArrayLike = 0.5,
        validation_fraction: float = 0.25,
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.module = module
        self.head = head
        self.train = train
        self.unknown = unknown
        self.loss = loss
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.retrain = retrain
        self.rounds = rounds
        self.layers = layers
        self.input_transform = input_transform
        self.trainer = trainer
        self.fine_tuner = fine_tuner
        self.calibration = calibration
        self.threshold = threshold
        self.validation_fraction = validation_fraction
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also ``fine_tuner__<name>`` and ``trainer__<name>``.

        Parameters
        ----------
        **params : dict
            A fine-tuner, or a trainer, is made where there is none.

        Returns
        -------
        self : CFTClassifier
            The classifier.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        for part, make in _PARTS.items():
            nested = any(name.startswith(f"{part}__") for name in params)
            if nested and params.get(part, getattr(self, part)) is None:
                params[part] = make()
        return super().set_params(**params)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        pseudo_labels: ArrayLike | None = None,
        pseudo_weight: ArrayLike | None = None,
        validation_data: tuple[Any, ArrayLike] | None = None,
        **weights: Unpack[FitWeights],
    ) -> Self:
        """Run both stages.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            Features of shape (n_samples, n_features). With a ``module``, its inputs
            with rows first, of shape (n_samples, ...); or image paths, one folder of
            images in the order of their names, PIL images, or a torch Dataset, which
            are read when they are needed.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            1 positive, 0 negative, NaN unknown, in any form that
            :func:`cftlearn.labels.check_partial_labels` accepts; or 1-D with two
            classes, all known.
        X_val : as ``X``, default=None
            Other rows, whose labels choose the refits and train nothing before that.
            A Pipeline with ``transform_input=["X_val"]`` transforms them too, see the
            :ref:`User Guide <validation_rows>`. None holds out known labels of ``y``.
        y_val : array-like of shape (n_val, n_categories) or (n_val,), default=None
            Their labels, in the order of the categories of ``y``.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_categories), \
default=None
            How much each of these counts.
        groups : array-like of shape (n_samples,), default=None
            The group of every row, such as its patient: texts, numbers or anything else
            that can be compared. In a category, all labels of a group are held out, or
            none is; and no label judges a fit that saw others of its group. Other
            categories may hold other groups out. With ``X_val``, its rows must be of
            other groups. See the :ref:`User Guide <groups>`.
        pseudo_labels : array-like of shape (n_samples, n_categories), default=None
            Targets in [0, 1] for cells of ``y`` that are unknown, NaN for none: what a
            vision-language model, a rule, a report labeller or
            :func:`cftlearn.labels.soft_labels` says of them. They train the network, in
            both trainings and in all rounds, in place of what ``unknown`` says of their
            cells; they never judge, and no refit, calibration or score takes them for
            labels. Cells that are held out with their group have none meanwhile. Needs
            a ``module`` and ``train=True``. See the
            :ref:`User Guide <pseudo_labels>`.
        pseudo_weight : float or array-like of shape (n_samples, n_categories), \
                default=None
            How much a pseudo-label counts beside a known label, which counts 1: one
            number, one per cell, or one per row, of shape (n_samples,); finite, 0 or
            more. None is 1. With 0, a cell is as without a pseudo-label.
        validation_data : tuple (X_val, y_val), default=None
            Another way to pass both. No Pipeline can transform what is in it.
        **weights : dict
            ``sample_weight``, of shape (n_samples,) or (n_samples, n_categories), None
            by default: how much each label counts, in both stages and where it judges:
            0 or more, and anything where the label is unknown. A label of weight 0 is
            unknown; of a 1-D target, a row of weight 0 is left out. See the :ref:`User
            Guide <weighted_labels>`. scikit-learn would take a weight in the signature
            for a number of repeated rows, which it is not.

        Returns
        -------
        self : CFTClassifier
            The fitted classifier.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, inputs, labels or weights are not
            accepted, the network does not fit them, or something chosen cannot take
            weights.
        NonFiniteLossError, ImageFileError
            If a loss in training is NaN or infinite; or an image cannot be read.

        Warns
        -----
        UndefinedCategoryWarning
            Naming the categories that could not be refitted, or calibrated.
        SeenLabelsWarning
            If ``train=False`` and there are no rows to choose by.
        ValidationScaleWarning
            If ``X_val`` is not in the scale of ``X``.
        """
        with unchanged_by_errors(self):
            pair = validation_pair(validation_data, X_val, y_val, sample_weight_val)
            both = weights_of_fit(weights, self), sample_weight_val
            pseudo = pseudo_labels, pseudo_weight
            return self._fit(X, y, pair, groups, both, pseudo)

    def _fit(
        self,
        X: Any,
        y: ArrayLike,
        validation_data: tuple[Any, ArrayLike] | None,
        groups: ArrayLike | None,
        sample_weights: tuple[ArrayLike | None, ArrayLike | None],
        pseudo_labels: tuple[ArrayLike | None, ArrayLike | None],
    ) -> Self:
        refuse_swapped_losses(self.loss, self.unknown)
        self._validate_params()
        if self.trainer is not None:
            check_trainer(self.trainer, self.random_state)
        inputs = self._read_inputs(X, reset=True)
        labels = self._read_targets(inputs, y)
        check_same_rows(X=X, y=y, groups=groups, sample_weight=sample_weights[0])
        numbers, n_rows = read_groups(groups, len(labels.values)), len(labels.values)
        counted = self._weigh_targets(inputs, labels, sample_weights[0], y, numbers)
        known = labels if counted.rows is not None else counted.labels
        pseudo = read_pseudo(self, pseudo_labels, y, known)
        check_threshold(self.threshold, self.categories_)
        self.calibrator_ = start_calibrator(self.calibration, self.categories_)
        rng = check_random_state(self.random_state)
        split_seed, network_seed, tuner_seed = rng.randint(2**31 - 1, size=3)
        tuner = prepare_fine_tuner(
            self,
            int(tuner_seed),
            has_validation_data=validation_data is not None,
            weighted=not (counted.weights is None and sample_weights[1] is None),
        )
        self.module_ = self.head_ = None
        epochs: list[dict[str, Any]] = []
        if tuner.cross_fit is not None and self.module is None:
            with warnings.catch_warnings():  # it would name this line, not the user's
                warnings.simplefilter("ignore", UndefinedCategoryWarning)
                tuner.fit(
                    counted.inputs,
                    counted.labels,
                    groups=counted.groups,
                    sample_weight=counted.weights,
                )
        else:
            seeds = category_seeds(int(split_seed), self.categories_)
            inputs_val, split = hold_out_labels(
                self, tuner, X, counted, validation_data, sample_weights[1], seeds
            )
            if self.module is None:
                fit_on_features(self, tuner, counted.inputs, inputs_val, split)
            else:
                if not self.train and validation_data is None:
                    warnings.warn(_SEEN_LABELS, SeenLabelsWarning, stacklevel=3)
                from cftlearn.classifier._network_fit import Rows

                rows = Rows(counted.inputs, inputs_val, split, seeds, pseudo)
                tuner, epochs = self._fit_network(tuner, rows, int(network_seed))
        if validation_data is None:
            tuner.held_out_ = tuner.held_out_.among_rows(counted.rows, n_rows)
        warn_skipped(tuner.report_, tuner.solver, stacklevel=3)
        return self._store(tuner, epochs)

    def decision_function(
        self, X: Any, *, initial: bool = False
    ) -> NDArray[np.float64]:
        """Compute the logits of every category.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            Inputs, as in ``fit``.
        initial : bool, default=False
            Return the logits before the refit: those of the network as it was trained,
            or of the initial logistic regressions.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_categories)
            ``coef_`` and ``intercept_`` applied; ``calibration`` does not change them.
            (n_samples,) for a 1-D target. NaN in a category without a known label
            that was fitted, unless ``train=False``, or ``coef_init`` of the fine-tuner,
            brought weights that know it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` does not fit the inputs of ``fit``.
        TypeError
            If ``initial`` is neither True nor False.
        """
        check_is_fitted(self)
        check_flag(initial, "initial")
        parts = [
            self.fine_tuner_.transform(Z, initial=initial)
            for Z in self._feature_parts(X)
        ]
        logits = np.concatenate(parts)
        return logits.ravel() if self._is_binary() else logits

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            Inputs, as in ``fit``.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_categories)
            Probability of the positive class of every category; NaN where
            :meth:`decision_function` is. For a 1-D target shape (n_samples, 2), one
            column per class.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` does not fit the inputs of ``fit``.
        """
        logits = self.decision_function(X)
        proba = calibrated_proba(self.calibrator_, logits)
        return np.column_stack([1 - proba, proba]) if self._is_binary() else proba

    def predict(self, X: Any) -> NDArray[Any]:
        """Decide every category by ``threshold``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            Inputs, as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples, n_categories), int64
            1 or 0; -1, unknown, where :meth:`decision_function` is NaN. For a 1-D
            target the classes, of shape (n_samples,).

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` does not fit the inputs of ``fit``.
        """
        logits = self.decision_function(X)
        proba = calibrated_proba(self.calibrator_, logits)
        is_positive = proba >= check_threshold(self.threshold, self.categories_)
        decided = np.where(np.isnan(proba), UNKNOWN, is_positive).astype(np.int64)
        return self.classes_[decided] if self._is_binary() else decided

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Compute the mean ROC AUC over known labels.

        Not the accuracy: that has no meaning where most labels are unknown.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            Inputs, as in ``fit``.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            Labels, NaN unknown.
        sample_weight : array-like of shape (n_samples,) or \
(n_samples, n_categories), default=None
            How much each label counts.

        Returns
        -------
        score : float
            :func:`cftlearn.metrics.partial_roc_auc_score` with its defaults.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If inputs, labels or weights are not accepted.
        """
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        scores = self.decision_function(X)
        return self._score(scores, y, sample_weight)

    @classmethod
    def published(
        cls,
        module: "nn.Module | Callable[[], nn.Module]",
        *,
        objective: Literal["roc_auc", "average_precision"] = "roc_auc",
        **parameters: Any,
    ) -> Self:
        """Return the classifier with the published recipe.

        Stage one trains in Negative mode, once. Stage two is the genetic algorithm with
        the published parameters; its best weights on held-out labels are kept as
        they are.

        Parameters
        ----------
        module : torch.nn.Module or callable
            The network.
        objective : {"roc_auc", "average_precision"}, default="roc_auc"
            What the genetic algorithm maximises: in the paper ROC AUC for CheXpert,
            and average precision for MS-COCO.
        **parameters : object
            Other parameters of the classifier.

        Returns
        -------
        classifier : CFTClassifier
            Not fitted. ``fit`` needs ``X_val`` and ``y_val`` to follow the paper, which
            chooses on a validation set.

        Examples
        --------
        >>> from torch import nn
        >>> from cftlearn import CFTClassifier
        >>> model = CFTClassifier.published(nn.Linear(20, 5), max_epochs=10)
        >>> model.unknown, model.retrain, model.fine_tuner.solver.population_size
        ('negative', False, 50)

        """
        from cftlearn.solvers import GeneticSolver

        tuner = CategoryWiseFineTuner(
            GeneticSolver.published(), objective=objective, refit=False
        )
        recipe = {"unknown": "negative", "retrain": False, "fine_tuner": tuner}
        return cls(module, **{**recipe, **parameters})

    def to_torch(self, *, calibrated: bool = False) -> "nn.Module":
        """Return the network with the refitted weights in its classification layer.

        Parameters
        ----------
        calibrated : bool, default=False
            Include the calibration in weights and biases, so that the logistic
            function of the outputs is :meth:`predict_proba`. Only a sigmoid can be
            included: no linear layer has an isotonic curve. False returns the logits
            of :meth:`decision_function`.

        Returns
        -------
        module : torch.nn.Module
            A copy in evaluation mode, on the device of ``module_``, that returns
            logits. Without a ``module``, an ``nn.Linear`` on features. Biases are NaN
            where :meth:`decision_function` is.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``calibrated`` and a category has an isotonic curve.
        TypeError
            If ``calibrated`` is neither True nor False.
        """
        check_is_fitted(self)
        check_flag(calibrated, "calibrated")
        from torch import nn

        from cftlearn.networks._heads import with_head_weights

        network, head = self.module_, self.head_
        if network is None:
            network, head = nn.Linear(*self.coef_.shape[::-1]), ""
        calibrator = self.calibrator_ if calibrated else None
        # as predictions: NaN where nothing was learned
        intercept = np.where(unlabelled(self.report_), np.nan, self.intercept_)
        rows = calibrated_weights(self.coef_, intercept, calibrator)
        return with_head_weights(network, head, *rows).eval()

    def __sklearn_is_fitted__(self) -> bool:
        """Check whether ``fit`` came to its end; a part of it sets other attributes."""
        return hasattr(self, "coef_")

    def _fit_network(
        self, tuner: CategoryWiseFineTuner, rows: "Rows", seed: int
    ) -> tuple[CategoryWiseFineTuner, list[dict[str, Any]]]:
        """Train and refit; set ``module_``, and return the fine-tuner and epochs."""
        from cftlearn.classifier._network_fit import NetworkFit
        from cftlearn.training._trainings import TrainingSettings

        check_apart(rows.pseudo, rows.split)
        fit = NetworkFit(
            TrainingSettings.of(self),
            tuner,
            rows,
            self.validation_fraction,
            self.retrain,
            self.rounds,
            seed,
        )
        self.module_, self.head_, self.device_, tuner = fit.run()
        if self.train:
            fitted, held_out = rows.split.fitted.known.T, rows.split.held_out.known.T
            mark_unlabelled(
                tuner.report_,
                [
                    bool(own.any() or (self.retrain and other.any()))
                    for own, other in zip(fitted, held_out, strict=True)
                ],
            )
        return tuner, fit.history

    def _read_inputs(self, X: Any, name: str = "X", *, reset: bool = False) -> Any:
        """Check features, or the inputs of a network; ``reset`` in ``fit``."""
        if (self.module if reset else self.input_shape_) is None:
            self.input_shape_ = None
            return self._read_matrix(X, name, reset=reset)
        from cftlearn._inputs import read_network_inputs

        shape = None if reset else self.input_shape_
        inputs = read_network_inputs(self, X, self.input_transform, shape, name=name)
        if reset:
            self.input_shape_ = inputs.row_shape or ()
        return inputs

    def _feature_parts(self, X: Any) -> Iterator[Any]:
        """Compute features of some rows at a time.

        Features may need more memory than the inputs that they come from.
        """
        inputs = self._read_inputs(X)
        if self.module_ is None:
            return iter([inputs])
        rows = np.arange(len(inputs))
        parts = gen_batches(len(inputs), _BATCHES_AT_A_TIME * self.batch_size)
        return (self._features(inputs.take(rows[part])) for part in parts)

    def _features(self, inputs: Any) -> NDArray[np.float32]:
        """Extract the features that the weights are fitted on."""
        from cftlearn.feature_extraction._in_memory import extract_features

        return extract_features(
            self.module_,
            self.head_,
            inputs,
            batch_size=self.batch_size,
            device=self.device_,
            num_workers=self.trainer.num_workers if self.trainer else 0,
        )

    def _store(self, tuner: CategoryWiseFineTuner, steps: list[dict[str, Any]]) -> Self:
        self.fine_tuner_ = tuner
        if self.calibrator_ is not None:
            calibrate(
                self.calibrator_,
                tuner.held_out_,
                tuner.categories_,
                tuner.classes_,
                stacklevel=4,  # the caller of `fit`
            )
            self.calibrator_.classes_ = self.classes_
        tuner.classes_ = self.classes_  # of a 1-D target, too
        self.coef_, self.intercept_ = tuner.coef_, tuner.intercept_
        self.report_ = tuner.report_
        self.history_ = steps
        self.history_ += [{"stage": "cft", **row} for row in tuner.history_]
        return self
