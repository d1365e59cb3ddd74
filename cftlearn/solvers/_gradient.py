"""Refit a row by gradient descent on a loss."""

from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import torch

from cftlearn._dependencies import Interval, StrOptions
from cftlearn.base import CategoryProblem, CategorySolver, RowFit
from cftlearn.losses import PartialAsymmetricLoss, PartialBCEWithLogitsLoss
from cftlearn.solvers._row_space import RowSpace


class GradientSolver(CategorySolver):
    """Refit a row by gradient descent on its known labels.

    Full-batch Adam on binary cross-entropy or the asymmetric loss. After every epoch
    the row is scored by the objective on the validation labels; the epoch that scores
    best there is the answer [1]_. An epoch costs O(n_known * n_features).

    Parameters
    ----------
    loss : {"bce", "asl"}, default="bce"
        Binary cross-entropy, or the asymmetric loss with powers 0 and 4 and clip
        0.05.
    learning_rate : float, default=0.1
        Step size of Adam, above 0: with ``standardize`` in units of a logit (the
        step of a weight is that over the root of the number of features), without
        the step of every weight.
    max_epochs : int, default=1000
        Most epochs to run.
    patience : int, default=100
        Stop after so many epochs without a gain on the validation labels.
    standardize : bool, default=True
        Work on standardised features internally; the row is handed back in the
        scale of the user's features.
    device : str, default="cpu"
        Torch device to compute on.

    See Also
    --------
    GeneticSolver : Refit a row by a genetic algorithm on the metric itself.

    References
    ----------
    .. [1] Chong et al., "Category-Wise Fine-Tuning for Image Multi-label
       Classification with Partial Labels", ICONIP 2023; arXiv 2401.16991.

    Examples
    --------
    >>> from cftlearn import CategoryWiseFineTuner
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> from cftlearn.solvers import GradientSolver
    >>> Z, y, _ = make_partial_multilabel(known=0.5, random_state=0)
    >>> solver = GradientSolver(loss="asl", max_epochs=50)
    >>> tuner = CategoryWiseFineTuner(solver, random_state=0).fit(Z, y)
    >>> tuner.coef_.shape
    (5, 20)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "loss": [StrOptions({"bce", "asl"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "device": [str],
    }

    def __init__(
        self,
        *,
        loss: Literal["bce", "asl"] = "bce",
        learning_rate: float = 0.1,
        max_epochs: int = 1000,
        patience: int = 100,
        standardize: bool = True,
        device: str = "cpu",
    ) -> None:
        self.loss = loss
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.standardize = standardize
        self.device = device

    @classmethod
    def published(cls, loss: Literal["bce", "asl"] = "asl") -> Self:
        """Give the published setting: Adam at 1e-4 on raw features.

        At most 5000 epochs of full batches, 300 without gain.

        Parameters
        ----------
        loss : {"bce", "asl"}, default="asl"
            The paper uses both; the authors' code for MS-COCO the asymmetric loss.

        Returns
        -------
        solver : GradientSolver
            With the parameters of the paper.
        """
        return cls(
            loss=loss,
            learning_rate=1e-4,
            max_epochs=5000,
            patience=300,
            standardize=False,
        )

    @property
    def name(self) -> str:
        """Short name for reports."""
        return self.loss

    def fit_row(self, problem: CategoryProblem) -> RowFit:
        """Refit one category.

        Parameters
        ----------
        problem : CategoryProblem
            Features, known labels, the trained row and the objective.

        Returns
        -------
        fit : RowFit
            The best epoch by the validation labels, or epoch ``n_iter``.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self._validate_params()
        space = (RowSpace.standard if self.standardize else RowSpace.raw)(problem)
        Z = self._tensor(space.features(problem.Z))
        Z_val = (
            None
            if problem.Z_val is None
            else self._tensor(space.features(problem.Z_val))
        )
        coef, bias = space.enter(problem.coef, problem.intercept)
        weight = self._tensor(coef).to(Z.dtype).requires_grad_()
        intercept = torch.tensor(
            [bias], dtype=Z.dtype, device=self.device, requires_grad=True
        )
        y = self._tensor(problem.y).to(Z.dtype)[:, None]
        optimizer = torch.optim.Adam(
            [weight, intercept], lr=self._step_size(len(coef))
        )
        # The sum, as the authors' code; Adam does not see the difference.
        criterion = (
            PartialBCEWithLogitsLoss(reduction="sum")
            if self.loss == "bce"
            else PartialAsymmetricLoss(reduction="sum")
        )

        def score() -> float:
            if Z_val is None:
                return float("nan")
            with torch.no_grad():
                logits = (Z_val @ weight + intercept).cpu().numpy()
            return problem.objective.single(problem.y_val, logits)

        def row() -> tuple[np.ndarray, float]:
            return weight.detach().cpu().numpy().copy(), float(intercept.detach())

        history: list[dict[str, Any]] = []
        answer, best_score, best_iter = row(), score(), 0
        last = self.max_epochs if problem.n_iter is None else problem.n_iter
        stopped_by = "max_iter" if problem.n_iter is None else "n_iter"
        epoch = 0
        for epoch in range(1, last + 1):
            loss = criterion((Z @ weight + intercept)[:, None], y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            record = {"iteration": epoch, "loss": float(loss.detach()) / len(y)}
            if problem.n_iter is None:
                record["score_val"] = value = score()
                if value > best_score:
                    answer, best_score, best_iter = row(), value, epoch
            history.append(record)
            if problem.n_iter is None and epoch - best_iter >= self.patience:
                stopped_by = "patience"
                break
        if problem.n_iter is not None:
            answer, best_iter = row(), epoch
        return RowFit(*space.leave(*answer), best_iter, epoch, stopped_by, history)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _step_size(self, n_features: int) -> float:
        if not self.standardize:
            return self.learning_rate
        return self.learning_rate / float(np.sqrt(n_features))
