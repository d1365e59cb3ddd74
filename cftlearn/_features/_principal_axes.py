"""Principal coordinates of all rows' features: computed once, for all categories."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._stored import StoredFeatures, row_batches
from cftlearn._seeding import one_thread

Floats = NDArray[np.floating[Any]]
SpaceName = Literal["standard", "tempered"]

_MOST_ROWS = 131_072  # to average products of features over
_ROTATED_ROWS = 1024  # up to so many are rotated once; of more, the weights are
_FEW_COLUMNS = 5
_NEGLIGIBLE = 1e-10  # of the largest variance, or of 1: nothing varies there


@dataclass(frozen=True)
class Coordinates:
    """Principal coordinates of some rows, ``base @ rotation``.

    A rotation of many rows costs more than that of the few vectors of weights that
    they are multiplied with: ``(base @ rotation) @ weights`` is computed as
    ``base @ (rotation @ weights)``.

    Attributes
    ----------
    base : ndarray of shape (n, n_base)
        Scaled features; or the coordinates themselves, if ``rotation`` is None.
    rotation : ndarray of shape (n_base, n_axes), or None
        Columns are the principal axes.
    """

    base: Floats
    rotation: Floats | None = None

    @property
    def n_axes(self) -> int:
        """Number of coordinates."""
        return (self.base if self.rotation is None else self.rotation).shape[1]

    def take(self, rows: Any = slice(None)) -> Floats:
        """Return the coordinates of some rows, of shape (n_rows, n_axes)."""
        some = self.base[rows]
        return some if self.rotation is None else some @ self.rotation

    def to_base(self, weights: Floats) -> Floats:
        """Express weights of axes, (n_axes, k), as weights of the columns of ``base``.

        Then ``base @ to_base(weights)`` are logits.
        """
        if self.rotation is None:
            return weights
        return multiply(self.rotation, weights)

    def from_base(self, sums: Floats) -> Floats:
        """Express sums over rows of ``base``, (n_base, k), as sums of coordinates.

        So a gradient by the weights of the columns becomes one by those of the axes.
        """
        return sums if self.rotation is None else multiply(self.rotation.T, sums)


@dataclass(frozen=True)
class FeatureSpace:
    """Scaled features, rotated to their principal axes.

    Coordinates of different axes are uncorrelated over all rows, with mean 0. What
    weights do to *all* rows, known or not, is therefore a sum over axes: the logits
    have variance ``variances @ weights**2``.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,), float64
        What features are centred and divided by.
    axes : ndarray of shape (n_features, n_axes)
        Orthonormal columns, the direction of greatest variance first.
    variances : ndarray of shape (n_axes,), float64
        Variance of each coordinate over all rows.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    axes: Floats
    variances: NDArray[np.float64]

    def coordinates(self, Z: Floats) -> Floats:
        """Express features of shape (n, n_features) as (n, n_axes)."""
        dtype = self.axes.dtype
        return ((Z - self.mean.astype(dtype)) / self.scale.astype(dtype)) @ self.axes

    def enter(self, coef: NDArray[np.float64]) -> NDArray[np.float64]:
        """Express a user's weights in coordinates, without their bias."""
        return (coef * self.scale) @ self.axes.astype(np.float64)

    def leave(
        self, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Express weights of shape (k, n_axes) in the scale of the features."""
        coef = (weights @ self.axes.T.astype(np.float64)) / self.scale
        return coef, bias - coef @ self.mean

    def spread(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the standard deviation of logits over all rows of features."""
        return np.sqrt(weights**2 @ self.variances)


def make_feature_spaces(
    Z: Floats | StoredFeatures,
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    names: Iterable[SpaceName],
) -> dict[SpaceName, FeatureSpace]:
    """Scale features and find their principal axes.

    Parameters
    ----------
    Z : ndarray or StoredFeatures of shape (n_samples, n_features)
        All rows. Of very many only some are looked at, evenly spaced.
    mean, scale : ndarray of shape (n_features,)
        Mean and standard deviation of each feature, 1 for a constant one.
    names : iterable of {"standard", "tempered"}
        ``"standard"`` gives every feature a standard deviation of 1. ``"tempered"``
        goes half of the way there: it divides by the geometric mean of the feature's
        own deviation and the overall one, so that features which vary more weigh
        more, but less so than as they are.

    Returns
    -------
    spaces : dict of str to FeatureSpace
        In the precision of ``Z``.
    """
    with one_thread():  # eigenvectors are rounded differently by several
        return _feature_spaces(Z, mean, scale, names)


def _feature_spaces(
    Z: Floats | StoredFeatures,
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    names: Iterable[SpaceName],
) -> dict[SpaceName, FeatureSpace]:
    scales = {"standard": scale, "tempered": _tempered(scale)}
    n_samples, n_features = Z.shape
    few = n_samples < n_features
    products = None if few else _covariance(Z, mean, scale)
    spaces = {}
    for name in names:
        ratio = scale / scales[name]
        if products is None:  # the smaller matrix has the same variances
            rows = ((Z[:] - mean) / scales[name]).astype(np.float64)
            variances, vectors = np.linalg.eigh(rows @ rows.T / n_samples)
            keep = _worth_keeping(variances)
            axes = rows.T @ vectors[:, keep]
            axes /= np.linalg.norm(axes, axis=0)
        else:
            variances, vectors = np.linalg.eigh(products * np.outer(ratio, ratio))
            keep = _worth_keeping(variances)
            axes = vectors[:, keep]
        spaces[name] = FeatureSpace(
            mean, scales[name], axes.astype(Z.dtype), variances[keep]
        )
    return spaces


def _tempered(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(scale * np.sqrt(np.mean(scale**2)))


def make_coordinates(
    parts: Sequence[Floats], spaces: dict[SpaceName, FeatureSpace]
) -> dict[SpaceName, Coordinates]:
    """Express the rows of some arrays, one after the other, in several spaces.

    Parameters
    ----------
    parts : sequence of ndarray of shape (n_rows, n_features)
        Features.
    spaces : dict of str to FeatureSpace
        Of the same features, at least one.

    Returns
    -------
    coordinates : dict of str to Coordinates
        Those of many rows share their ``base``.
    """
    first = next(iter(spaces.values()))
    dtype = first.axes.dtype
    base = np.empty((sum(map(len, parts)), len(first.mean)), dtype=dtype)
    start = 0
    for Z in parts:
        rows = base[start : start + len(Z)]
        np.subtract(Z, first.mean.astype(dtype), out=rows, casting="same_kind")
        rows /= first.scale.astype(dtype)
        start += len(Z)
    # of the features as the first space scales them
    rotations = {
        name: ((first.scale / space.scale)[:, None] * space.axes).astype(dtype)
        for name, space in spaces.items()
    }
    if len(base) <= _ROTATED_ROWS:
        return {name: Coordinates(base @ own) for name, own in rotations.items()}
    return {name: Coordinates(base, own) for name, own in rotations.items()}


def multiply(matrix: Floats, columns: Floats) -> Floats:
    """Multiply a large matrix by columns; a few of them one by one, which is faster."""
    if columns.shape[1] > _FEW_COLUMNS:
        return matrix @ columns
    product = np.empty((len(matrix), columns.shape[1]), dtype=matrix.dtype)
    for k in range(columns.shape[1]):
        product[:, k] = matrix @ np.ascontiguousarray(columns[:, k])
    return product


def _covariance(
    Z: Floats | StoredFeatures, mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average products of standardised features, over at most so many rows."""
    n_rows = min(len(Z), _MOST_ROWS)
    chosen = np.linspace(0, len(Z) - 1, n_rows).astype(np.intp)
    total = np.zeros((Z.shape[1], Z.shape[1]))
    for batch in row_batches(n_rows, Z.shape[1]):  # no copy of all
        rows = (Z[chosen[batch]] - mean) / scale  # in double precision, or means cancel
        rows = rows.astype(Z.dtype)
        total += rows.T @ rows
    return total / n_rows


def _worth_keeping(variances: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order axes by falling variance, without those in which nothing varies."""
    falling = np.argsort(-variances, kind="stable")
    floor = _NEGLIGIBLE * max(float(variances.max(initial=0.0)), 1.0)
    return falling[variances[falling] > floor]
