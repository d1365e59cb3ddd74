"""What estimators share: tags and both forms of ``y``; and the protocol of solvers."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import ClassifierTags, Tags
from sklearn.utils.validation import validate_data

from cftlearn._features._stored import (
    are_same,
    in_order_of_its_file,
    is_stored,
    read_stored,
)
from cftlearn.labels import (
    PartialLabels,
    check_partial_labels,
    encode_binary_labels,
)
from cftlearn.labels._encoding import (
    is_one_dimensional,
    refuse_containers,
)
from cftlearn.labels._names import check_columns, check_same_rows
from cftlearn.labels._plain_arrays import refuse_unlike_numbers
from cftlearn.labels._weights import WeightedLabels, Weights, taken, weigh_labels
from cftlearn.metrics import partial_roc_auc_score
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    Checkpoint,
    KnownRows,
    RowFit,
    UnknownRows,
)

__all__ = [
    "CategoryProblem",
    "CategorySolver",
    "Checkpoint",
    "KnownRows",
    "PartialLabelMixin",
    "RowFit",
    "UnknownRows",
]


@contextmanager
def unchanged_by_errors(estimator: Any) -> Iterator[None]:
    """Give an estimator its attributes back if a block fails or is interrupted.

    An earlier fit then is as it was, and no half of the new one is left. Torch records
    gradients again if it did before: an interrupt between two lines of Python can leave
    a block that turns them off, without turning them on.

    Parameters
    ----------
    estimator : estimator
        What the block sets attributes of. Objects that it has already are not copied,
        so the block must replace them, and not change them.
    """
    before = dict(vars(estimator))
    torch = sys.modules.get("torch")  # not imported for this: without it, nothing to do
    records_gradients = torch is not None and torch.is_grad_enabled()
    try:
        yield
    except BaseException:  # an interrupt as well: it is raised again
        vars(estimator).clear()
        vars(estimator).update(before)
        if torch is not None:
            torch.set_grad_enabled(records_gradients)
        raise


class FitWeights(TypedDict, total=False):
    """Weights that ``fit`` takes by name, but not in its signature.

    Of a weight in the signature scikit-learn demands that 2 does what a row that stands
    twice does. That cannot hold where labels are held out: a row is fitted or judges,
    and of two equal rows one may do either. Here weights say how much labels count.

    Attributes
    ----------
    sample_weight : array-like or None
        Of the labels of ``fit``.
    """

    sample_weight: ArrayLike | None


def weights_of_fit(weights: FitWeights, estimator: Any) -> ArrayLike | None:
    """Return the weights that ``fit`` was given.

    Parameters
    ----------
    weights : dict
        Its further arguments.
    estimator : estimator
        Whose fit it is.

    Returns
    -------
    sample_weight : array-like or None
        None if there are none.

    Raises
    ------
    TypeError
        If there is another argument.
    """
    unexpected = sorted(weights.keys() - {"sample_weight"})
    if unexpected:
        raise TypeError(
            f"{type(estimator).__name__}.fit() got an unexpected keyword argument "
            f"{unexpected[0]!r}"
        )
    return weights.get("sample_weight")


class CountedRows(NamedTuple):
    """Rows that count, with their labels.

    Attributes
    ----------
    inputs : array-like or Inputs
        What the labels belong to.
    labels : PartialLabels
        Those of weight 0 are unknown.
    weights : ndarray of shape (n_samples, n_categories), or None
        How much each label counts; None if all count alike.
    groups : ndarray of shape (n_samples,), int, or None
        Number of the group of each row.
    rows : ndarray of int, or None
        Which rows these are; None if all are.
    """

    inputs: Any
    labels: PartialLabels
    weights: Weights | None
    groups: NDArray[np.intp] | None
    rows: NDArray[np.intp] | None


class PartialLabelMixin:
    """Read ``y`` in both its forms, and say so in the tags.

    2-D targets are categories with unknown labels. A 1-D target is an ordinary
    binary problem: one category, any two labels, all known.
    """

    categories_: NDArray[Any]
    classes_: NDArray[Any]

    # What FitWeights names, for metadata routing.
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"sample_weight": None}

    def __sklearn_tags__(self) -> Tags:
        """Declare binary and multi-label targets, and no multi-class ones."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False, multi_label=True)
        return tags

    def _read_targets(self, X: Any, y: ArrayLike | None) -> PartialLabels:
        """Read ``y`` for ``fit`` and remember its categories and classes."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None. Pass labels of shape (n_samples, n_categories)."
            )
        if is_one_dimensional(y):
            labels, self.classes_ = encode_binary_labels(y)
        else:
            labels = check_partial_labels(y)
            _warn_column_vector(y, labels)
            self.classes_ = np.tile([0, 1], (labels.values.shape[1], 1))
        self.categories_ = labels.categories
        self._check_length(X, labels, "X", "y")
        refuse_no_known(labels, "y")
        return labels

    def _weigh_targets(
        self,
        inputs: Any,
        labels: PartialLabels,
        sample_weight: ArrayLike | None,
        y: Any,
        groups: NDArray[np.intp] | None,
    ) -> CountedRows:
        """Read the weights of the labels of ``fit``.

        A label of weight 0 is unknown. A 1-D target has no unknown labels, so rows of
        weight 0 are left out.
        """
        labels, weights = weigh_labels(labels, sample_weight, y)
        if not self._is_binary() or labels.known.all():
            return CountedRows(inputs, labels, weights, groups, None)
        rows = np.flatnonzero(labels.known[:, 0])
        inputs = inputs[rows] if hasattr(inputs, "ndim") else inputs.take(rows)
        labels = labels.of_rows(rows)
        return CountedRows(
            inputs, labels, taken(weights, rows), taken(groups, rows), rows
        )

    def _read_more_targets(
        self, X: Any, y: ArrayLike, names: tuple[str, str]
    ) -> PartialLabels:
        """Read further targets, which must have the categories of ``fit``'s."""
        if self._is_binary():
            refuse_containers(y, names[1])
            values = np.asarray(y)
            unexpected = ~np.isin(values, self.classes_)
            if values.ndim != 1 or unexpected.any():
                raise ValueError(
                    f"`{names[1]}` must be 1-D and hold the classes of `y`, "
                    f"{self.classes_.tolist()}; got shape {values.shape}"
                    f"{f' and {values[unexpected][0]!r}' if unexpected.any() else ''}."
                )
            column = (values == self.classes_[1]).astype(np.float64).reshape(-1, 1)
            labels = PartialLabels(
                column, np.ones(column.shape, bool), self.categories_
            )
        else:
            labels = check_partial_labels(y, input_name=names[1])
            n_expected = len(self.categories_)
            if labels.values.shape[1] != n_expected:
                raise ValueError(
                    f"`{names[1]}` must have the {n_expected} categories that `fit` "
                    f"saw; got {labels.values.shape[1]}."
                )
            check_columns(
                y,
                self.categories_,
                name=names[1],
                owner="the categories of `fit`",
                order="model.categories_" if names[1] == "y" else "y.columns",
                numbers_are_names=False,
            )
        self._check_length(X, labels, *names)
        return labels

    def _score(
        self, scores: Any, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> float:
        """Compute the mean ROC AUC of scores over known labels."""
        labels = self._read_more_targets(scores, y, ("X", "y"))
        labels, weights = weigh_labels(labels, sample_weight, y)
        table = scores.reshape(len(scores), -1)
        return float(partial_roc_auc_score(labels, table, sample_weight=weights))

    def _read_validation(
        self,
        X: Any,
        inputs: Any,
        labels: PartialLabels,
        validation_data: tuple[Any, ArrayLike],
        read: Callable[[Any, str], Any],
        name: str,
    ) -> tuple[Any, PartialLabels]:
        """Read ``validation_data``; its inputs are ``inputs`` itself if equal to them.

        Where the rows are the same, a label must not be both fitted and chosen by.
        """
        names = f"{name}_val", "y_val"
        if not isinstance(validation_data, tuple) or len(validation_data) != 2:
            raise ValueError(
                f"`validation_data` must be a tuple ({', '.join(names)}); got "
                f"{type(validation_data).__name__}."
            )
        X_val, y_val = validation_data
        check_same_rows(**dict(zip(names, validation_data, strict=True)))
        inputs_val = inputs if X_val is X else read(X_val, names[0])
        if are_same(inputs_val, inputs):
            inputs_val = inputs
        held_out = self._read_more_targets(inputs_val, y_val, names)
        refuse_no_known(held_out, names[1])
        both = labels.known & held_out.known if inputs_val is inputs else np.False_
        if np.any(both):
            row, column = np.argwhere(both)[0]
            raise ValueError(
                f"`{names[1]}` must hold other known labels than `y` where the rows "
                f"are the same; got {int(both.sum())} labels known in both, the first "
                f"in category {self.categories_[column]!r}, row {row}. Set them to NaN "
                "in one of the two."
            )
        return inputs_val, held_out

    @staticmethod
    def _weigh_validation(
        held_out: PartialLabels,
        sample_weight_val: ArrayLike | None,
        validation_data: tuple[Any, ArrayLike],
    ) -> WeightedLabels:
        """Read the weights of labels to choose by."""
        weighted = weigh_labels(
            held_out,
            sample_weight_val,
            validation_data[1],
            name="sample_weight_val",
            y_name="y_val",
        )
        check_same_rows(X_val=validation_data[0], sample_weight_val=sample_weight_val)
        return weighted

    def _read_matrix(self, X: Any, name: str, *, reset: bool) -> Any:
        """Check features; those that are stored stay where they are."""
        if not is_stored(X):
            X = refuse_unlike_numbers(X, name)
            read = validate_data(self, X, dtype=[np.float64, np.float32], reset=reset)
            # a memory map still knows its file
            return in_order_of_its_file(X if isinstance(X, np.memmap) else read)
        features = read_stored(X, name)
        if reset:
            self.n_features_in_ = features.shape[1]
        elif features.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {features.shape[1]} features, but {type(self).__name__} is "
                f"expecting {self.n_features_in_} features as input."
            )
        return features

    def _is_binary(self) -> bool:
        """Return whether ``fit`` saw a 1-D target."""
        return self.classes_.ndim == 1

    @staticmethod
    def _check_length(X: Any, labels: PartialLabels, X_name: str, y_name: str) -> None:
        try:
            n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        except TypeError as error:
            raise TypeError(
                f"`{X_name}` must have rows that can be counted; got "
                f"{type(X).__name__}. Read its rows into memory first."
            ) from error
        if n_rows != len(labels.values):
            raise ValueError(
                f"`{X_name}` and `{y_name}` must have one row per sample; found input "
                "variables with inconsistent numbers of samples: "
                f"[{n_rows}, {len(labels.values)}]."
            )


