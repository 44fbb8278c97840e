"""Optimisers: hyperparameters only. The engine updates, the run of a network owns the state."""

from dataclasses import asdict, dataclass

import numpy as np

from skdeep.engine import program

# The solvers that go from batch to batch.
STOCHASTIC = {"sgd", "adam", "adamw", "rmsprop"}


@dataclass(frozen=True)
class Objective:
    """What is added to the mean loss, with W the weights without biases.

    Attributes
    ----------
    alpha : float
        Of ``alpha |W|^2 / 2``, divided by the weight of the batch.
    l2, l1 : float
        Of ``l2 |W|^2 / 2`` and ``l1 |W|_1``, whatever the batch.
    loss_parameter : float
        Threshold of the Huber loss, level of the quantile.
    """

    alpha: float = 0.0
    l2: float = 0.0
    l1: float = 0.0
    loss_parameter: float = 0.0


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: v = momentum v - learning_rate g, theta += v; Nesterov's looks one step ahead."""

    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = True
    clip_norm: float = 0.0
    solver = program.SGD


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, 2015): steps scaled by running means of the gradient and of its square.

    With `decay`, the weights shrink by decay times the learning rate beside it (AdamW; Loshchilov & Hutter, 2019).
    """

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    clip_norm: float = 0.0
    solver = program.ADAM


@dataclass(frozen=True)
class RMSprop:
    """RMSprop (Tieleman & Hinton, 2012): steps scaled by the running mean of the square, corrected for its start."""

    learning_rate: float
    beta_2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float = 0.0
    solver = program.RMSPROP


@dataclass(frozen=True)
class GradientOnly:
    """No steps: the gradient, times the weight of the batch, is summed in the run's `first`."""

    solver = program.GRADIENT_ONLY


def hyperparameters(optimiser, objective=Objective()):
    """The engine's vector of numbers."""
    hyper = np.zeros(program.N_HYPERPARAMETERS)
    hyper[program.SOLVER] = optimiser.solver
    for name, value in (asdict(optimiser) | asdict(objective)).items():
        hyper[getattr(program, name.upper())] = value
    return hyper
