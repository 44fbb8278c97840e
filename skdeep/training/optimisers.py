"""Optimisers: hyperparameters only. The engine updates, the run of a network owns the state."""

from dataclasses import dataclass

import numpy as np

from skdeep.engine import program


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: v = momentum v - learning_rate g, theta += v; Nesterov's looks one step ahead."""

    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = True

    def hyperparameters(self, alpha):
        """The engine's vector of numbers, with the L2 penalty `alpha`."""
        hyper = np.zeros(program.N_HYPERPARAMETERS)
        hyper[[program.SOLVER, program.ALPHA]] = program.SGD, alpha
        hyper[program.LEARNING_RATE] = self.learning_rate
        hyper[[program.MOMENTUM, program.NESTEROV]] = self.momentum, self.nesterov
        return hyper


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, 2015): steps scaled by running means of the gradient and of its square."""

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def hyperparameters(self, alpha):
        """The engine's vector of numbers, with the L2 penalty `alpha`."""
        hyper = np.zeros(program.N_HYPERPARAMETERS)
        hyper[[program.SOLVER, program.ALPHA]] = program.ADAM, alpha
        hyper[program.LEARNING_RATE] = self.learning_rate
        hyper[[program.BETA_1, program.BETA_2, program.EPSILON]] = self.beta_1, self.beta_2, self.epsilon
        return hyper
