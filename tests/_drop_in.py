"""A pytest plugin that puts skdeep's estimators in the place of scikit-learn's: `-p tests._drop_in`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn.kernel_approximation
import sklearn.kernel_ridge
import sklearn.neural_network

import skdeep

# What reaches into scikit-learn's own private state, and why it cannot be asked of another implementation.
LEFT_OUT = {
    "test_fit": "presets coefs_ and intercepts_ of an unfitted net through its private lists; here they are views",
    "test_gradient": "calls the private _loss_grad_lbfgs with lists of work arrays; tests/test_backpropagation.py "
    "checks the gradients",
}


def counts_of(module, *options):
    """How many of scikit-learn's own tests in this module pass and are skipped, in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-p", "tests._drop_in", "-p", "no:cacheprovider", "-q", "--pyargs"]
    done = subprocess.run(
        [*command, *options, module], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {word: int(n) for n, word in re.findall(r"(\d+) (passed|skipped|failed|error)", done.stdout)}


def pytest_configure(config):
    sklearn.kernel_ridge.KernelRidge = skdeep.KernelRidgeDual
    sklearn.neural_network.MLPClassifier = skdeep.MLPBackpropClassifier
    sklearn.neural_network.MLPRegressor = skdeep.MLPBackpropRegressor
    sklearn.kernel_approximation.Nystroem = skdeep.NystroemFeatureMap


def pytest_collection_modifyitems(items):
    for item in items:
        if item.originalname in LEFT_OUT:
            item.add_marker(pytest.mark.skip(reason=LEFT_OUT[item.originalname]))
