"""Kernels as objects: their formulas, their algebra, their names and what they refuse."""

import operator
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skdeep import kernels
from skdeep.engine.tile_program import SOURCE
from skdeep.kernels import (
    RBF,
    ArcCosine,
    Constant,
    Cosine,
    Custom,
    Exp,
    Laplacian,
    Linear,
    Matern,
    NeuralTangent,
    Normalized,
    OnColumns,
    Periodic,
    Polynomial,
    PolynomialOf,
    Power,
    Product,
    RationalQuadratic,
    Rescaled,
    Scaled,
    Sigmoid,
    Sum,
    check_kernel,
    from_name,
)
from skdeep.kernels.program import compile_tile_program
from tests import _reference_kernels as reference
from tests._names import spelled

NAMESPACE = {name: getattr(kernels, name) for name in kernels.__all__}


@pytest.fixture
def X(rng):
    X = rng.standard_normal((60, 6))
    X.flags.writeable = False
    return X


trees = settings(max_examples=40)
expressions = st.integers(1, 4).flatmap(lambda n_features: reference.kernels(n_features, depth=4))


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


@trees
@given(expressions)
def test_representation_evaluates_back(kernel):
    functions = {repr(f): f for f in (reference.overlap, reference.alike, reference.fading)}
    text = repr(kernel)
    for place, representation in enumerate(functions):
        text = text.replace(representation, f"f[{place}]")  # functions have no text that evaluates
    assert eval(text, NAMESPACE | {"f": list(functions.values())}) == kernel


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
        RBF().on(slice(1, None, 2)),
        RBF().on(np.array([True, False])),
        RBF().on(["age", "bmi"]),
        RBF().on("age").on(np.int64(1)),
        (RBF() + Linear()).exp().polynomial(np.array([1.0, 2.0])),
        (2 * RBF()).normalize() ** 2,
        RBF().exp() * RBF().exp(),
        Sum([("exp", RBF().exp()), ("exp_2", Linear().exp())]),
        2 * Matern(nu=0.5) + ArcCosine(0, 2) * NeuralTangent(3) + Sigmoid(None, -1.0),
        RBF().rescale("unit norm"),
        Power(Power(RBF(), 2), 3),
        Power(Scaled(2.0, RBF()), 3),
    ],
)
def test_representation_of_odd_expressions_evaluates_back(kernel):
    assert eval(repr(kernel), NAMESPACE) == kernel


@settings(trees, max_examples=20)
@given(st.lists(reference.kernels(6, depth=1), min_size=4, max_size=4))
def test_mixed_operators_build_the_right_tree(kernels):
    # A sum times a kernel is no sum: trees written with brackets, against their Gram matrices.
    X = reference.samples(5, 6, np.float64)
    a, b, c, d = kernels
    A, B, C, D = (reference.gram(k, X) for k in kernels)
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
        np.testing.assert_allclose(kernel(X), K, rtol=1e-12, atol=1e-12 * np.abs(K).max())


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


@trees
@given(expressions)
def test_clone_and_pickle(kernel):
    for copy in (clone(kernel), pickle.loads(pickle.dumps(kernel))):
        assert copy is not kernel
        assert copy == kernel
        assert hash(copy) == hash(kernel)
        assert repr(copy) == repr(kernel)


@trees
@given(expressions)
def test_every_parameter_is_reached(kernel):
    parameters = kernel.get_params()
    # Setting what is there changes nothing; the outer ones first, which hold the inner ones.
    assert clone(kernel).set_params(**parameters) == kernel
    for name, value in parameters.items():
        if isinstance(value, float):
            changed = clone(kernel).set_params(**{name: value + 1})
            assert changed.get_params()[name] == value + 1
            assert changed != kernel


@settings(trees, max_examples=20)
@given(reference.kernels(2, depth=2), reference.kernels(2, depth=1))
def test_a_new_term_renames_no_parameter(kernel, other):
    before = Linear() + kernel
    after = (before + other).get_params()
    for name, value in before.get_params().items():
        if name != "terms":
            assert after[name] is value


