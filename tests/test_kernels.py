"""Kernels as objects: their formulas, their algebra, their names and what they refuse."""

import operator
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics.pairwise import linear_kernel, polynomial_kernel, rbf_kernel

from skdeep import kernels
from skdeep.engine.tile_program import SOURCE
from skdeep.kernels import RBF, Constant, Kernel, Linear, Polynomial, Power, Product, Scaled, Sum, from_name
from skdeep.kernels.program import compile_tile_program
from tests import _reference_kernels as reference

NAMESPACE = {name: getattr(kernels, name) for name in kernels.__all__}


@pytest.fixture
def X(rng):
    X = rng.standard_normal((60, 6))
    X.flags.writeable = False
    return X


def structure(kernel):
    """What a kernel is, as nested tuples: equal for equal expressions."""
    if isinstance(kernel, Kernel):
        parameters = kernel.get_params(deep=False)
        return type(kernel).__name__, tuple((name, structure(value)) for name, value in sorted(parameters.items()))
    if isinstance(kernel, np.ndarray | np.generic):
        kernel = kernel.tolist()
    return tuple(structure(item) for item in kernel) if isinstance(kernel, list | tuple) else kernel


# ------------------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("n_features", [6, 100])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda d: Linear(), lambda X, Y: linear_kernel(X, Y)),
        (lambda d: from_name("linear"), lambda X, Y: linear_kernel(X, Y)),
        (lambda d: from_name("poly", n_features=d), lambda X, Y: polynomial_kernel(X, Y)),
        (lambda d: from_name("polynomial", gamma=0.3, degree=2), lambda X, Y: polynomial_kernel(X, Y, 2, 0.3)),
        (lambda d: Polynomial(), lambda X, Y: polynomial_kernel(X, Y, 2, 1.0, 1.0)),
        (lambda d: from_name("rbf", n_features=d), lambda X, Y: rbf_kernel(X, Y)),
        (lambda d: from_name("rbf", gamma=0.7), lambda X, Y: rbf_kernel(X, Y, 0.7)),
        (lambda d: RBF(), lambda X, Y: rbf_kernel(X, Y, 0.5)),
    ],
)
def test_equals_scikit_learn(ours, theirs, n_features, dtype, rtol, rng):
    X, Y = (rng.standard_normal((n, n_features)) / np.sqrt(n_features) for n in (40, 30))
    kernel = ours(n_features)
    K = kernel(X.astype(dtype), Y.astype(dtype))
    assert K.dtype == dtype
    np.testing.assert_allclose(K, theirs(X, Y), rtol=rtol, atol=rtol)


def test_length_scale_for_each_feature(X):
    scales = np.linspace(0.5, 3, 6)
    np.testing.assert_allclose(RBF(scales)(X), RBF()(X / scales), rtol=1e-12)
    np.testing.assert_array_equal(RBF([2.0] * 6)(X), RBF(2.0)(X))


def test_quadratic_kernel_is_an_inner_product(X):
    # phi(x) = (1, sqrt2 x_i, sqrt2 x_i x_j, x_i^2): phi(x) . phi(y) = (x . y + 1)^2.
    i, j = np.triu_indices(X.shape[1], 1)
    phi = np.hstack([np.ones((len(X), 1)), np.sqrt(2) * X, np.sqrt(2) * X[:, i] * X[:, j], X**2])
    # x . y + 1 cancels where x . y is near -1.
    np.testing.assert_allclose(Polynomial(2)(X), phi @ phi.T, rtol=1e-12, atol=1e-12)


def test_diag_is_the_diagonal(X):
    k = 2 * RBF() + Polynomial(3) * Linear() + 1
    np.testing.assert_allclose(k.diag(X), np.diagonal(k(X)), rtol=1e-14)


# ------------------------------------------------------------------------------------------- programs


def sources(kernel, n_features=4):
    return len(compile_tile_program(kernel, n_features).sources)


