import hypothesis.strategies as st
import numpy
import pytest
import torch
from hypothesis import given, settings

from evaluators.evaluator import EvaluationError
from evaluators.loss.lanczos import KrylovBasis, lanczos


def planted(eigenvalues, seed):
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    random = torch.randn(size, size, generator=generator, dtype=torch.float64)
    basis, _ = torch.linalg.qr(random)
    matrix = (
        basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T
    )
    return (matrix + matrix.T) / 2


def run(matrix, seed=0, **options):
    return lanczos(
        lambda v: matrix @ v,
        len(matrix),
        torch.Generator().manual_seed(seed),
        dtype=matrix.dtype,
        **options,
    )


def by_magnitude(values, num):
    return sorted(values, key=lambda v: -abs(v))[:num]


def hessian_like(size=200, seed=0):
    """A bulk around zero and a few outliers, as networks have."""
    rng = numpy.random.default_rng(seed)
    return [90.0, 61.0, 40.0, -23.0, 17.0, -9.0, *rng.normal(0, 0.5, size - 6)]


@pytest.mark.parametrize("seed", range(5))
def test_outliers_of_a_hessian_like_spectrum(seed):
    values = hessian_like(seed=seed)
    result = run(planted(values, seed), seed)
    assert result.converged and result.smallest_converged
    assert result.eigenvalues == pytest.approx([90, 61, 40, -23, 17], rel=1e-6)
    assert result.smallest == pytest.approx(-23, rel=1e-6)
    assert result.num_products < 30


DEGENERATE = {
    "double": [20, 15, 12, -9, -9, 4, 3, 2],
    "triple": [20, 20, 20, 9, 7, 4, 3, 2],
    "fivefold": [10, 10, 10, 10, 10, 4, 3, 2],
    "double edge of the other sign": [20, 15, 12, -7, -7, 6.9, 3, 2],
    "nearly equal edges": [20, 15, 12, 9, 7.0, -6.99, 3, 2],
}


def degenerate(case, seed, verify):
    """Whether the five found of a planted diagonal are the five that there are."""
    noise = torch.randn(1500, generator=torch.Generator().manual_seed(seed)) * 0.3
    values = torch.cat([torch.tensor(DEGENERATE[case]), noise]).double()
    generator = torch.Generator().manual_seed(seed)
    result = lanczos(
        lambda v: values * v,
        len(values),
        generator,
        max_products=80,
        verify=verify,
        dtype=torch.float64,
    )
    truth = sorted(by_magnitude(values.tolist(), 5))
    return result, sorted(result.eigenvalues) == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("case", DEGENERATE)
def test_no_member_of_the_five_is_missing_from_degenerate_spectra(case):
    for seed in range(5):
        result, is_whole = degenerate(case, seed, verify=True)
        assert result.converged and is_whole


def test_without_verification_converged_means_no_more_than_it_says():
    result, is_whole = degenerate("double edge of the other sign", 0, verify=False)
    assert result.converged and not result.verified and not is_whole


def test_residuals_of_several_start_vectors_are_upper_bounds():
    matrix = planted(DEGENERATE["triple"] + [0.01 * i for i in range(100)], 3)
    result = run(matrix)
    assert result.num_starts >= 2 and result.verified
    basis = torch.cat(result.basis.vectors())
    values, vectors = torch.linalg.eigh(basis @ matrix @ basis.T)
    # Of the triple value each combination is an eigenvector; the others are single.
    for value, residual in zip(result.eigenvalues, result.residuals, strict=True):
        if value < 15:
            ritz = basis.T @ vectors[:, int((values - value).abs().argmin())]
            true = float(torch.linalg.vector_norm(matrix @ ritz - value * ritz))
            assert true <= residual + 1e-9


def test_float32_is_enough():
    matrix = planted(hessian_like(), 0).float()
    result = run(matrix)
    assert result.eigenvalues == pytest.approx([90, 61, 40, -23, 17], rel=2e-6)
    assert result.asymmetry < 1e-5


