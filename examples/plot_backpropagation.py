"""What hidden units are for: they move the points of the exclusive or to where a straight line separates them.

No line of the plane has (0, 0) and (1, 1) on one side and (0, 1) and (1, 0) on the other, so that no single unit tells
them apart (Minsky & Papert, 1969). Backpropagation finds two hidden units that do (Rumelhart, Hinton & Williams, 1986),
here with that network's logistic units, squared error and gradient descent with momentum. On the left is its output
over the plane, on the right the same points as the two hidden units see them, with the line of the output unit.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdeep import MLPBackpropClassifier

X, Y = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 0, 1, 1])


def main():
    net = MLPBackpropClassifier(
        hidden_layer_sizes=(2,), activation="logistic", loss="squared_error",
        solver="sgd", learning_rate_init=2.0, momentum=0.9, batch_size=4,
        max_iter=2000, n_iter_no_change=2000, random_state=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net.fit(X, Y)
    hidden = net.transform(X)
    for x, h, p in zip(X, hidden, net.predict_proba(X)[:, 1], strict=True):
        print(f"x = {x}, hidden units {h.round(2)}, output {p:.3f}")

    figure, (plane, units) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    grid = np.linspace(-0.5, 1.5, 200)
    points = np.stack(np.meshgrid(grid, grid), axis=-1)
    output = net.predict_proba(points.reshape(-1, 2))[:, 1].reshape(200, 200)
    drawn = plane.contourf(points[..., 0], points[..., 1], output, levels=np.linspace(0, 1, 11), cmap="coolwarm")
    figure.colorbar(drawn, ax=plane, label="output")
    plane.set(title="the plane", xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    weights, bias = net.coefs_[1].ravel(), net.intercepts_[1]
    units.axline(-bias * weights / (weights @ weights), slope=-weights[0] / weights[1], color="black")
    units.set(title="what the hidden units make of it", xlabel="$a_1$", ylabel="$a_2$", aspect="equal")
    units.set(xlim=(-0.1, 1.1), ylim=(-0.1, 1.1))
    for axes, places in ((plane, X), (units, hidden)):
        for label, marker in ((0, "o"), (1, "s")):
            here = places[label == Y]
            axes.plot(*here.T, marker, color=f"C{3 * label}", markeredgecolor="white", markersize=12, label=label)
    units.legend(title="class", loc="center right")
    figure.savefig("plot_backpropagation.png", dpi=120)
    print("saved plot_backpropagation.png")


if __name__ == "__main__":
    main()
