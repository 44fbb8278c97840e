"""Augmentation: against naive images given the draws, the draws' distributions, and what the result may not depend on.

All statistical tests have fixed seeds and the level LEVEL: of that many good generators they would refuse one.
"""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import ndimage, stats
from sklearn.datasets import load_digits
from sklearn.utils import check_random_state

from skdeep import ConvNetClassifier, ConvNetRegressor
from skdeep.engine import augment as engine
from skdeep.engine import counters, threads
from skdeep.engine.jit import Parameter, compiled, doubles_out, integer, out
from skdeep.training.augmentation import Augmentation

LEVEL = 1e-3
SHAPE = (9, 7, 3)
EVERYTHING = {"shift": (3, 2), "flip": "both", "rotate": 50, "cutout": 4, "mixup": 0.7}
DIGITS = (load_digits().data[:300] / 16, load_digits().target[:300])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# Without rotation numbers are only copied.
COPIES = [
    {},
    {"shift": 2},
    {"shift": (0, 3)},
    {"shift": [8, 6]},
    {"flip": "horizontal"},
    {"flip": "vertical"},
    {"flip": "both"},
    {"cutout": 1},
    {"cutout": 4},
    {"cutout": 7},
    {"shift": 3, "flip": "both", "cutout": 5},
]
TURNS = [
    {"rotate": 20},
    {"rotate": 180},
    {"rotate": 360.5},
    {key: EVERYTHING[key] for key in EVERYTHING if key != "mixup"},
]


def images(n, shape=SHAPE, dtype=np.float64, seed=0):
    """Read-only images of numbers without a zero, as rows, and a target for each that names it."""
    X = np.random.default_rng(seed).uniform(1, 2, (n, math.prod(shape))).astype(dtype)
    Y = np.eye(n, dtype=dtype)
    X.flags.writeable = Y.flags.writeable = False
    return X, Y


# ------------------------------------------------------------------------------------------ the draws

MASK = 2**64 - 1
STEP = 0x9E3779B97F4A7C15


def mixed(state):
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & MASK
    return state ^ (state >> 31)


def uniform(place, *stream):
    """The uniform number at a place of the stream with these counters."""
    state = 0
    for counter in stream:
        state = mixed((state + int(counter) + STEP) & MASK)
    return (mixed((state + place * STEP) & MASK) >> 11) / 2**53


def drawn(augment, shape, n, seed, epoch, sample):
    """What the draws of a sample of n come to: ints, booleans, degrees."""
    u = lambda place: uniform(place, engine._AUGMENTATION, seed, epoch, sample)
    down, across = np.broadcast_to(augment.get("shift", 0), 2)
    return {
        "down": math.floor(u(engine._DOWN) * (2 * down + 1)) - down,
        "across": math.floor(u(engine._ACROSS) * (2 * across + 1)) - across,
        "is_mirrored": augment.get("flip") in ("horizontal", "both") and u(engine._MIRROR) < 0.5,
        "is_head_over": augment.get("flip") in ("vertical", "both") and u(engine._HEAD_OVER) < 0.5,
        "angle": (2 * u(engine._ANGLE) - 1) * augment.get("rotate", 0),
        "centre": (math.floor(u(engine._CUT_ROW) * shape[0]), math.floor(u(engine._CUT_COLUMN) * shape[1])),
        "partner": math.floor(u(engine._PARTNER) * n),
    }


@compiled
def numbers(
    seed: integer,
    shape: Parameter(np.float64, 0),
    dtyped: out,
    hashes: Parameter(np.int64, 1, True),
    integers_below_7: Parameter(np.int64, 1, True),
    uniforms: doubles_out,
    normals: doubles_out,
    gammas: doubles_out,
    betas: doubles_out,
):
    """One number of each kind from each of a sequence of streams; only the copy's dtype is asked of `dtyped`."""
    dtyped[0] = 0
    for i in range(len(hashes)):
        hashes[i] = counters.mixed(counters.ahead(np.uint64(seed), i + 1))
        state = counters.key(seed, i)
        integers_below_7[i] = counters.below(state, 7)
        uniforms[i] = counters.uniform(state)
        normals[i] = counters.normal(state)
        gammas[i] = counters.gamma_over_scale(state, max(shape, 1.0)) * (shape - 1 / 3)
        betas[i] = counters.symmetric_beta(state, shape)


