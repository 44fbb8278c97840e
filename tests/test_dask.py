"""The example of kernel ridge regression in two processes: the local model, also where one of them dies."""

import os
import runpy
import signal
from pathlib import Path

import numpy as np
import pytest

from skdeep import KernelRidgeDual
from skdeep.kernels import RBF

distributed = pytest.importorskip("distributed")
EXAMPLE = Path(__file__).parents[1] / "examples" / "kernel_ridge_dask.py"


class Deadly(KernelRidgeDual):
    """A model whose first partial_fit of all ends its process when all but done; `mark` is a file that tells."""

    def partial_fit(self, X, y, sample_weight=None):
        super().partial_fit(X, y, sample_weight)
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return self
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.filterwarnings("ignore")  # what dask and its event loop say of a worker that is gone
@pytest.mark.parametrize("model", [KernelRidgeDual, Deadly])
def test_blocks_in_two_processes_give_the_local_model(model, tmp_path):
    array = pytest.importorskip("dask.array")
    example, rng = runpy.run_path(str(EXAMPLE)), np.random.default_rng(0)
    X, y = rng.normal(size=(900, 3)), rng.normal(size=900)
    settings = {"kernel": RBF(2.0), "solver": "nystroem", "landmarks": X[:50], "fit_intercept": True}
    empty = model(0.1, **settings)
    empty.mark = tmp_path / "mark"
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "local_directory": tmp_path}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        merged = example["fit_blocks"](
            client, empty, array.from_array(X, chunks=(100, 3)), array.from_array(y, chunks=100)
        )
    assert empty.mark.exists() == (model is Deadly)
    assert not hasattr(empty, "dual_coef_")
    np.testing.assert_allclose(merged.predict(X), KernelRidgeDual(0.1, **settings).fit(X, y).predict(X), atol=1e-10)