def test_equality_and_hash():
    same = [
        (RBF(), RBF(1)),
        (RBF(2.0), RBF(np.float64(2))),
        (RBF([1.0, 2.0]), RBF(np.array([1.0, 2.0]))),
        (2 * RBF() + Linear(), 2.0 * RBF() + Linear()),
        (RBF().on(slice(2)), RBF().on(slice(2))),
        (RBF().on(["a"]), RBF().on(np.array(["a"]))),
        (Custom(reference.overlap), Custom(reference.overlap)),
        (RBF().polynomial((1, 2)), RBF().polynomial([1.0, 2.0])),
    ]
    for one, other in same:
        assert one == other
        assert hash(one) == hash(other)
    different = [
        RBF(), RBF(2.0), RBF([1.0, 2.0]), Laplacian(), Matern(), Matern(nu=0.5), Linear(), Cosine(), 2 * RBF(),
        3 * RBF(), RBF() + Linear(), Linear() + RBF(), RBF() * Linear(), Sum([("a", RBF()), ("linear", Linear())]),
        RBF() ** 2, RBF() * RBF(), RBF().exp(), RBF().normalize(), RBF().on(0), RBF().on([0]), RBF().on(slice(1)),
        RBF().on("0"), RBF().rescale("unit norm"), RBF().rescale(reference.fading), RBF().polynomial([1.0]),
        Custom(reference.overlap), Custom(reference.overlap, vectorized=False), 1, "RBF()", None,
    ]  # fmt: skip
    for i, one in enumerate(different):
        for j, other in enumerate(different):
            assert (one == other) is (i == j)
    assert len(set(different)) == len(different)


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
        (Laplacian([1.0, 2.0]), "6 features"),
        (Matern(nu=2.0), "nu"),
        (Matern(-1.0), "length_scale"),
        (RationalQuadratic(alpha=0.0), "alpha"),
        (Periodic(period=-1.0), "period"),
        (Sigmoid(gamma=-1.0), "gamma"),
        (ArcCosine(degree=3), "degree"),
        (ArcCosine(depth=0), "depth"),
        (NeuralTangent(depth=-1), "depth"),
        (Custom("rbf"), "function"),
        (RBF().polynomial([1.0, -2.0]), "not negative"),
        (RBF().polynomial([]), "coefs"),
        (RBF().polynomial([[1.0]]), "coefs"),
        (RBF().polynomial([np.nan]), "finite"),
        (RBF().rescale("norm"), "function"),
        (RBF().rescale(lambda X: X), r"shape \(60,\) for 60 samples"),
        (Exp("rbf"), "kernel"),
        (RBF().on(6), "6 features"),
        (RBF().on([0, 9]), "6 features"),
        (RBF().on([]), "select none"),
        (RBF().on(slice(3, 3)), "select none"),
        (RBF().on([True, False]), "6 features"),
        (RBF().on("age"), "X has no names"),
        (RBF([1.0, 2.0, 3.0]).on([0, 1]), "2 features"),
        (Custom(lambda X, Y: np.ones(3)), "vectorized=False"),
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


# --------------------------------------------------------------------------------- names, words, graphs


@pytest.fixture
def patients():
    X = reference.samples(20, 3, np.float64)
    return pd.DataFrame(X, columns=["age", "bmi", "sex"])


@pytest.mark.parametrize(
    ("named", "placed"),
    [
        (RBF().on("bmi"), RBF().on(1)),
        (RBF([1.0, 2.0]).on(["sex", "age"]), RBF([1.0, 2.0]).on([2, 0])),
        (RBF().on(np.array(["sex", "age"])), RBF().on([2, 0])),
        (Linear().on("bmi").on(["sex", "bmi"]), Linear().on(1)),
        (Linear().on(0).on(["sex", "bmi"]), Linear().on(2)),
        ((RBF().on("bmi") + Linear()).normalize().on(["bmi", "age"]), (RBF().on(0) + Linear()).normalize().on([1, 0])),
        (RBF().rescale(reference.fading).on("bmi"), RBF().rescale(reference.fading).on(1)),
    ],
    ids=lambda k: spelled(k)[:40],
)
def test_columns_by_name(named, placed, patients):
    numbers = patients.to_numpy()
    np.testing.assert_array_equal(named(patients), placed(numbers))
    np.testing.assert_array_equal(named(patients, patients[:7]), placed(numbers, numbers[:7]))
    np.testing.assert_array_equal(named.diag(patients), placed.diag(numbers))
    np.testing.assert_array_equal(named.gram(patients, patients[:7]).T.toarray(), placed(numbers[:7], numbers))


def test_unknown_columns(patients):
    with pytest.raises(ValueError, match=r"no columns \['height'\], only \['age', 'bmi', 'sex'\]"):
        RBF().on(["age", "height"])(patients)
    with pytest.raises(ValueError, match="chosen by name"):
        RBF().on("age")(patients.to_numpy())


def common(a, b):
    return len(set(a) & set(b))


WORDS = ["kernel", "ridge", "gram", "schur", "mercer"]


def test_words():
    k = Custom(common, vectorized=False)
    expected = np.array([[common(a, b) for b in WORDS] for a in WORDS], dtype=float)
    np.testing.assert_array_equal(k(WORDS), expected)
    np.testing.assert_array_equal(k(WORDS, WORDS[:2]), expected[:, :2])
    np.testing.assert_array_equal(k.diag(WORDS), np.diagonal(expected))
    np.testing.assert_array_equal(k.gram(WORDS).rows([3, 1]), expected[[3, 1]])
    np.testing.assert_array_equal(k.gram(WORDS) @ np.ones(5), expected.sum(axis=1))
    norms = np.sqrt(np.diagonal(expected))
    normalized = expected / norms / norms[:, None]
    np.testing.assert_allclose((2 * k.normalize() ** 2 + 1)(WORDS), 2 * normalized**2 + 1, rtol=1e-15)
    np.testing.assert_allclose((0.1 * k).exp()(WORDS), np.exp(0.1 * expected), rtol=1e-15)
    # Arrays of objects, lists of dicts: whatever the function takes.
    np.testing.assert_array_equal(k(np.array(WORDS, dtype=object)), expected)
    np.testing.assert_array_equal(k([{letter: 1 for letter in word} for word in WORDS]), expected)


