"""Kernels: functions k(x, y) with positive semidefinite Gram matrices, and the algebra that builds new ones."""

from skdeep.kernels.algebra import Constant, Kernel, Power, Product, Scaled, Sum
from skdeep.kernels.check import check_kernel
from skdeep.kernels.gaussian_process import as_gaussian_process_kernel
from skdeep.kernels.infinite_networks import ArcCosine, NeuralTangent
from skdeep.kernels.leaves import (
    RBF,
    Cosine,
    Custom,
    Laplacian,
    Linear,
    Matern,
    Periodic,
    Polynomial,
    RationalQuadratic,
    Sigmoid,
)
from skdeep.kernels.names import from_name
from skdeep.kernels.nodes import Exp, Normalized, OnColumns, PolynomialOf, Rescaled

__all__ = [
    "RBF",
    "ArcCosine",
    "Constant",
    "Cosine",
    "Custom",
    "Exp",
    "Kernel",
    "Laplacian",
    "Linear",
    "Matern",
    "NeuralTangent",
    "Normalized",
    "OnColumns",
    "Periodic",
    "Polynomial",
    "PolynomialOf",
    "Power",
    "Product",
    "RationalQuadratic",
    "Rescaled",
    "Scaled",
    "Sigmoid",
    "Sum",
    "as_gaussian_process_kernel",
    "check_kernel",
    "from_name",
]
