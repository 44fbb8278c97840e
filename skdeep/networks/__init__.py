"""What a network is: layers, initialisers and losses as descriptions, and their compilation to a block program."""

from skdeep.networks.layers import BatchNorm, Conv2D, Dense, Dropout, MaxPool2D

__all__ = ["BatchNorm", "Conv2D", "Dense", "Dropout", "MaxPool2D"]
