"""Predictions of samples that were held out, in closed form: no model is fitted a second time.

With C = (K + alpha I)^-1 Y and P = (K + alpha I)^-1, what is left of the targets of the samples F after a fit to all
others is (P_FF)^-1 C_F; for one sample, C_i / P_ii. With an intercept P is the inverse on what is orthogonal to it. The
older form, residual_i / (1 - H_ii), divides one difference of nearly equal numbers by another where alpha is small.
"""

import numpy as np


def leave_one_out(C, diagonal):
    """y_i minus the prediction of sample i by a fit to all others, array of shape (n, n_targets).

    Parameters
    ----------
    C : array of shape (n, n_targets)
        The coefficients.
    diagonal : array of shape (n,) or (n, n_targets)
        The diagonal of the inverse, for each target where their penalties differ.
    """
    return C / (diagonal if diagonal.ndim == C.ndim else diagonal[:, None])


def leave_out(C, block, indices):
    """What is left of the targets of the samples `indices` after a fit to all others, shape (n_indices, n_targets).

    Parameters
    ----------
    C : array of shape (n, n_targets)
        The coefficients.
    block : array of shape (n_indices, n_indices)
        The rows and columns `indices` of the inverse.
    indices : array of int
    """
    return np.linalg.solve(block, C[indices])


def generalised_cross_validation(C, trace, weights=None):
    """The mean squared residual over (1 - degrees of freedom / n)^2, for each target.

    The leave-one-out error with every P_ii replaced by their mean (Golub, Heath & Wahba, 1979), which is the
    same in every orthogonal basis of the samples.

    Parameters
    ----------
    C : array of shape (n, n_targets)
        The coefficients, in weighted coordinates.
    trace : float
        Of the inverse, in weighted coordinates.
    weights : array of shape (n,) or None
    """
    n = len(C)
    total = n if weights is None else weights.sum(dtype=np.float64)
    return (C**2).sum(axis=0) * (n / trace) ** 2 / total