def test_words_have_no_columns():
    with pytest.raises(ValueError, match="could not convert string"):
        (Custom(common, vectorized=False) + RBF())(WORDS)
    with pytest.raises(ValueError, match="no numbers"):
        Custom(common, vectorized=False).on(0)(WORDS)


# ------------------------------------------------------------------------------------------- validity


@pytest.mark.parametrize(
    ("kernel", "known"),
    [
        *[
            (leaf(), True)
            for leaf in (Constant, Linear, Polynomial, RBF, Laplacian, Matern, RationalQuadratic, Periodic)
        ],
        *[(leaf(), True) for leaf in (Cosine, ArcCosine, NeuralTangent)],
        (Sigmoid(), None),
        (Custom(common), None),
        (2 * RBF() + Linear() * Laplacian() ** 2, True),
        (Exp(PolynomialOf(Rescaled(OnColumns(Normalized(RBF()), [0]), "unit norm"), [1.0, 2.0])), True),
        (2 * RBF() + Linear() * Sigmoid() ** 2, None),
        (Exp(PolynomialOf(Rescaled(OnColumns(Normalized(Custom(common)), [0]), "unit norm"), [1.0, 2.0])), None),
    ],
    ids=lambda k: spelled(k)[:40],
)
def test_what_is_known_of_validity(kernel, known):
    assert kernel.positive_semidefinite is known


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_check_of_a_kernel(dtype):
    X = reference.samples(30, 2, dtype)
    report = check_kernel(2 * RBF() + Linear(), X)
    assert report
    assert (report.symmetric, report.verdict, report.witness) == (True, "by construction", None)
    eigenvalues = np.linalg.eigvalsh((2 * RBF() + Linear())(X).astype(np.float64))
    # Rounding changes eigenvalues by eps times the largest one.
    atol = 30 * np.finfo(dtype).eps * eigenvalues[-1]
    assert report.smallest_eigenvalue == pytest.approx(eigenvalues[0], abs=atol)
    assert report.largest_eigenvalue == pytest.approx(eigenvalues[-1], abs=atol)
    assert check_kernel(Custom(lambda X, Y: X @ Y.T), X).verdict == "on this data"
    # Of one feature, |x - y| and its sine are conditionally definite at best.
    for function in (lambda X, Y: -np.abs(X[:, :1] - Y[:, 0]), lambda X, Y: np.sin(X[:, :1] - Y[:, 0]) ** 2):
        report = check_kernel(Custom(function), X)
        assert not report
        assert (report.symmetric, report.verdict) == (True, "violated")
        v = report.witness
        assert np.linalg.norm(v) == pytest.approx(1, rel=1e-6)
        assert v @ function(X, X) @ v < 0
        assert report.smallest_eigenvalue == pytest.approx(v @ function(X, X) @ v, rel=1e-4)


def test_check_of_a_sigmoid():
    X = reference.samples(30, 2, np.float64) * 3
    report = check_kernel(Sigmoid(1.0, -1.0), X)
    assert report.verdict == "violated"
    assert report.witness @ Sigmoid(1.0, -1.0)(X) @ report.witness < 0


def test_check_of_an_asymmetric_function():
    X = reference.samples(10, 2, np.float64)
    report = check_kernel(Custom(lambda X, Y: X @ Y.T + X[:, :1]), X)
    assert (report.symmetric, report.verdict, bool(report)) == (False, "violated", False)


def test_check_of_words_and_of_functions():
    assert check_kernel(Custom(common, vectorized=False), WORDS).verdict == "on this data"
    assert check_kernel(lambda X, Y: X @ Y.T, reference.samples(5, 2, np.float64)).verdict == "on this data"
    with pytest.raises(ValueError, match="NaN or infinity"):
        check_kernel(Polynomial(3), np.full((2, 1), 1e150))


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        (lambda k: k - k, "difference of two kernels is not positive semidefinite"),
        (lambda k: -k, "negative multiple of a kernel is not positive semidefinite"),
        (lambda k: -2 * k, "negative multiple is not positive semidefinite"),
        (lambda k: 0 * k, "multiplied by a finite positive number"),
        (lambda k: k + (-1), "must be finite and not negative"),
        (lambda k: k**0.5, "only products of a kernel with itself"),
        (lambda k: k**0, "positive whole exponents"),
        (lambda k: k.polynomial([1.0, -1.0])([[1.0]]), "coefficients that are not negative"),
        (lambda k: Polynomial(2, -1.0)([[1.0]]), "coef0"),
    ],
)
def test_refusals_name_the_rule(expression, rule):
    with pytest.raises((ValueError, TypeError), match=rule):
        expression(RBF())
