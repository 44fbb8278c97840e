"""Which layers convolutional networks refuse, by parameters or as objects, and in which words."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from skdeep.networks import (
    Activation,
    AvgPool2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LocallyConnected2D,
    MaxPool2D,
    Residual,
)
from tests._bad_input import CONVNETS, fitted, outputs, target

pytestmark = pytest.mark.usefixtures("serial")

X = np.round(8 * np.random.default_rng(0).normal(size=(40, 6, 4))) / 8
NAMED = [("conv1", Conv2D(2, 3)), ("dense1", Dense(3))]


def assert_refused(estimator, settings, match, error=ValueError):
    """That fit refuses the settings, whether they come by set_params or to __init__, and learns nothing."""
    for net in (clone(estimator).set_params(**settings), type(estimator)(**estimator.get_params() | settings)):
        with pytest.raises(error, match=match):
            net.fit(X, target(net))
        assert not hasattr(net, "theta_")


# -------------------------------------------------------------------------------------- flat parameters


@CONVNETS
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("kernel_size", [2]),
        ("stride", [1, 1, 1]),
        ("padding", ["same"]),
        ("dilation", []),
        ("groups", [1]),
        ("pool", ["max", None, "avg"]),
        ("pool_size", [2]),
        ("pool_stride", [None]),
        ("conv_batch_norm", [True]),
        ("conv_dropout", [0.1]),
        ("residual", [True]),
        ("locally_connected", [False]),
    ],
)
def test_lists_of_another_length(estimator, name, values):
    message = rf"{name}=\[.*\] must be one value, or a list of one for each of the 2 convolutions"
    assert_refused(estimator, {"filters": (2, 3), name: values}, message)


@CONVNETS
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel_size", 0),
        ("kernel_size", None),
        ("stride", "2"),
        ("padding", "full"),
        ("padding", -1),
        ("dilation", 1.5),
        ("groups", (1, 1)),
        ("pool", "min"),
        ("pool_size", 0),
        ("pool_stride", 0),
        ("conv_batch_norm", "yes"),
        ("conv_dropout", 1.0),
        ("conv_dropout", "half"),
        ("residual", 3),
        ("locally_connected", None),
    ],
)
def test_lists_with_one_that_is_wrong(estimator, name, value):
    good = getattr(estimator, name)
    message = f"'{name}' parameter of {type(estimator).__name__} must be .* Got {re.escape(repr(value))}"
    assert_refused(estimator, {"filters": (2, 3), name: [good, value]}, message, InvalidParameterError)


@CONVNETS
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filters": (3, 0)}, r"filters must be integers of at least 1, got \(3, 0\)"),
        ({"filters": [[3]]}, r"filters must be integers of at least 1, got \[\[3\]\]"),
        ({"filters": (2, "a")}, r"filters must be integers of at least 1, got \(2, 'a'\)"),
        (
            {"kernel_size": (1, 2, 3)},
            r"kernel_size must be an integer of at least 1 or a pair of them, got \(1, 2, 3\)",
        ),
        ({"kernel_size": (3, 0)}, r"kernel_size must be .* got \(3, 0\)"),
        ({"kernel_size": (2.5, 2)}, r"kernel_size must be .* got \(2.5, 2\)"),
        ({"kernel_size": [(3, 0)]}, r"kernel_size must be .* got \(3, 0\)"),
        ({"stride": (1, 0)}, r"stride must be .* got \(1, 0\)"),
        ({"dilation": (1, 0)}, r"dilation must be .* got \(1, 0\)"),
        ({"padding": (1, -1)}, r"padding must be an integer of at least 0 or a pair of them, got \(1, -1\)"),
        ({"pool_size": (1, 0)}, r"pool_size must be .* got \(1, 0\)"),
        ({"pool_stride": (1, 0)}, r"stride must be .* got \(1, 0\)"),
        ({"activation": ["relu"]}, r"activation=\['relu'\] .* one for each of the 2 convolutions and hidden layers"),
        ({"activation": ["relu", "swish"]}, "'activation' parameter of Dense .* Got 'swish'"),
        ({"dropout": [0.1, 0.2]}, r"dropout=\[0.1, 0.2\] .* one for each of the 1 hidden layers"),
        ({"groups": 2}, r"Conv2D\(.*groups=2.* its input of 1 channels and its 2 filters .* groups=1 would fit both"),
        (
            {"filters": (4, 6), "groups": [1, 4]},
            r"Conv2D\(.*groups=4.* its input of 4 channels and its 6 filters .* groups=2 would fit both",
        ),
        # Kernels are clipped to the maps, but not what dilation makes of them.
        (
            {"kernel_size": 3, "dilation": 3, "padding": "valid"},
            r"Conv2D\(dilation=3.* does not fit its input of 6 x 4 pixels: a window of at most that size, or more pad",
        ),
        (
            {"residual": True, "padding": "valid"},
            r"(?s)Residual\(.*shape \(6, 4, 1\) to .*\(4, 2, 2\).*padding=\"same\"",
        ),
    ],
    ids=str,
)
def test_parameters_that_do_not_go_together(estimator, settings, message):
    assert_refused(estimator, settings, message)


# --------------------------------------------------------------------------------------- layer objects


@CONVNETS
@pytest.mark.parametrize(
    ("layers", "got"),
    [
        ([3], "3"),
        ([None], "None"),
        (["dense"], "'dense'"),
        (["ab"], "'ab'"),
        ([Dense], "<class"),
        ([[Dense(3)]], r"\[Dense"),
        ([Dense(3), None], "None"),
        ([("dense1", 3)], "3"),
        ([("dense1", None)], "None"),
        ([("dense1", Dense)], "<class"),
        ([("dense1", Dense(3), 1)], r"\('dense1', Dense\(units=3\), 1\)"),
        ([(1, Dense(3))], r"\(1, Dense"),
        ([("dense1", Dense(3)), Dense(3)], r"\('dense1', Dense"),
    ],
    ids=str,
)
def test_what_are_no_layers(estimator, layers, got):
    message = f"layers must be objects of skdeep.networks such as .* got {got}"
    assert_refused(estimator, {"layers": layers}, message, TypeError)


@CONVNETS
def test_what_are_no_layers_of_a_residual(estimator):
    message = r"Residual\(layers=\[3\]\) must have objects of skdeep.networks as layers, got 3"
    assert_refused(estimator, {"layers": [Residual([3])]}, message, TypeError)


@CONVNETS
@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("same", "same"), "not unique"),
        (("output", "other"), "not unique"),
        (("a__b", "other"), "must not contain __"),
        (("pool", "other"), r"conflict.*\['pool'\]"),
    ],
)
def test_names_of_layers(estimator, names, problem):
    layers = list(zip(names, (Conv2D(2, 3), Dense(3)), strict=True))
    message = (
        f'Names of layers must be unique, neither parameters of {type(estimator).__name__} nor "output".*{problem}'
    )
    assert_refused(estimator, {"layers": layers}, message)


@CONVNETS
@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Dense(0), "units"),
        (Dense("3"), "units"),
        (Dense(3, activation="swish"), "activation"),
        (Conv2D(2.5), "filters"),
        (Conv2D(2, None), "kernel_size"),
        (Conv2D(2, stride=0), "stride"),
        (Conv2D(2, padding="full"), "padding"),
        (Conv2D(2, dilation=0), "dilation"),
        (Conv2D(2, groups=0), "groups"),
        (LocallyConnected2D(0), "filters"),
        (MaxPool2D(0), "pool_size"),
        (AvgPool2D(2, stride=-1), "stride"),
        (Dropout(1.0), "rate"),
        (Activation("swish"), "activation"),
        (Residual(3), "layers"),
    ],
    ids=str,
)
def test_parameters_of_layers(estimator, layer, name):
    message = f"'{name}' parameter of {type(layer).__name__} must be .* Got"
    assert_refused(estimator, {"layers": [layer]}, message, InvalidParameterError)
    if name != "layers":
        assert_refused(estimator, {"layers": [Residual([Conv2D(1, 3), layer])]}, message, InvalidParameterError)


@CONVNETS
@pytest.mark.parametrize(
    "layer",
    [
        Conv2D(2, 5, padding="valid"),
        Conv2D(2, (3, 5), padding="valid"),
        Conv2D(2, 3, padding="valid", dilation=3),
        LocallyConnected2D(2, 5, padding="valid"),
        MaxPool2D(5),
        AvgPool2D((7, 1)),
    ],
    ids=str,
)
def test_windows_larger_than_the_map(estimator, layer):
    name = type(layer).__name__
    remedy = "a window of at most that size, or more padding, would"
    assert_refused(estimator, {"layers": [layer]}, rf"{name}\(.* does not fit its input of 6 x 4 pixels: {remedy}")
    behind = {"layers": [("first", Conv2D(3, 3)), ("second", MaxPool2D(2)), ("third", layer)]}
    assert_refused(estimator, behind, rf"{name}\(.* does not fit its input of 3 x 2 pixels: {remedy}")


@CONVNETS
@pytest.mark.parametrize("first", [Dense(3), Flatten(), GlobalAvgPool2D()], ids=str)
@pytest.mark.parametrize(
    "layer",
    [Conv2D(2), LocallyConnected2D(2), MaxPool2D(), GlobalAvgPool2D(), Residual([Conv2D(2)]), Dropout(spatial=True)],
    ids=str,
)
def test_layers_of_maps_behind_units(estimator, first, layer):
    message = rf"{type(layer).__name__}\(.* needs maps .* its input has shape \(\d+,\): let it stand before the first"
    assert_refused(estimator, {"layers": [first, layer]}, message)


@CONVNETS
def test_groups_that_do_not_divide(estimator):
    message = r"Conv2D\(.* its input of 4 channels and its 6 filters into 3 groups: groups=2 would fit both"
    assert_refused(estimator, {"layers": [Conv2D(4, 3), Conv2D(6, 3, groups=3)]}, message)


@CONVNETS
@pytest.mark.parametrize("layer", [Conv2D(2, 3, padding="valid"), Dense(3), Flatten()], ids=str)
def test_residuals_that_do_not_add(estimator, layer):
    message = r"Residual\(.* cannot add its input of shape \(6, 4, 1\) to an output of shape"
    assert_refused(estimator, {"layers": [Residual([layer])]}, message)


# --------------------------------------------------------------------------------------- nested parameters


@CONVNETS
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conv1__units": 3}, "Invalid parameter 'units' for estimator Conv2D"),
        ({"conv2__filters": 3}, "Invalid parameter 'conv2' for estimator ConvNet"),
    ],
    ids=str,
)
def test_nested_parameters_that_are_not_there(estimator, settings, message):
    net = clone(estimator).set_params(layers=NAMED)
    with pytest.raises(ValueError, match=message):
        clone(net).set_params(**settings)
    # Without names no layer is reached.
    for layers in (None, [layer for _, layer in NAMED]):
        with pytest.raises(ValueError, match="Invalid parameter 'conv"):
            clone(net).set_params(layers=layers, **settings)


@CONVNETS
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"conv1__filters": 0}, InvalidParameterError, "'filters' parameter of Conv2D .* Got 0"),
        ({"dense1__activation": "swish"}, InvalidParameterError, "'activation' parameter of Dense .* Got 'swish'"),
        ({"conv1": None}, TypeError, "layers must be objects of skdeep.networks such as .* got None"),
        ({"dense1": Conv2D}, TypeError, "layers must be objects of skdeep.networks such as .* got <class"),
    ],
    ids=str,
)
def test_nested_parameters_that_are_wrong(estimator, settings, error, message):
    net = clone(estimator).set_params(layers=NAMED)
    with pytest.raises(error, match=message):
        clone(net).set_params(**settings).fit(X, target(net))


@CONVNETS
def test_layers_changed_after_fit(estimator):
    net = fitted(estimator, X, layers=[(name, clone(layer)) for name, layer in NAMED])
    before, names, table = outputs(net, X), [name for name, _ in net.layers_], net.summary()
    weights = net.weights_of("conv1")
    net.set_params(conv1__filters=5, conv1__kernel_size=1, dense1__activation="tanh")
    net.set_params(layers=[("first", Dense(2)), ("second", net.layers[1][1])])
    for after, want in zip(outputs(net, X), before, strict=True):
        np.testing.assert_array_equal(after, want)
    assert [name for name, _ in net.layers_] == names == ["conv1", "dense1", "output"]
    assert net.summary() == table
    assert np.shares_memory(net.weights_of("conv1"), weights)


@CONVNETS
@pytest.mark.parametrize("layer", ["conv9", 9, -9, None, 1.5, ("conv1",)], ids=str)
def test_places_where_no_layer_is(estimator, layer):
    net = fitted(estimator, X)
    for look in (lambda: net.transform(X, layer), lambda: net.feature_maps(X, layer), lambda: net.weights_of(layer)):
        with pytest.raises(
            ValueError, match=r"layer must be the name or the place of one of the layers \['conv1', .* got"
        ):
            look()
    with pytest.raises(ValueError, match=r"'dense1' has units and no maps: those with maps are \['conv1', 'pool1'\]"):
        net.feature_maps(X, "dense1")
