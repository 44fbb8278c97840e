"""Optimisers: in-place updates of a span of the flat parameter vector."""

import math

from skdeep.engine.jit import part
from skdeep.engine.program import ADAM, ALPHA, BETA_1, BETA_2, EPSILON, LEARNING_RATE, MOMENTUM, NESTEROV, SGD, SOLVER


@part
def update_span(theta, grad, first, second, hyper, n_updates, start, stop, penalised, n_samples):
    """Finish the gradient of a span, mean over the samples and penalty, and take the step.

    Returns the sum of squares of the span's parameters before the step if they are penalised.
    """
    real = theta.dtype.type
    scale, alpha = real(1.0 / n_samples), real(hyper[ALPHA] if penalised else 0.0)
    squares = 0.0
    for i in range(start, stop):
        grad[i] = (grad[i] + alpha * theta[i]) * scale
    if penalised:
        for i in range(start, stop):
            squares += theta[i] * theta[i]
    if hyper[SOLVER] == SGD:
        rate, momentum = real(hyper[LEARNING_RATE]), real(hyper[MOMENTUM])
        for i in range(start, stop):
            first[i] = momentum * first[i] - rate * grad[i]
            theta[i] += momentum * first[i] - rate * grad[i] if hyper[NESTEROV] else first[i]
    elif hyper[SOLVER] == ADAM:
        # Kingma & Ba (2015), with the bias corrections in the rate.
        corrections = math.sqrt(1 - hyper[BETA_2] ** n_updates) / (1 - hyper[BETA_1] ** n_updates)
        rate, epsilon = real(hyper[LEARNING_RATE] * corrections), real(hyper[EPSILON])
        beta_1, beta_2 = real(hyper[BETA_1]), real(hyper[BETA_2])
        gamma_1, gamma_2 = real(1 - hyper[BETA_1]), real(1 - hyper[BETA_2])
        for i in range(start, stop):
            first[i] = beta_1 * first[i] + gamma_1 * grad[i]
            second[i] = beta_2 * second[i] + gamma_2 * grad[i] * grad[i]
            theta[i] -= rate * first[i] / (math.sqrt(second[i]) + epsilon)
    return squares
