"""Kernels of infinitely wide networks.

Both are functions of the norms and of the angle between x and y. They are carried from layer to layer by
1 - cos(angle), since an angle near 0 is lost in the rounding of its cosine.
"""

import math
from numbers import Integral

from skdeep._sklearn import Interval, Options
from skdeep.kernels.algebra import Kernel
from skdeep.kernels.inputs import NormPower, directions
from skdeep.kernels.program import angle, root


def _step(degree, w):
    """1 - J_n(t) / J_n(0) from w = 1 - cos(t), for J_n of Cho & Saul (2009), equation 4."""
    t = angle(w)
    if degree == 0:
        return (1 / math.pi) * t
    sine, cosine = root(w * (2.0 - w)), 1.0 - w
    if degree == 1:
        return w - (1 / math.pi) * (sine - t * cosine)
    squares = 1.0 + 2.0 * cosine * cosine
    return (2 / 3) * sine * sine - (1 / (3 * math.pi)) * (3.0 * sine * cosine - t * squares)


def _separation(tile):
    """1 - cos of the angle between the samples; a sample of 0 is at right angles to all others."""
    return 0.5 * tile.mapped(directions).squared_distance()


class ArcCosine(Kernel):
    """``k(x, y) = |x|^n |y|^n J_n(angle) / pi``, composed with itself `depth` - 1 times.

    It is the inner product of the features of an infinitely wide layer of Gaussian weights and of step (n = 0),
    rectified linear (n = 1) or rectified quadratic (n = 2) units, each feature times sqrt(2) (Cho & Saul, 2009).

    Parameters
    ----------
    degree : {0, 1, 2}, default=1
    depth : int, default=1
        Hidden layers, at least 1.

    Examples
    --------
    >>> from skdeep.kernels import ArcCosine
    >>> ArcCosine()([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]).round(3)
    array([[1.   , 0.318]])
    """

    _parameter_constraints = {
        "degree": [Options(Integral, {0, 1, 2})],
        "depth": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, degree=1, depth=1):
        self.degree = degree
        self.depth = depth

    def _emit(self, tile):
        w, n = _separation(tile), self.degree
        for _ in range(self.depth):
            w = _step(n, w)
        # k_l(x, x) = c k_(l - 1)(x, x)^n with c = J_n(0) / pi, from k_0(x, x) = |x|^2.
        c = 3.0 if n == 2 else 1.0
        factor = c ** sum(n**l for l in range(self.depth))
        cosine = factor * (1.0 - w)
        return cosine * tile.outer(NormPower(n**self.depth)) if n else cosine


class NeuralTangent(Kernel):
    """The tangent kernel of an infinitely wide network of rectified linear units.

    The network is fully connected, without biases, its first weights are drawn from N(0, 1), a factor
    sqrt(2 / width) follows each hidden layer, and the kernel is <df(x) / dtheta, df(y) / dtheta> of its output f
    (Jacot, Gabriel & Hongler, 2018). A network without hidden layers has the kernel x . y.

    Parameters
    ----------
    depth : int, default=1
        Hidden layers, at least 0.

    Examples
    --------
    >>> from skdeep.kernels import NeuralTangent
    >>> NeuralTangent()([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]).round(3)
    array([[2.   , 0.318]])
    """

    _parameter_constraints = {"depth": [Interval(Integral, 0, None, closed="left")]}

    def __init__(self, depth=1):
        self.depth = depth

    def _emit(self, tile):
        if self.depth == 0:
            return tile.dot()
        w = _separation(tile)
        tangent = 1.0 - w
        for _ in range(self.depth):
            following = _step(1, w)
            tangent = 1.0 - following + tangent * (1.0 - _step(0, w))
            w = following
        return tangent * tile.outer(NormPower(1))
