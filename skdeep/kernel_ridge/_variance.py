"""The variance of f at new samples, for the Gaussian process of which kernel ridge regression is the mean."""

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils._chunking import get_chunk_n_rows

from skdeep.solvers import eigen
from skdeep.solvers.cholesky import Factorised


def latent_variance(problem, X, alpha):
    """k(x, x) - k_x' (K + alpha W^-1)^-1 k_x, and what an unknown intercept adds.

    With an intercept of flat prior this is universal kriging: with P the inverse on what is orthogonal to s, the
    square roots of the weights, the variance is k(x, x) - k'P k - 2 g'k + v, where g is the inverse times s
    over s'(inverse)s, and v is 1 over the latter.

    Parameters
    ----------
    problem : Problem
        Of the fit; its targets do not matter.
    X : array of shape (n_samples, n_features)
    alpha : float

    Returns
    -------
    array of shape (n_samples,)
        At least 0.
    """
    variance, reduction = problem.kernel.diag(X), problem.reduction()
    inverse = _inverse(problem, reduction, alpha)
    along, offset = 0.0, 0.0
    if problem.fit_intercept:
        u, coupling = reduction.unpenalised, reduction.coupling
        through = inverse(coupling[:, None])[:, 0]
        along, offset = (u - through) / reduction.norm, (u @ coupling + alpha - coupling @ through) / reduction.norm**2
    cross = problem.kernel.gram(X, problem.X)
    for rows in gen_batches(X.shape[0], get_chunk_n_rows(3 * problem.X.shape[0] * X.dtype.itemsize)):
        K = reduction.weighted(cross.rows(rows).T)
        variance[rows] += offset - np.einsum("ij,ij->j", K, inverse(K) + 2 * np.reshape(along, (-1, 1)))
    return np.maximum(variance, 0)


def _inverse(problem, reduction, alpha):
    """A function that applies the inverse to columns in weighted coordinates."""
    if problem.in_primal:
        spectrum = eigen.decompose_features(problem.features(n_copies=4), reduction)
        return lambda V: spectrum.solve(V, alpha)
    K = reduction.matrix(problem.matrix(n_copies=1))
    factorised = Factorised(K, alpha, semidefinite=problem.semidefinite)
    return lambda V: reduction.expand(factorised.solve(reduction.reduce(V)))
