"""Kernels evaluated pair by pair in plain Python, the formula of each class in a line or two; and random kernels."""

import math

import numpy as np
from hypothesis import strategies as st

from skdeep.kernels import (
    RBF,
    ArcCosine,
    Constant,
    Cosine,
    Custom,
    Exp,
    Laplacian,
    Linear,
    Matern,
    NeuralTangent,
    Normalized,
    OnColumns,
    Periodic,
    Polynomial,
    PolynomialOf,
    Power,
    Product,
    RationalQuadratic,
    Rescaled,
    Scaled,
    Sigmoid,
    Sum,
)

# -------------------------------------------------------------------------------------------- formulas


def evaluate(kernel, x, y):
    """k(x, y) for two lists of floats."""
    match kernel:
        case Constant():
            return float(kernel.value)
        case Linear():
            return dot(x, y)
        case Polynomial():
            return (kernel.gamma * dot(x, y) + kernel.coef0) ** kernel.degree
        case RBF():
            return math.exp(-0.5 * squared_distance(kernel, x, y))
        case Laplacian():
            return math.exp(-math.fsum(map(abs, differences(kernel, x, y))))
        case Matern():
            a = math.sqrt(2 * kernel.nu * squared_distance(kernel, x, y))
            return {0.5: 1, 1.5: 1 + a, 2.5: 1 + a + a**2 / 3}[kernel.nu] * math.exp(-a)
        case RationalQuadratic():
            return (1 + squared_distance(kernel, x, y) / (2 * kernel.alpha)) ** -kernel.alpha
        case Periodic():
            scales, waves = (
                per_feature(kernel, x),
                [math.sin(math.pi * (a - b) / kernel.period) for a, b in pairs(x, y)],
            )
            return math.exp(-2 * math.fsum((wave / l) ** 2 for wave, l in pairs(waves, scales)))
        case Cosine():
            return dot(x, y) / (norm(x) * norm(y)) if any(x) and any(y) else 0.0
        case Sigmoid():
            return math.tanh((1 / len(x) if kernel.gamma is None else kernel.gamma) * dot(x, y) + kernel.coef0)
        case ArcCosine():
            return arc_cosine(x, y, kernel.degree, kernel.depth)
        case NeuralTangent():
            return neural_tangent(x, y, kernel.depth)
        case Custom(vectorized=True):
            return float(kernel.function(np.array([x]), np.array([y]))[0, 0])
        case Custom():
            return float(kernel.function(np.array(x), np.array(y)))
        case Sum():
            return math.fsum(evaluate(term, x, y) for _, term in kernel.terms)
        case Product():
            return math.prod(evaluate(term, x, y) for _, term in kernel.terms)
        case Scaled():
            return kernel.scale * evaluate(kernel.kernel, x, y)
        case Power():
            return evaluate(kernel.kernel, x, y) ** kernel.exponent
        case PolynomialOf():
            value = evaluate(kernel.kernel, x, y)
            return math.fsum(coef * value**i for i, coef in enumerate(kernel.coefs))
        case Exp():
            return math.exp(evaluate(kernel.kernel, x, y))
        case Rescaled():
            return factor(kernel.function, x) * evaluate(kernel.kernel, x, y) * factor(kernel.function, y)
        case OnColumns():
            chosen = np.atleast_1d(np.arange(len(x))[kernel.columns])
            return evaluate(kernel.kernel, [x[i] for i in chosen], [y[i] for i in chosen])
        case Normalized():
            xx, xy, yy = (evaluate(kernel.kernel, *pair) for pair in ((x, x), (x, y), (y, y)))
            return xy / math.sqrt(xx * yy) if xx and yy else 0.0
    raise NotImplementedError(f"no formula for {kernel!r}")


def pairs(x, y):
    return zip(x, y, strict=True)


def dot(x, y):
    return math.fsum(a * b for a, b in pairs(x, y))


def norm(x):
    return math.hypot(*x)


def per_feature(kernel, x):
    return np.broadcast_to(kernel.length_scale, len(x)).tolist()


def differences(kernel, x, y):
    return [(a - b) / l for (a, b), l in pairs(list(pairs(x, y)), per_feature(kernel, x))]


def squared_distance(kernel, x, y):
    return math.fsum(difference**2 for difference in differences(kernel, x, y))


def factor(function, x):
    if function == "unit norm":
        return 1 / norm(x) if any(x) else 0.0
    return float(function(np.array([x]))[0])


def angle(x, y):
    """Between x and y, in Kahan's form, which loses no small angle; a right one where one of them is 0."""
    if not any(x) or not any(y):
        return 0.0 if not any(x) and not any(y) else math.pi / 2
    u, v = [a / norm(x) for a in x], [b / norm(y) for b in y]
    return 2 * math.atan2(norm([a - b for a, b in pairs(u, v)]), norm([a + b for a, b in pairs(u, v)]))


def arc_cosine(x, y, n, depth):
    """Cho & Saul (2009), equations 3 to 7 and 11: each layer takes the norms and the angle of the one before."""
    sine, cosine = math.sin, math.cos
    J = {
        0: lambda t: math.pi - t,
        1: lambda t: sine(t) + (math.pi - t) * cosine(t),
        2: lambda t: 3 * sine(t) * cosine(t) + (math.pi - t) * (1 + 2 * cosine(t) ** 2),
    }[n]
    xx, yy, t = dot(x, x), dot(y, y), angle(x, y)
    for _ in range(depth):
        xy = J(t) / math.pi * math.sqrt(xx * yy) ** n
        xx, yy = (J(0) / math.pi * square**n for square in (xx, yy))
        t = math.acos(max(-1, min(1, J(t) / J(0))))
    return xy


