"""Convolutions and pools forward: against scipy.signal, in both memory formats, in both precisions."""

import numpy as np
import pytest
from scipy.signal import correlate2d
from sklearn.base import clone

from skdeep import ConvNetClassifier
from skdeep.networks import (
    Activation,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    GlobalAvgPool2D,
    LocallyConnected2D,
    MaxPool2D,
    Residual,
)
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from tests import _reference as reference


def maps(layers, X, *parameters, data_format="NHWC"):
    """What `layers` make of images X, read through a dense layer of identity weights, which adds only zeros.

    `parameters` are the weights and bias of each convolution in turn.
    """
    shape = X.shape[1:]
    for layer in layers:
        shape = layer.output_shape(shape)
    readout = Dense(int(np.prod(shape)), activation="identity")
    network = Network([*layers, readout], X.shape[1:], data_format)
    theta = np.zeros(network.n_parameters, X.dtype)
    slots = [slot for bound in network.with_weights for slot in (bound.weights, bound.bias)]
    for slot, values in zip(slots[:-2], parameters, strict=True):
        slot.view(theta)[...] = values
    slots[-2].view(theta)[...] = np.eye(readout.units)
    rows = X if data_format == "NHWC" else X.transpose(0, 3, 1, 2)
    rows = np.ascontiguousarray(rows.reshape(len(X), -1))
    return Run(network, theta, min(len(X), 32), training=False).predict(rows).reshape(len(X), *shape)


def scipy_maps(X, W, stride, margins):
    """Correlation of images (n, height, width, channels), padded by `margins`, image by image with scipy.signal."""
    X = np.pad(X, ((0, 0), *margins, (0, 0)))
    sums = [
        [sum(correlate2d(x[..., c], W[..., c, k], mode="valid") for c in range(W.shape[2])) for k in range(W.shape[3])]
        for x in X
    ]
    return np.transpose(sums, (0, 2, 3, 1))[:, :: stride[0], :: stride[1]]


# ------------------------------------------------------------------------------------- convolution

# kernel, stride, padding, and the rows above and below, left and right that it means for 9 x 8 pixels.
SAME = [
    ((3, 3), (1, 1), "same", ((1, 1), (1, 1))),
    ((5, 5), (1, 1), "same", ((2, 2), (2, 2))),
    ((2, 4), (1, 1), "same", ((0, 1), (1, 2))),
    ((1, 1), (1, 1), "same", ((0, 0), (0, 0))),
    ((3, 3), (2, 2), "same", ((1, 1), (0, 1))),
    ((1, 2), (3, 4), "same", ((0, 0), (0, 0))),
]
OTHERS = [
    ((3, 3), (1, 1), "valid", ((0, 0), (0, 0))),
    ((9, 8), (1, 1), "valid", ((0, 0), (0, 0))),
    ((1, 8), (1, 1), "valid", ((0, 0), (0, 0))),
    ((4, 2), (3, 2), "valid", ((0, 0), (0, 0))),
    ((2, 2), (5, 7), "valid", ((0, 0), (0, 0))),
    ((5, 5), (1, 1), 1, ((1, 1), (1, 1))),
    ((3, 3), (2, 1), 2, ((2, 2), (2, 2))),
    ((3, 2), (1, 3), (0, 3), ((0, 0), (3, 3))),
    ((11, 9), (1, 1), (1, 1), ((1, 1), (1, 1))),
    ((2, 2), (1, 1), 4, ((4, 4), (4, 4))),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kernel", "stride", "padding", "margins"), SAME + OTHERS)
def test_scipy(kernel, stride, padding, margins, dtype, rng):
    # Integers of at most 3: their sums are exact in both precisions.
    X = rng.integers(-3, 4, (5, 9, 8, 3)).astype(dtype)
    W, b = rng.integers(-3, 4, (*kernel, 3, 4)), rng.integers(-3, 4, 4)
    layer = Conv2D(4, kernel, stride=stride, padding=padding, activation="identity")
    want = scipy_maps(X, W, stride, margins) + b
    np.testing.assert_array_equal(maps([layer], X, W, b), want)
    np.testing.assert_array_equal(reference.correlate(X, W, stride, padding) + b, want)


@pytest.mark.parametrize("n_images", [1, 2, 7, 16, 17, 33])
@pytest.mark.parametrize(("n_inputs", "n_outputs"), [(1, 1), (3, 6), (6, 3), (7, 17), (17, 7)])
def test_scipy_over_channels_and_images(n_inputs, n_outputs, n_images, rng):
    X = rng.integers(-3, 4, (n_images, 4, 5, n_inputs)).astype(np.float32)
    W, b = rng.integers(-3, 4, (3, 2, n_inputs, n_outputs)), rng.integers(-3, 4, n_outputs)
    layer = Conv2D(n_outputs, (3, 2), padding=1, activation="identity")
    np.testing.assert_array_equal(maps([layer], X, W, b), scipy_maps(X, W, (1, 1), ((1, 1), (1, 1))) + b)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-14)])
