import pytest
import torch

from nas.config import TrainingConfig
from nas.scoring.muon import Muon
from nas.scoring.optimizer import make_optimizer
from search_spaces import Architecture, Attention, Backbone, Placement


def network():
    torch.manual_seed(0)
    return Architecture(
        Backbone("basic", "cifar", (2, 1), (4, 8)),
        Placement.parse("CM-C"),
        Attention(heads=1, head_dim=4),
        10,
        1,
        8,
    ).build()


def decay_by_name(model, optimizer):
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: group["weight_decay"]
        for group in optimizer.param_groups
        for p in group["params"]
    }


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_norms_and_biases_are_not_decayed(kind):
    model = network()
    config = TrainingConfig(optimizer=kind, weight_decay=0.3)
    decay = decay_by_name(model, make_optimizer(model, config))
    assert set(decay) == {name for name, _ in model.named_parameters()}
    assert decay["stem.0.weight"] == decay["head.linear.weight"] == 0.3
    for name in ("head.linear.bias", "stages.0.0.norm1.weight"):
        assert decay[name] == 0
    assert decay["stages.0.1.attention.position_bias"] == 0


def test_muon_takes_the_weights_inside_the_blocks_alone():
    model = network()
    optimizer = make_optimizer(model, TrainingConfig(optimizer="muon"))
    assert set(decay_by_name(model, optimizer)) == {
        n for n, _ in model.named_parameters()
    }
    (muon,) = (one for one, _ in optimizer.parts if isinstance(one, Muon))
    names = {id(p): name for name, p in model.named_parameters()}
    taken = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    assert taken == {
        name
        for name, p in model.named_parameters()
        if name.startswith("stages.") and p.ndim >= 2 and "position_bias" not in name
    }
    assert any("attention" in name for name in taken)


def test_each_part_keeps_its_own_rate_through_the_schedule():
    config = TrainingConfig(
        optimizer="muon", learning_rate=0.1, muon_learning_rate=0.02
    )
    optimizer = make_optimizer(network(), config)
    optimizer.set_learning_rate(0.05)  # half way
    rates = {
        type(one).__name__: group["lr"]
        for one, _ in optimizer.parts
        for group in one.param_groups
    }
    assert rates == {"SGD": pytest.approx(0.05), "Muon": pytest.approx(0.01)}


def test_a_network_of_two_weights_needs_no_muon():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 2))
    optimizer = make_optimizer(model, TrainingConfig(optimizer="muon"))
    assert len(optimizer.parts) == 1
    assert len(decay_by_name(model, optimizer)) == 4


@pytest.mark.parametrize("kind", ["adamw", "sgd", "muon"])
def test_blocks_of_a_supernet_get_their_first_gradients_at_different_steps(kind):
    """Those without one stay; the others move as if each had an optimizer alone."""
    model, twin = network(), network()
    config = TrainingConfig(optimizer=kind, learning_rate=0.01)
    optimizer = make_optimizer(model, config)
    alone = {
        name: make_optimizer(torch.nn.ParameterList([p]), config)
        for name, p in twin.named_parameters()
        if "norm" in name
    }
    generator = torch.Generator().manual_seed(0)
    for step in range(4):
        optimizer.zero_grad()
        for at, (name, parameter) in enumerate(model.named_parameters()):
            other = twin.get_parameter(name)
            parameter.grad = other.grad = None
            if (at + step) % 3:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
                other.grad = parameter.grad.clone()
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        optimizer.step()
        for one in alone.values():
            one.step()
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                assert torch.equal(parameter, before[name])
            if name in alone:
                torch.testing.assert_close(parameter, twin.get_parameter(name))


def test_the_first_step_is_that_of_plain_nesterov_sgd():
    model, twin = network(), network()
    config = TrainingConfig(optimizer="sgd", learning_rate=0.1, weight_decay=0.0)
    ours = make_optimizer(model, config)
    plain = torch.optim.SGD(
        twin.parameters(), lr=0.1, momentum=config.momentum, nesterov=True, fused=True
    )
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            other.grad = parameter.grad.clone()
        ours.step()
        plain.step()
        for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.equal(parameter, other)
