"""Published and promised figures on real data, where it is there."""

from pathlib import Path

import numpy as np
import pytest

from skdeep import ConvNetClassifier

DATA = Path(__file__).parents[1].parent / "shared" / "data"


def load(name):
    """The arrays of a file by name; the test is skipped where there is none."""
    path = DATA / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"{name}.npz is not in {DATA}")
    with np.load(path) as arrays:
        return dict(arrays)


def test_lenet_on_fashion_mnist():
    # 0.87 is what scikit-learn's perceptron of 100 units reaches, 0.88 its gradient boosting.
    data = load("fashion_mnist")
    X, X_test = (data[part].astype(np.float32) / 255 for part in ("X_train", "X_test"))
    net = ConvNetClassifier(max_iter=5, random_state=0).fit(X, data["y_train"])
    assert net.batch_size == 128
    assert net.theta_.dtype == np.float32
    assert net.score(X_test, data["y_test"]) >= 0.88
