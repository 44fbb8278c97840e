"""What a network has learned is in its features: a kernel made of them does the work of the output layer.

A small convolutional network learns the handwritten digits. Its last hidden layer gives each image 84 numbers, whose
inner product is a kernel, `network_kernel(net)`; `normalize` makes it the cosine between them. Kernel ridge regression
with it, which has seen nothing else of the network, is about as good as the network itself, and makes less than half
of the errors that it makes with the same kernel of the pixels. Drawn are the test errors of three splits, joined by
lines.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

from skdeep import ConvNetClassifier, KernelRidgeDualClassifier, network_kernel
from skdeep.kernels import Linear

MODELS = [
    "network",
    "kernel ridge regression,\nkernel of its features",
    "kernel ridge regression,\nthe same kernel of the pixels",
]


def main():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    errors = np.empty((3, len(MODELS)))
    for i, (train, test) in enumerate(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y)):
        net = ConvNetClassifier(
            (8, 16), kernel_size=3, batch_size=32, learning_rate_init=0.01, max_iter=20, random_state=0
        ).fit(X[train], y[train])
        kernels = network_kernel(net).normalize(), Linear().normalize()
        ridges = [KernelRidgeDualClassifier(0.1, kernel=kernel).fit(X[train], y[train]) for kernel in kernels]
        errors[i] = [100 * (1 - model.score(X[test], y[test])) for model in (net, *ridges)]
    for name, of_splits in zip(MODELS, errors.T, strict=True):
        print(f"{' '.join(name.split()):54} test errors of three splits, %", *(f"{error:5.2f}" for error in of_splits),
              f" mean {of_splits.mean():.2f}")  # fmt: skip

    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    axes.plot(MODELS, errors.T, "o-", color="C0", alpha=0.4)
    axes.plot(MODELS, errors.mean(axis=0), "_", color="black", markersize=40, label="mean")
    axes.set(ylabel="test error, %", xlim=(-0.4, 2.4), ylim=(0, None))
    axes.legend(loc="upper left", markerscale=0.5)
    figure.savefig("plot_network_kernel.png", dpi=120)
    print("saved plot_network_kernel.png")


if __name__ == "__main__":
    main()
