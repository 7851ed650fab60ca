"""What every registered evaluator must fulfil, whoever wrote it."""

import dataclasses
import json
import math

import pytest
import torch
from block_cases import alternet, random_data
from torch import nn

from evaluators.data import EvaluationData, ImageSet
from evaluators.evaluator import EvaluationError, Evaluator
from evaluators.registry import EVALUATORS, make_evaluator

NAMES = sorted(EVALUATORS)
# Metrics measured with a clock, and counts that pixels do not enter.
CLOCKED = {"latency"}
BLIND = {"cost", "latency"}
SMALL = {
    "max_batches": 2,
    "max_images": 16,
    "num_repeats": 4,
    "num_warmups": 1,
    "num_resamples": 5,
    "num_points": 3,
    "top_k": 2,
    "max_products": 12,
    "num_products": 6,
    "num_probes": 2,
}


def small(name: str, **options: object) -> Evaluator:
    """The evaluator with little work to do."""
    fields = {field.name for field in dataclasses.fields(EVALUATORS[name])}
    chosen = {k: v for k, v in (SMALL | options).items() if k in fields}
    return make_evaluator(name, chosen)


def with_pixel(data: EvaluationData, value: float) -> EvaluationData:
    images = data.validation.images.clone()
    images[:, 0, 3, 3] = value
    split = ImageSet(
        images, data.validation.labels, data.validation.mean, data.validation.std
    )
    return dataclasses.replace(data, train=split, validation=split)


@pytest.mark.parametrize("name", NAMES)
class TestEveryEvaluator:
    def test_is_a_frozen_dataclass_that_declares_its_metrics(self, name):
        evaluator = small(name)
        assert evaluator.name == name
        assert evaluator.metrics
        with pytest.raises(dataclasses.FrozenInstanceError):
            evaluator.name = "other"
        for metric in evaluator.metrics:
            assert metric.direction in ("maximize", "minimize", "none")
            assert metric.unit
            assert metric.definition
            assert metric.source

    @pytest.mark.parametrize("placement", ["CM-CMC", "CC-CC", "MM-MM"])
    def test_values_are_finite_declared_and_storable(self, name, placement):
        evaluator = small(name)
        evaluation = evaluator.evaluate(alternet(placement), random_data())
        declared = {metric.name for metric in evaluator.metrics}
        assert set(evaluation.metrics) <= declared
        assert set(evaluation.standard_errors) <= set(evaluation.metrics)
        assert evaluation.metrics
        for value in evaluation.metrics.values():
            assert math.isfinite(value)
        for value in evaluation.standard_errors.values():
            assert math.isfinite(value)
            assert value >= 0
        json.dumps(evaluation.details, allow_nan=False)
        missing = declared - set(evaluation.metrics)
        kinds = {"CC-CC": "msa", "MM-MM": "conv"}
        absent = kinds.get(placement)
        for metric in missing:
            # Only a mean over blocks that do not exist may be missing; and the mean
            # of the positive eigenvalues if there is none.
            assert (absent and metric.endswith(absent)) or metric == "ape"

    @pytest.mark.parametrize("training", [True, False])
    def test_leaves_the_network_as_it_was(self, name, training):
        net = alternet().train(training)
        net.stages[0].eval()
        net.stem[0].weight.requires_grad_(False)
        net.head.linear.weight.grad = torch.ones_like(net.head.linear.weight)
        net(torch.zeros(2, 3, 16, 16))  # BatchNorm statistics of this call stay
        state = {key: value.clone() for key, value in net.state_dict().items()}
        modes = [module.training for module in net.modules()]
        attributes = [set(module.__dict__) for module in net.modules()]
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        grad_enabled = torch.is_grad_enabled()
        threads = torch.get_num_threads()

        small(name).evaluate(net, random_data())

        assert torch.equal(torch.rand(3), expected), "global random state"
        assert [module.training for module in net.modules()] == modes
        assert [set(module.__dict__) for module in net.modules()] == attributes
        for module in net.modules():
            assert not module._forward_hooks
            assert not module._forward_pre_hooks
            assert not module._backward_hooks
        assert net.state_dict().keys() == state.keys()
        for key, value in net.state_dict().items():
            assert torch.equal(value, state[key]), key
        gradients = {k for k, p in net.named_parameters() if p.grad is not None}
        assert gradients == {"head.linear.weight"}
        assert bool((net.head.linear.weight.grad == 1).all())
        frozen = [k for k, p in net.named_parameters() if not p.requires_grad]
        assert frozen == ["stem.0.weight"]
        assert torch.is_grad_enabled() == grad_enabled
        assert torch.get_num_threads() == threads

    def test_same_seed_same_result_whatever_mode_and_global_state_it_finds(self, name):
        data, results = random_data(), []
        for global_seed, training in ((0, False), (1, True)):
            net = alternet().train(training)
            torch.manual_seed(global_seed)
            results.append(small(name).evaluate(net, data))
        called = small(name)(net, data)
        if name in CLOCKED:
            assert results[0].metrics.keys() == results[1].metrics.keys()
            assert called.keys() == results[0].metrics.keys()
        else:
            assert results[0] == results[1]
            assert called == results[0].metrics

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_images_that_are_not_finite_are_refused(self, name, value):
        if name in BLIND:
            pytest.skip("does not look at pixels")
        net, data = alternet(), with_pixel(random_data(), value)
        with pytest.raises(EvaluationError):
            small(name).evaluate(net, data)

    def test_a_network_with_weights_that_are_not_finite_is_refused(self, name):
        if name in BLIND:
            pytest.skip("does not look at values")
        net = alternet()
        with torch.no_grad():
            net.stages[1][0].norm1.bias[0] = float("nan")
        with pytest.raises(EvaluationError):
            small(name).evaluate(net, random_data())

    def test_hooks_and_modes_are_restored_after_a_failure(self, name):
        net = alternet().train()

        class Broken(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                raise RuntimeError("broken head")

        net.head = Broken()
        with pytest.raises(RuntimeError):
            small(name).evaluate(net, random_data())
        for module in net.modules():
            assert module.training
            assert not module._forward_hooks
            assert not module._forward_pre_hooks
            assert "forward" not in module.__dict__

    def test_works_on_one_channel_and_uint8_images(self, name):
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(
            256, (32, 1, 16, 16), generator=generator, dtype=torch.uint8
        )
        labels = torch.randint(4, (32,), generator=generator)
        split = ImageSet(images, labels, (0.5,), (0.25,))
        data = EvaluationData(split, split)
        evaluation = small(name).evaluate(alternet(in_channels=1), data)
        assert evaluation.metrics