def neural_tangent(x, y, depth):
    """The recursion of Jacot, Gabriel & Hongler (2018), theorem 1, for norms that a layer keeps."""
    t = angle(x, y)
    theta = math.cos(t)
    for _ in range(depth):
        rho = (math.sin(t) + (math.pi - t) * math.cos(t)) / math.pi
        theta = rho + theta * (math.pi - t) / math.pi
        t = math.acos(max(-1, min(1, rho)))
    return theta * norm(x) * norm(y)


def gram(kernel, X, Y=None):
    """The Gram matrix in float64."""
    X = np.asarray(X, dtype=np.float64).tolist()
    Y = X if Y is None else np.asarray(Y, dtype=np.float64).tolist()
    return np.array([[evaluate(kernel, x, y) for y in Y] for x in X])


def scale(kernel, X, Y=None):
    """The largest sqrt(k(x, x) k(y, y)): what a positive semidefinite kernel's rounding errors are relative to."""
    largest = [
        max(evaluate(kernel, x, x) for x in np.asarray(Z, np.float64).tolist()) for Z in (X, X if Y is None else Y)
    ]
    return math.sqrt(math.prod(largest))


# ------------------------------------------------------------------------------------- random kernels


def samples(n_samples, n_features, dtype, seed=0):
    """Samples of norm about 1, so that kernels of every number of features have values near 1."""
    X = np.random.default_rng(seed).standard_normal((n_samples, n_features)) / np.sqrt(n_features)
    X = X.astype(dtype)
    X.flags.writeable = False
    return X


def overlap(X, Y):
    """The product over features of 1 + x_i y_i / (1 + x_i^2) (1 + y_i^2), for `Custom`."""
    return np.prod(1 + (X / (1 + X**2))[:, None] * (Y / (1 + Y**2)), axis=-1)


def alike(x, y):
    """1 or 2, for `Custom` of one pair."""
    return 1.0 + float(x[0] * y[0] > 0)


def fading(X):
    """exp(-|x|^2), for `Rescaled`."""
    return np.exp(-(X**2).sum(axis=1))


def holds_functions(kernel):
    """Whether the kernel is made of a `Custom` one, of which nothing is known."""
    return any(isinstance(node, Custom) for node in (kernel, *kernel.get_params().values()))


def numbers(low, high):
    # Of few digits: what fails is read more easily.
    return st.floats(low, high).map(lambda value: round(value, 3))


def length_scales(n_features):
    return st.one_of(numbers(0.5, 2), st.lists(numbers(0.5, 2), min_size=n_features, max_size=n_features))


def leaves(n_features):
    """Every leaf that is positive semidefinite."""
    scales = length_scales(n_features)
    return st.one_of(
        st.builds(Constant, numbers(0.1, 2)),
        st.just(Linear()),
        st.builds(Polynomial, st.integers(1, 3), numbers(0, 1), numbers(0.2, 1)),
        st.builds(RBF, scales),
        st.builds(Laplacian, scales),
        st.builds(Matern, scales, st.sampled_from([0.5, 1.5, 2.5])),
        st.builds(RationalQuadratic, scales, numbers(0.3, 3)),
        st.builds(Periodic, scales, numbers(0.5, 3)),
        st.just(Cosine()),
        st.builds(ArcCosine, st.integers(0, 2), st.integers(1, 2)),
        st.builds(NeuralTangent, st.integers(0, 3)),
        st.just(Custom(overlap)),
        st.just(Custom(alike, vectorized=False)),
    )


@st.composite
def selections(draw, n_features):
    """Columns of every form but names, and how many they are."""
    chosen = draw(st.lists(st.integers(0, n_features - 1), min_size=1, max_size=n_features, unique=True))
    start = draw(st.integers(0, n_features - 1))
    mask = [i in chosen for i in range(n_features)]
    columns = draw(st.sampled_from([chosen, chosen[0], slice(start, None), mask, np.array(chosen), -1]))
    return columns, np.atleast_1d(np.arange(n_features)[columns]).size


@st.composite
def kernels(draw, n_features, depth=5):
    """Random closed expressions, of values that powers and exponentials keep below some hundreds on `samples`."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(leaves(n_features))
    operand = lambda: draw(kernels(n_features, depth - 1))
    small = lambda: _small(operand(), n_features)
    match draw(st.sampled_from(["+", "*", "number", "scale", "**", "p", "exp", "f", "unit", "on", "normalize"])):
        case "+":
            return operand() + operand()
        case "*":
            return small() * small()
        case "number":
            return operand() + draw(numbers(0.1, 1))
        case "scale":
            return draw(numbers(0.2, 2)) * operand()
        case "**":
            return small() ** draw(st.integers(1, 3))
        case "p":
            return small().polynomial(draw(st.lists(numbers(0, 1), min_size=1, max_size=4)))
        case "exp":
            return small().exp()
        case "f":
            return operand().rescale(fading)
        case "unit":
            return small().rescale("unit norm")
        case "on":
            columns, width = draw(selections(n_features))
            return draw(kernels(width, depth - 1)).on(columns)
        case "normalize":
            return operand().normalize()


def _small(kernel, n_features):
    return kernel if scale(kernel, samples(4, n_features, np.float64, seed=9)) < 3 else kernel.normalize()
