"""What hyperparameters are judged by: functions of the matrix G = K + alpha I, and their derivatives by its elements.

With C = G^-1 Y and P = G^-1 every derivative is one matrix M: the function changes by <M, dG>, whatever
hyperparameter moves G. With an intercept P is the inverse on what is orthogonal to it, and the formulas stand.
"""

import numpy as np


def leave_one_out(C, P, Y, log_determinant):
    """The logarithm of the mean squared leave-one-out error, and its derivative by G.

    The errors are e = C / c with c the diagonal of P; the logarithm does not depend on the unit of Y.

    Parameters
    ----------
    C : array of shape (n, n_targets)
    P : array of shape (n, n)
        Symmetric.
    Y : array of shape (n, n_targets)
    log_determinant : float
        Of G.

    Returns
    -------
    value : float
        To be minimised.
    M : array of shape (n, n)
        Symmetric.
    """
    c = P.diagonal()[:, None]
    errors = C / c
    total = np.sum(errors**2)
    # d sum e^2 = sum 2 e (dC / c - C dc / c^2) with dC = -P dG C and dc = -diag(P dG P).
    roots = np.sqrt((2 * errors**2 / c).sum(axis=1))
    M = P * roots
    M = M @ M.T
    slope = P @ (2 * errors / c)
    M -= (slope @ C.T + C @ slope.T) / 2
    M /= total
    return np.log(total / errors.size), M


def log_marginal_likelihood(C, P, Y, log_determinant):
    """Minus the log marginal likelihood of Gaussian processes with covariance G, a mean over targets and samples.

    With an intercept it is the restricted likelihood, that of all contrasts (Patterson & Thompson, 1971). The
    parameters and what is returned are those of `leave_one_out`.
    """
    n, n_targets = Y.shape
    value = np.sum(C * Y) + n_targets * (log_determinant + n * np.log(2 * np.pi))
    M = P * n_targets
    M -= C @ C.T
    return value / (2 * Y.size), M / (2 * Y.size)


CRITERIA = {"leave_one_out": leave_one_out, "log_marginal_likelihood": log_marginal_likelihood}
