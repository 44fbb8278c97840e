"""Feature maps: transformers whose inner products equal or approximate a kernel."""

from skdeep.feature_map.fourier import RandomFourierFeatureMap
from skdeep.feature_map.mercer import MercerFeatureMap
from skdeep.feature_map.network_kernel import network_kernel
from skdeep.feature_map.nystroem import NystroemFeatureMap
from skdeep.feature_map.polynomial import PolynomialFeatureMap

__all__ = [
    "MercerFeatureMap",
    "NystroemFeatureMap",
    "PolynomialFeatureMap",
    "RandomFourierFeatureMap",
    "network_kernel",
]
