"""Kernel ridge regression in the dual."""

from skdeep.kernel_ridge.kernel_ridge_dual import KernelRidgeDual
from skdeep.kernel_ridge.kernel_ridge_dual_classifier import KernelRidgeDualClassifier
from skdeep.kernel_ridge.kernel_ridge_dual_cv import KernelRidgeDualCV

__all__ = ["KernelRidgeDual", "KernelRidgeDualCV", "KernelRidgeDualClassifier"]
