"""Both halves of skdeep on data that ships with scikit-learn: scores beside scikit-learn's own, and one figure."""

import argparse
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.callback import ProgressBar
from sklearn.datasets import load_diabetes, load_digits
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from skdeep import ConvNetClassifier, KernelRidgeDual
from skdeep.kernels import RBF, Linear


def digits():
    """A convolutional network on 8 x 8 images, its filters and learning rate chosen by a grid search."""
    X, y = load_digits(return_X_y=True)
    net = make_pipeline(MinMaxScaler(), ConvNetClassifier(kernel_size=3, max_iter=60, random_state=0))
    grid = {
        "convnetclassifier__filters": [(16, 32), (32, 64)],
        "convnetclassifier__learning_rate_init": [0.001, 0.003],
    }
    models = {
        "ConvNetClassifier": GridSearchCV(net, grid, cv=3).set_callbacks(ProgressBar()),
        "sklearn MLPClassifier": make_pipeline(MinMaxScaler(), MLPClassifier(max_iter=500, random_state=0)),
        "sklearn SVC": GridSearchCV(SVC(), {"C": [1, 10], "gamma": ["scale", 1e-3]}, cv=3),
    }
    return compare("digits, accuracy", models, *train_test_split(X, y, test_size=0.3, stratify=y, random_state=0))


def diabetes():
    """Kernel ridge regression with a composed kernel, its parameters searched by name."""
    X, y = load_diabetes(return_X_y=True)
    ridge = make_pipeline(StandardScaler(), KernelRidgeDual(kernel=Linear() + 10.0 * RBF(length_scale=5.0)))
    grid = {
        "kernelridgedual__alpha": [10.0, 30.0, 100.0],
        "kernelridgedual__kernel__rbf__scale": [10.0, 100.0, 1000.0],
        "kernelridgedual__kernel__rbf__kernel__length_scale": [3.0, 5.0, 10.0],
    }
    peer = make_pipeline(StandardScaler(), KernelRidge(kernel="rbf"))
    peer_grid = {"kernelridge__alpha": np.logspace(-3, 0, 7), "kernelridge__gamma": np.logspace(-4, -1, 7)}
    models = {
        "KernelRidgeDual": GridSearchCV(ridge, grid),
        "sklearn KernelRidge, rbf": GridSearchCV(peer, peer_grid),
        "sklearn Ridge": make_pipeline(StandardScaler(), Ridge()),
    }
    # The kernel models have no intercept: all learn the deviation from the training mean.
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
    mean = y_train.mean()
    return compare("diabetes, R2", models, X_train, X_test, y_train - mean, y_test - mean)


def compare(title, models, X_train, X_test, y_train, y_test):
    """Fit the models, print a line of test score and seconds for each, and return them with the test set."""
    rows = []
    for name, model in models.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        rows.append((name, model.score(X_test, y_test), time.perf_counter() - start))
    print(f"\n{title:<28}{'test score':>12}{'seconds':>10}")
    for name, score, seconds in rows:
        print(f"  {name:<26}{score:>12.3f}{seconds:>10.1f}")
    return models, X_test, y_test


def draw(net, ridge, X_test, y_test, file):
    """What the network and the kernel machine learned, in one figure."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    filters = net.coefs_[0][:, :, 0, :]
    tiles = np.pad(filters, ((0, 1), (0, 1), (0, 0)), constant_values=np.nan)
    tiles = np.hstack([np.vstack(list(column)) for column in np.split(tiles.transpose(2, 0, 1), filters.shape[2] // 4)])
    left.imshow(tiles[:-1, :-1], cmap="RdBu_r", vmin=-1, vmax=1)
    left.set(title="digits: first-layer filters", xticks=[], yticks=[])
    middle.semilogy(net.loss_curve_)
    middle.set(title="digits: training loss", xlabel="epoch", ylabel="cross-entropy")
    right.scatter(ridge.predict(X_test), y_test, s=10)
    right.axline((0, 0), slope=1, color="grey", linewidth=1)
    right.set(title="diabetes: test set", xlabel="predicted deviation", ylabel="true deviation")
    figure.savefig(file, dpi=120)
    print(f"\nFigure saved as {file}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="quickstart.png", help="file of the figure")
    output = parser.parse_args().output
    print("The first fit compiles the engine, once: later runs take it from the disk cache.")
    nets, *_ = digits()
    machines, X_test, y_test = diabetes()
    best_net = nets["ConvNetClassifier"].best_estimator_[-1]
    draw(best_net, machines["KernelRidgeDual"], X_test, y_test, output)
