"""Which images and layers convolutional networks refuse, in words, and in which forms they take images."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from tests._bad_input import CONVNETS, MEMORY, METHODS, TYPES, assert_same, fitted, target

pytestmark = pytest.mark.usefixtures("serial")


def data():
    """Grey images and colour images, of numbers that half precision holds; read-only."""
    rng = np.random.default_rng(0)
    arrays = [np.round(8 * rng.normal(size=(40, *shape))) / 8 for shape in ((5, 4), (5, 4, 3))]
    for array in arrays:
        array.setflags(write=False)
    return arrays


GREY, COLOUR = data()
ROWS = GREY.reshape(40, 20)


def with_nan(images, bad=np.nan):
    images = images.copy()
    images[3, 2, 1] = bad
    return images


def assert_fit_refuses(estimator, X, match, error=ValueError, **held_out):
    net = clone(estimator)
    with pytest.raises(error, match=match):
        net.fit(X, target(net), **held_out)
    assert not hasattr(net, "theta_")
    assert not hasattr(net, "n_features_in_")


# ---------------------------------------------------------------------------------------------- shapes

NO_IMAGES = [
    ((40,), "Expected 2D array, got 1D array"),
    ((40, 5, 2, 2, 1), r"at most 4 dimensions \(NHWC\), got an array of shape \(40, 5, 2, 2, 1\)"),
    ((0, 20), r"0 sample\(s\)"),
    ((0, 5, 4), r"0 sample\(s\)"),
    ((0, 5, 4, 1), r"0 sample\(s\)"),
]
NO_PIXELS = [(shape, r"0 feature\(s\)") for shape in ((40, 0), (40, 0, 4), (40, 5, 0), (40, 5, 4, 0))]
OTHER_IMAGES = [
    ((40, 19), "has 19 features, but .* is expecting 20 features"),
    ((5, 4), "has 4 features, but .* is expecting 20 features"),  # one image alone
    *(
        (shape, rf"\({shape[1]}, {shape[2]}, 1\), but .* was fitted on \(5, 4, 1\)")
        for shape in ((40, 4, 5), (40, 2, 10))
    ),
    ((40, 0, 4), r"\(0, 4, 1\), but .* was fitted on \(5, 4, 1\)"),
    ((40, 5, 4, 3), r"\(5, 4, 3\), but .* was fitted on \(5, 4, 1\)"),
    ((40, 1, 5, 4), r"\(1, 5, 4\), but .* was fitted on \(5, 4, 1\)"),
]


@CONVNETS
@pytest.mark.parametrize(("shape", "message"), NO_IMAGES + NO_PIXELS, ids=str)
def test_shapes_that_fit_refuses(estimator, shape, message):
    assert_fit_refuses(estimator, np.ones(shape), message)


@CONVNETS
@pytest.mark.parametrize(("shape", "message"), NO_IMAGES + OTHER_IMAGES, ids=str)
def test_shapes_that_predictions_refuse(estimator, shape, message):
    net, X = fitted(estimator, GREY), np.ones(shape)
    before, theta = vars(net).copy(), net.theta_.copy()
    for method in [name for name in METHODS if hasattr(net, name)]:
        with pytest.raises(ValueError, match=message):
            getattr(net, method)(X)
    with pytest.raises(ValueError, match=message):
        net.feature_maps(X, "conv1")
    # As many targets as samples, of which some have none.
    for again in (net.partial_fit, net.set_params(warm_start=True).fit):
        with pytest.raises(ValueError, match=message):
            again(X, np.resize(target(net), len(X)))
    assert vars(net) == before | {"warm_start": True}
    np.testing.assert_array_equal(net.theta_, theta)
    if len(X) == 40:
        assert_fit_refuses(estimator, GREY, message, X_val=X, y_val=target(net))


@CONVNETS
def test_rows_stand_for_the_images_of_the_fit(estimator):
    y = target(estimator)
    want = fitted(estimator, GREY).partial_fit(GREY, y)
    net = fitted(estimator, GREY).partial_fit(ROWS, y)
    assert_same(net, want, ROWS, GREY)
    # The other way round, image_shape says what rows are.
    assert_same(fitted(estimator, ROWS, image_shape=(5, 4)).partial_fit(GREY, y), want, GREY, ROWS)
    for pair in ((GREY, ROWS), (GREY, GREY)):
        held_out = clone(estimator).fit(pair[0], y, X_val=pair[1], y_val=y)
        assert (
            held_out.validation_loss_curve_ == clone(estimator).fit(GREY, y, X_val=GREY, y_val=y).validation_loss_curve_
        )


@CONVNETS
@pytest.mark.parametrize(
    ("image_shape", "n_numbers"), [((5, 5), 25), ((5, 4, 3), 60), ([2, 2, 2], 8), (np.array([1, 1]), 1)], ids=str
)
@pytest.mark.parametrize("X", [ROWS, GREY], ids=["rows", "images"])
def test_image_shapes_that_do_not_fit_the_features(estimator, X, image_shape, n_numbers):
    message = rf"image_shape=.* does not fit X of 20 features: it has {n_numbers} numbers"
    assert_fit_refuses(clone(estimator).set_params(image_shape=image_shape), X, message)


@CONVNETS
@pytest.mark.parametrize("image_shape", [(4, 5), (20, 1), (1, 5, 4), (2, 2, 5)], ids=str)
def test_image_shapes_that_contradict_the_images(estimator, image_shape):
    net = clone(estimator).set_params(image_shape=image_shape)
    assert_fit_refuses(net, GREY, r"image_shape=.* does not fit images of \(height, width, channels\) \(5, 4, 1\)")
    assert fitted(net, ROWS).image_shape_in_[:2] == image_shape[:2]


@CONVNETS
@pytest.mark.parametrize(
    "image_shape", [(), (20,), (5, 4, 1, 1), (0, 20), (-5, -4), (5.0, 4.0), ("5", "4"), (5, None)], ids=str
)
def test_image_shapes_that_are_none(estimator, image_shape):
    for X in (ROWS, GREY):
        net = clone(estimator).set_params(image_shape=image_shape)
        assert_fit_refuses(net, X, "image_shape must be two or three positive integers, got")


@CONVNETS
@pytest.mark.parametrize(
    ("shape", "data_format", "hint"),
    [
        ((3, 6, 6), "NHWC", "NCHW"),
        ((1, 8, 8), "NHWC", "NCHW"),
        ((6, 6, 3), "NCHW", "NHWC"),
        ((8, 8, 1), "NCHW", "NHWC"),
    ],
)
def test_images_in_the_other_format(estimator, shape, data_format, hint):
    X = np.resize(GREY, (40, *shape))
    net = clone(estimator).set_params(data_format=data_format)
    assert_fit_refuses(net, X, f'does not look like {data_format}: set data_format="{hint}", or image_shape if it is')
    net.set_params(data_format=hint).fit(X, target(net)).set_params(data_format=data_format)
    with pytest.raises(ValueError, match="data_format"):
        net.predict(X)
    # Whoever gives the shape is believed.
    assert fitted(net, X, image_shape=shape).image_shape_in_ in (shape, (*shape[1:], shape[0]))


# ----------------------------------------------------------------------------------- forms and numbers


@CONVNETS
@pytest.mark.parametrize("form", MEMORY)
@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_memory_of_images_does_not_matter(estimator, images, form):
    X = MEMORY[form](images)
    plain = np.array(X, order="C")
    assert_same(fitted(estimator, X), fitted(estimator, plain), X, plain)


@CONVNETS
@pytest.mark.parametrize("form", MEMORY)
def test_format_of_images_does_not_matter(estimator, form):
    # The weights of the dense layers are in the order height, width, channel in either.
    channels_first = MEMORY[form](COLOUR.transpose(0, 3, 1, 2))
    plain = np.array(channels_first).transpose(0, 2, 3, 1)
    net = fitted(estimator, channels_first, data_format="NCHW")
    assert_same(net, fitted(estimator, plain), channels_first, plain)


@CONVNETS
@pytest.mark.parametrize("dtype", TYPES)
def test_type_of_images_does_not_matter(estimator, dtype):
    X = np.abs(8 * GREY).astype(dtype)
    plain = X.astype(np.float32 if dtype == "float32" else np.float64)
    net = fitted(estimator, X)
    assert_same(net, fitted(estimator, plain), X, plain)
    assert net.theta_.dtype == plain.dtype


@CONVNETS
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_images_in_files(estimator, mode, tmp_path):
    file = tmp_path / "images.npy"
    np.save(file, COLOUR)
    before = file.read_bytes()
    X = np.load(file, mmap_mode=mode)
    assert_same(fitted(estimator, X), fitted(estimator, COLOUR), X, COLOUR)
    assert file.read_bytes() == before


def in_an_array(images):
    """An array of objects, each an image."""
    objects = np.empty(len(images), object)
    objects[:] = list(images)
    return objects


SEQUENCES = {"list": list, "tuple": tuple, "array of objects": in_an_array, "Series": lambda X: pd.Series(list(X))}


@CONVNETS
@pytest.mark.parametrize("form", SEQUENCES)
def test_sequences_of_images(estimator, form):
    X = SEQUENCES[form](COLOUR)
    assert_same(fitted(estimator, X), fitted(estimator, COLOUR), X, COLOUR)


@CONVNETS
@pytest.mark.parametrize("form", SEQUENCES)
def test_images_of_several_shapes(estimator, form):
    ragged = [image[:, :3] if i == 7 else image for i, image in enumerate(GREY)]
    message = "X makes no array: .*inhomogeneous.*Images must have one shape: resize, crop or pad"
    assert_fit_refuses(estimator, SEQUENCES[form](ragged), message)
    with pytest.raises(ValueError, match=message):
        fitted(estimator, GREY).predict(SEQUENCES[form](ragged))


@CONVNETS
@pytest.mark.parametrize(
    ("junk", "message"),
    [
        (np.full(GREY.shape, "junk"), "could not convert string"),
        (np.full(GREY.shape, "junk", object), "could not convert string"),
        (np.full(GREY.shape, None), "Input X contains NaN"),
        (np.full(GREY.shape, {}, object), r"dict|float\(\) argument"),
        (GREY * 1j, "Complex data not supported"),
        (np.full(GREY.shape, "2020-01-01", "datetime64[D]"), "X holds dates or times"),
        (np.ma.masked_greater(GREY, 1), "X has masked elements"),
        (3.0, "Expected 2D array, got scalar"),
        (None, "Expected 2D array, got scalar"),
        ("images", "could not convert string"),
    ],
)
def test_what_are_no_images(estimator, junk, message):
    assert_fit_refuses(estimator, junk, message, (ValueError, TypeError))
    with pytest.raises((ValueError, TypeError), match=message):
        fitted(estimator, GREY).predict(junk)


@CONVNETS
@pytest.mark.parametrize(
    ("bad", "what"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity"), (1e300, "too large")]
)
def test_images_that_are_not_finite(estimator, bad, what):
    # What float64 holds may be too large for a network of float32.
    dtype = np.float32 if bad == 1e300 else np.float64
    with np.errstate(over="ignore"):
        X_bad = with_nan(GREY, bad).astype(np.float32 if bad != 1e300 else np.float64)
    net = fitted(estimator, GREY.astype(dtype))
    for method in [name for name in METHODS if hasattr(net, name)]:
        with pytest.raises(ValueError, match=f"Input X contains.*{what}"):
            getattr(net, method)(X_bad)
    with pytest.raises(ValueError, match=f"In the validation data X_val.*{what}"):
        clone(net).fit(GREY.astype(dtype), target(net), X_val=X_bad, y_val=target(net))
    if dtype == np.float64:
        assert_fit_refuses(estimator, X_bad, f"Input X contains.*{what}")


@CONVNETS
@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array", "dok_array", "bsr_array", "lil_matrix"])
def test_sparse_images(estimator, form):
    X = getattr(sparse, form)(ROWS)
    assert_fit_refuses(estimator, X, "Sparse data was passed for X, but dense data is required", TypeError)
    with pytest.raises(TypeError, match=r"Sparse data was passed for X.*Use '.toarray\(\)'"):
        fitted(estimator, ROWS).predict(X)
