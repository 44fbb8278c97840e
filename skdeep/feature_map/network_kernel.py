"""Kernels of trained networks: from a network to the function of two samples that its layers stand for."""

import copy
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdeep._sklearn import StrOptions
from skdeep.kernels.algebra import Kernel


class NetworkKernel(Kernel):
    """The kernel of a trained network's features, or its tangent kernel; `network_kernel` makes it.

    Parameters
    ----------
    net : FrozenEstimator
        Holds the fitted network, which clones keep.
    kind : {"features", "tangent"}, default="features"
    feature_names : tuple of str or None, default=None
        The columns that the network was fitted on, which itself has forgotten them.
    """

    _parameter_constraints = {
        "net": [FrozenEstimator],
        "kind": [StrOptions({"features", "tangent"})],
        "feature_names": [tuple, None],
    }

    def __init__(self, net, kind="features", feature_names=None):
        self.net = net
        self.kind = kind
        self.feature_names = feature_names

    def _explicit_map(self, n_features):
        net = self.net.estimator
        return (net._n_features_out, _Features(net)) if self.kind == "features" else None

    def _emit(self, tile):
        self._check_names(tile.feature_names)
        net = self.net.estimator
        if self.kind == "features":
            return tile.mapped(_Features(net)).dot()
        tangent = net._tangent()
        mapped = lambda method, *place: tile.mapped(_Derivatives(net, method, place)).dot()
        total = 0.0
        for place in tangent.dense:
            total = total + (1.0 + mapped("inputs", place)) * mapped("deltas", place)
        for place in tangent.normalisations:
            total = total + mapped("by_normalisation", place)
        return total + mapped("by_maps") if tangent.has_maps else total

    def _check_names(self, names):
        if names is not None and self.feature_names is not None and tuple(names) != self.feature_names:
            raise ValueError(
                f"The network of a kernel was fitted on the columns {list(self.feature_names)!r}, but X has "
                f"{list(names)!r}: select them in that order, by `.on` or in X."
            )

    def _structure(self):
        return type(self), self.kind, self.feature_names, self.net.estimator._identity()

    def __repr__(self):
        # scikit-learn breaks lines, which a kernel within others cannot.
        net = " ".join(repr(self.net.estimator).split())
        return f"network_kernel({net}, kind={self.kind!r})"


@dataclass(frozen=True)
class _Features:
    """The activations of a network's last hidden layer."""

    net: BaseEstimator

    def __call__(self, X):
        return np.asarray(self.net.transform(X))  # a table where `set_output` asks for one


@dataclass(frozen=True)
class _Derivatives:
    """Rows that a method of a network's `Tangent` makes."""

    net: BaseEstimator
    method: str
    place: tuple

    def __call__(self, X):
        return getattr(self.net._tangent(), self.method)(*self.place, self.net._typed_rows(X))


def network_kernel(net, kind="features"):
    """The kernel of a fitted network, an object of the algebra of kernels.

    Parameters
    ----------
    net : MLPBackpropClassifier, MLPBackpropRegressor, ConvNetClassifier or ConvNetRegressor
        Fitted. The kernel stays as it is if the network is fitted again.
    kind : {"features", "tangent"}, default="features"
        "features" is ``transform(x) . transform(y)``, the inner product of the activations of the last hidden layer.
        "tangent" is ``sum_k <dF_k(x) / dtheta, dF_k(y) / dtheta>``, the sum over the outputs F of the last layer, by
        all parameters ``theta_`` (Jacot, Gabriel & Hongler, 2018); in predictions, where nothing is dropped and
        normalisations take their running statistics.

    Returns
    -------
    kernel : Kernel
        Positive semidefinite by construction and without hyperparameters. It reads rows of ``net.n_features_in_``
        numbers, images too, and computes in the precision of the network. Clones keep the fitted network.

    Raises
    ------
    TypeError
        If `net` is not a network.
    NotFittedError
        If it has not been fitted.
    ValueError
        For the tangent kernel, if the network normalises maps.

    Notes
    -----
    The tangent kernel of dense layers needs no Jacobian: that of a layer is (h(x) . h(y) + 1) (d(x) . d(y)), of its
    inputs h and of the outputs' derivatives d by its sums. By the parameters of convolutions the Jacobian is made, of
    n_outputs times their number for each sample, in a step of backpropagation for each sample and output.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import KernelRidgeDualClassifier, MLPBackpropClassifier, network_kernel
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPBackpropClassifier((20,), learning_rate_init=0.01, max_iter=1000, random_state=0).fit(X, y)
    >>> kernel = network_kernel(net)
    >>> kernel(X[:3], X[:2]).shape
    (3, 2)
    >>> float(KernelRidgeDualClassifier(kernel=1 + kernel).fit(X, y).score(X, y)) > 0.95
    True
    """
    if not hasattr(net, "_tangent"):
        raise TypeError(
            "network_kernel needs a fitted network such as MLPBackpropClassifier or ConvNetClassifier, "
            f"got {net!r}; the steps of a pipeline before its network can stand before the kernel's estimator."
        )
    check_is_fitted(net)
    nameless, names = copy.copy(net), getattr(net, "feature_names_in_", None)
    vars(nameless).pop("feature_names_in_", None)
    kernel = NetworkKernel(FrozenEstimator(nameless), kind, None if names is None else tuple(names))
    kernel._validate_params()
    if kind == "tangent":
        nameless._tangent()
    return kernel
