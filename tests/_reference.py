"""Naive NumPy references: short and slow, written from the textbook and not from the engine."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import expit, log_expit, log_softmax, softmax, xlogy

from skdeep.networks import (
    Activation,
    AvgPool2D,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LocallyConnected2D,
    MaxPool2D,
    Residual,
)
from skdeep.training.optimisers import SGD

# ----------------------------------------------------------------------------------------- networks

ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * expit(np.sqrt(8 / np.pi) * (z + 0.044715 * z**3)),
    "silu": lambda z: z * expit(z),
    "softplus": lambda z: np.logaddexp(0, z),
}


def gelu_slope(z):
    """Derivative of the approximation by tanh, (1 + tanh(u)) / 2 = expit(2 u)."""
    gate, slope = expit(np.sqrt(8 / np.pi) * (z + 0.044715 * z**3)), np.sqrt(8 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return gate + z * gate * (1 - gate) * slope


SLOPES = {
    "identity": np.ones_like,
    "logistic": lambda z: expit(z) * expit(-z),
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
    "relu": lambda z: (z > 0).astype(z.dtype),
    "leaky_relu": lambda z: np.where(z > 0, 1, 0.01),
    "elu": lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    "gelu": gelu_slope,
    "silu": lambda z: expit(z) * (1 + z * expit(-z)),
    "softplus": expit,
}
MONOTONE = [name for name in ACTIVATIONS if name not in ("gelu", "silu")]


def as_pair(value):
    return (value, value) if np.isscalar(value) else tuple(value)


def pad(X, kernel, stride, padding):
    """Zeros around images (n, height, width, channels); "same": ceil(length / stride) outputs, an odd zero last."""
    margins = []
    for axis in range(2):
        if padding == "same":
            length = X.shape[1 + axis]
            total = max(0, (-(-length // stride[axis]) - 1) * stride[axis] + kernel[axis] - length)
            margins.append((total // 2, total - total // 2))
        else:
            margins.append((0, 0) if padding == "valid" else (as_pair(padding)[axis],) * 2)
    return np.pad(X, ((0, 0), *margins, (0, 0)))


def windows(X, size, stride, dilation=(1, 1)):
    """All windows of images (n, height, width, channels): (n, down, across, channels, *size)."""
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    dense = sliding_window_view(X, reach, axis=(1, 2))[:, :: stride[0], :: stride[1]]
    return dense[..., :: dilation[0], :: dilation[1]]


def correlate(X, W, stride=1, padding="valid", dilation=1, groups=1):
    """sum over r, s, c of X[n, i u + r d, j v + s e, c] W[r, s, c, k] for the stride (u, v) and dilation (d, e).

    Each of several groups of filters k has its own channels c.
    """
    stride, dilation = as_pair(stride), as_pair(dilation)
    reach = [d * (k - 1) + 1 for k, d in zip(W.shape[:2], dilation, strict=True)]
    patches = windows(pad(X, reach, stride, padding), W.shape[:2], stride, dilation)
    parts = zip(np.split(patches, groups, axis=3), np.split(W, groups, axis=3), strict=True)
    return np.concatenate([np.einsum("nijcrs,rsck->nijk", *part) for part in parts], axis=3)


def correlate_locally(X, W, stride=1, padding="valid"):
    """sum over r, s, c of X[n, i u + r, j v + s, c] W[i, j, r, s, c, k]: weights of its own for each place (i, j)."""
    size, stride = W.shape[2:4], as_pair(stride)
    return np.einsum("nijcrs,ijrsck->nijk", windows(pad(X, size, stride, padding), size, stride), W)


def pooled(layer, X):
    """The windows of a pool."""
    return windows(X, as_pair(layer.pool_size), as_pair(layer.pool_size if layer.stride is None else layer.stride))


def max_pool(X, size, stride=None):
    """The maximum over each window of each channel, of the windows that fit."""
    return pooled(MaxPool2D(size, stride=stride), X).max(axis=(-2, -1))


def normalise(X, scale, shift, mean=None, variance=None):
    """scale (x - mean) / sqrt(variance + 1e-5) + shift for the last axis, by default with the moments of X."""
    if mean is None:
        others = tuple(range(X.ndim - 1))
        mean, variance = X.mean(axis=others), X.var(axis=others)
    return scale * (X - mean) / np.sqrt(variance + 1e-5) + shift


def preactivation(layer, parameters, X, moments):
    """z of one layer that is no block, where `parameters` and `moments` go on with its own if it has any."""
    if isinstance(layer, BatchNorm):
        return normalise(X, *next(parameters), *next(moments, ()))
    if isinstance(layer, MaxPool2D):
        return pooled(layer, X).max(axis=(-2, -1))
    if isinstance(layer, AvgPool2D):
        return pooled(layer, X).mean(axis=(-2, -1))
    if isinstance(layer, GlobalAvgPool2D):
        return X.mean(axis=(1, 2))
    if isinstance(layer, Flatten):
        return X.reshape(len(X), -1)
    if isinstance(layer, Activation | Dropout):  # dropout as in predictions
        return X
    W, b = next(parameters)
    if isinstance(layer, Dense):
        return X.reshape(len(X), -1) @ W + b
    if isinstance(layer, LocallyConnected2D):
        return correlate_locally(X, W, layer.stride, layer.padding) + b
    return correlate(X, W, layer.stride, layer.padding, layer.dilation, layer.groups) + b


def steps(layers, parameters, X, moments):
    """(layer, input, z, output) of each layer, those inside a block before the block, whose z is x + g(x)."""
    for layer in layers:
        if isinstance(layer, Residual):
            inner = list(steps(layer.layers, parameters, X, moments))
            yield from inner
            own, shortcut = inner[-1][-1], X
            if own.shape != X.shape:
                W, b = next(parameters)
                shortcut = correlate(X, W, [-(-n // m) for n, m in zip(X.shape[1:3], own.shape[1:3], strict=True)]) + b
            z = own + shortcut
        else:
            z = preactivation(layer, parameters, X, moments)
        output = ACTIVATIONS[getattr(layer, "activation", "identity")](z)
        yield layer, X, z, output
        X = output


def all_steps(layers, coefs, intercepts, X, moments=()):
    """`steps` as a list, from the weights, or scales, and the biases, or shifts, of all layers that have any.

    `moments` are the running means and variances of normalisations in predictions; in training they are those
    of the batch.
    """
    return list(steps(layers, zip(coefs, intercepts, strict=True), X, iter(moments)))


def parameters_of(network, theta):
    """Views of theta for `all_steps`: weights, or scales, and biases, or shifts, of all layers that have any."""
    bound = [each for each in network.bound if each.weights is not None]
    return [each.weights.view(theta) for each in bound], [each.bias.view(theta) for each in bound]


def moments_of(network, statistics):
    """Views of the running statistics for `all_steps`: mean and variance of each normalisation."""
    return [each.statistics.view(statistics) for each in network.bound if each.statistics is not None]


def forward(layers, coefs, intercepts, X, moments=()):
    """Outputs of the last layer for images (n, height, width, channels) or rows (n, features)."""
    return all_steps(layers, coefs, intercepts, X, moments)[-1][-1]


def pattern(layers, coefs, intercepts, X):
    """On which linear piece of its ReLUs and pools a network stands: signs and places of maxima, as one vector."""
    pieces = [np.zeros(1, int)]
    for layer, maps, z, _ in all_steps(layers, coefs, intercepts, X):
        if isinstance(layer, MaxPool2D):
            pieces.append(pooled(layer, maps).reshape(*z.shape, -1).argmax(axis=-1))
        elif getattr(layer, "activation", "identity") in ("relu", "leaky_relu"):
            pieces.append(z > 0)
    return np.concatenate([piece.ravel() for piece in pieces])


# ------------------------------------------------------------------------------------------- losses


def errors(slope_and_loss):
    """Loss and residual of the error y - score, by one function that gives (d loss / d error, loss)."""
    return (
        lambda scores, Y: slope_and_loss(Y - scores)[1].sum(axis=1),
        lambda scores, Y: -slope_and_loss(Y - scores)[0],
    )


HUBER_DELTA, QUANTILE = 0.7, 0.3
PARAMETERS = {"huber": HUBER_DELTA, "quantile": QUANTILE}
absolute_error, absolute_residual = errors(lambda e: (np.sign(e), np.abs(e)))
huber, huber_residual = errors(
    lambda e: (
        np.clip(e, -HUBER_DELTA, HUBER_DELTA),
        np.where(np.abs(e) < HUBER_DELTA, e**2 / 2, HUBER_DELTA * (np.abs(e) - HUBER_DELTA / 2)),
    )
)
quantile, quantile_residual = errors(
    lambda e: (np.where(e > 0, QUANTILE, QUANTILE - 1), np.maximum(QUANTILE * e, (QUANTILE - 1) * e))
)
# Of each sample, summed over its outputs.
LOSSES = {
    "squared error": lambda scores, Y: 0.5 * ((scores - Y) ** 2).sum(axis=1),
    "softmax cross-entropy": lambda scores, Y: -(Y * log_softmax(scores, axis=1)).sum(axis=1),
    "logistic cross-entropy": lambda scores, Y: -(Y * log_expit(scores) + (1 - Y) * log_expit(-scores)).sum(axis=1),
    "poisson": lambda scores, Y: (np.exp(scores) - Y * scores + xlogy(Y, Y) - Y).sum(axis=1),
    "absolute error": absolute_error,
    "huber": huber,
    "quantile": quantile,
}
# Gradient of each by the scores.
RESIDUALS = {
    "squared error": lambda scores, Y: scores - Y,
    "softmax cross-entropy": lambda scores, Y: softmax(scores, axis=1) - Y,
    "logistic cross-entropy": lambda scores, Y: expit(scores) - Y,
    "poisson": lambda scores, Y: np.exp(scores) - Y,
    "absolute error": absolute_residual,
    "huber": huber_residual,
    "quantile": quantile_residual,
}


def pieces_of_loss(loss, scores, Y):
    """On which smooth piece of its loss each output stands."""
    if loss in ("absolute error", "quantile"):
        return scores > Y
    return np.abs(scores - Y) > HUBER_DELTA if loss == "huber" else np.zeros(1, int)


def objective(layers, coefs, intercepts, X, Y, loss, alpha=0.0, *, weights=None, l2=0.0, l1=0.0):
    """Weighted mean loss over the samples, summed over outputs, alpha |W|^2 / (2 weight), l2 |W|^2 / 2 and l1 |W|_1."""
    weights = np.ones(len(X)) if weights is None else weights
    # The scales of normalisations, which are vectors, are not penalised.
    W = np.concatenate([W.ravel() for W in coefs if W.ndim > 1])
    data = weights @ LOSSES[loss](forward(layers, coefs, intercepts, X), Y) + 0.5 * alpha * W @ W
    return data / weights.sum() + 0.5 * l2 * W @ W + l1 * np.abs(W).sum()


# ---------------------------------------------------------------------------------------- training


def delta_rule(layers, coefs, intercepts, X, Y, loss, alpha=0.0):
    """Gradient of `objective` for dense layers (Rumelhart, Hinton & Williams, 1986), flat: W, b, W, b, ...

    delta_L = (a - y) f'(z), delta_l = (delta_{l+1} W^T) f'(z), dE/dW = x^T delta, dE/db = sum of delta.
    """
    taken = all_steps(layers, coefs, intercepts, X)
    delta, gradient = RESIDUALS[loss](taken[-1][-1], Y), []
    for (layer, x, z, _), W in reversed(list(zip(taken, coefs, strict=True))):
        delta = delta * SLOPES[layer.activation](z)
        gradient[:0] = (x.T @ delta + alpha * W).ravel(), delta.sum(axis=0)
        delta = delta @ W.T
    return np.concatenate(gradient) / len(X)


def sgd_step(theta, gradient, velocity, learning_rate, momentum, nesterov):
    """The parameters and the velocity after a step of gradient descent with momentum."""
    velocity = momentum * velocity - learning_rate * gradient
    return theta + (momentum * velocity - learning_rate * gradient if nesterov else velocity), velocity


def adam_step(theta, gradient, first, second, t, learning_rate, beta_1, beta_2, epsilon):
    """Algorithm 1 of Kingma & Ba (2015), in the order of computation at the end of its section 2; t counts from 1."""
    first = beta_1 * first + (1 - beta_1) * gradient
    second = beta_2 * second + (1 - beta_2) * gradient**2
    rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return theta - rate * first / (np.sqrt(second) + epsilon), first, second


def optimiser_step(optimiser, theta, gradient, state, t, decayed):
    """The parameters after a step; `state` is changed, t counts from 1, `decayed` is 1 for weights and 0 for biases."""
    if optimiser.clip_norm:
        gradient = gradient * min(1, optimiser.clip_norm / np.linalg.norm(gradient))
    rate = optimiser.learning_rate
    theta = theta - rate * getattr(optimiser, "decay", 0) * theta * decayed
    if isinstance(optimiser, SGD):
        theta, state[0] = sgd_step(theta, gradient, state[0], rate, optimiser.momentum, optimiser.nesterov)
    else:
        numbers = rate, getattr(optimiser, "beta_1", 0.0), optimiser.beta_2, optimiser.epsilon
        theta, *state[:] = adam_step(theta, gradient, *state, t, *numbers)
    return theta
