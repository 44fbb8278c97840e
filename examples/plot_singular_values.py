"""Ridge regression is a soft cut of the spectrum: along each singular vector it keeps s^2 / (s^2 + alpha).

The singular values of the handwritten digits tell what few directions hold. Cut after rank r, they give the best images
that r numbers each can hold (Eckart & Young, 1936). Ridge regression with the linear kernel cuts nothing, but shrinks:
of y along the j-th left singular vector it keeps the part s_j^2 / (s_j^2 + alpha). Points are measured, as the size of
the predictions along that vector over the size of the targets; lines are the formula.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdeep import KernelRidgeDual

RANKS = (2, 8, 20, 61)
ALPHAS = (1.0, 100.0, 10_000.0)


def main():
    digits = load_digits()
    X = digits.data / 16
    y = np.eye(10)[digits.target]
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    kept = s > 1e-10 * s[0]  # a few pixels are always 0
    U, s, Vt = U[:, kept], s[kept], Vt[kept]

    figure = plt.figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.3, 1))
    axes = left.subplots()
    for alpha in ALPHAS:
        predicted = KernelRidgeDual(alpha, kernel="linear", solver="cholesky").fit(X, y).predict(X)
        # One number from ten targets: the sizes of both parts.
        measured = np.linalg.norm(U.T @ predicted, axis=1) / np.linalg.norm(U.T @ y, axis=1)
        factor = s**2 / (s**2 + alpha)
        print(f"alpha = {alpha:8,.0f}: {factor.sum():5.1f} degrees of freedom of {len(s)}, "
              f"largest difference {np.abs(measured - factor).max():.0e}")  # fmt: skip
        (line,) = axes.plot(np.arange(1, len(s) + 1), factor, label=rf"$\alpha$ = {alpha:,.0f}")
        axes.plot(np.arange(1, len(s) + 1), measured, ".", color=line.get_color())
    axes.set(xlabel="singular vector", ylabel="part that ridge regression keeps", ylim=(0, 1.05))
    axes.legend()

    grid = right.subplots(4, len(RANKS))
    for column, rank in zip(grid.T, RANKS, strict=True):
        approximation = U[:, :rank] * s[:rank] @ Vt[:rank]
        error = np.linalg.norm(X - approximation) / np.linalg.norm(X)
        print(f"rank {rank:2}: relative error {error:.3f}")
        column[0].set_title(f"rank {rank}\nerror {error:.0%}", fontsize="medium")
        for image, place in zip(approximation, column, strict=False):
            place.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            place.set(xticks=[], yticks=[])
    figure.savefig("plot_singular_values.png", dpi=120)
    print("saved plot_singular_values.png")


if __name__ == "__main__":
    main()