def n_numbers(n, *, seed=0, shape=1.0):
    integers, reals = np.zeros((2, n), np.int64), np.zeros((4, n))
    numbers(seed, shape, np.zeros(1), *integers, *reals)
    return dict(zip(("hash", "below_7", "uniform", "normal", "gamma", "beta"), (*integers, *reals), strict=True))


def accept(p_value):
    assert p_value > LEVEL


def test_splitmix():
    # The published output of the generator for the seed 1234567.
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert n_numbers(5, seed=1234567)["hash"].view(np.uint64).tolist() == published


def test_uniform_and_below():
    values = n_numbers(20_000, seed=3)
    assert values["uniform"][:50].tolist() == [uniform(0, 3, i) for i in range(50)]
    assert values["below_7"][:50].tolist() == [math.floor(7 * uniform(0, 3, i)) for i in range(50)]
    accept(stats.kstest(values["uniform"], "uniform").pvalue)
    accept(stats.chisquare(np.bincount(values["below_7"])).pvalue)
    # Streams of neighbours do not go together.
    cells = np.histogram2d(values["uniform"][:-1:2], values["uniform"][1::2], bins=8)[0]
    accept(stats.chisquare(cells.ravel()).pvalue)


def test_normal():
    accept(stats.kstest(n_numbers(20_000)["normal"], "norm").pvalue)


@pytest.mark.parametrize("shape", [1.0, 1.2, 6.0, 1e4])
def test_gamma(shape):
    accept(stats.kstest(n_numbers(20_000, shape=shape)["gamma"], stats.gamma(shape).cdf).pvalue)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_beta(alpha):
    accept(stats.kstest(n_numbers(20_000, shape=alpha)["beta"], stats.beta(alpha, alpha).cdf).pvalue)


@pytest.mark.parametrize("alpha", [1e-300, 1e-9])
def test_beta_of_tiny_alpha_is_a_coin(alpha):
    shares = n_numbers(20_000, shape=alpha)["beta"]
    # Another number than 0 and 1 has a probability of about 1000 alpha.
    assert set(shares) == {0.0, 1.0}
    accept(stats.binomtest(int(shares.sum()), len(shares)).pvalue)


@pytest.mark.parametrize("alpha", [1e6, 1e16, 1e31, 1e307])
def test_beta_of_large_alpha_is_about_a_half(alpha):
    shares = n_numbers(1000, shape=alpha)["beta"]
    # Six standard deviations, and the roundings of a quotient near 1.
    assert np.abs(shares - 0.5).max() < 6 / np.sqrt(8 * alpha) + 4e-16


# ----------------------------------------------------------------------------------------- the images


