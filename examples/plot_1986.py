"""Why the networks of 1986 did not learn: the gradient on its way through five layers of logistic units.

Each network has five hidden layers of 30 units and learns the handwritten digits. Drawn is the norm of the gradient
by each layer's weights in the first epoch. Where all weights begin with the same small spread, each layer of logistic
units takes away one to two orders of magnitude, and the first ones stand still; zeros, besides, keep all units of a
layer equal for ever. Xavier's spread holds the gradient up, and ReLU, whose slope is 1, hardly loses any.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from skdeep import MLPBackpropClassifier

NETWORKS = {
    "1986: squared error, logistic units, zeros": {
        "activation": "logistic",
        "loss": "squared_error",
        "weight_init": "zeros",
    },
    "1986: squared error, logistic units, small normal weights": {
        "activation": "logistic",
        "loss": "squared_error",
        "weight_init": "small_normal",
    },
    "logistic units, Xavier": {"activation": "logistic", "weight_init": "xavier_normal"},
    "ReLU, Xavier": {"activation": "relu", "weight_init": "xavier_normal"},
}


def main():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(scale(X), y, random_state=0)
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, settings in NETWORKS.items():
        net = MLPBackpropClassifier((30,) * 5, max_iter=60, learning_rate_init=0.003, random_state=0, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            net.fit(X_train, y_train)
        norms, accuracy = net.grad_norm_curve_[0], net.score(X_test, y_test)
        print(f"{name:60} test accuracy after {net.n_iter_} epochs {accuracy:.2f}, gradients",
              " ".join(f"{norm:.0e}" for norm in norms))  # fmt: skip
        axes.semilogy(np.arange(1, 7), norms, "o-", label=f"{name}: accuracy {accuracy:.2f}")
    axes.set(xlabel="layer, 1 next to the input", ylabel="norm of the gradient, first epoch")
    axes.legend(loc="lower right", fontsize="small")
    figure.savefig("plot_1986.png", dpi=120)
    print("saved plot_1986.png")


if __name__ == "__main__":
    main()
