"""Feature maps against scikit-learn's `Nystroem` and `RBFSampler` of equal size.

Prints seconds of the peer over seconds of ours for fit and transform together and for transform alone, median and
range over rounds that take each in turn, and the error of both: of Nystroem the trace of K minus its approximation,
relative to that of K; of random features the root mean square over pairs, where values are at most 1; both as means
over five seeds on 1000 samples.
Run: python -m tests.benchmarks.bench_feature_map [n_samples]
"""

import sys

import numba
import numpy as np
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.metrics.pairwise import rbf_kernel

from skdeep import NystroemFeatureMap, RandomFourierFeatureMap
from tests.benchmarks._common import rounds, spread


def trace_error(phi, K):
    """What is missing of the trace of K, relative to it."""
    return 1 - np.einsum("ij,ij", phi, phi, dtype=np.float64) / np.trace(K)


def root_mean_square(phi, K):
    return np.sqrt(np.mean((phi @ phi.T - K) ** 2))


PAIRS = {
    "Nystroem": (NystroemFeatureMap, Nystroem, trace_error),
    "Nystroem, pivots": (
        lambda **params: NystroemFeatureMap(landmarks="rpcholesky", **params),
        Nystroem,
        trace_error,
    ),
    "random Fourier": (RandomFourierFeatureMap, RBFSampler, root_mean_square),
}


def clusters(n, d, dtype):
    """Samples about 20 centres, so that the spectrum decays as that of real tables does."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal((20, d))[rng.integers(20, size=n)] + 0.5 * rng.standard_normal((n, d))).astype(dtype)


def errors(estimators, measure, X, params):
    """Of each estimator, the mean over seeds."""
    K = rbf_kernel(X.astype(np.float64), gamma=params["gamma"])
    maps = lambda estimator: (estimator(random_state=seed, **params).fit_transform(X) for seed in range(5))
    return [np.mean([measure(phi, K) for phi in maps(estimator)]) for estimator in estimators]


def main(n=20_000):
    print(f"n = {n}, {numba.get_num_threads()} threads, numba {numba.__version__}; times are peer / ours")
    print(f"{'map':18} {'dtype':8} {'d':>4} {'m':>5}  {'both':22} {'transform':22} {'ms':>8} {'error':>9} {'peer':>9}")
    for d, m in ((8, 100), (20, 500), (100, 500), (784, 500)):
        for dtype in (np.float32, np.float64):
            X, params = clusters(n, d, dtype), {"gamma": 0.5 / d, "n_components": m}
            for name, (*estimators, measure) in PAIRS.items():
                fitted = [estimator(random_state=0, **params) for estimator in estimators]
                both = rounds([lambda each=each: each.fit_transform(X) for each in fitted])  # noqa: B023
                transforms = rounds([lambda each=each: each.transform(X) for each in fitted])  # noqa: B023
                mine, other = errors(estimators, measure, X[:1000], params)
                print(
                    f"{name:18} {dtype.__name__:8} {d:4} {m:5}  {spread(both[:, 1] / both[:, 0]):22} "
                    f"{spread(transforms[:, 1] / transforms[:, 0]):22} {1e3 * np.median(transforms[:, 0]):8.1f} "
                    f"{mine:9.2g} {other:9.2g}",
                    flush=True,
                )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
