"""Displays: what they draw is what the network holds, and where they draw is where they were told to."""

import re
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import (
    ConvNetClassifier,
    ConvNetRegressor,
    KernelRidgeDual,
    MercerFeatureMap,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
)
from skdeep.inspection import FeatureMapDisplay, FilterDisplay, GramDisplay, LossCurveDisplay
from skdeep.kernels import RBF, Linear, Polynomial
from skdeep.networks import Conv2D, LocallyConnected2D
from tests._models import SHORT, data
from tests._subprocess import run_python

X, Y = data(n=60)

DISPLAYS = {
    "filters": lambda net, **kwargs: FilterDisplay.from_estimator(net, **kwargs),
    "maps": lambda net, **kwargs: FeatureMapDisplay.from_estimator(net, X[:1], **kwargs),
    "curves": lambda net, **kwargs: LossCurveDisplay.from_estimator(net, **kwargs),
}
FROM_ARRAYS = {
    "filters": FilterDisplay(np.ones((3, 3, 1, 5))),
    "maps": FeatureMapDisplay(np.ones((8, 8, 5))),
    "curves": LossCurveDisplay([2.0, 1.0]),
    "gram": GramDisplay(np.eye(4)),
}


@pytest.fixture(scope="module")
def net():
    """A convolution of one input channel and one of four."""
    return ConvNetClassifier((4, 6), kernel_size=3, hidden_layer_sizes=8, early_stopping=True, **SHORT).fit(X, Y)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def shown(display):
    """The images of a display, as they were given to matplotlib."""
    return np.array([im.get_array() for im in display.ims_])


# ------------------------------------------------------------------------------------- every display


@pytest.mark.parametrize("kind", DISPLAYS)
def test_unfitted(kind):
    with pytest.raises(NotFittedError, match="ConvNetClassifier instance is not fitted yet"):
        DISPLAYS[kind](ConvNetClassifier())
    with pytest.raises(NotFittedError):
        DISPLAYS[kind](make_pipeline(StandardScaler(), ConvNetClassifier()))


@pytest.mark.parametrize("kind", DISPLAYS)
def test_a_new_figure_without_ax(kind, net):
    before = plt.get_fignums()
    display = DISPLAYS[kind](net)
    assert plt.get_fignums() == [*before, display.figure_.number]


@pytest.mark.parametrize("kind", DISPLAYS)
def test_given_ax_is_used_and_nothing_else_changes(kind, net):
    figure, (ax, other) = plt.subplots(1, 2)
    settings, figures = dict(plt.rcParams), plt.get_fignums()
    display = DISPLAYS[kind](net, ax=ax)
    assert display.figure_ is figure
    assert ax in (getattr(display, "ax_", None), getattr(display, "bounding_ax_", None))
    assert [*other.lines, *other.images, *other.child_axes, other.get_title(), other.get_xlabel()] == ["", ""]
    assert dict(plt.rcParams) == settings
    assert plt.get_fignums() == figures


@pytest.mark.parametrize("kind", DISPLAYS)
def test_from_estimator_is_arrays_then_plot(kind, net):
    display = DISPLAYS[kind](net)
    again = type(display)(**{name: vars(display)[name] for name in vars(display) if not name.endswith("_")})
    assert again.plot() is again
    assert vars(again).keys() == vars(display).keys()


@pytest.mark.parametrize("display", FROM_ARRAYS.values(), ids=FROM_ARRAYS)
def test_no_estimator_is_needed(display):
    assert display.plot() is display
    display.figure_.canvas.draw()


