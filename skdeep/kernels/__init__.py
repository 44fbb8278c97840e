"""Kernels: functions k(x, y) with positive semidefinite Gram matrices, and the algebra that builds new ones."""

from skdeep.kernels.algebra import Constant, Kernel, Power, Product, Scaled, Sum
from skdeep.kernels.leaves import RBF, Linear, Polynomial
from skdeep.kernels.names import from_name

__all__ = ["RBF", "Constant", "Kernel", "Linear", "Polynomial", "Power", "Product", "Scaled", "Sum", "from_name"]
