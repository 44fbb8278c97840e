"""The penalty that leave-one-out chooses, for one decomposition, is near the one that the truth would choose.

Eighty noisy samples of a sine, with a gap, and kernel ridge regression with the RBF kernel. On the left, the mean
squared error of leave-one-out over alpha, in closed form, beside the squared distance from the sine itself, which no
one knows in practice, plus the noise's variance. On the right, the prediction with the best alpha and the standard
deviation of the Gaussian process whose mean it is: in the gap it says what it does not know.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdeep import KernelRidgeDual, KernelRidgeDualCV
from skdeep.kernels import RBF

NOISE = 0.3
KERNEL = RBF(length_scale=0.07)


def main():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.uniform(0, 0.55, 50), rng.uniform(0.8, 1, 30)])[:, None]
    y = np.sin(2 * np.pi * X.ravel()) + NOISE * rng.normal(size=len(X))
    alphas = np.logspace(-4, 2, 40)
    search = KernelRidgeDualCV(alphas, kernel=KERNEL).fit(X, y)
    leave_one_out = -search.cv_results_["mean_test_score"]
    sine = np.sin(2 * np.pi * X.ravel())
    distance = [np.mean((KernelRidgeDual(a, kernel=KERNEL).fit(X, y).predict(X) - sine) ** 2) for a in alphas]
    print(f"alpha by leave-one-out {search.alpha_:.2g}, error {-search.best_score_:.3f}")
    print(f"alpha by the sine      {alphas[np.argmin(distance)]:.2g}, error {min(distance) + NOISE**2:.3f}")

    figure, (errors, plane) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    errors.loglog(alphas, leave_one_out, label="leave-one-out")
    errors.loglog(alphas, np.add(distance, NOISE**2), "--", label="distance from the sine, plus noise")
    errors.axvline(search.alpha_, color="grey", linewidth=0.8)
    errors.set(xlabel="alpha", ylabel="mean squared error")
    errors.legend()

    grid = np.linspace(-0.05, 1.05, 300)[:, None]
    mean, deviation = KernelRidgeDual(search.alpha_, kernel=KERNEL).fit(X, y).predict(grid, return_std=True)
    line = grid.ravel()
    plane.plot(X, y, ".", color="grey", label="samples")
    plane.plot(line, np.sin(2 * np.pi * line), "--", color="C1", label="sine")
    plane.plot(line, mean, color="C0", label=f"prediction, alpha = {search.alpha_:.2g}")
    plane.fill_between(line, mean - 2 * deviation, mean + 2 * deviation, alpha=0.2, label="two standard deviations")
    plane.set(xlabel="x", ylim=(-2.2, 2.2))
    plane.legend(loc="lower left", fontsize="small")
    figure.savefig("plot_dual_ridge.png", dpi=120)
    print("saved plot_dual_ridge.png")


if __name__ == "__main__":
    main()
