"""Estimators of neural networks."""

from skdeep.neural_network.convnet import ConvNetClassifier
from skdeep.neural_network.mlp import MLPBackpropClassifier, MLPBackpropRegressor

MLPBackprop = MLPBackpropClassifier

__all__ = ["ConvNetClassifier", "MLPBackprop", "MLPBackpropClassifier", "MLPBackpropRegressor"]
