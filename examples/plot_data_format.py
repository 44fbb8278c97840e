"""Channels last or first: the same numbers in another order of memory, and the same network.

Patches of the two photographs that come with scikit-learn are to be told apart. Drawn is one of them, shrunk to 4 x 4
pixels, as its 48 numbers lie in memory: in NHWC red, green and blue of a pixel are neighbours, in NCHW all of red come
before all of green. Two networks are trained, one on each order, and their probabilities are compared.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from skdeep import ConvNetClassifier

SIDE = 16


def patches(name):
    """The photograph in squares that do not overlap, of shape (n, SIDE, SIDE, 3)."""
    photograph = load_sample_image(name)[:416, :640].astype(np.float32) / 255
    return photograph.reshape(416 // SIDE, SIDE, 640 // SIDE, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)


def main():
    china, flower = patches("china.jpg"), patches("flower.jpg")
    X, y = np.concatenate([china, flower]), np.repeat(["china", "flower"], [len(china), len(flower)])
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], y[order]
    channels_first = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    probabilities = {}
    for data_format, images in (("NHWC", X), ("NCHW", channels_first)):
        net = ConvNetClassifier(filters=(8, 16), kernel_size=3, max_iter=5, data_format=data_format, random_state=0)
        net.fit(images[:1500], y[:1500])
        probabilities[data_format] = net.predict_proba(images[1500:])
        print(f"{data_format}: image of {images.shape[1:]}, strides {images.strides[1:]} bytes, "
              f"test accuracy {net.score(images[1500:], y[1500:]):.3f}")  # fmt: skip
    print("largest difference", np.abs(probabilities["NHWC"] - probabilities["NCHW"]).max())

    most_colourful = flower[flower.std(axis=(1, 2)).sum(axis=1).argmax()]
    small = most_colourful.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3))
    figure, axes = plt.subplot_mosaic(
        [["image", "NHWC"], ["image", "NCHW"]], figsize=(10, 3.8), width_ratios=(1, 3), layout="constrained"
    )
    axes["image"].imshow(small)
    axes["image"].set(title="4 x 4 pixels", xticks=[], yticks=[])
    colours = np.broadcast_to(["tab:red", "tab:green", "tab:blue"], small.shape)
    for data_format, axis_order in (("NHWC", (0, 1, 2)), ("NCHW", (2, 0, 1))):
        values, bars = small.transpose(axis_order).ravel(), colours.transpose(axis_order).ravel()
        axes[data_format].bar(np.arange(48), values, color=bars)
        axes[data_format].set(title=data_format, ylim=(0, 1), xlim=(-1, 48))
    axes["NCHW"].set(xlabel="place in memory")
    figure.savefig("plot_data_format.png", dpi=120)
    print("saved plot_data_format.png")


if __name__ == "__main__":
    main()