def read_further_targets(
    estimator: PartialLabelMixin, scores: Any, y: ArrayLike
) -> PartialLabels:
    """Read targets of further rows for a fitted estimator.

    Parameters
    ----------
    estimator : PartialLabelMixin
        Fitted.
    scores : array-like of shape (n_samples, ...)
        Something with as many rows.
    y : array-like of shape (n_samples, n_categories) or (n_samples,)
        Labels, NaN unknown.

    Returns
    -------
    labels : PartialLabels
        Of the categories that ``fit`` saw.

    Raises
    ------
    TypeError, ValueError
        If labels are not accepted, or have other categories or another length.
    """
    return estimator._read_more_targets(scores, y, ("X", "y"))


def refuse_no_known(labels: PartialLabels, name: str) -> None:
    """Refuse labels none of which is known: nothing can be learned or chosen by them.

    Parameters
    ----------
    labels : PartialLabels
        As they were read.
    name : str
        How errors call them.

    Raises
    ------
    ValueError
        If no label is known.
    """
    if not labels.known.any():
        raise ValueError(
            f"`{name}` must hold a known label; got none among {labels.known.size} "
            "cells. Write 1 for positive and 0 for negative, and pass other rows than "
            "these if their labels are really unknown."
        )


def _warn_column_vector(y: object, labels: PartialLabels) -> None:
    """Warn of one unnamed column: it may be meant as a 1-D target."""
    is_named = isinstance(y, PartialLabels) or hasattr(y, "columns")
    if is_named or labels.values.shape[1] > 1 or not labels.known.all():
        return
    warnings.warn(
        "A column-vector y was passed when a 1d array was expected. It is read as a "
        "table with one category, so predictions have shape (n_samples, 1). Pass "
        "y.ravel() for an ordinary binary problem, or a DataFrame to name it.",
        DataConversionWarning,
        stacklevel=5,
    )
