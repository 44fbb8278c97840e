"""Optimisers: in-place updates of a span of the flat parameter vector.

A span may begin and end anywhere; what lies behind its end within the last vector is left alone.
"""

import math

from skdeep.engine.jit import part
from skdeep.engine.program import (
    ADAM,
    ALPHA,
    BETA_1,
    BETA_2,
    DECAY,
    EPSILON,
    GRADIENT_ONLY,
    L1,
    L2,
    MOMENTUM,
    NESTEROV,
    SGD,
    SOLVER,
)
from skdeep.engine.simd import (
    add,
    elementwise,
    fma,
    keep_first,
    lane_sum,
    lanes_of,
    load,
    multiply,
    splat,
    store_span,
)

_sign = elementwise(
    lambda x: x.where(x.builder.fcmp_ordered("==", x.value, x.constant(0.0)), x.full(1.0).with_sign_of(x))
)
_add_absolute = elementwise(lambda total, x: total + x.absolute())
_blend = elementwise(lambda a, x, b, y: a * x + b * y)
_difference = elementwise(lambda a, x, b, y: a * x - b * y)
_scaled_step = elementwise(
    lambda theta, rate, first, second, epsilon: theta - rate * first / (second.square_root() + epsilon)
)


@part
def finish_gradient(theta, grad, at, hyper, rate, start, stop, penalised, weight):
    """The gradient of a span, in grad[at:]: the mean over the batch, whose weight is given, and penalties of weights.

    Returns the penalties and the sum of squares of the gradient. Decoupled decay is done here, too.
    """
    lanes, real = lanes_of(theta), theta.dtype.type
    zero = splat(real(0))
    ridge_factor = hyper[ALPHA] / weight + hyper[L2] if penalised else 0.0
    scale, ridge = splat(real(1 / weight)), splat(real(ridge_factor))
    absolute_of_theta, squares_of_theta, squares = zero, zero, zero
    for i in range(start, stop, lanes):
        n = stop - i
        t, g = load(theta, i), multiply(load(grad, at + i - start), scale)
        if n < lanes:
            t, g = keep_first(t, n), keep_first(g, n)
        if penalised:
            g = fma(ridge, t, g)
            squares_of_theta = fma(t, t, squares_of_theta)
            if hyper[L1] != 0:
                g = fma(splat(real(hyper[L1])), _sign(t), g)
                absolute_of_theta = _add_absolute(absolute_of_theta, t)
            if hyper[DECAY] != 0:
                store_span(multiply(t, splat(real(1 - rate * hyper[DECAY]))), theta, i, n)
        squares = fma(g, g, squares)
        store_span(g, grad, at + i - start, n)
    penalty = 0.5 * ridge_factor * lane_sum(squares_of_theta) + hyper[L1] * lane_sum(absolute_of_theta)
    return penalty, lane_sum(squares)


@part
def update_span(theta, grad, at, first, second, hyper, rate, n_updates, start, stop, weight, shrink):
    """One step of a span, after its gradient in grad[at:] times `shrink`."""
    lanes, real = lanes_of(theta), theta.dtype.type
    shrink_ = splat(real(shrink))
    if hyper[SOLVER] == GRADIENT_ONLY:
        # The gradient of the sum over batches, in `first`.
        for i in range(start, stop, lanes):
            store_span(fma(splat(real(weight)), load(grad, at + i - start), load(first, i)), first, i, stop - i)
    elif hyper[SOLVER] == SGD:
        rate_, momentum = splat(real(rate)), splat(real(hyper[MOMENTUM]))
        for i in range(start, stop, lanes):
            g = multiply(shrink_, load(grad, at + i - start))
            velocity = _difference(momentum, load(first, i), rate_, g)
            store_span(velocity, first, i, stop - i)
            step = _difference(momentum, velocity, rate_, g) if hyper[NESTEROV] != 0 else velocity
            store_span(add(load(theta, i), step), theta, i, stop - i)
    else:
        # Kingma & Ba (2015), with the bias corrections in the rate. RMSprop is the same without the mean of the
        # gradient (Tieleman & Hinton, 2012).
        beta_1 = hyper[BETA_1] if hyper[SOLVER] == ADAM else 0.0
        corrections = math.sqrt(1 - hyper[BETA_2] ** n_updates) / (1 - beta_1**n_updates)
        rate_, epsilon = splat(real(rate * corrections)), splat(real(hyper[EPSILON]))
        b_1, c_1 = splat(real(beta_1)), splat(real(1 - beta_1))
        b_2, c_2 = splat(real(hyper[BETA_2])), splat(real(1 - hyper[BETA_2]))
        for i in range(start, stop, lanes):
            g = multiply(shrink_, load(grad, at + i - start))
            mean = _blend(b_1, load(first, i), c_1, g)
            square = _blend(b_2, load(second, i), c_2, multiply(g, g))
            store_span(mean, first, i, stop - i)
            store_span(square, second, i, stop - i)
            store_span(_scaled_step(load(theta, i), rate_, mean, square, epsilon), theta, i, stop - i)
