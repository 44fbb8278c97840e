"""Convolutional networks against PyTorch: time of training and of prediction per image, of one image, and memory.

float32, 10 classes, SGD with momentum, in one process, for both memory layouts of PyTorch; PyTorch gets each batch as
a slice that lies ready, skdeep gathers it in random order. Beside the speed stands its share of what matrix products
reach in the same run. Two threads are set against one in rounds of their own: where a host puts the second core
changes from minute to minute. Peak memory is that of a process of its own that trains one epoch in batches of 128
(Linux only).

Run: python -m tests.benchmarks.bench_convnet, after pip install torch==2.13.0
"""

import functools
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from skdeep.engine import program
from skdeep.networks.initialisers import xavier_uniform
from skdeep.networks.layers import BatchNorm, Conv2D, Dense, MaxPool2D
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from skdeep.training.optimisers import SGD, hyperparameters
from tests.benchmarks._common import rounds, seconds, spread, start_up

OUTPUT = Dense(10, activation="identity")
NETS = {
    "LeNet-5": (
        (28, 28, 1),
        [Conv2D(6), MaxPool2D(), Conv2D(16, padding="valid"), MaxPool2D(), Dense(120), Dense(84), OUTPUT],
    ),
    "20-50-500": (
        (28, 28, 1),
        [Conv2D(20, padding="valid"), MaxPool2D(), Conv2D(50, padding="valid"), MaxPool2D(), Dense(500), OUTPUT],
    ),
    "VGG 32-32-64-64": (
        (28, 28, 1),
        [
            *(Conv2D(32, 3), Conv2D(32, 3), MaxPool2D(), Conv2D(64, 3), Conv2D(64, 3), MaxPool2D()),
            *(Dense(128), OUTPUT),
        ],
    ),
    "BN 32-64-128": (
        (32, 32, 3),
        [
            layer
            for filters in (32, 64, 128)
            for layer in (Conv2D(filters, 3, activation="identity"), BatchNorm(activation="relu"), MaxPool2D())
        ]
        + [OUTPUT],
    ),
}
SMALL = "LeNet-5", "20-50-500"
FIRST_FIT = """
import numpy as np
from skdeep import ConvNetClassifier
rng = np.random.default_rng(0)
X, y = rng.random((2048, 28, 28), np.float32), rng.integers(0, 10, 2048)
ConvNetClassifier(max_iter=1).fit(X, y)
"""


def data(name, n):
    """Rows of numbers and labels for a net."""
    rng = np.random.default_rng(0)
    return rng.random((n, np.prod(NETS[name][0])), np.float32), rng.integers(0, 10, n)


def torch_net(network, layout):
    """The same network in PyTorch, in one of its memory layouts."""
    from torch import nn

    modules, flat = [], False
    for bound in network.bound:
        layer, shape = bound.layer, bound.input_shape
        if isinstance(layer, Conv2D):
            padding = layer.kernel_size // 2 if layer.padding == "same" else 0
            modules.append(nn.Conv2d(shape[2], layer.filters, layer.kernel_size, padding=padding))
        elif isinstance(layer, BatchNorm):
            modules.append(nn.BatchNorm2d(shape[2]))
        elif isinstance(layer, MaxPool2D):
            modules.append(nn.MaxPool2d(layer.pool_size))
        else:
            modules += [] if flat else [nn.Flatten()]
            flat = True
            modules.append(nn.Linear(int(np.prod(shape)), layer.units))
        modules += [nn.ReLU()] if getattr(layer, "activation", "identity") == "relu" else []
    return nn.Sequential(*modules).to(memory_format=layout)


def torch_peers(network, X, y, batch_size, layout):
    """Functions that train one epoch, predict, and predict one image, with PyTorch."""
    import torch
    from torch.nn.functional import cross_entropy

    height, width, channels = network.input_shape
    training, fixed = torch_net(network, layout), torch_net(network, layout).eval()
    images = torch.from_numpy(X.reshape(-1, channels, height, width)).to(memory_format=layout)
    batches = list(zip(images.split(batch_size), torch.from_numpy(y).split(batch_size), strict=True))
    optimiser = torch.optim.SGD(training.parameters(), lr=0.01, momentum=0.9)

    def train():
        for inputs, targets in batches:
            optimiser.zero_grad(set_to_none=True)
            cross_entropy(training(inputs), targets).backward()
            optimiser.step()

    @torch.inference_mode()
    def predict():
        for inputs, _ in batches:
            fixed(inputs)

    @torch.inference_mode()
    def predict_one():
        for i in range(100):
            fixed(images[i : i + 1])

    return train, predict, predict_one


