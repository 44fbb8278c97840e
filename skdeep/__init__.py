"""Convolutional networks, multilayer perceptrons and an algebra of kernels for scikit-learn.

Public names load on first use, so that ``import skdeep`` costs no NumPy, no numba and no compilation.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "Checkpoint": "skdeep.neural_network",
    "ConvNetClassifier": "skdeep.neural_network",
    "ConvNetRegressor": "skdeep.neural_network",
    "KernelRidgeDual": "skdeep.kernel_ridge",
    "KernelRidgeDualCV": "skdeep.kernel_ridge",
    "KernelRidgeDualClassifier": "skdeep.kernel_ridge",
    "MLPBackprop": "skdeep.neural_network",
    "MLPBackpropClassifier": "skdeep.neural_network",
    "MLPBackpropRegressor": "skdeep.neural_network",
    "MercerFeatureMap": "skdeep.feature_map",
    "NystroemFeatureMap": "skdeep.feature_map",
    "PolynomialFeatureMap": "skdeep.feature_map",
    "RandomFourierFeatureMap": "skdeep.feature_map",
    "inspection": "skdeep.inspection",
    "kernels": "skdeep.kernels",
    "network_kernel": "skdeep.feature_map",
    "networks": "skdeep.networks",
    "show_versions": "skdeep._show_versions",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_HOME[name])
    value = module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOME})