def test_equal_expressions_are_computed_once():
    k = RBF()
    assert sources(k) == sources(k + k * k) == 1
    once, twice = (compile_tile_program(kernel, 4).instructions for kernel in (k + k * k, RBF() + RBF() * RBF()))
    np.testing.assert_array_equal(once, twice)
    # One distance, whatever the length scales; inner products are another source.
    assert sources(RBF(1.0) + RBF(2.0) * RBF(3.0)) == 1
    assert sources(Linear() + Polynomial(2) * Polynomial(3)) == 1
    assert sources(RBF() + Linear()) == 2
    # Features scaled otherwise are other distances.
    assert sources(RBF([1.0, 2.0, 3.0, 4.0]) + RBF() + RBF([1.0, 2.0, 3.0, 4.0])) == 2


def test_a_hyperparameter_changes_the_constants_alone():
    one, other = (compile_tile_program(3 * RBF(l) + Polynomial(2, c), 4) for l, c in ((1.5, 0.5), (2.5, 2.0)))
    np.testing.assert_array_equal(one.instructions, other.instructions)
    assert (one.constants != other.constants).any()


def test_registers_are_used_again():
    k = sum([RBF(l) for l in range(1, 30)])
    program = compile_tile_program(k, 4)
    # The engine's own, the distance, the sum so far, and the next term.
    assert program.n_registers == 4
    assert (program.instructions[:, 0] == SOURCE).sum() == 1


# -------------------------------------------------------------------------------------------- algebra


@pytest.mark.parametrize("seed", range(40))
def test_representation_evaluates_back(seed):
    kernel = reference.random_kernel(np.random.default_rng(seed), 3, depth=4)
    assert structure(eval(repr(kernel), NAMESPACE)) == structure(kernel)


@pytest.mark.parametrize(
    "text",
    [
        "RBF()",
        "RBF(length_scale=2.0)",
        "RBF() + Linear() + RBF(length_scale=2.0)",
        "2 * RBF() + Linear() ** 2 * Polynomial(degree=3)",
        "(RBF() + Linear()) * Polynomial()",
        "2 * (RBF() * Linear())",
        "2 * (RBF() + Linear())",
        "2 * RBF() * Linear()",
        "Linear() * (2 * RBF())",
        "(2 * RBF()) ** 3",
        "(RBF() ** 2) ** 3",
        "Linear() * (RBF() + Constant(value=3))",
        "Sum([('a', RBF()), ('b', Linear())])",
    ],
)
def test_representation_is_minimal(text):
    assert repr(eval(text, NAMESPACE)) == text


@pytest.mark.parametrize(
    "kernel",
    [
        Sum([("sum", Sum([("rbf", RBF()), ("linear", Linear())])), ("linear", Linear())]),
        Product([("product", RBF() * Linear()), ("rbf", RBF())]),
        Product([("rbf", 2 * RBF()), ("linear", Linear())]),
        Product([("rbf", RBF()), ("linear", 3 * Linear())]),
        Sum([("rbf_2", RBF()), ("rbf", RBF())]),
        Sum([("alone", RBF())]),
        Sum([("rbf", RBF())]),
        Scaled(2, Scaled(3, RBF())),
        RBF(np.float64(2.5)),
        RBF(np.array([1.0, 2.0, 3.0])),
        RBF(np.linspace(1, 2, 300)),
        np.float32(0.5) * RBF() + np.int64(2),
        RBF() ** np.int64(2),
    ],
)
def test_representation_of_odd_expressions_evaluates_back(kernel):
    assert structure(eval(repr(kernel), NAMESPACE)) == structure(kernel)


@pytest.mark.parametrize("seed", range(20))
def test_mixed_operators_build_the_right_tree(seed, X):
    # A sum times a kernel is no sum: trees written with brackets, against their Gram matrices.
    rng = np.random.default_rng(seed)
    a, b, c, d = (reference.random_kernel(rng, 6, depth=1) for _ in range(4))
    A, B, C, D = (reference.gram(k, X[:8] / 3) for k in (a, b, c, d))
    for kernel, K in [
        ((a + b) * c, (A + B) * C),
        (a * (b + c) + d, A * (B + C) + D),
        ((a + b) * (c + d), (A + B) * (C + D)),
        (a + b * c + d, A + B * C + D),
        ((a * b + c) ** 2 * d, (A * B + C) ** 2 * D),
        (2 * (a + b) * 0.5 * c, (A + B) * C),
        (sum([a, b, c]), A + B + C),
        (1 + a * 3, 1 + 3 * A),
    ]:
        np.testing.assert_allclose(kernel(X[:8] / 3), K, rtol=1e-10, atol=1e-10 * np.abs(K).max())


