"""Kernel ridge regression in the dual."""

from skdeep.kernel_ridge.kernel_ridge_dual import KernelRidgeDual

__all__ = ["KernelRidgeDual"]
