"""A wide network is a kernel: the tangent kernel of ReLU networks of growing width, and its limit.

The tangent kernel of a network F is <dF(x) / dtheta, dF(y) / dtheta>, other for each draw of the weights. Weights of
one hidden layer of m units that have Xavier's variances, 2 / (d + m) and 2 / (m + 1), make each of its terms a mean
over units, and the means have a limit, which has no weights: NeuralTangent(1) + ArcCosine(degree=0) + 1, where the
last two are the parts of the biases. Drawn is the distance from the limit for ten draws of each width, of the
Gram matrix of the diabetes data and of the predictions of kernel ridge regression with it: both fall as 1 / sqrt(m).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from skdeep import KernelRidgeDual, MLPBackpropRegressor, network_kernel
from skdeep.kernels import ArcCosine, NeuralTangent

WIDTHS = [16, 64, 256, 1024, 4096]
DRAWS = 10
ALPHA = 10.0


def drawn_network(width, X, random_state):
    """A network whose weights are as they were drawn: its one step is too small to change any."""
    net = MLPBackpropRegressor(
        hidden_layer_sizes=(width,),
        weight_init="xavier_normal",
        solver="sgd",
        learning_rate_init=1e-30,
        random_state=random_state,
    )
    return net.partial_fit(X, np.zeros(len(X)))


def main():
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(scale(X), scale(y), random_state=0)
    limit = NeuralTangent(1) + ArcCosine(degree=0) + 1
    K, ridge = limit(X_train), KernelRidgeDual(ALPHA, kernel=limit).fit(X_train, y_train)
    predictions = ridge.predict(X_test)
    print(f"kernel ridge regression with the limit: test R^2 {ridge.score(X_test, y_test):.3f}")

    distances = np.empty((2, len(WIDTHS), DRAWS))
    for i, width in enumerate(WIDTHS):
        for draw in range(DRAWS):
            kernel = network_kernel(drawn_network(width, X_train, draw), kind="tangent")
            distances[0, i, draw] = np.linalg.norm(kernel(X_train) - K) / np.linalg.norm(K)
            of_draw = KernelRidgeDual(ALPHA, kernel=kernel).fit(X_train, y_train).predict(X_test)
            distances[1, i, draw] = np.linalg.norm(of_draw - predictions) / np.linalg.norm(predictions)
        print(f"width {width:6}: relative distance of the kernel {distances[0, i].mean():.4f},",
              f"of the predictions {distances[1, i].mean():.4f}")  # fmt: skip

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for of_draws, name, colour in zip(distances, ("tangent kernel", "predictions"), ("C0", "C1"), strict=True):
        axes.loglog(WIDTHS, of_draws, ".", color=colour, alpha=0.4)
        axes.loglog(WIDTHS, of_draws.mean(axis=1), "-", color=colour, label=f"{name}, mean of {DRAWS} draws")
    widths = np.array(WIDTHS)
    axes.loglog(
        widths, 2 * distances[0, 0].mean() * np.sqrt(widths[0] / widths), "k--", label="slope of 1 / sqrt(width)"
    )
    axes.set(xlabel="hidden units", ylabel="relative distance from the infinitely wide network")
    axes.legend()
    figure.savefig("plot_wide_network.png", dpi=120)
    print("saved plot_wide_network.png")


if __name__ == "__main__":
    main()