def test_sums_and_products_are_flat_within_themselves_only():
    k = RBF() + Linear() + Polynomial()
    assert [name for name, _ in k.terms] == ["rbf", "linear", "polynomial"]
    product = (RBF() + Linear()) * Polynomial()
    assert [(name, type(term)) for name, term in product.terms] == [("sum", Sum), ("polynomial", Polynomial)]


def test_zero_is_neutral_in_sums():
    k = RBF()
    assert 0 + k is k
    assert k + 0 is k
    assert sum([k]) is k


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.float32(2), np.int64(2)], ids=lambda n: type(n).__name__)
def test_numbers_on_both_sides(number, X):
    K = RBF()(X)
    for kernel in (number * RBF(), RBF() * number):
        assert isinstance(kernel, Scaled)
        np.testing.assert_allclose(kernel(X), 2 * K, rtol=1e-15)
    for kernel in (number + RBF(), RBF() + number):
        assert isinstance(kernel, Sum)
        np.testing.assert_allclose(kernel(X), 2 + K, rtol=1e-15)
    assert isinstance(RBF() ** int(number), Power)


# ---------------------------------------------------------------------------------------------- names


def test_names_of_terms():
    k = RBF() + Linear() + 2 * RBF() + RBF() ** 2 + 3 + RBF()
    assert [name for name, _ in k.terms] == ["rbf", "linear", "rbf_2", "power", "constant", "rbf_3"]


@pytest.mark.parametrize("kind", [operator.add, operator.mul])
def test_a_new_term_renames_no_other(kind):
    k = kind(RBF(1.0), Linear())
    for more in (kind(k, RBF(2.0)), kind(RBF(2.0), k), kind(k, kind(Linear(), RBF(2.0)))):
        names = dict(more.terms)
        assert names["rbf"].length_scale == 1.0
        assert names["linear"] is k.terms[1][1]
        assert names["rbf_2"].length_scale == 2.0
    assert [name for name, _ in k.terms] == ["rbf", "linear"]


def test_nested_parameters():
    k = 2 * RBF() + Linear() * Polynomial()
    params = k.get_params()
    assert params["rbf__scale"] == 2
    assert params["rbf__kernel__length_scale"] == 1.0
    assert params["product__polynomial__degree"] == 2
    assert k.set_params(rbf__scale=3, rbf__kernel__length_scale=2, product__polynomial__degree=4) is k
    assert repr(k) == "3 * RBF(length_scale=2) + Linear() * Polynomial(degree=4)"
    k.set_params(product=Constant(5.0))
    assert repr(k) == "Sum([('rbf', 3 * RBF(length_scale=2)), ('product', Constant(value=5.0))])"
    with pytest.raises(ValueError, match="Invalid parameter 'length_scale'"):
        k.set_params(rbf__length_scale=2.0)


@pytest.mark.parametrize("seed", range(10))
def test_clone_and_pickle(seed, X):
    kernel = reference.random_kernel(np.random.default_rng(seed), 6)
    for copy in (clone(kernel), pickle.loads(pickle.dumps(kernel))):
        assert copy is not kernel
        assert structure(copy) == structure(kernel)
        np.testing.assert_array_equal(copy(X), kernel(X))


def test_clone_is_independent():
    k = RBF() + Linear()
    clone(k).set_params(rbf__length_scale=5.0)
    assert k.get_params()["rbf__length_scale"] == 1.0


def test_parameters_are_stored_untouched():
    scales = [1.0, 2.0]
    assert RBF(scales).length_scale is scales
    terms = [("a", RBF())]
    assert Sum(terms).terms is terms


