"""Why share weights: a convolution does with 80 parameters what a dense layer does with 18 720.

Three networks read the handwritten digits. Each has one hidden layer of 288 units and an output layer of 2 890
parameters; they differ in how the hidden units are connected. In the dense layer each sees all 64 pixels. In the
locally connected one it sees a window of 3 x 3, and eight units share each of the 36 windows. In the convolution the
same eight filters are at all windows. Drawn is the test accuracy, mean and standard deviation over five splits, against
the parameters of the hidden layer: within a percent or so it is the same, for each number of training images.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdeep import ConvNetClassifier
from skdeep.networks import Conv2D, Dense, LocallyConnected2D

LAYERS = {
    "convolution": Conv2D(8, 3, padding="valid"),
    "locally connected": LocallyConnected2D(8, 3, padding="valid"),
    "dense": Dense(288),
}
# All the epochs for each of them.
TRAINING = {"batch_size": 32, "learning_rate_init": 0.003, "max_iter": 40, "n_iter_no_change": np.inf}


def n_parameters(layer):
    """Weights and biases of a layer on images of 8 x 8 grey pixels."""
    shapes = layer.parameter_shapes((8, 8, 1))
    return math.prod(shapes.weights) + math.prod(shapes.bias)


def accuracies(layer, images, y, n_train):
    """Test accuracy of the network with this layer for each of five splits."""
    for seed in range(5):
        X, X_test, target, target_test = train_test_split(images, y, train_size=n_train, stratify=y, random_state=seed)
        yield ConvNetClassifier(layers=[layer], random_state=seed, **TRAINING).fit(X, target).score(X_test, target_test)


def main():
    digits = load_digits()
    images, counts = (digits.images / 16).astype(np.float32), [n_parameters(layer) for layer in LAYERS.values()]
    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    print(f"{'training images':24}", *(f"{name:>20}" for name in LAYERS))
    print(f"{'parameters':24}", *(f"{count:20,}" for count in counts))
    for n_train in (1000, 300, 100):
        scores = np.array([list(accuracies(layer, images, digits.target, n_train)) for layer in LAYERS.values()])
        means, deviations = scores.mean(axis=1), scores.std(axis=1)
        print(f"{n_train:<24}", *(f"{mean:20.3f}" for mean in means))
        axes.errorbar(counts, means, deviations, fmt="o-", capsize=4, label=f"{n_train:,} training images")
    axes.set(xscale="log", xlabel="parameters of the hidden layer", ylabel="test accuracy", ylim=(0.8, 1.0))
    for name, count in zip(LAYERS, counts, strict=True):
        axes.annotate(f"{name}\n{count:,}", (count, 0.81), ha="center")
    axes.margins(x=0.15)
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.3))
    figure.savefig("plot_parameter_counts.png", dpi=120)
    print("saved plot_parameter_counts.png")


if __name__ == "__main__":
    main()
