"""The whole method: train, refit every category, decide."""

import warnings
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from cftlearn._dependencies import Interval, StrOptions
from cftlearn._report_html import ReportMixin
from cftlearn._seeding import category_seeds
from cftlearn.base import PartialLabelMixin
from cftlearn.calibration import CategoryCalibrator, _held_out
from cftlearn.calibration._thresholds import check_threshold
from cftlearn.exceptions import SeenLabelsWarning
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.fine_tuning._initial_coef import logistic_rows
from cftlearn.fine_tuning._stage_two_tmp import prepare_fine_tuner
from cftlearn.labels._label_split import hold_out_labels, stage_one_targets
from cftlearn.metrics import partial_roc_auc_score
from cftlearn.metrics._objectives import make_objective
from cftlearn.training import NetworkTrainer

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["CFTClassifier"]

_PARTS = {"fine_tuner": CategoryWiseFineTuner, "trainer": NetworkTrainer}
_SEEN_LABELS = (
    "`train=False`: labels of `y` that the network was trained on cannot choose refits "
    "honestly. Pass validation_data=(X_val, y_val) that it never saw."
)


class CFTClassifier(ReportMixin, PartialLabelMixin, ClassifierMixin, BaseEstimator):
    """Learn categories from partially known labels by category-wise fine-tuning.

    Stage one trains a network, or plain logistic regressions on features, with
    unknown labels assumed negative. Stage two refits every category's row of the
    classification layer on extracted features with only its known labels, and keeps
    the refit where held-out labels support it [1]_. The labels held out for that
    choice are known to neither stage before it.

    Parameters
    ----------
    module : torch.nn.Module or callable, default=None
        The network, or a function or class that makes it; its last ``nn.Linear``
        gives its output and is the classification layer. It is copied, never trained
        in place. None: ``X`` holds features, and stage one fits logistic regressions.
    head : str, default=None
        Name of the classification layer (``"fc"``, ``"classifier.1"``). None takes
        the last ``nn.Linear`` of the network.
    train : bool, default=True
        Train the network in stage one. False: it is trained already, only CFT runs;
        ``fit`` then needs ``validation_data`` that the network was not trained on.
    unknown : {"negative", "ignore"}, default="negative"
        What stage one makes of unknown labels: negatives, or nothing.
    loss : {"bce", "asl"} or callable, default="bce"
        Loss of a network in stage one: binary cross-entropy, asymmetric loss, or
        ``loss(logits, targets) -> tensor`` where NaN targets must be left out.
    max_epochs : int, default=20
        Passes of a network over the data.
    batch_size : int, default=128
        Rows at a time, for training and for extracting features.
    learning_rate : float, default=0.002
        Peak of the schedule, by default one cycle of AdamW; above 0.
    input_transform : callable, default=None
        Makes the network's input of one item of ``X``, which images need:
        :class:`cftlearn.images.ImageTransform`, or one of torchvision.
    trainer : NetworkTrainer, default=None
        Finer parameters of training a network, which ``trainer__weight_decay`` and the
        like reach in a grid search. None takes its defaults.
    fine_tuner : CategoryWiseFineTuner, default=None
        How to refit; ``fine_tuner__solver`` and the like reach it in a grid search.
        None takes its defaults.
    calibration : {"sigmoid", "isotonic"} or CategoryCalibrator, default=None
        How to calibrate probabilities, on the labels that were held out, as rows that
        were not fitted to them score these. None takes the logistic function.
    threshold : float or array-like of shape (n_categories,), default=0.5
        Probability in [0, 1] from which :meth:`predict` says positive.
    validation_fraction : float, default=0.25
        Share in (0, 1) of every category's known positives and known negatives to
        hold out of both stages where ``fit`` gets no ``validation_data``.
    device : str, default="auto"
        Torch device of the network: ``"auto"`` takes a GPU where there is one.
    n_jobs : int, default=None
        Workers over categories, where the fine-tuner does not set its own.
    random_state : int, RandomState instance or None, default=None
        Seed of everything; the fine-tuner's own comes first where it is set.
    verbose : int, default=0
        Above 0, shows progress bars where the output is a terminal.

    Attributes
    ----------
    module_ : torch.nn.Module or None
        The network as stage one left it; :meth:`to_torch` gives the refitted one.
    head_ : str or None
        Name of its classification layer.
    fine_tuner_ : CategoryWiseFineTuner
        The fitted fine-tuner.
    calibrator_ : CategoryCalibrator or None
        What makes probabilities of logits; None without ``calibration``.
    coef_ : ndarray of shape (n_categories, n_features), float64
        The rows after CFT.
    intercept_ : ndarray of shape (n_categories,), float64
        Their biases.
    categories_ : ndarray of shape (n_categories,), object
        Names of the categories.
    classes_ : ndarray of shape (n_categories, 2), or (2,) for a 1-D target
        The classes of each category.
    report_ : list of dict, one per category
        See :class:`CategoryWiseFineTuner`.
    history_ : list of dict
        Stage one's epochs (``stage="train"``: ``epoch``, ``loss``,
        ``learning_rate`` and, from the labels held out, ``val_loss`` and
        ``val_score``), then the fine-tuner's iterations (``stage="cft"``).
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
    _input_shape: Any  # of a network's rows, () if read when needed; None for features

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "module": [callable, None],
        "head": [str, None],
        "train": ["boolean"],
        "unknown": [StrOptions({"negative", "ignore"})],
        "loss": [StrOptions({"bce", "asl"}), callable],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "input_transform": [callable, None],
        "trainer": [NetworkTrainer, None],
        "fine_tuner": [CategoryWiseFineTuner, None],
        "calibration": [StrOptions({"sigmoid", "isotonic"}), CategoryCalibrator, None],
        "threshold": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "device": [str],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        module: "nn.Module | Callable[[], nn.Module] | None" = None,
        *,
        head: str | None = None,
        train: bool = True,
        unknown: Literal["negative", "ignore"] = "negative",
        loss: "str | Callable[[Tensor, Tensor], Tensor]" = "bce",
        max_epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
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
        validation_data: tuple[Any, ArrayLike] | None = None,
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
        validation_data : tuple (X_val, y_val), default=None
            Other rows, whose labels choose the refits and train nothing before that.
            A Pipeline does not transform them. None holds out known labels of ``y``.

        Returns
        -------
        self : CFTClassifier
            The fitted classifier.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, inputs or labels are not accepted, or
            the network does not fit them.
        NonFiniteLossError, ImageFileError
            If a loss in training is NaN or infinite; or an image cannot be read.

        Warns
        -----
        UndefinedCategoryWarning
            Naming the categories that could not be refitted, or calibrated.
        SeenLabelsWarning
            If ``train=False`` and there is no ``validation_data``.
        """
        self._validate_params()
        (self.trainer or NetworkTrainer())._check(self.random_state)
        inputs = self._read_inputs(X, reset=True)
        labels = self._read_targets(inputs, y)
        check_threshold(self.threshold, len(self.categories_))
        self.calibrator_ = _held_out.start_calibrator(
            self.calibration, len(self.categories_)
        )
        rng = check_random_state(self.random_state)
        split_seed, network_seed, tuner_seed = rng.randint(2**31 - 1, size=3)
        tuner = clone(self.fine_tuner or CategoryWiseFineTuner())
        prepare_fine_tuner(tuner, self, int(tuner_seed))
        objective = make_objective(tuner.objective)
        self.module_ = self.head_ = None
        if tuner.cross_fit is not None:
            tuner.fit(inputs, labels, validation_data=validation_data)
            return self._store(tuner, [])
        if validation_data is None:
            seeds = category_seeds(int(split_seed), self.categories_)
            fitted, held_out = hold_out_labels(labels, self.validation_fraction, seeds)
            inputs_val = inputs
        else:
            fitted = labels
            inputs_val, held_out = self._read_validation(
                X, inputs, labels, validation_data, self._read_inputs, "X"
            )
        excluded = held_out if inputs_val is inputs else None
        targets = stage_one_targets(fitted, excluded, unknown=self.unknown)
        if self.module is None:
            Z, Z_val, stage_one = inputs, inputs_val, []
            if tuner.coef_init is None:
                coef, intercept = logistic_rows(Z, targets, n_jobs=tuner.n_jobs)
                tuner.set_params(coef_init=coef, intercept_init=intercept)
        else:
            from cftlearn.training._stage_one import fit_network

            unseen = inputs_val, held_out, objective
            made = fit_network(self, inputs, targets, unseen, int(network_seed))
            self.module_, self.head_, self.device_ = made[:3]
            tuner.set_params(coef_init=made.coef, intercept_init=made.intercept)
            stage_one = made.history
            Z = self._features(inputs)
            Z_val = Z if inputs_val is inputs else self._features(inputs_val)
            if not self.train and validation_data is None:
                warnings.warn(_SEEN_LABELS, SeenLabelsWarning, stacklevel=2)
        tuner.fit(Z, fitted, validation_data=(Z_val, held_out))
        return self._store(tuner, stage_one)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the logits of every category.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            Inputs, as in ``fit``.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_categories)
            ``coef_`` and ``intercept_`` applied; ``calibration`` does not change them.
            (n_samples,) for a 1-D target.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` does not fit the inputs of ``fit``.
        """
        check_is_fitted(self)
        parts = [self.fine_tuner_.transform(Z) for Z in self._feature_parts(X)]
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
            Probability of the positive class of every category. For a 1-D target
            shape (n_samples, 2), one column per class.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` does not fit the inputs of ``fit``.
        """
        proba = _held_out.calibrated_proba(self, X)
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
            1 or 0. For a 1-D target the classes, of shape (n_samples,).

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` does not fit the inputs of ``fit``.
        """
        proba = _held_out.calibrated_proba(self, X)
        is_positive = proba >= check_threshold(self.threshold, len(self.categories_))
        decided = is_positive.astype(np.int64)
        return self.classes_[decided] if self._is_binary() else decided

    def score(self, X: Any, y: ArrayLike) -> float:
        """Compute the mean ROC AUC over known labels.

        Not the accuracy: that has no meaning where most labels are unknown.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            Inputs, as in ``fit``.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            Labels, NaN unknown.

        Returns
        -------
        score : float
            :func:`cftlearn.metrics.partial_roc_auc_score` with its defaults.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If inputs or labels are not accepted.
        """
        logits = self.decision_function(X)
        labels = self._read_more_targets(logits, y, ("X", "y"))
        return float(partial_roc_auc_score(labels, logits.reshape(len(logits), -1)))

    def to_torch(self, *, calibrated: bool = False) -> "nn.Module":
        """Give the network with the refitted rows in its classification layer.

        Parameters
        ----------
        calibrated : bool, default=False
            Fold the calibration into rows and biases, so that the logistic function
            gives what :meth:`predict_proba` does. A sigmoid only: no linear layer has
            an isotonic curve. False gives the logits of :meth:`decision_function`.

        Returns
        -------
        module : torch.nn.Module
            A copy, in evaluation mode, which returns logits. Without a ``module``,
            an ``nn.Linear`` on features.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``calibrated`` and a category has an isotonic curve.
        """
        check_is_fitted(self)
        from torch import nn

        from cftlearn.networks._heads import with_head_weights

        network, head = self.module_, self.head_
        if network is None:
            network, head = nn.Linear(*self.coef_.shape[::-1]), ""
        calibrator = self.calibrator_ if calibrated else None
        rows = _held_out.folded_rows(self.coef_, self.intercept_, calibrator)
        return with_head_weights(network, head, *rows).eval()

    def _read_inputs(self, X: Any, *, reset: bool = False) -> Any:
        if (self.module if reset else self._input_shape) is None:
            self._input_shape = None
            return self._read_matrix(X, "X", reset=reset)
        from cftlearn._inputs import read_network_inputs

        shape = None if reset else self._input_shape
        inputs = read_network_inputs(self, X, self.input_transform, shape)
        if reset:
            self._input_shape = inputs.row_shape or ()
        return inputs

    def _feature_parts(self, X: Any) -> Iterator[Any]:
        inputs = self._read_inputs(X)
        if self.module_ is None:
            return iter([inputs])
        from cftlearn.training._stage_one import feature_parts

        return feature_parts(self, inputs)

    def _features(self, inputs: Any) -> NDArray[np.float32]:
        from cftlearn.training._stage_one import features_of_inputs

        return features_of_inputs(self, inputs)

    def _store(self, tuner: CategoryWiseFineTuner, steps: list[dict[str, Any]]) -> Self:
        self.fine_tuner_ = tuner
        _held_out.calibrate(self.calibrator_, tuner)
        self.coef_, self.intercept_ = tuner.coef_, tuner.intercept_
        self.report_ = tuner.report_
        self.history_ = [{"stage": "train", **row} for row in steps]
        self.history_ += [{"stage": "cft", **row} for row in tuner.history_]
        return self
