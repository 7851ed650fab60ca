import copy

import pytest
import torch
from torch.nn import functional

from evaluators.evaluator import EvaluationError
from evaluators.loss.minibatches import draw_minibatches
from evaluators.loss.sharpness import Sharpness
from search_spaces.errors import InputError
from tests.evaluators.flatness_cases import make_data, make_net


def by_hand(net, images, labels, rho):
    """SAM's ascent step as its paper writes it, on a copy of the network."""
    net = copy.deepcopy(net).double()
    images = images.double()
    before = functional.cross_entropy(net(images), labels)
    before.backward()
    length = sum(float((p.grad**2).sum()) for p in net.parameters()) ** 0.5
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += rho * parameter.grad / length
        return float(functional.cross_entropy(net(images), labels) - before)


@pytest.mark.parametrize("rho", [0.05, 0.5])
def test_equals_a_computation_by_hand(rho):
    net, data = make_net(), make_data()
    evaluation = Sharpness(rho=rho, max_batches=3, precision="float64").evaluate(
        net, data
    )
    batches = draw_minibatches(data, 16, 3, 0, torch.device("cpu"))
    want = [by_hand(net, b.images, b.labels, rho) for b in batches]
    assert evaluation.details["rises"] == pytest.approx(want, rel=1e-9)
    assert evaluation.metrics["sharpness"] == pytest.approx(sum(want) / 3)
    spread = torch.tensor(want).double().std() / 3**0.5
    assert evaluation.standard_errors["sharpness"] == pytest.approx(
        float(spread), rel=1e-5
    )


def test_float32_agrees():
    net, data = make_net(), make_data()
    exact = Sharpness(max_batches=3, precision="float64")(net, data)["sharpness"]
    assert Sharpness(max_batches=3)(net, data)["sharpness"] == pytest.approx(
        exact, rel=1e-4
    )


def test_leading_order_is_the_length_of_the_gradient():
    net, data = make_net(10), make_data()
    evaluation = Sharpness(rho=1e-5, max_batches=1, precision="float64").evaluate(
        net, data
    )
    (batch,) = draw_minibatches(data, 16, 1, 0, torch.device("cpu"))
    net = copy.deepcopy(net)
    functional.cross_entropy(net(batch.images), batch.labels).backward()
    length = sum(float((p.grad**2).sum()) for p in net.parameters()) ** 0.5
    assert evaluation.metrics["sharpness"] == pytest.approx(1e-5 * length, rel=1e-3)


def test_the_network_is_given_back_as_it_was():
    net, data = make_net(), make_data()
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    Sharpness(max_batches=2).evaluate(net, data)
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert net.training
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_same_seed_same_value():
    net, data = make_net(), make_data()
    evaluator = Sharpness(max_batches=2)
    assert evaluator.evaluate(net, data) == evaluator.evaluate(net, data)
    assert evaluator(net, data) != Sharpness(max_batches=2, seed=1)(net, data)


def test_vanishing_gradient_means_no_rise():
    net = make_net()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.head.bias[0] = 1e4
    data = make_data()
    data.train.labels.zero_()
    assert Sharpness(max_batches=1)(net, data) == {"sharpness": 0.0}


def test_nan_is_refused():
    net = make_net()
    with torch.no_grad():
        net.conv.weight[0] = float("nan")
    with pytest.raises(EvaluationError, match="not finite"):
        Sharpness(max_batches=1)(net, make_data())


@pytest.mark.parametrize("options", [{"rho": 0.0}, {"batch_size": 0}, {"rho": -1.0}])
def test_bad_options_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Sharpness(**options)
