"""What a convolutional network has learned is in its features: a kernel made of them does as well as the network.

A small network learns the handwritten digits. Its last hidden layer gives each image 84 numbers, whose inner product
is a kernel, `network_kernel(net)`, and kernel ridge regression takes the place of the output layer. Drawn are the
test errors of five splits: of the network, of ridge regression with its kernel and with the RBF kernel of its
features, and, without the network, with the RBF kernel of the pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

from skdeep import ConvNetClassifier, KernelRidgeDualClassifier, network_kernel
from skdeep.kernels import RBF


def main():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    names = "network", "ridge, kernel of its features", "ridge, RBF of the pixels"
    errors = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
        net = ConvNetClassifier((8, 16), kernel_size=3, max_iter=20, random_state=0).fit(X[train], y[train])
        models = [net]
        for kernel in (network_kernel(net), RBF(1.5)):
            models.append(KernelRidgeDualClassifier(0.1, kernel=kernel).fit(X[train], y[train]))
        errors.append([100 * (1 - model.score(X[test], y[test])) for model in models])
    errors = np.array(errors).T
    for name, each in zip(names, errors, strict=True):
        print(f"{name:32} test errors of five splits, % ", *(f"{e:.2f}" for e in each), f" mean {each.mean():.2f}")


if __name__ == "__main__":
    main()
