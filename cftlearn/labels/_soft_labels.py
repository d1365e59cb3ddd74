"""Soft labels for uncertain cells: targets between 0 and 1."""

from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from cftlearn._seeding import category_seeds
from cftlearn.labels._encoding import read_table, refuse_other_values
from cftlearn.labels._states import Policies, policy_values

# The intervals of Pham et al. around 1 and 0.
_AROUND = {1.0: (0.55, 0.85), 0.0: (0.0, 0.3)}


def soft_labels(
    table: ArrayLike,
    *,
    uncertain: Policies = "positive",
    random_state: int | RandomState | None = None,
) -> Any:
    """Draw soft labels for the uncertain cells of a table.

    An uncertain cell becomes a number that is nearer to one class, but not sure of it:
    label smoothing regularisation, the policies U-Ones+LSR and U-Zeros+LSR [1]_. Pass
    the result as ``pseudo_labels`` to :meth:`cftlearn.CFTClassifier.fit`, with a ``y``
    in which uncertain cells are unknown. Read more in the
    :ref:`User Guide <pseudo_labels>`.

    Parameters
    ----------
    table : array-like or DataFrame of shape (n_samples, n_categories)
        1 positive, 0 negative, **-1 uncertain in every dtype**, NaN or None blank, as
        :func:`resolve_labels` takes it. A :class:`cftlearn.datasets.LabelTable` has a
        method of this name.
    uncertain : {"positive", "negative", "unknown"} or dict, default="positive"
        Draw from [0.55, 0.85) (``"positive"``) or from [0, 0.3) (``"negative"``), all
        numbers equally likely. A dict maps names of categories to these; the
        categories it leaves out are ``"unknown"`` and have no soft labels.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. With an int, the soft label of a cell depends on its row and
        on the name of its category, and on nothing else in the table.

    Returns
    -------
    soft : ndarray or DataFrame of shape (n_samples, n_categories), float64
        A number in [0, 1] for uncertain cells, NaN elsewhere. A frame if ``table`` is
        one, with its names.

    Raises
    ------
    TypeError, ValueError
        If the table holds any other value, or as :func:`resolve_labels` for policies.

    See Also
    --------
    resolve_labels : Decide about uncertain cells with 1, 0 or unknown.

    References
    ----------
    .. [1] Pham et al., "Interpreting chest X-rays via CNNs that exploit hierarchical
       disease dependencies and uncertainty labels", Neurocomputing 437, 2021; arXiv
       1911.06475.

    Examples
    --------
    >>> from cftlearn.labels import soft_labels
    >>> soft = soft_labels([[1.0, -1.0], [None, 0.0]], random_state=0)
    >>> soft.round(2)
    array([[ nan, 0.71],
           [ nan,  nan]])
    """
    cells, names = read_table(table, None, "table")
    values = cells.astype(np.float64)
    is_uncertain = values == -1.0
    refuse_other_values(np.where(is_uncertain, np.nan, values), names, "table")
    soft = draw_soft_labels(is_uncertain, names, uncertain, random_state)
    frame: Any = table
    if hasattr(frame, "iloc"):
        return type(frame)(soft, index=frame.index, columns=frame.columns)
    return soft


def draw_soft_labels(
    is_uncertain: NDArray[np.bool_],
    names: NDArray[np.object_],
    uncertain: Policies,
    random_state: int | RandomState | None,
) -> NDArray[np.float64]:
    """Draw soft labels for marked cells.

    Parameters
    ----------
    is_uncertain : ndarray of shape (n_samples, n_categories), bool
        The cells.
    names : ndarray of shape (n_categories,), object
        Names of the categories.
    uncertain, random_state
        As in :func:`soft_labels`.

    Returns
    -------
    soft : ndarray of shape (n_samples, n_categories), float64
        NaN in other cells.

    Raises
    ------
    ValueError
        As :func:`cftlearn.labels._states.policy_values`.
    """
    nearest = policy_values(uncertain, names, "uncertain")
    base_seed = int(check_random_state(random_state).randint(2**31 - 1))
    soft = np.full(is_uncertain.shape, np.nan)
    seeds = category_seeds(base_seed, names)
    for j, (seed, near) in enumerate(zip(seeds, nearest, strict=True)):
        if np.isnan(near):
            continue
        # A number for every row: which other cells are uncertain changes none of them.
        drawn = np.random.default_rng(seed).uniform(*_AROUND[near], len(soft))
        soft[:, j] = np.where(is_uncertain[:, j], drawn, np.nan)
    return soft