def our_functions(network, X, y, batch_size):
    """Functions that train one epoch, predict, and predict one image, with skdeep."""
    rng, Y = np.random.RandomState(0), np.eye(10, dtype=X.dtype)[y]
    theta = network.initialise(xavier_uniform, rng, X.dtype)
    trained = Run(network, theta, batch_size)
    fixed, one = (Run(network, theta, n, training=False) for n in (batch_size, 1))
    order, hyper = rng.permutation(len(X)), hyperparameters(SGD(0.01))

    def predict_one():
        for i in range(100):
            one.predict(X[i : i + 1])

    train = lambda: trained.train(X, Y, order, program.SOFTMAX_CROSS_ENTROPY, hyper)
    return train, lambda: fixed.predict(X), predict_one


def products(threads):
    """GFLOP/s of products of large matrices."""
    A = np.ones((2000, 2000), np.float32)
    with threadpool_limits(threads):
        return 2 * len(A) ** 3 / np.median([seconds(lambda: A @ A) for _ in range(5)]) / 1e9


def bench_net(name):
    """Print a line for each number of threads, batch size and work."""
    import torch

    shape, layers = NETS[name]
    network = Network(layers, shape)
    X, y = data(name, 2048 if name in SMALL else 512)
    for threads in (1, 2):
        numba.set_num_threads(threads)
        torch.set_num_threads(threads)
        for batch_size in (64, 128):
            ours = our_functions(network, X, y, batch_size)
            layouts = torch.contiguous_format, torch.channels_last
            theirs = [torch_peers(network, X, y, batch_size, layout) for layout in layouts]
            peak = products(threads)
            flops = Run(network, np.zeros(network.n_parameters, np.float32), batch_size).program.work
            for i, work in enumerate(("training", "predict", "one image")):
                if work == "one image" and (threads, batch_size) != (2, 128):
                    continue
                taken = rounds([ours[i], *(peer[i] for peer in theirs)]) / (100 if i == 2 else len(X)) * 1e6
                columns = "".join(f"{spread(column):>26}" for column in taken.T)
                ratio = spread(taken[:, 1:].min(axis=1) / taken[:, 0])
                share = flops * (1 if i else 3) / np.median(taken[:, 0]) / 1e3 / peak
                print(f"{name:<16}{threads:>8}{batch_size:>6}  {work:<10}{columns}{ratio:>20}{share:>8.0%}", flush=True)


def on_threads(n, function):
    numba.set_num_threads(n)
    function()


def scaling(name):
    """Print how many times as fast two threads are as one."""
    network, (X, y) = Network(NETS[name][1], NETS[name][0]), data(name, 2048 if name in SMALL else 512)
    for batch_size in (64, 128):
        train, predict, _ = our_functions(network, X, y, batch_size)
        for work, function in (("training", train), ("predict", predict)):
            both = [functools.partial(on_threads, n, function) for n in (1, 2)]
            one, two = rounds(both, n_rounds=15, rest=0).T
            print(f"{name}, batch {batch_size}, {work}: 2 threads {spread(one / two)} x 1", flush=True)


def train_one_epoch(name, whose):
    """The work of a process whose memory is measured; prints its peak in MiB."""
    network, (X, y) = Network(NETS[name][1], NETS[name][0]), data(name, 1024)
    if whose == "PyTorch":
        import torch

        torch.set_num_threads(2)
        train, *_ = torch_peers(network, X, y, 128, torch.channels_last)
    else:
        train, *_ = our_functions(network, X, y, 128)
    train()
    # getrusage would tell that of the parent, from whom the process was forked, if it was larger.
    print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024)


def peaks(name):
    """Peak memory of both, in MiB."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_convnet", name]
    run = lambda whose: subprocess.run([*command, whose], capture_output=True, text=True, check=True)
    return [float(run(whose).stdout) for whose in ("skdeep", "PyTorch")]


def main():
    print("us per image, median (range); ratio = PyTorch's better layout / skdeep, round by round")
    print(
        f"{'net':<16}{'threads':>8}{'batch':>6}  {'work':<10}{'skdeep':>26}{'NCHW':>26}{'channels_last':>26}"
        f"{'ratio':>20}{'of GEMM':>8}"
    )
    for name in NETS:
        bench_net(name)
    for name in NETS:
        scaling(name)
    for name in NETS:
        ours, theirs = peaks(name)
        print(f"{name}: peak memory {ours:.0f} MiB, PyTorch {theirs:.0f}")
    cold, warm = start_up(FIRST_FIT)
    print(f"first fit of LeNet in a new process, imports included: {cold:.1f} s cold, {warm:.1f} s warm")


if __name__ == "__main__":
    train_one_epoch(*sys.argv[1:]) if sys.argv[1:] else main()
