import numpy
import pytest
import torch

from evaluators.loss.lanczos import lanczos
from evaluators.loss.spectral_density import SpectralDensity
from search_spaces.errors import InputError
from tests.evaluators.flatness_cases import share_up_to
from tests.evaluators.loss.test_lanczos import hessian_like, planted


def runs(matrix, num, num_products, seed=0):
    return [
        lanczos(
            lambda v: matrix @ v,
            len(matrix),
            torch.Generator().manual_seed(1000 * seed + run),
            tolerance=0,
            max_products=num_products,
            dtype=matrix.dtype,
        )
        for run in range(num)
    ]


def dense_cdf(values, positions):
    return numpy.searchsorted(numpy.sort(values), positions, side="right") / len(values)


@pytest.mark.parametrize("seed", range(3))
def test_distribution_function_of_a_hessian_like_matrix(seed):
    values = hessian_like(300, seed)
    density = SpectralDensity.from_runs(runs(planted(values, seed), 12, 60, seed))
    positions = numpy.linspace(-30, 100, 2001)
    error = numpy.abs(
        share_up_to(density, positions) - dense_cdf(values, positions)
    ).max()
    # Random weights of 300 eigenvalues over 12 vectors: standard deviation 0.012.
    assert error < 0.05
    assert density.weights.sum() == pytest.approx(1)


def test_moments_are_those_of_the_spectrum():
    values = numpy.array(hessian_like(300))
    density = SpectralDensity.from_runs(runs(planted(values.tolist(), 0), 200, 12))
    for power in (1, 2, 3):
        estimate = (density.weights * density.nodes**power).sum()
        spread = numpy.sqrt(2 * (values ** (2 * power)).mean() / (300 * 200))
        assert abs(estimate - (values**power).mean()) < 4 * spread


def test_two_eigenvalues_are_two_steps():
    matrix = planted([1.0] * 100 + [3.0] * 300, 0)
    density = SpectralDensity.from_runs(runs(matrix, 400, 2))
    shares = share_up_to(density, numpy.array([0.9, 2.0, 3.1]))
    assert shares == pytest.approx([0, 0.25, 1], abs=0.01)


def test_a_node_counts_half_at_itself():
    density = SpectralDensity(numpy.array([0.0, 1.0]), numpy.array([0.4, 0.6]))
    shares = share_up_to(density, numpy.array([-1.0, 0.0, 0.5, 1.0, 2.0]))
    assert shares == pytest.approx([0, 0.2, 0.4, 0.7, 1])


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="at least one"):
        SpectralDensity.from_runs([])
