"""Estimators of neural networks."""

from skdeep.neural_network.convnet import ConvNetClassifier, ConvNetRegressor
from skdeep.neural_network.mlp import MLPBackpropClassifier, MLPBackpropRegressor

MLPBackprop = MLPBackpropClassifier

__all__ = ["ConvNetClassifier", "ConvNetRegressor", "MLPBackprop", "MLPBackpropClassifier", "MLPBackpropRegressor"]