def test_residuals_are_the_true_residuals():
    matrix = planted(hessian_like(), 3)
    result = run(matrix, tolerance=0.05, verify=False)
    basis = torch.cat(result.basis.vectors())
    projected = basis @ matrix @ basis.T
    values, vectors = torch.linalg.eigh(projected)
    for value, residual in zip(result.eigenvalues, result.residuals, strict=True):
        column = int((values - value).abs().argmin())
        ritz_vector = basis.T @ vectors[:, column]
        true = torch.linalg.vector_norm(matrix @ ritz_vector - value * ritz_vector)
        assert residual == pytest.approx(float(true), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.floats(-100, 100, allow_nan=False).map(lambda v: round(v, 2)),
        min_size=1,
        max_size=24,
    ),
    st.integers(0, 1000),
)
def test_any_small_spectrum_is_found_whole(values, seed):
    result = run(planted(values, seed), seed, max_products=200, tolerance=1e-12)
    scale = max(1.0, max(abs(v) for v in values))
    if len(set(values)) == len(values) or len(values) <= 5:
        got = sorted(abs(v) for v in result.eigenvalues)
        want = sorted(abs(v) for v in by_magnitude(values, 5))
        assert got == pytest.approx(want, abs=1e-5 * scale)
    assert result.smallest == pytest.approx(min(values), abs=1e-5 * scale)
    assert max(abs(v) for v in result.eigenvalues) == pytest.approx(
        max(abs(v) for v in values), abs=1e-5 * scale
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([5.0, 2.0, -3.0, 1.0]), min_size=1, max_size=9),
    st.integers(10, 60),
    st.integers(0, 1000),
)
def test_low_rank_and_degenerate_with_multiplicities(nonzero, num_zeros, seed):
    values = nonzero + [0.0] * num_zeros
    result = run(planted(values, seed), seed, max_products=500)
    got = sorted(abs(v) for v in result.eigenvalues)
    assert got == pytest.approx(
        sorted(abs(v) for v in by_magnitude(values, 5)), abs=1e-6
    )
    assert result.smallest == pytest.approx(min(values), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, -2.0])
def test_multiples_of_the_identity(value):
    result = run(value * torch.eye(40, dtype=torch.float64))
    assert result.eigenvalues == pytest.approx([value] * 5)
    assert result.smallest == pytest.approx(value)


def test_fewer_rows_than_eigenvalues():
    result = run(torch.diag(torch.tensor([3.0, -4.0])).double())
    assert result.eigenvalues == pytest.approx([-4, 3])
    assert result.num_products == 2
    assert result.converged


def test_shift_moves_every_eigenvalue_and_the_choice_of_the_largest():
    matrix = planted([-10.0, 9.0, 8.0, 7.0, 6.0, 5.0, *([0.1] * 30)], 0)
    plain, shifted = run(matrix), run(matrix, shift=3.0)
    assert plain.eigenvalues == pytest.approx([-10, 9, 8, 7, 6], rel=1e-6)
    assert shifted.eigenvalues == pytest.approx([12, 11, 10, 9, 8], rel=1e-6)
    assert shifted.smallest == pytest.approx(-7, rel=1e-6)


def test_unfinished_runs_say_so():
    spread = numpy.linspace(1, 2, 300).tolist()
    result = run(planted(spread, 0), max_products=10)
    assert result.num_products == 10
    assert not result.converged


def test_zero_tolerance_uses_every_product():
    assert (
        run(planted(hessian_like(), 0), tolerance=0, max_products=25).num_products == 25
    )


def test_quadrature_weights_and_trace_of_the_basis():
    matrix = planted(hessian_like(), 1)
    result = run(matrix, tolerance=0, max_products=12)
    assert result.weights.sum() == pytest.approx(1)
    basis = torch.cat(result.basis.vectors())
    assert torch.allclose(
        basis @ basis.T, torch.eye(12, dtype=torch.float64), atol=1e-12
    )
    assert result.trace == pytest.approx(float(torch.trace(basis @ matrix @ basis.T)))
    start = basis[0]
    for power in range(2 * 12):  # Gauss quadrature is exact to degree 2m - 1
        moment = float(start @ torch.linalg.matrix_power(matrix / 90, power) @ start)
        nodes = (result.ritz_values / 90) ** power
        assert (result.weights * nodes).sum() == pytest.approx(moment, rel=1e-8)


def test_asymmetry_is_noticed():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(80, 80, generator=generator, dtype=torch.float64)
    assert run(matrix, max_products=20).asymmetry > 0.1
    assert run(matrix + matrix.T, max_products=20).asymmetry < 1e-12


def test_same_seed_same_result_other_seed_same_eigenvalues():
    matrix = planted(hessian_like(), 0)
    first, again, other = run(matrix, 1), run(matrix, 1), run(matrix, 2)
    assert first.eigenvalues == again.eigenvalues
    assert first.eigenvalues != other.eigenvalues
    assert first.eigenvalues == pytest.approx(other.eigenvalues, rel=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_products_are_refused(bad):
    with pytest.raises(EvaluationError, match="product 1 is not finite"):
        run(torch.full((20, 20), bad, dtype=torch.float64))


def test_basis_grows_beyond_a_chunk():
    basis = KrylovBasis(30, torch.device("cpu"), torch.float64)
    for row in torch.eye(30, dtype=torch.float64)[:20]:
        basis.append(row)
    left, coefficients = basis.remove(torch.ones(30, dtype=torch.float64))
    assert torch.equal(coefficients, torch.ones(20, dtype=torch.float64))
    assert torch.equal(left[:20], torch.zeros(20, dtype=torch.float64))
    assert torch.equal(left[20:], torch.ones(10, dtype=torch.float64))
