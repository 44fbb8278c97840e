"""Displays of fitted networks and of kernels, drawn by matplotlib (``pip install skdeep[plot]``)."""

from skdeep.inspection.feature_maps import FeatureMapDisplay
from skdeep.inspection.filters import FilterDisplay
from skdeep.inspection.gram import GramDisplay
from skdeep.inspection.loss_curve import LossCurveDisplay

__all__ = ["FeatureMapDisplay", "FilterDisplay", "GramDisplay", "LossCurveDisplay"]
