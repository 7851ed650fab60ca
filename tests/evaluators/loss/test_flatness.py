import dataclasses
import functools
import json

import pytest
import torch
from torch import nn

from evaluators.evaluator import EvaluationError
from evaluators.loss.batch_loss import BatchLoss
from evaluators.loss.flatness import Flatness, summarise_spectra
from evaluators.loss.minibatches import draw_minibatches
from search_spaces.errors import InputError
from tests.evaluators.flatness_cases import dense_hessian, make_data, make_net

CPU = torch.device("cpu")
FEW = Flatness(max_batches=3)


class DetachedKernel(torch.autograd.Function):
    """x squared, with a backward that silently drops the second derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


class DetachedNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(192, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.second(DetachedKernel.apply(self.first(x.flatten(1))))


@functools.cache
def dense_spectra(steps):
    net, spectra = make_net(steps), []
    for batch in draw_minibatches(make_data(), 16, 2, 0, CPU):
        matrix = dense_hessian(net, batch.images, batch.labels)
        assert (matrix - matrix.T).abs().max() < 1e-12
        spectra.append(torch.linalg.eigvalsh(matrix))
    return spectra


@pytest.mark.parametrize(
    ("steps", "precision"),
    [
        (0, "float32"),
        (30, "float64"),
        (120, "float32"),
        *(
            pytest.param(steps, precision, marks=pytest.mark.slow)
            for steps, precision in ((0, "float64"), (30, "float32"), (120, "float64"))
        ),
    ],
)
def test_eigenvalues_equal_those_of_the_dense_hessian(steps, precision):
    net, data = make_net(steps), make_data()
    evaluation = Flatness(max_batches=2, precision=precision).evaluate(net, data)
    for row, truth in zip(
        evaluation.details["minibatches"], dense_spectra(steps), strict=True
    ):
        top = truth[truth.abs().argsort(descending=True)[:5]]
        assert row["eigenvalues"] == pytest.approx(top.tolist(), rel=1e-4)
        assert row["smallest"] == pytest.approx(float(truth[0]), rel=1e-4)
        assert float(truth[0]) < 0 < float(truth[-1])
        assert row["converged"] and row["smallest_converged"]
        assert row["method"] == "exact"
        assert row["num_products"] <= 60


def test_negative_values_among_the_top_five_are_found():
    net = make_net(0)
    with torch.no_grad():  # sure of itself and wrong: strong negative curvature
        net.head.weight.mul_(30)
    data = make_data()
    evaluation = Flatness(max_batches=2).evaluate(net, data)
    for row, batch in zip(
        evaluation.details["minibatches"],
        draw_minibatches(data, 16, 2, 0, CPU),
        strict=True,
    ):
        truth = torch.linalg.eigvalsh(dense_hessian(net, batch.images, batch.labels))
        top = truth[truth.abs().argsort(descending=True)[:5]]
        assert row["eigenvalues"] == pytest.approx(top.tolist(), rel=1e-4)
    signs = [v < 0 for r in evaluation.details["minibatches"] for v in r["eigenvalues"]]
    assert 0 < sum(signs) < len(signs)
    assert evaluation.metrics["nep"] == pytest.approx(sum(signs) / len(signs))


def test_l2_shifts_every_eigenvalue_by_the_weight_decay_exactly():
    net = make_net()
    plain = FEW.evaluate(net, make_data()).details["minibatches"]
    decayed = FEW.evaluate(net, make_data(weight_decay=0.05)).details["minibatches"]
    for a, b in zip(plain, decayed, strict=True):
        for value, shifted in zip(a["eigenvalues"], b["eigenvalues"], strict=True):
            assert shifted - value == pytest.approx(0.05, abs=1e-12)
        assert b["smallest"] - a["smallest"] == pytest.approx(0.05, abs=1e-12)


def test_l2_shift_equals_the_dense_hessian_of_the_sum():
    net, data = make_net(), make_data(weight_decay=0.3)
    row = Flatness(max_batches=1).evaluate(net, data).details["minibatches"][0]
    (batch,) = draw_minibatches(data, 16, 1, 0, CPU)
    matrix = dense_hessian(net, batch.images, batch.labels)
    truth = torch.linalg.eigvalsh(matrix + 0.3 * torch.eye(len(matrix)).double())
    top = truth[truth.abs().argsort(descending=True)[:5]]
    assert row["eigenvalues"] == pytest.approx(top.tolist(), rel=1e-4)


def test_frozen_position_bias():
    net, data = make_net(), make_data()
    net.attention.bias.requires_grad_(False)
    row = Flatness(max_batches=1).evaluate(net, data).details["minibatches"][0]
    (batch,) = draw_minibatches(data, 16, 1, 0, CPU)
    truth = torch.linalg.eigvalsh(dense_hessian(net, batch.images, batch.labels))
    assert row["eigenvalues"][0] == pytest.approx(float(truth[-1]), rel=1e-4)
    assert not net.attention.bias.requires_grad


def test_finite_differences_give_the_same_metrics():
    net, data = make_net(), make_data()
    exact = FEW(net, data)
    approximate = dataclasses.replace(FEW, method="finite_difference")(net, data)
    assert approximate == pytest.approx(exact, rel=2e-2)


def test_differences_of_a_network_with_kinks_are_refused_with_another_way_out():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(4),
    )
    data = make_data()
    net(data.validation.batch(slice(0, 2), CPU)[0])
    wanted = dataclasses.replace(FEW, method="finite_difference")
    with pytest.raises(EvaluationError, match='ReLU.*use the method "exact"') as error:
        wanted.evaluate(net, data)
    assert "finite_difference" not in str(error.value)
    assert dataclasses.replace(FEW, method="exact").evaluate(net, data).metrics


def test_metrics_by_hand():
    tops = [[8.0, -4.0, 2.0], [6.0, 5.0, 1.0]]
    metrics, errors = summarise_spectra(tops, [-4.0, -2.0])
    assert metrics["hessian_max"] == 7.0
    assert metrics["hessian_min"] == -3.0
    assert metrics["nep"] == pytest.approx(1 / 6)
    assert metrics["ape"] == pytest.approx((8 + 2 + 6 + 5 + 1) / 5)
    assert errors["hessian_max"] == pytest.approx(1.0)  # sd sqrt 2, over sqrt 2
    assert errors["hessian_min"] == pytest.approx(1.0)
    assert errors["nep"] == pytest.approx(1 / 6)
    # Residuals 10 - 4.4 * 2 = 1.2 and 12 - 4.4 * 3 = -1.2, over a mean count of 2.5.
    assert errors["ape"] == pytest.approx(1.2 / 2.5)


def test_ape_standard_error_covers_the_truth():
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(300):
        values = 3 + 2 * torch.randn(40, 5, generator=generator)
        metrics, errors = summarise_spectra(values.tolist(), values[:, 0].tolist())
        truth = 3.2767  # E[x | x > 0] for N(3, 2): 3 + 2 phi(1.5) / Phi(1.5)
        hits += abs(metrics["ape"] - truth) < 1.96 * errors["ape"]
    assert 0.91 < hits / 300 < 0.985


def test_nep_error_from_few_minibatches_is_as_much_too_small_as_the_docstring_says():
    generator = torch.Generator().manual_seed(0)

    def ratio(num_batches):  # 5% negative values, in 2000 measurements
        negative = torch.rand(2000, num_batches, 5, generator=generator) < 0.05
        values = (1 - 2 * negative.double()).tolist()
        found = [summarise_spectra(tops, [0.0] * num_batches) for tops in values]
        spread = torch.tensor([m["nep"] for m, _ in found]).std()
        # where there is none, nothing was seen of the spread
        return sum(e.get("nep", 0.0) for _, e in found) / len(found) / float(spread)

    assert 0.6 < ratio(4) < 0.85
    assert 0.9 < ratio(24) < 1.02


def test_equal_shares_in_every_minibatch_are_no_certainty():
    _, errors = summarise_spectra([[2.0, 1.0], [4.0, 1.0]], [1.0, 1.0])
    assert "nep" not in errors
    assert errors["hessian_max"] > 0


def test_no_positive_eigenvalue_no_ape_and_one_minibatch_no_error():
    metrics, errors = summarise_spectra([[-3.0, -2.0]], [-3.0])
    assert "ape" not in metrics
    assert metrics["nep"] == 1.0
    assert errors == {}


def test_the_network_is_given_back_as_it_was():
    net, data = make_net(), make_data(weight_decay=0.05)
    net.train()
    net.norm.eval()
    net.head.weight.grad = torch.ones_like(net.head.weight)
    net.attention.bias.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    FEW.evaluate(net, data)
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert net.training and net.conv.training and not net.norm.training
    assert torch.equal(net.head.weight.grad, torch.ones_like(net.head.weight))
    assert net.conv.weight.grad is None
    assert not net.attention.bias.requires_grad and net.conv.weight.requires_grad
    assert torch.equal(state, torch.get_rng_state())


def test_same_seed_same_value_other_seed_other_minibatches():
    net, data = make_net(), make_data()
    first = FEW.evaluate(net, data)
    torch.manual_seed(99)
    assert FEW.evaluate(net, data) == first
    other = dataclasses.replace(FEW, seed=1).evaluate(net, data)
    assert other.metrics["hessian_max"] != first.metrics["hessian_max"]


def test_every_metric_is_declared_and_details_are_json():
    evaluation = FEW.evaluate(make_net(), make_data())
    assert set(evaluation.metrics) == {m.name for m in Flatness.metrics}
    assert set(evaluation.standard_errors) == set(evaluation.metrics)
    assert json.loads(json.dumps(evaluation.details, allow_nan=False))


def test_too_few_products_are_flagged_not_dropped():
    evaluation = Flatness(max_batches=2, max_products=7).evaluate(
        make_net(), make_data()
    )
    assert evaluation.details["num_converged"] == 0
    assert len(evaluation.details["minibatches"]) == 2


def test_silently_dropped_second_derivatives_are_noticed():
    torch.manual_seed(0)
    net = DetachedNet()
    with pytest.raises(EvaluationError, match="not symmetric"):
        FEW.evaluate(net, make_data())
    by_difference = dataclasses.replace(FEW, method="finite_difference")
    assert by_difference.evaluate(net, make_data()).details["num_converged"] == 3


def test_nan_weights_are_refused_and_the_network_is_still_given_back():
    net = make_net()
    net.train()
    with torch.no_grad():
        net.head.bias[0] = float("nan")
    with pytest.raises(EvaluationError, match="not finite"):
        FEW.evaluate(net, make_data())
    assert net.training


def test_random_forward_is_refused():
    net = make_net()
    net.attention = nn.Sequential(net.attention, AlwaysDropout())
    with pytest.raises(EvaluationError, match="deterministic"):
        FEW.evaluate(net, make_data())


class AlwaysDropout(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"max_batches": 0},
        {"top_k": 0},
        {"tolerance": 0.0},
        {"tolerance": 1.0},
        {"max_products": 5},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Flatness(**options)


def test_gradient_of_the_batch_loss_is_that_of_the_network():
    net, data = make_net(), make_data()
    images, labels = data.train.batch(slice(0, 16), CPU)
    loss, gradients = BatchLoss(net, images, labels).gradient()
    expected = nn.functional.cross_entropy(net(images), labels)
    expected.backward()
    assert torch.allclose(loss, expected)
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_values_of_the_cpu():
    data = make_data(weight_decay=0.05)
    expected = FEW(make_net(), data)
    assert FEW(make_net().cuda(), data) == pytest.approx(expected, rel=1e-3)


def test_tf32_is_off_during_the_measurement_and_restored():
    before = torch.backends.cudnn.allow_tf32
    seen = []
    net = make_net()
    net.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    FEW.evaluate(net, make_data())
    assert seen and not any(seen)
    assert torch.backends.cudnn.allow_tf32 == before