def changed(image, augment, draws):
    """An image (height, width, channels) after the draws, by loops and by scipy's affine map."""
    height, width, _ = image.shape
    if draws["is_mirrored"]:
        image = image[:, ::-1]
    if draws["is_head_over"]:
        image = image[::-1]
    down, across = draws["down"], draws["across"]
    if augment.get("rotate"):
        cosine, sine = np.cos(np.deg2rad(draws["angle"])), np.sin(np.deg2rad(draws["angle"]))
        # Rows run downwards: what is turned to the left comes from the right-turned place.
        back, centre = np.array([[cosine, sine], [-sine, cosine]]), np.array([height - 1, width - 1]) / 2
        origin = centre - back @ (centre + np.array([down, across]))
        read = lambda plane: ndimage.affine_transform(plane, back, origin, order=1, mode="grid-constant")
        new = np.stack([read(plane) for plane in np.moveaxis(image, -1, 0)], axis=-1)
    else:
        new = np.zeros_like(image)
        for row in range(height):
            for column in range(width):
                if 0 <= row - down < height and 0 <= column - across < width:
                    new[row, column] = image[row - down, column - across]
    if "cutout" in augment:
        top, left = (place - augment["cutout"] // 2 for place in draws["centre"])
        for row in range(max(top, 0), min(top + augment["cutout"], height)):
            for column in range(max(left, 0), min(left + augment["cutout"], width)):
                new[row, column] = 0
    return new


def reference(augment, X, shape, samples, seed, epoch):
    """What becomes of samples, without mixup."""
    draws = [drawn(augment, shape, len(X), seed, epoch, int(sample)) for sample in samples]
    new = [changed(X[sample].reshape(shape), augment, draw) for sample, draw in zip(samples, draws, strict=True)]
    return np.reshape(new, (len(samples), -1))


@DTYPES
@pytest.mark.parametrize("augment", COPIES, ids=str)
@pytest.mark.parametrize("shape", [SHAPE, (9, 7, 1), (8, 8, 2)], ids=str)
def test_copies_are_exact(augment, shape, dtype):
    if augment.get("shift") == [8, 6]:
        shape = SHAPE
    X, Y = images(30, shape, dtype)
    samples = np.arange(29, -1, -1)
    X_new, Y_new = Augmentation(augment, shape).apply(X, Y, samples, 5, 2)
    assert X_new.dtype == Y_new.dtype == dtype
    np.testing.assert_array_equal(X_new, reference(augment, X, shape, samples, 5, 2))
    np.testing.assert_array_equal(Y_new, Y[samples])


# Points are rounded to 2^-32 pixels and their steps by half as much, up to nine times either way: 1e-8 on differences
# of up to 2. A float32 has six roundings of numbers up to 2 and knows the points to 1e-7.
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 5e-8)])
@pytest.mark.parametrize("augment", TURNS, ids=str)
@pytest.mark.parametrize("shape", [SHAPE, (9, 7, 1), (5, 12, 2)], ids=str)
def test_rotation_is_the_affine_map_of_scipy(augment, shape, dtype, tolerance):
    X, Y = images(30, shape, dtype)
    samples = np.random.default_rng(1).permutation(30)
    X_new, Y_new = Augmentation(augment, shape).apply(X, Y, samples, 5, 2)
    want = reference(augment, X.astype(float), shape, samples, 5, 2)
    np.testing.assert_allclose(X_new, want, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(Y_new, Y[samples])


@DTYPES
@pytest.mark.parametrize("side", [1, 2, 5, 8])
@pytest.mark.parametrize("quarters", [1, 2, 3, 4])
def test_quarter_turns_are_exact(quarters, side, dtype):
    X, Y = images(4, (side, side, 2), dtype)
    # The largest angle for which the drawn one is that of so many quarters, to the left or to the right.
    share = 2 * uniform(engine._ANGLE, engine._AUGMENTATION, 0, 0, 3) - 1
    augment = Augmentation({"rotate": 90 * quarters / abs(share)}, (side, side, 2))
    image = X[3].reshape(side, side, 2)
    want = np.rot90(image, quarters * np.sign(share))
    np.testing.assert_array_equal(augment.apply(X, Y, np.array([3]), 0, 0)[0], want.reshape(1, -1))


def test_half_turn_of_a_rectangle_is_exact():
    X, Y = images(1, SHAPE)
    share = 2 * uniform(engine._ANGLE, engine._AUGMENTATION, 0, 0, 0) - 1
    turned, _ = Augmentation({"rotate": 180 / abs(share)}, SHAPE).apply(X, Y, np.array([0]), 0, 0)
    np.testing.assert_array_equal(turned, X.reshape(SHAPE)[::-1, ::-1].reshape(1, -1))


@DTYPES
@pytest.mark.parametrize(
    "changes", [{}, {"shift": 2, "flip": "both", "cutout": 4}, {"rotate": 90}, {"rotate": 30, "cutout": 3}], ids=str
)
def test_mixup_is_the_mean_with_a_partner(changes, dtype):
    X, Y = images(25, dtype=dtype)
    samples = np.arange(25)
    plain = changes and Augmentation(changes, SHAPE).apply(X, Y, samples, 1, 4)[0]
    plain = X if not changes else plain
    X_new, Y_new = Augmentation(changes | {"mixup": 1.0}, SHAPE).apply(X, Y, samples, 1, 4)
    partners = np.array([drawn({}, SHAPE, 25, 1, 4, i)["partner"] for i in samples])
    assert len(set(partners)) > 10
    others = partners != samples
    share = np.where(others, Y_new[samples, samples], 0.5)[:, None]
    assert ((share > 0) & (share < 1)).all()
    # Three roundings of numbers up to 2.
    closely = {"rtol": 0, "atol": 6 * np.finfo(dtype).eps}
    np.testing.assert_allclose(Y_new, share * Y[samples] + (1 - share) * Y[partners], **closely)
    np.testing.assert_allclose(X_new, share * plain[samples] + (1 - share) * plain[partners], **closely)


@DTYPES
def test_zeros_come_in(dtype):
    X, Y = images(50, dtype=dtype)
    X_new, _ = Augmentation({"shift": 3}, SHAPE).apply(X, Y, np.arange(50), 0, 0)
    for sample, image in enumerate(X_new.reshape(50, *SHAPE)):
        draws = drawn({"shift": 3}, SHAPE, 50, 0, 0, sample)
        n_visible = (9 - abs(draws["down"])) * (7 - abs(draws["across"])) * 3
        assert np.count_nonzero(image) == n_visible


# ------------------------------------------------------------------- the distributions, seen in the images


def spots(augment, n=4000, shape=(9, 9, 1), spot=(4, 4)):
    """Where one bright pixel goes, n times: rows, columns."""
    X = np.zeros((n, math.prod(shape)))
    X.reshape(n, *shape)[:, spot[0], spot[1]] = 1
    X_new, _ = Augmentation(augment, shape).apply(X, np.ones((n, 1)), np.arange(n), 0, 0)
    assert (X_new.sum(axis=1) == 1).all()
    return np.divmod(X_new.argmax(axis=1), shape[1])


def test_shifts_are_uniform():
    rows, columns = spots({"shift": (2, 3)})
    counts = np.histogram2d(rows, columns, bins=(range(10), range(10)))[0]
    assert counts[2:7, 1:8].sum() == 4000
    accept(stats.chisquare(counts[2:7, 1:8].ravel()).pvalue)


@pytest.mark.parametrize("flip", ["horizontal", "vertical", "both"])
def test_mirrors_are_coins(flip):
    rows, columns = spots({"flip": flip}, spot=(1, 3))
    places = {"horizontal": {(1, 3), (1, 5)}, "vertical": {(1, 3), (7, 3)}, "both": {(1, 3), (1, 5), (7, 3), (7, 5)}}
    counts = Counter(zip(rows.tolist(), columns.tolist(), strict=True))
    assert counts.keys() == places[flip]
    accept(stats.chisquare(list(counts.values())).pvalue)


def test_shift_and_mirror_are_independent():
    rows, columns = spots({"shift": (1, 0), "flip": "horizontal"}, spot=(4, 3))
    accept(stats.chisquare(np.histogram2d(rows, columns > 4, bins=((3, 4, 5, 6), (0, 0.5, 1)))[0].ravel()).pvalue)


def test_angles_are_uniform():
    # Bilinear means of a plane are on the plane: the image of the columns' numbers shows where the centre's right
    # neighbour comes from, cos(angle) to the right of the centre, and that of the rows' numbers sin(angle) below it.
    n, shape = 4000, (5, 5, 2)
    X = np.tile(np.moveaxis(np.mgrid[-2.0:3, -2.0:3], 0, -1).reshape(-1), (n, 1))
    X_new, _ = Augmentation({"rotate": 150}, shape).apply(X, np.ones((n, 1)), np.arange(n), 0, 0)
    sine, cosine = X_new.reshape(n, *shape)[:, 2, 3].T
    np.testing.assert_allclose(sine**2 + cosine**2, 1, rtol=0, atol=1e-8)
    accept(stats.kstest(np.rad2deg(np.arctan2(sine, cosine)), stats.uniform(-150, 300).cdf).pvalue)


def test_centres_of_cuts_are_uniform():
    X, Y = np.ones((4000, 30)), np.ones((4000, 1))
    X_new, _ = Augmentation({"cutout": 1}, (5, 6, 1)).apply(X, Y, np.arange(4000), 0, 0)
    assert (X_new.sum(axis=1) == 29).all()
    accept(stats.chisquare((X_new == 0).sum(axis=0)).pvalue)


@pytest.fixture(scope="module")
def mixtures():
    """Targets of 50 samples that are mixed in each of 200 epochs, by alpha."""
    X, Y = images(50, (1, 1, 1))
    mixtures = {}
    for alpha in (0.2, 1.0, 5.0):
        augment = Augmentation({"mixup": alpha}, (1, 1, 1))
        mixtures[alpha] = np.array([augment.apply(X, Y, np.arange(50), 0, epoch)[1] for epoch in range(200)])
    return mixtures


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_of_mixup_are_beta_distributed(mixtures, alpha):
    partners = np.array([[drawn({}, (1, 1, 1), 50, 0, epoch, i)["partner"] for i in range(50)] for epoch in range(200)])
    shares = np.diagonal(mixtures[alpha], axis1=1, axis2=2)[partners != np.arange(50)]
    accept(stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue)


def test_partners_are_uniform(mixtures):
    targets = mixtures[5.0].reshape(-1, 50).copy()
    own = np.tile(np.arange(50), 200)
    targets[np.arange(len(own)), own] -= 1
    # Whose partner is another has it as the largest entry now, and who is alone has but a rounding of 1 left.
    alone = np.abs(targets).max(axis=1) < 1e-15
    partners = np.where(alone, own, targets.argmax(axis=1))
    accept(stats.chisquare(np.bincount(partners, minlength=50)).pvalue)
    accept(stats.chisquare(np.bincount((partners - own) % 50, minlength=50)).pvalue)


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}], ids=str)
def test_seeds_and_epochs_have_their_own_draws(other):
    X, Y = images(4000, (5, 5, 1))
    Y = Y[:, :1].copy()
    augment = Augmentation({"shift": 2}, (5, 5, 1))
    first, _ = augment.apply(X, Y, np.arange(4000), seed=0, epoch=0)
    second, _ = augment.apply(X, Y, np.arange(4000), **({"seed": 0, "epoch": 0} | other))
    n_equal = int((first == second).all(axis=1).sum())
    # One pair of shifts in 25 is the same by chance.
    accept(stats.binomtest(n_equal, 4000, 1 / 25).pvalue)