@pytest.mark.parametrize("kind", DISPLAYS)
def test_without_matplotlib(kind, net, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Display.from_estimator requires matplotlib"):
        DISPLAYS[kind](net)


@pytest.mark.parametrize("display", FROM_ARRAYS.values(), ids=FROM_ARRAYS)
def test_arrays_without_matplotlib(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Display.plot requires matplotlib"):
        display.plot()


def test_import_takes_no_matplotlib():
    done = run_python("import sys, skdeep; skdeep.inspection.FilterDisplay; print('matplotlib' in sys.modules)")
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("filters", {"channel": -1}),
        ("filters", {"channel": "median"}),
        ("filters", {"n_cols": 0}),
        ("filters", {"im_kw": "gray"}),
        ("maps", {"n_cols": 1.5}),
        ("maps", {"im_kw": 1}),
        ("curves", {"name": 1}),
        ("curves", {"curve_kwargs": "red"}),
        ("gram", {"im_kw": "gray"}),
        ("gram", {"line_kw": 1}),
    ],
)
def test_parameters_are_validated(kind, wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of {type(FROM_ARRAYS[kind]).__name__}.plot must be"):
        FROM_ARRAYS[kind].plot(**wrong)


# --------------------------------------------------------------------------------------------- grids


@pytest.mark.parametrize("kind", ["filters", "maps"])
@pytest.mark.parametrize(("n_cols", "shape"), [(None, (2, 3)), (1, (5, 1)), (4, (2, 4)), (9, (1, 5))])
def test_shape_of_the_grid(kind, n_cols, shape):
    display = FROM_ARRAYS[kind].plot(n_cols=n_cols)
    assert display.axes_.shape == shape
    filled = [axes is not None for axes in display.axes_.ravel()]
    assert filled == [True] * 5 + [False] * (display.axes_.size - 5)


@pytest.mark.parametrize("kind", ["filters", "maps"])
def test_images_do_not_overlap_and_lie_within_ax(kind):
    figure, axes = plt.subplots(2, 2, layout="constrained")
    display = FROM_ARRAYS[kind].plot(axes[0, 1])
    figure.canvas.draw()
    whole = display.bounding_ax_.get_window_extent()
    boxes = [ax.get_window_extent() for ax in display.axes_.ravel() if ax is not None]
    for i, box in enumerate(boxes):
        # Within a pixel, to which positions are rounded.
        assert whole.x0 - 1 <= box.x0 < box.x1 <= whole.x1 + 1
        assert whole.y0 - 1 <= box.y0 < box.y1 <= whole.y1 + 1
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("kind", ["filters", "maps"])
def test_one_axes_for_each_image(kind):
    _, axes = plt.subplots(1, 5)
    display = FROM_ARRAYS[kind].plot(axes)
    assert display.bounding_ax_ is None
    assert [len(ax.images) for ax in axes] == [1] * 5


@pytest.mark.parametrize("kind", ["filters", "maps"])
def test_axes_that_do_not_fit(kind):
    with pytest.raises(ValueError, match="ax must be one axes, or one for each of the 5 images, got 4"):
        FROM_ARRAYS[kind].plot(plt.subplots(2, 2)[1])
    display = FROM_ARRAYS[kind].plot()
    with pytest.raises(ValueError, match="ax is in use by another display"):
        FROM_ARRAYS[kind].plot(display.bounding_ax_)
    assert FROM_ARRAYS[kind].plot(display.axes_).figure_ is display.figure_


# ------------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize(("layer", "name"), [(None, "conv1"), ("conv1", "conv1"), (0, "conv1"), ("conv2", "conv2")])
def test_filters_are_the_weights(net, layer, name):
    display = FilterDisplay.from_estimator(net, layer=layer)
    np.testing.assert_array_equal(display.filters, net.weights_of(name))
    np.testing.assert_array_equal(shown(display), net.weights_of(name).mean(axis=2).transpose(2, 0, 1))


def test_filters_are_kept_when_the_network_changes():
    net = ConvNetClassifier((4, 6), kernel_size=3, **SHORT).fit(X, Y)
    display = FilterDisplay.from_estimator(net)
    before = display.filters.copy()
    net.theta_[...] = 0
    np.testing.assert_array_equal(display.filters, before)


@pytest.mark.parametrize(
    ("n_inputs", "channel", "expected", "title"),
    [
        (1, None, lambda filters: filters[:, :, 0], "input channel 0 of 1"),
        (2, None, lambda filters: filters.mean(axis=2), "mean over 2 input channels"),
        (3, 1, lambda filters: filters[:, :, 1], "input channel 1 of 3"),
        (3, "mean", lambda filters: filters.mean(axis=2), "mean over 3 input channels"),
        (4, 0, lambda filters: filters[:, :, 0], "input channel 0 of 4"),
    ],
)
def test_which_input_channel(rng, n_inputs, channel, expected, title):
    filters = rng.normal(size=(3, 4, n_inputs, 2))
    display = FilterDisplay(filters, name="layer a").plot(channel=channel)
    images = expected(filters).transpose(2, 0, 1)
    np.testing.assert_array_equal(shown(display), images)
    assert display.bounding_ax_.get_title() == f"layer a: {title}"
    # Zero is in the middle of one scale for all.
    largest = np.abs(images).max()
    assert {im.get_clim() for im in display.ims_} == {(-largest, largest)}


def test_three_input_channels_are_colours(rng):
    filters = rng.normal(size=(3, 3, 3, 4))
    display = FilterDisplay(filters).plot()
    colours = shown(display)
    assert colours.min() >= 0
    assert colours.max() <= 1
    np.testing.assert_allclose((2 * colours - 1) * np.abs(filters).max(), filters.transpose(3, 0, 1, 2))


def test_filters_of_zeros_are_mid_grey():
    display = FilterDisplay(np.zeros((3, 3, 3, 1))).plot()
    np.testing.assert_array_equal(shown(display), 0.5)


def test_filters_of_signals():
    signals = np.random.default_rng(0).normal(size=(40, 1, 30))
    net = ConvNetRegressor(4, kernel_size=5, hidden_layer_sizes=4, **SHORT).fit(signals, signals[:, 0, 0])
    display = FilterDisplay.from_estimator(net)
    np.testing.assert_array_equal(shown(display), net.coefs_[0][:, :, 0].transpose(2, 0, 1))
    assert shown(display).shape == (4, 1, 5)
    # Strips stand above each other.
    assert display.axes_.shape == (4, 1)


def test_layer_without_filters(net):
    for layer in ("pool1", "dense1", "output"):
        with pytest.raises(ValueError, match=rf"'{layer}' has no filters: those with filters are \['conv1', 'conv2'\]"):
            FilterDisplay.from_estimator(net, layer=layer)
    with pytest.raises(ValueError, match="layer must be the name or the place"):
        FilterDisplay.from_estimator(net, layer="conv3")


def test_network_without_named_convolutions():
    net = ConvNetClassifier(4, kernel_size=3, residual=True, hidden_layer_sizes=4, **SHORT).fit(X, Y)
    with pytest.raises(ValueError, match=r"None of the layers \['residual1', .*\] is a convolution: draw an array"):
        FilterDisplay.from_estimator(net)
    np.testing.assert_array_equal(shown(FilterDisplay(net.coefs_[0]).plot()), net.coefs_[0][:, :, 0].transpose(2, 0, 1))


def test_filters_of_one_place():
    layers = [LocallyConnected2D(4, 3), Conv2D(2, 3)]
    net = ConvNetClassifier(layers=layers, **SHORT).fit(X, Y)
    weights = net.weights_of("local1")[2, 3]
    np.testing.assert_array_equal(shown(FilterDisplay(weights).plot()), weights[:, :, 0].transpose(2, 0, 1))
    with pytest.raises(ValueError, match=r"those with filters are \['conv1'\]"):
        FilterDisplay.from_estimator(net, layer="local1")


def test_filters_of_wrong_shape():
    with pytest.raises(ValueError, match=r"filters must have the shape .*, got an array of shape \(3, 3, 8\)"):
        FilterDisplay(np.ones((3, 3, 8))).plot()
    with pytest.raises(ValueError, match="channel must be below the number of input channels, 2, or 'mean', got 2"):
        FilterDisplay(np.ones((3, 3, 2, 1))).plot(channel=2)


# ---------------------------------------------------------------------------------------------- maps


@pytest.mark.parametrize("layer", ["conv1", 0, "pool1", "conv2", 3])
def test_maps_are_the_activations(net, layer):
    display = FeatureMapDisplay.from_estimator(net, X[:1], layer=layer)
    maps = net.feature_maps(X[:1], layer)[0]
    np.testing.assert_array_equal(display.maps, maps)
    np.testing.assert_array_equal(shown(display), maps.transpose(2, 0, 1))
    assert {im.get_clim() for im in display.ims_} == {(maps.min(), maps.max())}
    assert display.bounding_ax_.get_title().startswith(f"layer {layer}: {maps.shape[2]} maps of ")


def test_each_map_on_a_scale_of_its_own(net):
    display = FeatureMapDisplay.from_estimator(net, X[:1], im_kw={"vmin": None, "vmax": None})
    for im, image in zip(display.ims_, shown(display), strict=True):
        assert im.get_clim() == (image.min(), image.max())


def test_maps_of_channels_first():
    images = X.reshape(-1, 1, 8, 8)
    net = ConvNetClassifier(4, kernel_size=3, data_format="NCHW", hidden_layer_sizes=4, **SHORT).fit(images, Y)
    display = FeatureMapDisplay.from_estimator(net, images[:1])
    np.testing.assert_array_equal(shown(display), net.feature_maps(images[:1], 0)[0])
    assert shown(display).shape == (4, 8, 8)


def test_maps_and_filters_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), make_pipeline("passthrough", ConvNetClassifier(4, **SHORT))).fit(X, Y)
    net = pipeline[-1][-1]
    maps = net.feature_maps(pipeline[0].transform(X[:1]), 0)[0]
    np.testing.assert_array_equal(FeatureMapDisplay.from_estimator(pipeline, X[:1]).maps, maps)
    np.testing.assert_array_equal(FilterDisplay.from_estimator(pipeline).filters, net.coefs_[0])
    assert LossCurveDisplay.from_estimator(pipeline).loss_curve == net.loss_curve_


