"""What a kernel finds simple: the first eigenfunctions of five kernels, and how fast their spectra end.

A kernel on data is a matrix, its eigenvectors are functions of x, and their eigenvalues say how cheap each is:
regression with the kernel shrinks the part along an eigenfunction the more, the smaller the eigenvalue. Here x is 300
points in [0, 1]. The smooth RBF kernel has some 20 eigenfunctions that are not lost to rounding; the Matern kernel
of nu = 1/2 has them all, falling as 1 / j^2, a straight line here; the periodic kernel has waves, in pairs of equal
eigenvalue; the cubic polynomial has four, and then nothing; and a sum of kernels mixes those of its terms.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdeep import MercerFeatureMap
from skdeep.inspection import GramDisplay
from skdeep.kernels import RBF, Matern, Periodic, Polynomial

KERNELS = {
    "RBF, $\\ell$ = 0.2": RBF(0.2),
    "Matern, $\\nu$ = 1/2, $\\ell$ = 0.2": Matern(0.2, nu=0.5),
    "periodic, $\\ell$ = 1, period 0.5": Periodic(1.0, period=0.5),
    "polynomial, degree 3": Polynomial(3),
    "polynomial + 0.1 periodic": Polynomial(3) + 0.1 * Periodic(1.0, period=0.5),
}


def main():
    X = np.linspace(0, 1, 300)[:, None]
    figure, axes = plt.subplots(3, len(KERNELS), figsize=(15, 8), layout="constrained")
    print(f"{'kernel':36} components  share of the trace in the first 1, 2, 3, 4, 8")
    for column, (name, kernel) in zip(axes.T, KERNELS.items(), strict=True):
        display = GramDisplay.from_kernel(kernel, X, ax=column[:2])
        column[0].set_title(name)
        mercer = MercerFeatureMap(kernel, n_components=len(X)).fit(X)
        shares = np.cumsum(mercer.eigenvalues_) * len(X) / np.trace(display.gram)
        first = (f"{shares[min(n, len(shares)) - 1]:.4f}" for n in (1, 2, 3, 4, 8))
        print(f"{name:36} {mercer.n_components_:10} ", *first)
        # phi_i = psi_i / sqrt(lambda_i) have mean square 1.
        phi = mercer.transform(X) / np.sqrt(mercer.eigenvalues_)
        for i in range(4):
            column[2].plot(X, phi[:, i], label=f"{i + 1}")
        column[2].set(xlabel="x", ylim=(-2.5, 2.5))
        column[1].set(xscale="log", ylim=(1e-13, 2e3))
    axes[1, 0].set(ylabel="eigenvalues")
    axes[2, 0].set(ylabel="first four eigenfunctions")
    axes[2, 0].legend(ncols=4, fontsize="small", loc="lower center")
    figure.savefig("plot_mercer.png", dpi=120)
    print("saved plot_mercer.png")


if __name__ == "__main__":
    main()