def test_scipy_on_reals(dtype, tolerance, rng):
    # 75 products of unit size: the tolerance is some hundred roundings of each precision.
    X, W, b = rng.normal(size=(5, 9, 8, 3)), rng.normal(size=(5, 5, 3, 4)), rng.normal(size=4)
    got = maps([Conv2D(4, 5, activation="identity")], X.astype(dtype), W, b)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, scipy_maps(X, W, (1, 1), ((2, 2), (2, 2))) + b, rtol=0, atol=75 * tolerance)


def test_edge_detection():
    image = np.zeros((1, 6, 6, 1))
    image[:, :, :3] = 10
    W = np.tile([1.0, 0, -1], (3, 1))[..., None, None]
    edges = maps([Conv2D(1, 3, padding="valid", activation="identity")], image, W, 0)
    np.testing.assert_array_equal(edges[0, :, :, 0], np.tile([0, 30, 30, 0], (4, 1)))


def test_twenty_filters_on_grey_images(rng):
    layer = Conv2D(20, 5, stride=1, padding=1, activation="relu")
    assert layer.output_shape((28, 28, 1)) == (26, 26, 20)
    X = rng.integers(0, 4, (3, 28, 28, 1)).astype(np.float32)
    W, b = rng.integers(-3, 4, (5, 5, 1, 20)), rng.integers(-3, 4, 20)
    # Not read through 13520 x 13520 identity weights, but through a random sum of each of the 20 maps, just as exact.
    network = Network([layer, Dense(20, activation="identity")], (28, 28, 1))
    theta = np.zeros(network.n_parameters, np.float32)
    network.coefs(theta)[0][...], network.intercepts(theta)[0][...] = W, b
    codes = rng.integers(0, 3, (26 * 26, 1, 1)) * np.eye(20)
    network.coefs(theta)[1][...] = codes.reshape(-1, 20)
    got = Run(network, theta, 3, training=False).predict(X.reshape(3, -1))
    want = np.maximum(scipy_maps(X, W, (1, 1), ((1, 1), (1, 1))) + b, 0)
    np.testing.assert_array_equal(got, np.einsum("npk,pkl->nl", want.reshape(3, 676, 20), codes))


@pytest.mark.parametrize("activation", reference.MONOTONE)
def test_bias_and_activation(activation, rng):
    X, W, b = rng.normal(size=(3, 5, 6, 2)), rng.normal(size=(3, 3, 2, 5)), rng.normal(size=5)
    for layers in ([Conv2D(5, 3, activation=activation)], [Conv2D(5, 3, activation=activation), MaxPool2D(2)]):
        want = reference.forward(layers, [W], [b], X)
        # The same 18 products in another order, and 2 ulp of the activation.
        np.testing.assert_allclose(maps(layers, X, W, b), want, rtol=1e-13, atol=1e-13)


# ------------------------------------------------------------------------------------------- pools


@pytest.mark.parametrize(
    ("size", "stride"),
    [(1, None), (2, None), ((3, 2), None), ((9, 8), None), (3, 1), (3, 2), ((2, 3), (3, 1)), (2, 3), ((1, 4), (2, 2))],
)
def test_max_pool(size, stride, rng):
    X = rng.integers(-9, 10, (17, 9, 8, 3)).astype(np.float32)
    W, b = rng.integers(-2, 3, (1, 1, 3, 7)), rng.integers(-9, 10, 7)
    layers = [Conv2D(7, 1, activation="identity"), MaxPool2D(size, stride=stride)]
    want = reference.max_pool(X @ W[0, 0].astype(np.float32) + b, size, stride)
    np.testing.assert_array_equal(maps(layers, X, W, b), want)


