"""The solvers of kernel ridge regression by name, and the choice between them."""

from collections.abc import Callable

import numpy as np

from skdeep.kernel_ridge._large import solve_by_pcg, solve_on_landmarks
from skdeep.kernel_ridge._problem import Problem, Solution, solve_by_cholesky, solve_by_eigh, solve_in_primal

SOLVERS: dict[str, Callable[[Problem], Solution]] = {
    "cholesky": solve_by_cholesky,
    "eigh": solve_by_eigh,
    "primal": solve_in_primal,
    "pcg": solve_by_pcg,
    "nystroem": solve_on_landmarks,
}


def automatic(problem):
    """The name of the solver that costs least among those there is memory for."""
    if problem.in_primal:
        return "primal"
    direct, n_copies = ("eigh", 4) if np.ndim(problem.alpha) else ("cholesky", 1)
    # Conjugate gradients know no alpha of 0 and no leave-one-out; who wants these is told what memory they need.
    iterative = np.all(np.asarray(problem.alpha) > 0) and not problem.leave_one_out
    return "pcg" if iterative and not problem.has_room(problem.matrix_size(n_copies)) else direct


def solve(problem, solver, verbose):
    """The `Solution` by the solver of this name, which may be "auto"; `verbose` prints which it is."""
    name = automatic(problem) if solver == "auto" else solver
    if verbose:
        print(f"Solver {name!r} for {problem.X.shape[0]} samples")
    return SOLVERS[name](problem)
