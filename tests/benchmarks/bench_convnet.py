"""Convolutional networks against PyTorch: time of training and of prediction per image.

float32, 28 x 28 images, 10 classes, SGD with momentum, in one process, for both memory layouts of PyTorch;
PyTorch gets each batch as a slice that lies ready, skdeep gathers it in random order.

Run: python -m tests.benchmarks.bench_convnet, after pip install torch==2.13.0
"""

import numba
import numpy as np
import torch
from torch import nn

from skdeep.engine import program
from skdeep.networks.initialisers import xavier_uniform
from skdeep.networks.layers import Conv2D, Dense, MaxPool2D
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from skdeep.training.optimisers import SGD, hyperparameters
from tests.benchmarks._common import rounds, spread, start_up

OUTPUT = Dense(10, activation="identity")
NETS = {
    "LeNet-5": [
        *(Conv2D(6), MaxPool2D(), Conv2D(16, padding="valid"), MaxPool2D()),
        *(Dense(120), Dense(84), OUTPUT),
    ],
    "20-50-500": [
        *(Conv2D(20, padding="valid"), MaxPool2D(), Conv2D(50, padding="valid"), MaxPool2D()),
        *(Dense(500), OUTPUT),
    ],
    "VGG 32-32-64-64": [
        *(Conv2D(32, 3), Conv2D(32, 3), MaxPool2D(), Conv2D(64, 3), Conv2D(64, 3), MaxPool2D()),
        *(Dense(128), OUTPUT),
    ],
}
FIRST_FIT = """
import numpy as np
from skdeep import ConvNetClassifier
rng = np.random.default_rng(0)
X, y = rng.random((2048, 28, 28), np.float32), rng.integers(0, 10, 2048)
ConvNetClassifier(max_iter=1).fit(X, y)
"""


def torch_net(network, layout):
    """The same network in PyTorch, in one of its memory layouts."""
    modules, flat = [], False
    for bound in network.bound:
        layer, shape = bound.layer, bound.input_shape
        if isinstance(layer, Conv2D):
            padding = layer.kernel_size // 2 if layer.padding == "same" else 0
            modules += [nn.Conv2d(shape[2], layer.filters, layer.kernel_size, padding=padding), nn.ReLU()]
        elif isinstance(layer, MaxPool2D):
            modules.append(nn.MaxPool2d(layer.pool_size))
        else:
            modules += [] if flat else [nn.Flatten()]
            flat = True
            modules.append(nn.Linear(int(np.prod(shape)), layer.units))
            modules += [nn.ReLU()] if layer is not OUTPUT else []
    return nn.Sequential(*modules).to(memory_format=layout)


def torch_peers(network, X, y, batch_size, layout):
    """Functions that train one epoch, and predict, with PyTorch."""
    net = torch_net(network, layout)
    images = torch.from_numpy(X.reshape(-1, 1, 28, 28)).to(memory_format=layout)
    batches = list(zip(images.split(batch_size), torch.from_numpy(y).split(batch_size), strict=True))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def train():
        for inputs, targets in batches:
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(inputs), targets).backward()
            optimiser.step()

    def predict():
        with torch.inference_mode():
            for inputs, _ in batches:
                net(inputs)

    return train, predict


def our_functions(network, X, Y, batch_size):
    """Functions that train one epoch, and predict, with skdeep."""
    rng = np.random.RandomState(0)
    theta = network.initialise(xavier_uniform, rng, X.dtype)
    trained, fixed = Run(network, theta, batch_size), Run(network, theta, batch_size, training=False)
    order, hyper = rng.permutation(len(X)), hyperparameters(SGD(0.01))
    train = lambda: trained.train(X, Y, order, program.SOFTMAX_CROSS_ENTROPY, hyper)
    return train, lambda: fixed.predict(X)


def main():
    rng = np.random.default_rng(0)
    print("us per image, median (range); ratio = PyTorch's better layout / skdeep, round by round")
    header = f"{'net':<16}{'threads':>8}{'batch':>6}  {'work':<8}{'skdeep':>22}{'NCHW':>24}{'channels_last':>24}"
    print(header + f"{'ratio':>20}{'GFLOP/s':>9}")
    for name, layers in NETS.items():
        network = Network(layers, (28, 28, 1))
        n = 512 if name.startswith("VGG") else 2048
        X, y = rng.random((n, 784), np.float32), rng.integers(0, 10, n)
        Y = np.eye(10, dtype=np.float32)[y]
        for threads in (1, 2):
            numba.set_num_threads(threads)
            torch.set_num_threads(threads)
            for batch_size in (64, 128):
                ours = our_functions(network, X, Y, batch_size)
                layouts = torch.contiguous_format, torch.channels_last
                theirs = [torch_peers(network, X, y, batch_size, layout) for layout in layouts]
                flops = Run(network, np.zeros(network.n_parameters, np.float32), batch_size).program.work
                for i, work in enumerate(("training", "predict")):
                    taken = rounds([ours[i], *(peer[i] for peer in theirs)]) / n * 1e6
                    columns = "".join(f"{spread(column):>24}" for column in taken.T).removeprefix("  ")
                    ratio = spread(taken[:, 1:].min(axis=1) / taken[:, 0])
                    speed = flops * (1 if i else 3) / np.median(taken[:, 0]) / 1e3
                    row = f"{name:<16}{threads:>8}{batch_size:>6}  {work:<8}{columns}{ratio:>20}{speed:>9.0f}"
                    print(row, flush=True)
    cold, warm = start_up(FIRST_FIT)
    print(f"first fit of LeNet in a new process, imports included: {cold:.1f} s cold, {warm:.1f} s warm")


if __name__ == "__main__":
    main()