def test_one_image_at_a_time(net):
    with pytest.raises(ValueError, match=r"X must be one image, as X\[i : i \+ 1\], got an array of shape \(2, 64\)"):
        FeatureMapDisplay.from_estimator(net, X[:2])
    with pytest.raises(ValueError, match=r"got an array of shape \(64,\)"):
        FeatureMapDisplay.from_estimator(net, X[0])


def test_layer_without_maps(net):
    with pytest.raises(ValueError, match="has units and no maps"):
        FeatureMapDisplay.from_estimator(net, X[:1], layer="dense1")
    with pytest.raises(ValueError, match=r"maps must have the shape .*, got an array of shape \(1, 8, 8, 4\)"):
        FeatureMapDisplay(np.ones((1, 8, 8, 4))).plot()


@pytest.mark.parametrize("kind", ["filters", "maps"])
def test_networks_without_convolutions(kind):
    mlp = MLPBackpropClassifier(4, **SHORT).fit(X, Y)
    with pytest.raises(TypeError, match=r"estimator must be a ConvNetClassifier or a ConvNetRegressor.*, got MLPBack"):
        DISPLAYS[kind](mlp)


# -------------------------------------------------------------------------------------------- curves

TRAINED = {
    "ConvNetClassifier": lambda: ConvNetClassifier(4, kernel_size=3, **SHORT),
    "ConvNetRegressor": lambda: ConvNetRegressor(4, kernel_size=3, **SHORT),
    "MLPBackpropClassifier": lambda: MLPBackpropClassifier(4, **SHORT),
    "MLPBackpropRegressor": lambda: MLPBackpropRegressor(hidden_layer_sizes=4, **SHORT),
    "MLPClassifier": lambda: MLPClassifier(4, **SHORT),
}


