"""Nobody has to set edge filters by hand: a network that only learns which way is up finds them by itself.

The network sees patches of a photograph that comes with scikit-learn, turned by quarters, and learns by how many
(Gidaris, Singh & Komodakis, 2018); it is trained on the left of the photograph and tested on the right. Its first
filters are compared with derivatives of a Gaussian, which are Sobel's edge filters but smoother: drawn is the cosine of
the angle between each filter and the nearest of those. The maps of the edges that they find are what the next layers
combine, to features of 16 x 16 pixels and then of the whole patch.
"""

import copy

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_sample_image

from skdeep import ConvNetClassifier
from skdeep.inspection import FeatureMapDisplay, FilterDisplay
from skdeep.networks import Conv2D, Dense, MaxPool2D

SIDE, SIZE, N_FILTERS = 24, 7, 12
MOSAIC = [["patch", "set", "maps of set", "cosines", "cosines"], ["patch", "learned", "conv1", "conv2", "conv3"]]


def grey_photograph():
    """The photograph in grey, in a third of its height and width."""
    photograph = load_sample_image("china.jpg")
    height, width = (length // 3 for length in photograph.shape[:2])
    return photograph[: 3 * height, : 3 * width].reshape(height, 3, width, 3, 3).mean(axis=(1, 3, 4)) / 255


def standardised(windows):
    """Windows with some contrast, of mean 0 and variance 1."""
    windows = windows[windows.std(axis=(1, 2)) > 0.05].astype(np.float32)
    return (windows - windows.mean(axis=(1, 2), keepdims=True)) / windows.std(axis=(1, 2), keepdims=True)


def turned(upright, rng):
    """Patches turned by quarters, and by how many."""
    quarters = rng.integers(4, size=len(upright))
    return np.stack([np.rot90(patch, k) for patch, k in zip(upright, quarters, strict=True)]), quarters


def edge_filters():
    """Derivatives of a Gaussian in twelve directions, as weights of a convolution."""
    x = np.arange(SIZE) - SIZE // 2
    down, across, angles = x[:, None, None], x[:, None], 2 * np.pi * np.arange(N_FILTERS) / N_FILTERS
    slopes = np.cos(angles) * across + np.sin(angles) * down
    filters = slopes * np.exp(-(down**2 + across**2) / (2 * (SIZE / 4) ** 2))
    return (filters / np.linalg.norm(filters, axis=(0, 1)))[:, :, None]


def cosines(filters):
    """For each filter, the cosine of the angle to the nearest of the edge filters; the largest first."""
    filters = filters / np.linalg.norm(filters, axis=(0, 1))
    return np.sort(np.einsum("ijck,ijcl->kl", edge_filters(), filters).max(axis=0))[::-1]


def main():
    rng = np.random.default_rng(0)
    windows = sliding_window_view(grey_photograph(), (SIDE, SIDE))
    left, right = windows[:, : 127 - SIDE], windows[:, 127:]
    X, y = turned(standardised(rng.permutation(left.reshape(-1, SIDE, SIDE)))[:3000], rng)
    X_test, y_test = turned(standardised(right.reshape(-1, SIDE, SIDE)), rng)
    layers = [Conv2D(N_FILTERS, SIZE), MaxPool2D(), Conv2D(16, 5), MaxPool2D(), Conv2D(24, 3), Dense(32)]
    # So strong a decay leaves of the random first weights only what the task needs.
    net = ConvNetClassifier(layers=layers, solver="adamw", weight_decay=10, batch_size=32, max_iter=8, random_state=0)
    accuracy = net.fit(X, y).score(X_test, y_test)
    set_by_hand = copy.deepcopy(net)
    set_by_hand.weights_of("conv1")[...], set_by_hand.intercepts_[0][...] = edge_filters(), 0
    learned, drawn = cosines(net.weights_of("conv1")), cosines(rng.normal(size=(SIZE, SIZE, 1, N_FILTERS)))
    print(f"test accuracy {accuracy:.2f}, by chance 0.25; {(learned > 0.7).sum()} of {N_FILTERS} filters are edges")

    figure, axes = plt.subplot_mosaic(MOSAIC, figsize=(15, 6), layout="constrained")
    image = standardised(left[32, 24:25])
    axes["patch"].imshow(image[0], cmap="gray")
    axes["patch"].set(title="a patch", xticks=[], yticks=[])
    FilterDisplay.from_estimator(set_by_hand, ax=axes["set"])
    FilterDisplay.from_estimator(net, ax=axes["learned"])
    own_scales = {"vmin": None, "vmax": None}
    FeatureMapDisplay.from_estimator(set_by_hand, image, layer="conv1", im_kw=own_scales, ax=axes["maps of set"])
    for layer in ("conv1", "conv2", "conv3"):
        FeatureMapDisplay.from_estimator(net, image, layer=layer, im_kw=own_scales, ax=axes[layer])
    axes["set"].set_title("edge filters set by hand")
    axes["maps of set"].set_title("their maps")
    axes["learned"].set_title("filters learned by conv1")
    for k, (values, label) in enumerate([(learned, "learned"), (drawn, "random")]):
        axes["cosines"].bar(np.arange(N_FILTERS) + 0.4 * k, values, 0.4, label=label)
    axes["cosines"].set(title="cosine between a filter and the nearest one set by hand", ylim=(0, 1), xticks=[])
    axes["cosines"].legend()
    figure.savefig("plot_feature_hierarchy.png", dpi=120)
    print("saved plot_feature_hierarchy.png")


if __name__ == "__main__":
    main()
