"""A circle is a straight line in feature space, and the kernel walks there for the price of one inner product.

On phi(x) = (1, sqrt2 x_1, sqrt2 x_2, x_1^2, sqrt2 x_1 x_2, x_2^2) the circle (x_1 - 1)^2 + (x_2 - 2)^2 = 9 is the
plane w . phi(x) = 0 with w = (-4, -sqrt2, -2 sqrt2, 1, 0, 1). A linear classifier that sees points inside and outside,
by their features alone, finds it. For samples of 1 000 features phi has half a million; phi(x) . phi(y) and
(x . y + 1)^2 are the same number, whose two prices are printed.
"""

import timeit

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skdeep import PolynomialFeatureMap

CENTRE, RADIUS = np.array([1.0, 2.0]), 3.0
EXACT = np.array([-4.0, -np.sqrt(2), -2 * np.sqrt(2), 1.0, 0.0, 1.0])


def seconds(function):
    """Of one call, the best of five rounds."""
    timer = timeit.Timer(function)
    n_calls, _ = timer.autorange()
    return min(timer.repeat(5, n_calls)) / n_calls


def print_prices(n_features=1000):
    """What phi(x) . phi(y) costs, and what the kernel does."""
    x, y = np.random.default_rng(0).normal(size=(2, 1, n_features)) / np.sqrt(n_features)
    feature_map = PolynomialFeatureMap().fit(x)
    phi_x, phi_y = feature_map.transform(x).ravel(), feature_map.transform(y).ravel()
    explicit, kernel = lambda: phi_x @ phi_y, lambda: (x.ravel() @ y.ravel() + 1) ** 2
    print(f"phi(x) . phi(y) = {explicit():.12f}, (x . y + 1)^2 = {kernel():.12f}")
    print(f"{f'for {n_features:,} features':28} {'numbers':>10} {'kB':>10} {'us':>12}")
    for name, vector, call in (
        ("phi(x) of one sample", phi_x, lambda: feature_map.transform(x)),
        ("phi(x) . phi(y), both known", phi_x, explicit),
        ("(x . y + 1)^2", x, kernel),
    ):
        print(f"{name:28} {vector.size:10,} {vector.nbytes / 1000:10,.0f} {1e6 * seconds(call):12,.1f}")


def main():
    X = np.random.default_rng(0).uniform(CENTRE - 5, CENTRE + 5, size=(1000, 2))
    outside = ((X - CENTRE) ** 2).sum(axis=1) > RADIUS**2
    # The feature 1 of phi is the intercept; hardly any penalty, since a plane separates without an error.
    linear = LogisticRegression(C=1e4, fit_intercept=False, max_iter=10_000)
    model = make_pipeline(PolynomialFeatureMap(), linear).fit(X, outside)
    found = linear.coef_.ravel() / linear.coef_[0, 3]
    print("feature  ", *(f"{name:>7}" for name in model[0].get_feature_names_out()))
    print("circle   ", *(f"{weight:7.2f}" for weight in EXACT))
    print("found    ", *(f"{weight:7.2f}" for weight in found))
    print(f"accuracy  {model.score(X, outside):.3f}")
    print_prices()

    figure, axes = plt.subplots(figsize=(6, 5.5), layout="constrained")
    grid = np.linspace(-5, 5, 300)
    points = np.stack(np.meshgrid(CENTRE[0] + grid, CENTRE[1] + grid), axis=-1)
    decision = model.decision_function(points.reshape(-1, 2)).reshape(300, 300)
    axes.contourf(points[..., 0], points[..., 1], decision, levels=[-np.inf, 0, np.inf], colors=["C0", "C1"], alpha=0.2)
    axes.contour(points[..., 0], points[..., 1], decision, levels=[0], colors="black")
    axes.add_patch(plt.Circle(CENTRE, RADIUS, fill=False, linestyle="--", color="tab:red"))
    for label, colour, name in ((False, "C0", "inside"), (True, "C1", "outside")):
        axes.plot(*X[outside == label].T, ".", color=colour, label=name)
    axes.plot([], [], color="black", label=r"found: $w \cdot \phi(x) = 0$")
    axes.plot([], [], "--", color="tab:red", label=r"$(x_1 - 1)^2 + (x_2 - 2)^2 = 9$")
    axes.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    axes.legend(loc="upper right", fontsize="small")
    figure.savefig("plot_quadratic_map.png", dpi=120)
    print("saved plot_quadratic_map.png")


if __name__ == "__main__":
    main()
