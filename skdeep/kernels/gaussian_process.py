"""Kernels in scikit-learn's Gaussian processes."""

import numpy as np
from sklearn.gaussian_process.kernels import Hyperparameter
from sklearn.gaussian_process.kernels import Kernel as GaussianProcessKernel

from skdeep.kernels.algebra import Kernel
from skdeep.kernels.gradient import gradient_matrices, hyperparameters

# scikit-learn calls a kernel object with whole matrices where it is one of these, and once a pair where it is not.
GaussianProcessKernel.register(Kernel)


def as_gaussian_process_kernel(kernel, bounds=(1e-5, 1e5)):
    """A kernel for scikit-learn's `GaussianProcessRegressor`, which optimises its hyperparameters.

    Parameters
    ----------
    kernel : Kernel
    bounds : pair of float, "fixed", or dict of str to either, default=(1e-5, 1e5)
        The range of all hyperparameters, or of each by its name in `kernel.get_params()`; those that a dict does not
        name have the default. "fixed" leaves them out of the optimisation.

    Returns
    -------
    adapter : sklearn.gaussian_process.kernels.Kernel

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> from skdeep.kernels import RBF, as_gaussian_process_kernel
    >>> X = np.linspace(0, 6, 20)[:, None]
    >>> model = GaussianProcessRegressor(as_gaussian_process_kernel(RBF()), alpha=1e-6).fit(X, np.sin(X[:, 0]))
    >>> round(float(model.kernel_.kernel.length_scale), 1)
    2.2
    """
    return _GaussianProcessKernel(kernel, bounds)


class _GaussianProcessKernel(GaussianProcessKernel):
    def __init__(self, kernel, bounds=(1e-5, 1e5)):
        self.kernel = kernel
        self.bounds_by_name = bounds

    def get_params(self, deep=True):
        nested = {f"kernel__{name}": value for name, value in self.kernel.get_params().items()} if deep else {}
        return {"kernel": self.kernel, "bounds": self.bounds_by_name} | nested

    def set_params(self, **params):
        if "bounds" in params:
            self.bounds_by_name = params.pop("bounds")
        if "kernel" in params:
            self.kernel = params.pop("kernel")
        self.kernel.set_params(**{name.removeprefix("kernel__"): value for name, value in params.items()})
        return self

    @property
    def hyperparameters(self):
        """What theta holds the logarithms of; what is 0 or negative has none and is fixed."""
        specified = []
        for name, value in hyperparameters(self.kernel).items():
            bounds = self.bounds_by_name
            bounds = bounds.get(name, (1e-5, 1e5)) if isinstance(bounds, dict) else bounds
            bounds = bounds if np.all(value > 0) else "fixed"
            specified.append(Hyperparameter(f"kernel__{name}", "numeric", bounds, value.size))
        return specified

    def __call__(self, X, Y=None, eval_gradient=False):
        K = self.kernel(X, Y)
        if not eval_gradient:
            return K
        if Y is not None:
            raise ValueError("The gradient is that of k(X) alone: leave Y out.")
        X, _, names = self.kernel._checked(X, None)
        matrices = dict(gradient_matrices(self.kernel, X, names))
        keys = []
        for parameter in self.hyperparameters:
            if not parameter.fixed:
                name, size = parameter.name.removeprefix("kernel__"), parameter.n_elements
                value = hyperparameters(self.kernel)[name]
                keys += [(name, None)] if value.ndim == 0 else [(name, i) for i in range(size)]
        slopes = np.zeros((*K.shape, len(keys)))
        for i, key in enumerate(keys):
            if key in matrices:
                slopes[:, :, i] = matrices[key]
        return K, slopes

    def diag(self, X):
        return self.kernel.diag(X)

    def is_stationary(self):
        """Always False: what a tree of kernels is made of does not say it is stationary."""
        return False

    @property
    def requires_vector_input(self):
        return self.kernel._needs_numbers()

    def __repr__(self):
        return repr(self.kernel)