# ------------------------------------------------------------------------------- what must not matter


def everything(dtype, n=40, **changes):
    """All augmentations of n samples, and their arguments."""
    X, Y = images(n, dtype=dtype)
    return Augmentation(EVERYTHING | changes, SHAPE), X, Y


@DTYPES
def test_order_and_blocks_do_not_matter(dtype):
    augment, X, Y = everything(dtype)
    X_all, Y_all = augment.apply(X, Y, np.arange(40), 1, 2)
    order = np.random.default_rng(0).integers(0, 40, 60)
    for size in (1, 7, 60):
        blocks = [augment.apply(X, Y, order[i : i + size], 1, 2) for i in range(0, 60, size)]
        np.testing.assert_array_equal(np.concatenate([block[0] for block in blocks]), X_all[order])
        np.testing.assert_array_equal(np.concatenate([block[1] for block in blocks]), Y_all[order])


@DTYPES
def test_threads_do_not_matter(dtype, monkeypatch):
    augment, X, Y = everything(dtype)
    asked = []
    want = None
    for n_workers in (1, 2, 3, 50):
        monkeypatch.setattr(threads, "n_workers", lambda work, n=n_workers: asked.append(work) or n)
        got = augment.apply(X, Y, np.arange(40), 1, 2)
        want = want or got
        for ours, theirs in zip(got, want, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert len(asked) == 4
    assert {(np.dtype(dtype).char, False), (np.dtype(dtype).char, True)} <= engine.augment_images.copies.keys()


def test_large_blocks_are_cut_into_launches(monkeypatch):
    augment, X, Y = everything(np.float64)
    want = augment.apply(X, Y, np.arange(40), 1, 2)
    launched = []

    def launches(n_items, first):
        for start in range(0, n_items, 7):
            launched.append(start)
            yield start, min(start + 7, n_items)

    monkeypatch.setattr(threads, "launches", launches)
    for ours, theirs in zip(augment.apply(X, Y, np.arange(40), 1, 2), want, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert launched == [0, 7, 14, 21, 28, 35]


@DTYPES
@pytest.mark.parametrize("augment", [{"shift": 2, "flip": "both", "cutout": 3}, EVERYTHING], ids=str)
@pytest.mark.parametrize("shape", [SHAPE, (4, 20, 2), (4, 6, 1)], ids=str)
def test_formats_give_the_same_images(augment, shape, dtype):
    X, Y = images(40, shape, dtype)
    augment = augment | {"shift": 1}
    first = lambda rows: np.ascontiguousarray(rows.reshape(-1, *shape).transpose(0, 3, 1, 2)).reshape(len(rows), -1)
    last_new, Y_new = Augmentation(augment, shape).apply(X, Y, np.arange(40), 1, 2)
    first_new, Y_first = Augmentation(augment, shape, "NCHW").apply(first(X), Y, np.arange(40), 1, 2)
    np.testing.assert_array_equal(first_new, first(last_new))
    np.testing.assert_array_equal(Y_first, Y_new)


def test_precisions_have_the_same_draws():
    single, double = (everything(dtype) for dtype in (np.float32, np.float64))
    X = single[1].astype(float)
    X_single, Y_single = single[0].apply(*single[1:], np.arange(40), 1, 2)
    X_double, Y_double = double[0].apply(X, double[2], np.arange(40), 1, 2)
    # Ten roundings of numbers up to 2, of places among them.
    np.testing.assert_allclose(X_single, X_double, rtol=0, atol=3e-6)
    np.testing.assert_allclose(Y_single, Y_double, rtol=0, atol=1e-7)


def test_memory_does_not_matter():
    augment, X, Y = everything(np.float64)
    want = augment.apply(X, Y, np.arange(40), 1, 2)
    misaligned = np.zeros(X.nbytes + 1, np.uint8)[1:].view(float).reshape(X.shape)
    misaligned[...] = X
    for other in (misaligned, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        got = augment.apply(other, np.asfortranarray(Y), np.arange(80)[::2] // 2, 1, 2)
        for ours, theirs in zip(got, want, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_results_may_have_a_place():
    augment, X, Y = everything(np.float32)
    want = augment.apply(X, Y, np.arange(40), 1, 2)
    place = np.full_like(X, np.nan), np.full_like(Y, np.nan)
    got = augment.apply(X, Y, np.arange(40), 1, 2, out=place)
    for ours, theirs, given in zip(got, want, place, strict=True):
        assert ours is given
        np.testing.assert_array_equal(ours, theirs)


# ---------------------------------------------------------------------------------------------- limits


@DTYPES
def test_no_samples(dtype):
    augment, X, Y = everything(dtype)
    X_new, Y_new = augment.apply(X, Y, np.arange(0), 0, 0)
    assert X_new.shape == (0, X.shape[1])
    assert Y_new.shape == (0, 40)
    assert X_new.dtype == Y_new.dtype == dtype


@DTYPES
def test_one_sample_is_its_own_partner(dtype):
    X, Y = images(1, dtype=dtype)
    X_new, Y_new = Augmentation({"mixup": 0.5}, SHAPE).apply(X, Y, np.array([0]), 0, 0)
    np.testing.assert_allclose(X_new, X, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(Y_new, Y, rtol=2 * np.finfo(dtype).eps)


@DTYPES
@pytest.mark.parametrize("channels", [1, 4])
def test_one_pixel(channels, dtype):
    X, Y = images(6, (1, 1, channels), dtype)
    augment = {"shift": 0, "flip": "both", "rotate": 180}
    X_new, _ = Augmentation(augment, (1, 1, channels)).apply(X, Y, np.arange(6), 0, 0)
    np.testing.assert_array_equal(X_new, X)
    X_new, _ = Augmentation(augment | {"cutout": 1}, (1, 1, channels)).apply(X, Y, np.arange(6), 0, 0)
    np.testing.assert_array_equal(X_new, np.zeros_like(X))


def test_one_row():
    X, Y = images(30, (1, 8, 1))
    augment = {"shift": (0, 7), "flip": "horizontal"}
    X_new, _ = Augmentation(augment, (1, 8, 1)).apply(X, Y, np.arange(30), 0, 0)
    np.testing.assert_array_equal(X_new, reference(augment, X, (1, 8, 1), np.arange(30), 0, 0))


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (0.5, r"augment must be a dict .*, got 0\.5"),
        (["shift"], r"augment must be a dict .*, got \['shift'\]"),
        ({"zoom": 2}, r"unknown keys \['zoom'\].*\['cutout', 'flip', 'mixup', 'rotate', 'shift'\]"),
        ({"shift": 1, 3: 2, "Flip": "both"}, r"unknown keys \[3, 'Flip'\]"),
        *[
            ({"shift": value}, r'"shift"\] must be an integer of at least 0.*down and across, got ')
            for value in (-1, 1.0, 0.5, True, "2", None, (1,), (1, 2, 3), (1, -2), (1, 2.0), [[1], [2]], {1, 2})
        ],
        *[
            ({"shift": value}, r'"shift"\]=.* must leave something of images of 9 x 7 pixels: at most \(8, 6\) does')
            for value in (7, 9, (9, 0), (0, 7), [8, 10**30])
        ],
        *[
            ({"flip": value}, r'"flip"\] must be "horizontal", "vertical" or "both", got ')
            for value in (0.5, True, None, "left", ["horizontal"], "Both")
        ],
        *[
            ({"rotate": value}, r'"rotate"\] must be an angle of at least 0 degrees, got ')
            for value in (-1, -0.1, np.nan, np.inf, True, "10", None, (5, 10), 1j)
        ],
        *[
            ({"cutout": value}, r'"cutout"\] must be an integer of at least 1, got ')
            for value in (0, -1, 2.0, True, "2", None, (2, 2))
        ],
        *[
            ({"cutout": value}, r'"cutout"\]=.* must fit into images of 9 x 7 pixels: at most 7 does')
            for value in (8, 9, 10**30)
        ],
        *[
            ({"mixup": value}, r'"mixup"\] must be a finite number above 0, got ')
            for value in (0, -0.2, np.nan, np.inf, True, "0.2", None, (0.2,))
        ],
    ],
    ids=str,
)
def test_errors(augment, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(augment, SHAPE)


def test_numpy_scalars_are_numbers():
    augment = {"shift": np.int32(2), "rotate": np.float32(5), "cutout": np.uint8(3), "mixup": np.float64(0.5)}
    plain = {"shift": 2, "rotate": 5, "cutout": 3, "mixup": 0.5}
    X, Y = images(5)
    for ours, theirs in zip(
        Augmentation(augment, SHAPE).apply(X, Y, np.arange(5), 0, 0),
        Augmentation(plain, SHAPE).apply(X, Y, np.arange(5), 0, 0),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


# --------------------------------------------------------------------------------------- in training


def net(augment, **settings):
    return ConvNetClassifier((4,), kernel_size=3, augment=augment, **{"max_iter": 2, "random_state": 0, **settings})


def test_training_takes_the_augmented_samples():
    """One step on one sample is that on what becomes of it."""
    X, y = DIGITS
    for sample in range(3):
        x, label = X[[sample]], y[sample]
        rows, Y = np.repeat(x, 2, axis=0), np.array([label, label + 1])
        settings = {"max_iter": 1, "shuffle": False, "batch_size": 2, "alpha": 0.0}
        trained = net({"shift": 2, "rotate": 30}, **settings).fit(rows, Y)
        seed = check_random_state(0)
        start = trained._network.initialise(trained._initialisers(trained._network), seed, X.dtype)
        changes = Augmentation({"shift": 2, "rotate": 30}, (8, 8, 1))
        changed, _ = changes.apply(rows, np.zeros((2, 1)), np.arange(2), int(seed.randint(2**31)), 0)
        assert not np.array_equal(changed, rows)
        np.testing.assert_array_equal(trained.theta_, net(None, **settings).fit(changed, Y).theta_)
        assert not np.array_equal(trained.theta_, start)


@pytest.mark.parametrize("n_numbers", [1, 3000, 2**22])
def test_no_change_is_no_change(n_numbers, monkeypatch):
    monkeypatch.setattr("skdeep.training.epochs._AUGMENTED", n_numbers)
    X, y = DIGITS
    weights = np.linspace(0, 1, len(y))
    settings = {"shuffle": False, "batch_size": 37, "lr_schedule": "cosine"}
    plain = net(None, **settings).fit(X, y, sample_weight=weights)
    same = net({}, **settings).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(same.theta_, plain.theta_)
    np.testing.assert_array_equal(same.loss_curve_, plain.loss_curve_)
    np.testing.assert_allclose(same.grad_norm_curve_, plain.grad_norm_curve_, rtol=1e-12)


def test_each_epoch_has_its_own_changes():
    X, y = DIGITS
    # A learning rate of nothing to speak of: the losses differ by the images only.
    losses = net({"shift": 2}, learning_rate_init=1e-12, max_iter=3, shuffle=False).fit(X, y).loss_curve_
    assert len(set(np.round(losses, 6))) == 3


def test_mixup_makes_targets_of_several_classes():
    """A network that is sure of each image's class would lose much on mixtures: it learns to be unsure."""
    X, y = DIGITS
    settings = {"max_iter": 60, "tol": 0.0, "learning_rate_init": 0.01, "batch_size": 32}
    plain, mixed = (net(augment, **settings).fit(X, y) for augment in (None, {"mixup": 1.0}))
    assert min(plain.score(X, y), mixed.score(X, y)) > 0.95
    sure, unsure = (each.predict_proba(X).max(axis=1).mean() for each in (plain, mixed))
    assert sure > 0.99 > 0.95 > unsure


def test_regressors_are_augmented():
    X, y = DIGITS
    nets = [
        ConvNetRegressor((4,), kernel_size=3, augment=each, random_state=0, max_iter=2) for each in (None, {"shift": 1})
    ]
    assert not np.array_equal(*(each.fit(X, y).theta_ for each in nets))


@pytest.mark.parametrize(("augment", "message"), [({"zoom": 2}, "unknown keys"), ({"shift": 8}, "at most")])
def test_estimators_name_what_is_wrong(augment, message):
    with pytest.raises(ValueError, match=message):
        net(augment).fit(*DIGITS)


def test_lbfgs_needs_the_same_images_each_time():
    with pytest.raises(ValueError, match=r"augment=.*take a solver of"):
        net({"shift": 1}, solver="lbfgs").fit(*DIGITS)
