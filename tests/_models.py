"""Small estimators whose work is worth two threads, and all that they compute as one string."""

import hashlib

import numpy as np

from skdeep import ConvNetClassifier, KernelRidgeDual, MLPBackpropClassifier
from skdeep.engine import gram, steps
from skdeep.kernels import RBF, Linear

# Three epochs, the last two without the progress that they are asked for: no warning.
SHORT = {"tol": 1e9, "n_iter_no_change": 1, "random_state": 0}
MODELS = {
    "mlp": lambda: MLPBackpropClassifier((64, 32), batch_size=100, **SHORT),
    "convnet": lambda: ConvNetClassifier((4, 6), kernel_size=3, **SHORT),
    "kernel ridge": lambda: KernelRidgeDual(0.1, kernel=2.0 * RBF(8.0) * Linear()),
}


def data(dtype=np.float32, n=300):
    """Images of 8 x 8 noisy stripes, as rows, and which way the stripes run."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    stripes = np.arange(8) % 2 * np.ones((8, 1))
    X = np.where(y[:, None, None], stripes, stripes.T) + rng.normal(size=(n, 8, 8))
    return X.reshape(n, 64).astype(dtype), y


def fitted(name, dtype=np.float32):
    return MODELS[name]().fit(*data(dtype))


def scores(model, X):
    """Probabilities, or values."""
    return getattr(model, "predict_proba", model.predict)(X)


def digest(model, dtype=np.float32):
    """A hash of every bit that the engine computes in fit and predict."""
    X, y = data(dtype)
    if isinstance(model, KernelRidgeDual):
        # BLAS and LAPACK have threads and bits of their own: their part must be right, K must be the same.
        np.testing.assert_allclose(scores(model, X) + model.alpha * model.dual_coef_, y, atol=1e-3)
        numbers = model.kernel_(X), model.kernel_.gram(X[:100], X).toarray()
    else:
        numbers = model.theta_, scores(model, X)
    return hashlib.sha256(b"".join(array.tobytes() for array in numbers)).hexdigest()


def digests(dtype=np.float32):
    """Fit and predict with each model."""
    return [digest(fitted(name, dtype), dtype) for name in MODELS]


def twins():
    """The twins of the networks' and of the kernels' main loops that this process has used."""
    copies = [*steps.run_steps.copies, *gram.sweep.copies]
    return sorted({"parallel" if parallel else "serial" for _, parallel in copies})