@pytest.mark.parametrize("name", TRAINED)
def test_curve_is_the_loss(name):
    net = TRAINED[name]().fit(X, Y)
    display = LossCurveDisplay.from_estimator(net)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, net.n_iter_ + 1))
    np.testing.assert_array_equal(line.get_ydata(), net.loss_curve_)
    assert line.get_label() == f"{name}: training loss"
    assert display.score_ax_ is None
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Epoch", "Loss")


def test_curves_of_validation(net):
    display = LossCurveDisplay.from_estimator(net, name="net")
    curves = net.loss_curve_, net.validation_loss_curve_, net.validation_scores_
    for line, curve in zip(display.lines_, curves, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
    assert [line.axes for line in display.lines_] == [display.ax_, display.ax_, display.score_ax_]
    assert len({line.get_color() for line in display.lines_}) == 1
    assert len({line.get_linestyle() for line in display.lines_}) == 3
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["net: training loss", "net: validation loss", "net: validation score"]


def test_networks_share_axes(net):
    first = LossCurveDisplay.from_estimator(net)
    without_scores = LossCurveDisplay([3.0, 2.0], name="other").plot(first.ax_)
    second = LossCurveDisplay.from_estimator(net, ax=first.ax_)
    assert second.ax_ is without_scores.ax_ is first.ax_
    assert second.score_ax_ is first.score_ax_
    assert len(first.figure_.axes) == 2
    assert len({display.lines_[0].get_color() for display in (first, without_scores, second)}) == 3
    assert len(first.ax_.get_legend().get_texts()) == 7


def test_neighbours_do_not_share_scores(net):
    _, axes = plt.subplots(1, 2, sharex=True)
    left, right = (LossCurveDisplay.from_estimator(net, ax=ax) for ax in axes)
    assert left.score_ax_ is not right.score_ax_


def test_lines_look_as_wished():
    display = LossCurveDisplay([2.0, 1.0], name="a").plot(name="b", curve_kwargs={"c": "red", "lw": 3})
    (line,) = display.lines_
    assert (line.get_color(), line.get_linewidth(), line.get_label()) == ("red", 3, "b: training loss")
    (line,) = LossCurveDisplay([2.0, 1.0]).plot().lines_
    assert line.get_label() == "training loss"


def test_no_curve():
    with pytest.raises(TypeError, match=r"estimator must be a network, with the attribute loss_curve_, got Ridge\(\)"):
        LossCurveDisplay.from_estimator(Ridge().fit(X, Y))


# --------------------------------------------------------------------------------------------- Gram matrices

KERNEL = 2.0 * RBF(3.0) + Linear()


@pytest.fixture(scope="module")
def mercer():
    return MercerFeatureMap(KERNEL, n_components=5).fit(X)


def test_gram_display_of_an_estimator_is_its_kernel_on_the_samples(mercer):
    display = GramDisplay.from_estimator(mercer, X)
    np.testing.assert_array_equal(display.gram, KERNEL(X))
    np.testing.assert_array_equal(display.im_.get_array(), KERNEL(X))
    assert display.bounding_ax_.get_title() == f"{KERNEL!r}: 60 samples"
    # Eigenvalues of the matrix are those of the integral operator times the number of samples.
    np.testing.assert_allclose(display.eigenvalues_[:5], mercer.eigenvalues_ * len(X), rtol=1e-10)


def test_gram_display_behind_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), KernelRidgeDual(kernel=KERNEL)).fit(X, Y)
    display = GramDisplay.from_estimator(pipeline, X[:20])
    np.testing.assert_array_equal(display.gram, KERNEL(pipeline[0].transform(X[:20])))


