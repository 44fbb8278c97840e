"""Naive NumPy references: short and slow, written from the textbook and not from the engine."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import expit, log_softmax, softmax

from skdeep.networks import Conv2D, MaxPool2D

# ----------------------------------------------------------------------------------------- networks

ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
}
SLOPES = {
    "identity": np.ones_like,
    "logistic": lambda z: expit(z) * expit(-z),
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
    "relu": lambda z: (z > 0).astype(z.dtype),
}


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


def windows(X, size, stride):
    """All windows of images (n, height, width, channels): (n, down, across, channels, *size)."""
    return sliding_window_view(X, size, axis=(1, 2))[:, :: stride[0], :: stride[1]]


def correlate(X, W, stride=1, padding="valid"):
    """sum over r, s, c of X[n, i u + r, j v + s, c] W[r, s, c, k] for the stride (u, v)."""
    stride = as_pair(stride)
    patches = windows(pad(X, W.shape[:2], stride, padding), W.shape[:2], stride)
    return np.einsum("nijcrs,rsck->nijk", patches, W)


def max_pool(X, size, stride=None):
    """The maximum over each window of each channel, of the windows that fit."""
    return windows(X, as_pair(size), as_pair(size if stride is None else stride)).max(axis=(-2, -1))


def preactivations(layers, coefs, intercepts, X):
    """Per layer: z = x * W + b of a layer with parameters, the maxima of a pool. The last are the scores, if linear."""
    parameters, values = zip(coefs, intercepts, strict=True), []
    for layer in layers:
        if isinstance(layer, MaxPool2D):
            X = max_pool(X, layer.pool_size, layer.stride)
            values.append(X)
            continue
        W, b = next(parameters)
        if isinstance(layer, Conv2D):
            values.append(correlate(X, W, layer.stride, layer.padding) + b)
        else:
            values.append(X.reshape(len(X), -1) @ W + b)
        X = ACTIVATIONS[layer.activation](values[-1])
    return values


def forward(layers, coefs, intercepts, X):
    """Outputs of the last layer for images (n, height, width, channels) or rows (n, features)."""
    last = preactivations(layers, coefs, intercepts, X)[-1]
    return last if isinstance(layers[-1], MaxPool2D) else ACTIVATIONS[layers[-1].activation](last)


def pattern(layers, coefs, intercepts, X):
    """On which linear piece of its ReLUs and pools a network stands: signs and places of maxima, as one vector."""
    pieces, maps = [], X
    for layer, value in zip(layers, preactivations(layers, coefs, intercepts, X), strict=True):
        if isinstance(layer, MaxPool2D):
            size, stride = as_pair(layer.pool_size), layer.pool_size if layer.stride is None else layer.stride
            pieces.append(windows(maps, size, as_pair(stride)).reshape(*value.shape, -1).argmax(axis=-1))
            maps = value
        else:
            maps = ACTIVATIONS[layer.activation](value)
            if layer.activation == "relu":
                pieces.append(value > 0)
    return np.concatenate([np.zeros(1, int), *(piece.ravel() for piece in pieces)])


# ------------------------------------------------------------------------------------------- losses


def squared_error(scores, Y):
    return 0.5 * ((scores - Y) ** 2).sum()


def softmax_cross_entropy(scores, Y):
    return -(Y * log_softmax(scores, axis=1)).sum()


def logistic_cross_entropy(scores, Y):
    return -(Y * np.log(expit(scores)) + (1 - Y) * np.log(expit(-scores))).sum()


LOSSES = {
    "squared error": squared_error,
    "softmax cross-entropy": softmax_cross_entropy,
    "logistic cross-entropy": logistic_cross_entropy,
}
# Gradient of each by the scores.
RESIDUALS = {
    "squared error": lambda scores, Y: scores - Y,
    "softmax cross-entropy": lambda scores, Y: softmax(scores, axis=1) - Y,
    "logistic cross-entropy": lambda scores, Y: expit(scores) - Y,
}


def objective(layers, coefs, intercepts, X, Y, loss, alpha=0.0):
    """Mean loss over the samples, summed over outputs, and alpha |W|^2 / (2 n)."""
    penalty = 0.5 * alpha * sum((W**2).sum() for W in coefs)
    return (LOSSES[loss](forward(layers, coefs, intercepts, X), Y) + penalty) / len(X)


# ---------------------------------------------------------------------------------------- training


def delta_rule(layers, coefs, intercepts, X, Y, loss, alpha=0.0):
    """Gradient of `objective` for dense layers (Rumelhart, Hinton & Williams, 1986), flat: W, b, W, b, ...

    delta_L = (a - y) f'(z), delta_l = (delta_{l+1} W^T) f'(z), dE/dW = x^T delta, dE/db = sum of delta.
    """
    Z = preactivations(layers, coefs, intercepts, X)
    inputs = [X, *(ACTIVATIONS[layer.activation](z) for layer, z in zip(layers, Z, strict=True))]
    delta, gradient = RESIDUALS[loss](inputs[-1], Y), []
    for layer, W, x, z in reversed(list(zip(layers, coefs, inputs[:-1], Z, strict=True))):
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
