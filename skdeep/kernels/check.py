"""Whether a kernel is one, tried on data."""

from dataclasses import dataclass

import numpy as np

# scikit-learn's limits for what counts as rounding, relative to the largest eigenvalue and absolute.
ROUNDING = {np.dtype(np.float64): (1e-5, 1e-10), np.dtype(np.float32): (5e-3, 1e-6)}


@dataclass(frozen=True)
class KernelReport:
    """What `check_kernel` found.

    Attributes
    ----------
    symmetric : bool
        Whether k(x, y) = k(y, x) on the data, up to rounding.
    smallest_eigenvalue, largest_eigenvalue : float
        Of the symmetric part of the Gram matrix.
    verdict : {"by construction", "on this data", "violated"}
        Why the kernel is positive semidefinite, or that it is not: the rules of the algebra keep it so, or no
        contradiction was found on this data.
    witness : ndarray of shape (n_samples,) or None
        Where positive semidefiniteness is violated, a vector v of length 1 with v' K v < 0.
    """

    symmetric: bool
    smallest_eigenvalue: float
    largest_eigenvalue: float
    verdict: str
    witness: np.ndarray | None = None

    def __bool__(self):
        return self.verdict != "violated"


def check_kernel(kernel, X):
    """Test a kernel's symmetry and positive semidefiniteness on data.

    Parameters
    ----------
    kernel : Kernel, or callable (X, Y) -> matrix
    X : array-like of shape (n_samples, n_features), or what the kernel takes
        The Gram matrix of all samples is made and decomposed, in time that grows as n_samples^3.

    Returns
    -------
    report : KernelReport
        True where nothing contradicts the kernel. Eigenvalues that are negative by no more than scikit-learn allows
        for rounding in its `KernelPCA` contradict nothing.

    Raises
    ------
    ValueError
        If the Gram matrix holds NaN or infinity, or as the kernel raises.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.kernels import RBF, Custom, check_kernel
    >>> X = np.arange(5.0)[:, None]
    >>> check_kernel(RBF(), X).verdict
    'by construction'
    >>> report = check_kernel(Custom(lambda X, Y: -np.abs(X - Y.T)), X)
    >>> report.verdict, report.symmetric
    ('violated', True)
    >>> v = report.witness
    >>> bool(v @ -np.abs(X - X.T) @ v < 0)
    True
    """
    K = np.asarray(kernel(X, X))
    if not np.isfinite(K).all():
        raise ValueError(f"The Gram matrix of {kernel!r} holds NaN or infinity: scale X, as StandardScaler does.")
    relative, absolute = ROUNDING.get(K.dtype, ROUNDING[np.dtype(np.float64)])
    symmetric = bool(np.abs(K - K.T).max(initial=0.0) <= max(relative * np.abs(K).max(initial=0.0), absolute))
    eigenvalues, vectors = np.linalg.eigh(0.5 * (K + K.T))
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    if not symmetric or smallest < -max(relative * max(largest, 0.0), absolute):
        return KernelReport(symmetric, smallest, largest, "violated", vectors[:, 0] if smallest < 0 else None)
    known = getattr(kernel, "positive_semidefinite", None)
    return KernelReport(symmetric, smallest, largest, "by construction" if known else "on this data")
