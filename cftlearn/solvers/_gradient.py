"""Refit a category by gradient descent on a loss."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from cftlearn._dependencies import Interval, StrOptions
from cftlearn._seeding import one_torch_thread
from cftlearn.losses import make_loss
from cftlearn.losses._registry import LOSSES
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    Checkpoint,
    RowFit,
    is_checkpoint,
)
from cftlearn.solvers._weight_space import WeightSpace


class GradientSolver(CategorySolver):
    """Refit a category by gradient descent on its known labels.

    Full-batch Adam on binary cross-entropy or the asymmetric loss [1]_. The paper takes
    the epoch that scores best by the objective on a category's own held-out labels, as
    :meth:`published` does. By default :class:`~cftlearn.CategoryWiseFineTuner` weighs
    epochs by the held-out labels of all categories, see the
    :ref:`User Guide <pooled_choice>`. An epoch costs O(n_known * n_features).

    Parameters
    ----------
    loss : str, default="bce"
        One of :func:`cftlearn.losses.available`, with its default parameters:
        ``"bce"`` is binary cross-entropy; ``"asl"`` is the asymmetric loss with powers
        0 and 4 and clip 0.05.
    learning_rate : float, default=0.1
        Step size of Adam, above 0: with ``standardize`` in units of a logit (the
        step of a weight is that over the root of the number of features), without
        the step of every weight.
    max_epochs : int, default=256
        Most epochs to run.
    patience : int, default=100
        Stop after so many epochs without a gain on the validation labels. Has no effect
        where all categories together choose, with ``pooled``.
    standardize : bool, default=True
        Work on standardised features internally; the weights are returned in the
        scale of the user's features.
    pooled : bool, default=True
        Whether epochs of all categories are weighed together. False: each category
        alone takes one epoch.
    device : str, default="cpu"
        Torch device to compute on.

    See Also
    --------
    GeneticSolver : Refit a category by a genetic algorithm on the metric itself.

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

    accepts_sample_weight = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "loss": [StrOptions(LOSSES.keys())],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "pooled": ["boolean"],
        "device": [str],
    }

    def __init__(
        self,
        *,
        loss: str = "bce",
        learning_rate: float = 0.1,
        max_epochs: int = 256,
        patience: int = 100,
        standardize: bool = True,
        pooled: bool = True,
        device: str = "cpu",
    ) -> None:
        self.loss = loss
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.standardize = standardize
        self.pooled = pooled
        self.device = device

    @classmethod
    def published(cls, loss: str = "asl") -> Self:
        """Return the published setting: Adam at 1e-4 on raw features.

        At most 5000 epochs of full batches, 300 without gain; the epoch that each
        category's own held-out labels prefer.

        Parameters
        ----------
        loss : str, default="asl"
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
            pooled=False,
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
            Features, known labels, the initial weights and the objective.

        Returns
        -------
        fit : RowFit
            The best epoch by the validation labels, or epoch ``n_iter`` with a path.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self.check_parameters()
        with one_torch_thread():
            return _Descent(self, problem).run()

    def path_length(self, problem: CategoryProblem) -> int | None:
        """Say how many epochs a whole path has.

        Parameters
        ----------
        problem : CategoryProblem
            Any.

        Returns
        -------
        n_iter : int or None
            ``max_epochs``. None without ``pooled``.
        """
        return self.max_epochs if self.pooled else None

    def check_parameters(self) -> None:
        """Check the parameters, as a fit does first.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self._validate_params()


class _Descent:
    """One run for one category, on tensors."""

    def __init__(self, solver: GradientSolver, problem: CategoryProblem) -> None:
        self.solver, self.problem = solver, problem
        make_space = WeightSpace.standard if solver.standardize else WeightSpace.raw
        self.space = make_space(problem)
        train = self.space.rows(problem.train)
        self.Z = _to_device(train.Z, solver.device)
        self.y = torch.from_numpy(train.y).to(self.Z)[:, None]
        self.weight: torch.Tensor | None = None
        if train.weight is not None:
            self.weight = torch.from_numpy(train.weight).to(self.Z)[:, None]
        self.validation = problem.validation and self.space.rows(problem.validation)
        if self.validation:
            self.Z_val = torch.from_numpy(self.validation.Z).to(self.Z)
        coef, bias = self.space.enter(problem.coef, problem.intercept)
        self.coef = torch.from_numpy(coef).to(self.Z).requires_grad_()
        self.bias = torch.tensor([bias]).to(self.Z).requires_grad_()
        # The sum, as the authors' code; Adam does not see the difference.
        reduction = "sum" if self.weight is None else "none"
        self.loss = make_loss(solver.loss, reduction=reduction)
        step = solver.learning_rate
        if solver.standardize:
            step /= float(np.sqrt(len(coef)))
        self.optimizer = torch.optim.Adam([self.coef, self.bias], lr=step)

    def run(self) -> RowFit:
        """Descend, and watch the weights on the validation labels."""
        solver, fixed = self.solver, self.problem.n_iter
        last = solver.max_epochs if fixed is None else fixed
        stopped_by = "max_iter" if fixed is None else "n_iter"
        history: list[dict[str, Any]] = []
        answer, best_score, best_iter = self._weights(), self._score(), 0
        epoch = 0
        path = []
        for epoch in range(1, last + 1):
            record = {"iteration": epoch, "loss": self._step()}
            history.append(record)
            if fixed is not None:
                if is_checkpoint(epoch, last):
                    path.append(Checkpoint(epoch, *self.space.leave(*self._weights())))
                continue
            record["score_val"] = score = self._score()
            if score > best_score:
                answer, best_score, best_iter = self._weights(), score, epoch
            elif epoch - best_iter >= solver.patience:
                stopped_by = "patience"
                break
        if fixed is not None:
            answer, best_iter = self._weights(), epoch
        coef, bias = self.space.leave(*answer)
        return RowFit(coef, bias, best_iter, epoch, stopped_by, history, path)

    def _step(self) -> float:
        """Take one step; return the mean loss before it."""
        loss = self.loss((self.Z @ self.coef + self.bias)[:, None], self.y)
        if self.weight is not None:
            loss = (self.weight * loss).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach()) / len(self.y)

    def _score(self) -> float:
        if self.validation is None:
            return float("nan")
        # Without a context of torch: an interrupt as it ends would leave it open.
        logits = self.Z_val @ self.coef.detach() + self.bias.detach()
        return self.problem.objective.single(
            self.validation.y, logits.cpu().numpy(), self.validation.weight
        )

    def _weights(self) -> tuple[NDArray[np.floating[Any]], float]:
        return self.coef.detach().cpu().numpy().copy(), float(self.bias.detach())


def _to_device(Z: NDArray[np.floating[Any]], device: str) -> torch.Tensor:
    """Convert features to torch; Apple's GPUs know no float64."""
    tensor = torch.from_numpy(Z)
    return tensor.float().to(device) if "mps" in device else tensor.to(device)
