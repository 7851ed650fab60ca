import functools
import json

import numpy
import pytest
import torch

from evaluators.evaluator import EvaluationError
from evaluators.loss.hessian_trace import HessianTrace, probe_complement
from evaluators.loss.lanczos import lanczos
from evaluators.loss.minibatches import draw_minibatches
from evaluators.loss.spectral_density import SpectralDensity
from search_spaces.errors import InputError
from tests.evaluators.flatness_cases import (
    dense_hessian,
    make_data,
    make_net,
    share_up_to,
)
from tests.evaluators.loss.test_lanczos import hessian_like, planted

CPU = torch.device("cpu")


@functools.cache
def dense():
    net = make_net()
    return [
        dense_hessian(net, batch.images, batch.labels)
        for batch in draw_minibatches(make_data(), 16, 2, 0, CPU)
    ]


def test_trace_of_a_network_equals_the_dense_one():
    evaluation = HessianTrace(max_batches=2, num_probes=60).evaluate(
        make_net(), make_data()
    )
    for row, matrix in zip(evaluation.details["minibatches"], dense(), strict=True):
        error = abs(row["trace"] - float(torch.trace(matrix)))
        assert error < 4 * row["probe_standard_error"]
        assert row["probe_standard_error"] < 0.05 * float(torch.trace(matrix))
        assert row["num_products"] == 16 + 60
    traces = [row["trace"] for row in evaluation.details["minibatches"]]
    assert evaluation.metrics["hessian_trace"] == pytest.approx(sum(traces) / 2)
    assert evaluation.standard_errors["hessian_trace"] == pytest.approx(
        abs(traces[0] - traces[1]) / 2
    )


def test_estimate_is_unbiased_and_far_better_than_plain_probes():
    values = hessian_like(200)
    matrix, truth = planted(values, 0), sum(values)
    deflated, plain = [], []
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        run = lanczos(
            lambda v: matrix @ v,
            200,
            generator,
            tolerance=0,
            max_products=16,
            dtype=torch.float64,
        )
        rest = probe_complement(lambda v: matrix @ v, run.basis, 200, 14, generator)
        deflated.append(run.trace + numpy.mean(rest))
        signs = torch.randint(0, 2, (30, 200), generator=generator).double() * 2 - 1
        plain.append(float(((signs @ matrix) * signs).sum(1).mean()))
    deflated, plain = numpy.array(deflated), numpy.array(plain)
    spread = deflated.std(ddof=1)
    assert abs(deflated.mean() - truth) < 4 * spread / 60**0.5
    assert spread < 0.2 * plain.std(ddof=1)


def test_whole_space_gives_the_exact_trace_without_probes():
    matrix = planted([5.0, -3.0, 2.0, 1.0], 0)
    run = lanczos(
        lambda v: matrix @ v,
        4,
        torch.Generator().manual_seed(0),
        tolerance=0,
        dtype=torch.float64,
    )
    rest = probe_complement(lambda v: matrix @ v, run.basis, 4, 9, torch.Generator())
    assert rest == [0.0]
    assert run.trace == pytest.approx(5.0)


def test_density_equals_the_dense_spectrum():
    evaluation = HessianTrace(max_batches=2, num_products=60, num_probes=1).evaluate(
        make_net(), make_data()
    )
    density = SpectralDensity(
        numpy.array(evaluation.details["density"]["nodes"]),
        numpy.array(evaluation.details["density"]["weights"]),
    )
    spectra = [torch.linalg.eigvalsh(matrix).numpy() for matrix in dense()]
    positions = numpy.linspace(spectra[0][0] - 1, spectra[0][-1] + 1, 1001)
    want = numpy.mean(
        [numpy.searchsorted(s, positions, side="right") / len(s) for s in spectra],
        axis=0,
    )
    away = numpy.abs(positions) > 0.2  # most eigenvalues are nearly zero: a jump
    assert numpy.abs(share_up_to(density, positions) - want)[away].max() < 0.05
    assert density.nodes[-1] == pytest.approx(max(s[-1] for s in spectra), rel=1e-4)
    assert density.nodes[0] == pytest.approx(min(s[0] for s in spectra), rel=1e-4)


def test_l2_is_reported_apart():
    net = make_net()
    plain = HessianTrace(max_batches=1).evaluate(net, make_data())
    decayed = HessianTrace(max_batches=1).evaluate(net, make_data(weight_decay=0.05))
    assert decayed.metrics == plain.metrics
    num = sum(p.numel() for p in net.parameters())
    assert decayed.details["l2_trace"] == pytest.approx(0.05 * num)


def test_same_seed_same_value_network_untouched_and_json():
    net, data = make_net(), make_data()
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    evaluator = HessianTrace(max_batches=2)
    first = evaluator.evaluate(net, data)
    assert evaluator.evaluate(net, data) == first
    other = HessianTrace(max_batches=2, seed=1).evaluate(net, data)
    assert other.metrics != first.metrics
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert net.training and all(p.grad is None for p in net.parameters())
    assert json.loads(json.dumps(first.details, allow_nan=False))
    assert set(first.metrics) == {m.name for m in HessianTrace.metrics}


def test_nan_is_refused():
    net = make_net()
    with torch.no_grad():
        net.conv.weight[0] = float("nan")
    with pytest.raises(EvaluationError, match="not finite"):
        HessianTrace(max_batches=1)(net, make_data())


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="num_probes"):
        HessianTrace(num_probes=0)