# ------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "expression",
    [
        lambda k: k - k,
        lambda k: k - 1,
        lambda k: 1 - k,
        lambda k: -k,
        lambda k: -2 * k,
        lambda k: k * -2.0,
        lambda k: k * np.float64(-1),
        lambda k: k + (-1),
        lambda k: -1 + k,
        lambda k: k**-1,
        lambda k: k**0.5,
        lambda k: k * float("nan"),
        lambda k: k + float("nan"),
        lambda k: k * float("inf"),
        lambda k: k + float("inf"),
        lambda k: k ** float("nan"),
    ],
)
def test_what_leads_out_of_the_kernels_is_refused(expression):
    with pytest.raises((ValueError, TypeError), match=r"positive|kernel"):
        expression(RBF())


@pytest.mark.parametrize("other", ["rbf", None, np.ones(3), [1.0], 1j], ids=repr)
@pytest.mark.parametrize("operation", [operator.add, operator.mul])
def test_operands_of_another_kind(operation, other):
    for pair in ((RBF(), other), (other, RBF())):
        with pytest.raises(TypeError):
            operation(*pair)
    with pytest.raises((TypeError, ValueError)):
        RBF() ** other


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (RBF(0.0), "length_scale"),
        (RBF(-1.0), "length_scale"),
        (RBF(float("nan")), "length_scale"),
        (RBF("wide"), "length_scale"),
        (RBF([1.0, 2.0]), "6 features"),
        (RBF([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), "length_scale"),
        (Polynomial(degree=1.5), "degree"),
        (Polynomial(degree=-1), "degree"),
        (Polynomial(coef0=-0.5), "coef0"),
        (Polynomial(gamma=-1.0), "gamma"),
        (Constant(-1), "value"),
        (Scaled(-1.0, RBF()), "scale"),
        (Scaled(1.0, "rbf"), "kernel"),
        (Power(RBF(), 1.5), "exponent"),
        (Sum([]), "terms|pairs"),
        (Sum([RBF(), Linear()]), "terms|pairs"),
        (Sum([("a", RBF()), ("a", Linear())]), "unique"),
        (Sum([("a__b", RBF())]), "__"),
        (Sum([("terms", RBF())]), "terms"),
        (Sum([("a", "rbf")]), "terms|pairs"),
        (Linear() + RBF(-1.0), "length_scale"),
    ],
)
def test_invalid_parameters_are_named(kernel, words, X):
    with pytest.raises((ValueError, TypeError), match=words):
        kernel(X)


def test_invalid_data(X):
    with pytest.raises(ValueError, match="NaN"):
        RBF()(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="infinity"):
        RBF()(X, np.full((2, 6), np.inf))
    with pytest.raises(ValueError, match=r"6 features.*5"):
        RBF()(X, X[:, :5])
    with pytest.raises(ValueError, match="2D"):
        RBF()(X[0])


def test_unknown_name():
    with pytest.raises(ValueError, match=r"linear.*'gaussian'"):
        from_name("gaussian")


# ------------------------------------------------------------------------------------------ input data


@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X[::-1].copy()[::-1],
        lambda X: X.astype(">f8"),
        lambda X: pd.DataFrame(X),
        lambda X: X.tolist(),
        lambda X: np.frombuffer(b"\0" + X.tobytes(), dtype=np.uint8)[1:].view(np.float64).reshape(X.shape),
    ],
    ids=["fortran", "strided", "reversed", "big-endian", "pandas", "list", "misaligned"],
)
def test_memory_layout_does_not_matter(convert, X):
    k = 2 * RBF() + Polynomial() * Linear()
    np.testing.assert_array_equal(k(convert(X)), k(X))
    np.testing.assert_array_equal(k(convert(X), convert(X[:7])), k(X, X[:7]))


def test_dtypes(X):
    single = X.astype(np.float32)
    assert RBF()(single).dtype == RBF()(single, single[:3]).dtype == np.float32
    assert RBF()(single, X).dtype == RBF()(X, single).dtype == np.float64
    assert RBF()(np.arange(6).reshape(3, 2)).dtype == np.float64


def test_the_argument_twice_is_the_argument_once(X):
    k = RBF() + Linear()
    np.testing.assert_array_equal(k(X, X), k(X))
    np.testing.assert_array_equal(k(X, X.copy()), k(X))


def test_calls_change_no_data(X):
    before = X.copy()
    k = RBF() + Linear()
    k(X)
    k.gram(X) @ X
    np.testing.assert_array_equal(X, before)
