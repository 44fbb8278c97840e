"""What a network is: layers, initialisers and losses as descriptions, and their compilation to a block program."""

from skdeep.networks.layers import Conv2D, Dense, MaxPool2D

__all__ = ["Conv2D", "Dense", "MaxPool2D"]
