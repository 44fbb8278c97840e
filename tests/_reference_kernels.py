"""Kernels evaluated pair by pair in plain Python, the formula of each class in one line; and random kernels."""

import math

import numpy as np

from skdeep.kernels import RBF, Constant, Linear, Polynomial, Power, Product, Scaled, Sum


def evaluate(kernel, x, y):
    """k(x, y) for two sequences of Python floats."""
    match kernel:
        case Constant():
            return float(kernel.value)
        case Linear():
            return dot(x, y)
        case Polynomial():
            return (kernel.gamma * dot(x, y) + kernel.coef0) ** kernel.degree
        case RBF():
            scales = np.broadcast_to(kernel.length_scale, len(x)).tolist()
            return math.exp(-0.5 * math.fsum(((a - b) / l) ** 2 for a, b, l in zip(x, y, scales, strict=True)))
        case Sum():
            return math.fsum(evaluate(term, x, y) for _, term in kernel.terms)
        case Product():
            return math.prod(evaluate(term, x, y) for _, term in kernel.terms)
        case Scaled():
            return kernel.scale * evaluate(kernel.kernel, x, y)
        case Power():
            return evaluate(kernel.kernel, x, y) ** kernel.exponent
    raise NotImplementedError(f"no formula for {kernel!r}")


def dot(x, y):
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def gram(kernel, X, Y=None):
    """The Gram matrix in float64."""
    X = np.asarray(X, dtype=np.float64).tolist()
    Y = X if Y is None else np.asarray(Y, dtype=np.float64).tolist()
    return np.array([[evaluate(kernel, x, y) for y in Y] for x in X])


def random_kernel(rng, n_features, depth=3):
    """A random expression whose values stay near 1 for samples of norm about 1."""
    if depth == 0 or rng.random() < 0.2:
        leaves = [
            lambda: Constant(rng.uniform(0.1, 2)),
            lambda: Linear(),
            lambda: Polynomial(int(rng.integers(1, 4)), rng.uniform(0, 1), rng.uniform(0.2, 1)),
            lambda: RBF(rng.uniform(0.5, 2)),
            lambda: RBF(rng.uniform(0.5, 2, n_features).tolist()),
        ]
        return leaves[rng.integers(len(leaves))]()
    operand = lambda: random_kernel(rng, n_features, depth - 1)
    operations = [
        lambda: operand() + operand(),
        lambda: operand() * operand(),
        lambda: rng.uniform(0.2, 2) * operand(),
        lambda: operand() ** int(rng.integers(1, 4)),
        lambda: operand() + rng.uniform(0.1, 1),
    ]
    return operations[rng.integers(len(operations))]()
