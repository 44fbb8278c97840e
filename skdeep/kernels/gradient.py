"""Derivatives of Gram matrices by the hyperparameters of their kernel, contracted or one by one."""

import numpy as np
import scipy.sparse as sp

from skdeep.kernels.derivatives import derivatives, parts_of_scale, scale_slopes
from skdeep.kernels.program import WEIGHT, Graph, Tile, as_expression, assemble
from skdeep.kernels.sweep import Sweep


def gradient(kernel, X, Q, feature_names=None):
    """<Q, dK / d log parameter> of each hyperparameter of a kernel, by name.

    Parameters
    ----------
    kernel : Kernel
    X : ndarray or sparse array of shape (n_samples, n_features), or any sequence for kernels that read no numbers
    Q : ndarray of shape (n_samples, n_samples)
    feature_names : ndarray of str or None

    Returns
    -------
    gradient : dict of str to float or ndarray
    """
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    if Q.shape != (n_samples, n_samples):
        raise ValueError(f"Q must have the shape {n_samples, n_samples} of the Gram matrix, got {Q.shape}.")
    graph, result, n_features = _formula(kernel, X, feature_names)
    by_key, by_scale = derivatives(graph, result, graph.source(WEIGHT))
    if sp.issparse(X):  # the engine sees no features
        by_key, by_scale = _one_by_one(by_key, by_scale), []
    slopes = {}
    if by_key or by_scale:
        program = assemble(graph, *((expression, None) for expression in by_key.values()), *by_scale)
        sums = Sweep(program, X, None, X.dtype if n_features else np.float64).sums(Q)
        slopes = dict(zip(by_key, sums, strict=False))
        at = len(by_key)
        for _, source in by_scale:
            width = len(source.left.scale)
            for key, slope in scale_slopes(source, sums[at : at + width]):
                slopes[key] = slopes.get(key, 0.0) + slope
            at += width
    return _by_name(kernel, slopes)


def gradient_matrices(kernel, X, feature_names=None):
    """dK / d log parameter for each hyperparameter, and for each entry of one that is a list, by its key.

    Yields
    ------
    key : tuple (name, index or None)
    matrix : ndarray of shape (n_samples, n_samples)
    """
    for key, program, dtype in _programs(kernel, X, feature_names):
        K = np.empty((X.shape[0], X.shape[0]), dtype)
        sweep = Sweep(program, X, None, dtype)
        sweep.fill(K, sweep.symmetric)
        yield key, K


def gradient_diagonals(kernel, X, feature_names=None):
    """The diagonals of `gradient_matrices`, by key."""
    return {k: Sweep(program, X, None, dtype).diagonal() for k, program, dtype in _programs(kernel, X, feature_names)}


def _programs(kernel, X, feature_names):
    graph, result, n_features = _formula(kernel, X, feature_names)
    ones = as_expression(graph, 1.0)
    by_key = _one_by_one(*derivatives(graph, result, ones))
    dtype = X.dtype if n_features else np.dtype(np.float64)
    return [(key, assemble(graph, expression), dtype) for key, expression in by_key.items()]


def _one_by_one(by_key, by_scale):
    """The derivatives by the factors of single features among the others."""
    by_key = dict(by_key)
    for expression, source in by_scale:
        for factor, part in parts_of_scale(expression, source):
            for key, slope in factor.slopes:
                term = part * (slope / factor.value)
                by_key[key] = by_key[key] + term if key in by_key else term
    return by_key


def _formula(kernel, X, feature_names):
    """The graph and the formula of a kernel that knows its hyperparameters, and the number of features."""
    numbers = getattr(X, "ndim", 0) == 2 and X.dtype.kind == "f"
    graph, n_features = Graph(), X.shape[1] if numbers else None
    return graph, as_expression(graph, kernel._tracked()._emit(Tile(graph, n_features, feature_names))), n_features


def hyperparameters(kernel):
    """The values of all hyperparameters by their names in `get_params`, floats or arrays."""
    values = {}
    inner = [(f"{name}__", node) for name, node in kernel.get_params().items() if hasattr(node, "_hyperparameters")]
    for prefix, node in [("", kernel), *inner]:
        for name in node._hyperparameters:
            value = getattr(node, name)
            if value is not None:
                values[prefix + name] = np.asarray(value, dtype=np.float64)
    return values


def _by_name(kernel, slopes):
    named = {}
    for name, value in hyperparameters(kernel).items():
        keys = [(name, None)] if value.ndim == 0 else [(name, i) for i in range(len(value))]
        entries = [float(slopes.get(key, 0.0)) for key in keys]
        named[name] = entries[0] if value.ndim == 0 else np.array(entries)
    return named
