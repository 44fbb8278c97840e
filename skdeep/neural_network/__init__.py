"""Estimators of neural networks, and their callback."""

from skdeep.neural_network._checkpoint import Checkpoint
from skdeep.neural_network.convnet import ConvNetClassifier, ConvNetRegressor
from skdeep.neural_network.mlp import MLPBackpropClassifier, MLPBackpropRegressor

MLPBackprop = MLPBackpropClassifier

__all__ = [
    "Checkpoint",
    "ConvNetClassifier",
    "ConvNetRegressor",
    "MLPBackprop",
    "MLPBackpropClassifier",
    "MLPBackpropRegressor",
]
