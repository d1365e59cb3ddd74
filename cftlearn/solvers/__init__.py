"""Ways to refit one category's logistic regression on its known labels."""

from cftlearn.solvers._genetic import GeneticSolver
from cftlearn.solvers._gradient import GradientSolver

__all__ = ["GeneticSolver", "GradientSolver"]