def test_padding_is_no_candidate_of_a_pool():
    # All sums are negative: zeros from the padding or from an unfilled tile would win.
    X = np.full((2, 5, 5, 1), -1.0)
    got = maps([Conv2D(3, 1, activation="identity"), MaxPool2D(2)], X, np.ones((1, 1, 1, 3)), -1)
    np.testing.assert_array_equal(got, np.full((2, 2, 2, 3), -2))


def test_nan_comes_through(rng):
    X = rng.normal(size=(3, 4, 4, 1))
    X[1, 2, 2] = np.nan
    layers = [Conv2D(2, 1, activation="relu"), MaxPool2D(2)]
    got = maps(layers, X, np.ones((1, 1, 1, 2)), 0)
    # The reading product is a sum over the sample: the sample has NaN, the others have none.
    assert np.isnan(got[1]).all()
    assert np.isfinite(got[[0, 2]]).all()


# ----------------------------------------------------------------------------- formats and precision


def test_formats_of_memory(rng):
    X, W, b = rng.normal(size=(17, 6, 5, 3)), rng.normal(size=(3, 3, 3, 4)), rng.normal(size=4)
    layers = [Conv2D(4, 3), MaxPool2D(2)]
    np.testing.assert_array_equal(maps(layers, X, W, b), maps(layers, X, W, b, data_format="NCHW"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formats_of_memory_in_training(dtype, rng):
    X, y = rng.normal(size=(50, 6, 5, 3)).astype(dtype), rng.integers(0, 3, 50)
    last = ConvNetClassifier(4, kernel_size=3, hidden_layer_sizes=5, max_iter=3, batch_size=16, random_state=0)
    first = clone(last).set_params(data_format="NCHW")
    X_first = X.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(first.fit(X_first, y).theta_, last.fit(X, y).theta_)
    np.testing.assert_array_equal(first.predict_proba(X_first), last.predict_proba(X))
    assert first.image_shape_in_ == last.image_shape_in_ == (6, 5, 3)


def test_precisions_agree(rng):
    X, y = rng.normal(size=(60, 8, 8)), rng.integers(0, 3, 60)
    net = ConvNetClassifier((4, 6), kernel_size=3, hidden_layer_sizes=10, max_iter=2, activation="tanh", random_state=0)
    double = net.fit(X, y).predict_proba(X)
    single = net.fit(X.astype(np.float32), y).predict_proba(X.astype(np.float32))
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    # The same draws and two steps of Adam, whose first steps divide gradients by their size: noise of 1e-7 grows some.
    np.testing.assert_allclose(single, double, atol=1e-4)


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([Conv2D(3, 7, padding="valid")], (5, 9, 1), r"Conv2D\(.*kernel_size=7.*\) does not fit its input of 5 x 9"),
        ([Conv2D(3, (2, 9), padding=1)], (5, 6, 1), r"Conv2D\(.*kernel_size=\(2, 9\).*does not fit .* 5 x 6"),
        ([Conv2D(3, 3), MaxPool2D(6)], (5, 5, 1), r"MaxPool2D\(pool_size=6\) does not fit its input of 5 x 5"),
        ([Conv2D(3, 3, stride=0)], (5, 5, 1), "'stride' parameter of Conv2D.*Got 0"),
        ([Conv2D(3, (0, 2))], (5, 5, 1), r"kernel_size must be an integer of at least 1 or a pair.*\(0, 2\)"),
        ([Conv2D(3, 3, padding=-1)], (5, 5, 1), "'padding' parameter of Conv2D.*Got -1"),
        ([Conv2D(3, (1, 2, 3))], (5, 5, 1), r"kernel_size must be .*\(1, 2, 3\)"),
        ([Conv2D(3, 3)], (25,), r"Conv2D\(.*\) needs maps.*\(25,\)"),
        ([Dense(3), MaxPool2D(2)], (5, 5, 1), r"MaxPool2D\(\) needs maps.*\(3,\).*before the first Flatten"),
        ([Conv2D(3, 3), Dense(3), Conv2D(4, 1)], (5, 5, 1), r"Conv2D\(.*\) needs maps.*\(3,\)"),
        ([Conv2D(3, 3, padding="valid", dilation=3)], (6, 9, 1), r"Conv2D\(.*dilation=3.*\) does not fit .* 6 x 9"),
        ([Conv2D(6, 3, groups=4)], (5, 5, 8), r"Conv2D\(.*8 channels .* 6 filters into 4 groups: groups=2 would fit"),
        ([LocallyConnected2D(3, 6, padding="valid")], (5, 9, 1), r"LocallyConnected2D\(.*\) does not fit .* 5 x 9"),
        ([Conv2D(3, 3), AvgPool2D((2, 6))], (5, 5, 1), r"AvgPool2D\(.*\) does not fit its input of 5 x 5"),
        ([GlobalAvgPool2D(), GlobalAvgPool2D()], (5, 5, 3), r"GlobalAvgPool2D\(\) needs maps.*\(3,\)"),
        ([Dropout(spatial=True)], (25,), r"Dropout\(.*spatial=True\) needs maps.*\(25,\)"),
        ([Residual([Dense(3)])], (25,), r"Residual\(.*\) needs maps.*\(25,\)"),
        ([Residual([Dense(3)])], (5, 5, 3), r"Residual\(.*cannot add its input of shape \(5, 5, 3\).*of shape \(3,\)"),
        ([Residual([Conv2D(3, 2, padding="valid")])], (5, 5, 3), r"Residual\(.*cannot add .*\(5, 5, 3\).*\(4, 4, 3\)"),
        ([Residual([Conv2D(3, 7, padding="valid")])], (5, 5, 3), r"Conv2D\(.*does not fit .* 5 x 5"),
    ],
)
def test_layers_that_do_not_fit(layers, shape, message):
    with pytest.raises(ValueError, match=message):
        Network([*layers, Dense(2)], shape)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Conv2D(0), "filters"),
        (Conv2D(2.5), "filters"),
        (Conv2D(2, 2.5), "kernel_size"),
        (Conv2D(2, stride=1.5), "stride"),
        (Conv2D(2, padding=None), "padding"),
        (Conv2D(2, activation="softsign"), "activation"),
        (Conv2D(2, dilation=0), "dilation"),
        (Conv2D(2, dilation=(1, 2, 3)), "dilation"),
        (Conv2D(2, groups=0), "groups"),
        (LocallyConnected2D(0), "filters"),
        (LocallyConnected2D(2, activation="softsign"), "activation"),
        (MaxPool2D(2.5), "pool_size"),
        (AvgPool2D(2, stride=0), "stride"),
        (Activation("softsign"), "activation"),
        (BatchNorm(activation="softsign"), "activation"),
        (Dropout(1.0), "rate"),
        (Dropout(-0.1), "rate"),
        (Dropout(spatial="yes"), "spatial"),
        (Residual(Conv2D(2)), "layers"),
        (Residual(["conv"]), "Residual.*got 'conv'"),
        (Residual([Conv2D(2)], activation="softsign"), "activation"),
        (Dense(0), "units"),
        (Dense(-1), "units"),
        (Dense(2.5), "units"),
        (Dense(2, activation="softsign"), "activation"),
    ],
    ids=repr,
)
def test_layers_with_impossible_parameters(layer, name):
    with pytest.raises((ValueError, TypeError), match=name):
        Network([layer, Dense(2)], (9, 9, 1))


def test_dense_layers_take_images(rng):
    X = rng.integers(-3, 4, (5, 4, 3, 2)).astype(float)
    network = Network([Dense(3, activation="identity")], (4, 3, 2))
    theta = rng.integers(-3, 4, network.n_parameters).astype(float)
    (W,), (b,) = network.coefs(theta), network.intercepts(theta)
    got = Run(network, theta, 5, training=False).predict(X.reshape(5, -1))
    np.testing.assert_array_equal(got, X.reshape(5, -1) @ W + b)