def test_gram_display_is_arrays_then_plot(mercer):
    display = GramDisplay.from_estimator(mercer, X)
    again = GramDisplay(display.gram, name=display.name)
    assert again.plot() is again
    assert vars(again).keys() == vars(display).keys()


def test_gram_display_draws_where_it_is_told(mercer):
    figure, (ax, other) = plt.subplots(1, 2)
    before = plt.get_fignums()
    display = GramDisplay.from_estimator(mercer, X, ax=ax)
    assert display.bounding_ax_ is ax
    assert display.figure_ is figure
    assert [*other.lines, *other.images, *other.child_axes] == []
    figure.canvas.draw()
    matrix, spectrum = (each.get_window_extent() for each in display.axes_)
    assert not matrix.overlaps(spectrum)
    _, two = plt.subplots(1, 2)
    display = GramDisplay(np.eye(3)).plot(two)
    assert display.bounding_ax_ is None
    assert list(display.axes_) == list(two)
    assert plt.get_fignums() == [*before, display.figure_.number]


def test_samples_in_order_of_their_labels():
    display = GramDisplay.from_kernel(KERNEL, X, y=Y)
    order = np.argsort(Y, kind="stable")
    np.testing.assert_array_equal(display.gram, KERNEL(X[order]))
    with pytest.raises(ValueError, match=r"y must have the shape \(60,\), one value for each sample, got \(3,\)"):
        GramDisplay.from_kernel(KERNEL, X, y=Y[:3])


def test_spectrum_of_finite_rank_ends_at_the_rounding_error():
    display = GramDisplay.from_kernel(Polynomial(2), X[:, 20:22] / 16)
    positive, rounding = display.lines_
    level = rounding.get_ydata()[0]
    assert np.count_nonzero(positive.get_ydata() > level) == 6  # C(2 + 2, 2)
    assert positive.get_ydata()[0] == display.eigenvalues_[0]


def test_negative_eigenvalues_are_marked():
    display = GramDisplay([[0.0, 1.0], [1.0, 0.0]]).plot()
    negative = display.lines_[-1]
    assert negative.get_label() == "negative"
    np.testing.assert_allclose([*negative.get_xdata(), *negative.get_ydata()], [2, 1])


@pytest.mark.parametrize("gram", [np.zeros((4, 4)), [[1.0]]], ids=["zeros", "one sample"])
def test_small_and_empty_spectra(gram):
    display = GramDisplay(gram).plot()
    display.figure_.canvas.draw()
    assert len(display.eigenvalues_) == len(gram)


@pytest.mark.parametrize(
    ("gram", "shape"), [([1.0, 2.0], "(2,)"), (np.ones((2, 3)), "(2, 3)"), ([[1.0, 2.0], [3.0, 4.0]], "(2, 2)")]
)
def test_gram_display_needs_a_symmetric_matrix(gram, shape):
    with pytest.raises(ValueError, match=re.escape(f"gram must be a symmetric matrix, got an array of shape {shape}")):
        GramDisplay(gram).plot()


def test_gram_display_of_what_has_no_kernel(net):
    with pytest.raises(TypeError, match=r"estimator must have a kernel object of skdeep\.kernels .*, got ConvNet"):
        GramDisplay.from_estimator(net, X)
    with pytest.raises(NotFittedError):
        GramDisplay.from_estimator(KernelRidgeDual(), X)
    with pytest.raises(ValueError, match="ax must be one axes, or one for the matrix and one for the spectrum"):
        GramDisplay(np.eye(2)).plot(plt.subplots(1, 3)[1])
