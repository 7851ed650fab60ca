"""Everything that works with networks, on a device that is not the CPU.

Not collected by itself: ``test_device_double.py`` runs this file in a process of its
own, because a device has to be registered before a process first trains anything.
"""

import dataclasses

import pytest
import torch
from torch import nn

from evaluators.data import EvaluationData, ImageSet
from evaluators.evaluator import Evaluation, Evaluator, untouched
from evaluators.loss import batch_loss, loss_landscape, training_nll
from evaluators.loss.minibatches import draw_minibatches
from evaluators.registry import EVALUATORS, make_evaluator
from nas.config import DataConfig, SearchConfig, TrainingConfig
from nas.data.datasets import load_dataset
from nas.scoring.from_scratch import train_and_evaluate
from nas.scoring.training import train
from search_spaces import Architecture
from tests.device_double import PretendTensor, device_double, pretend_device

CPU = torch.device("cpu")
MIXED = "at least two devices, pretend:0 and cpu"
RECIPE = TrainingConfig(epochs=2, batch_size=16, learning_rate=0.004)
pretend_device()

# Small and few: what is tested is where tensors are.
FEW = {
    "max_images": 8,
    "num_images": 8,
    "batch_size": 4,
    "max_batches": 1,
    "max_products": 6,
    "num_products": 3,
    "num_probes": 1,
    "num_warmups": 1,
    "num_repeats": 4,
    "num_points": 3,
    "grid_size": 3,
    "num_steps": 3,
}


@pytest.fixture
def device():
    with device_double() as device:
        yield device


@pytest.fixture(scope="module")
def digits():
    return load_dataset(DataConfig(name="digits", max_train=32, max_validation=16))


def architecture():
    return Architecture.from_yaml(
        """
        format: alternet/1
        backbone: {block: basic, stem: cifar, depths: [2, 2], widths: [8, 16]}
        placement: CM-CM
        attention: {heads: [1, 2], head_dim: 8, window: auto}
        num_classes: 10
        in_channels: 1
        image_size: 8
        """
    )


def network(drop_path=0.1):
    torch.manual_seed(0)
    return architecture().build(drop_path=drop_path)


def weights(model):
    return [tensor.detach().cpu() for tensor in model.state_dict().values()]


def photographs(size=32):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(32, 3, size, size, generator=generator)
    split = ImageSet(images, torch.arange(32) % 5, (0.5,) * 3, (0.25,) * 3)
    return EvaluationData(split, split)


def few(name):
    fields = {field.name for field in dataclasses.fields(EVALUATORS[name])}
    return make_evaluator(name, {k: v for k, v in FEW.items() if k in fields})


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: there @ here,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: here[there.long()],
        lambda here, there: nn.functional.conv2d(there[None, None], here[None, None]),
        lambda here, there: torch.where(here > 0, here, there),
        lambda here, there: there.mul_(here),
        lambda here, there: there.numpy(),
        lambda here, there: torch.randn(
            2, device=there.device, generator=torch.Generator()
        ),
    ],
)
def test_the_double_refuses_two_devices(device, mix):
    here = torch.ones(2, 2)
    with pytest.raises((RuntimeError, TypeError), match="device|generator"):
        mix(here, here.to(device))


def test_the_double_allows_what_cuda_allows(device):
    there = torch.tensor([1.0, 2.0, 3.0], device=device)
    assert isinstance(there, PretendTensor)
    assert there.device == device
    assert (there * torch.tensor(2.0)).tolist() == [2.0, 4.0, 6.0]
    assert there[torch.tensor([2, 0])].tolist() == [3.0, 1.0]
    assert there.new_tensor([4.0]).device == device
    assert torch.zeros(3).copy_(there).device == CPU
    assert type(there.cpu()) is torch.Tensor
    assert there.sum().item() == 6


def test_training_gives_what_the_cpu_gives(device, digits):
    here, there = network(), network()
    expected = train(here, digits, RECIPE, seed=0, device=CPU)
    found = train(there, digits, RECIPE, seed=0, device=device)
    assert all(tensor.device == device for tensor in there.state_dict().values())
    assert found[-1].train_loss == pytest.approx(expected[-1].train_loss, rel=1e-2)
    assert found[-1].val_loss == pytest.approx(expected[-1].val_loss, rel=1e-2)


def test_resumed_training_ends_as_if_never_stopped(device, digits, tmp_path):
    whole, halves = network(), network()
    train(whole, digits, RECIPE, seed=0, device=device)
    path = tmp_path / "checkpoint.pt"
    stop = {"report": lambda epoch: epoch.epoch == 1}
    train(halves, digits, RECIPE, seed=0, device=device, checkpoint=path, **stop)
    again = network()
    train(again, digits, RECIPE, seed=0, device=device, checkpoint=path)
    for one, other in zip(weights(whole), weights(again), strict=True):
        assert torch.equal(one, other)


def test_a_trial_leaves_files_that_a_cpu_can_read(device, digits, tmp_path):
    from nas.exporting.formats import load_weights

    config = SearchConfig(training=RECIPE, evaluators={"sharpness": {"max_batches": 1}})
    train_and_evaluate(
        architecture(), config, digits, seed=0, device=device, directory=tmp_path
    )
    model = load_weights(architecture(), tmp_path / "weights.safetensors")
    assert all(type(p.data) is torch.Tensor for p in model.parameters())


@pytest.mark.parametrize("name", sorted(EVALUATORS))
def test_every_evaluator_finds_what_it_finds_on_the_cpu(device, digits, name):
    data = digits.evaluation_data(None, 0.05)
    here, there = network().eval(), network().to(device).eval()
    expected, found = few(name).evaluate(here, data), few(name).evaluate(there, data)
    assert all(tensor.device == device for tensor in there.state_dict().values())
    assert set(found.metrics) == set(expected.metrics)
    if name != "latency":  # a time and a size of memory
        assert found.metrics == pytest.approx(expected.metrics, rel=0.02, abs=1e-3)


def foreign_models():
    timm = pytest.importorskip("timm")
    resnet = timm.models.resnet
    return {
        "vit": timm.models.VisionTransformer(
            img_size=32,
            patch_size=8,
            embed_dim=24,
            depth=2,
            num_heads=3,
            num_classes=5,
        ),
        "swin": timm.models.SwinTransformer(
            img_size=32,
            patch_size=2,
            window_size=4,
            embed_dim=12,
            depths=(2, 2),
            num_heads=(2, 4),
            num_classes=5,
        ),
        "resnet": resnet.ResNet(
            resnet.BasicBlock, (2, 1, 1, 1), channels=(8, 12, 16, 20), num_classes=5
        ),
        "convnext": timm.models.ConvNeXt(
            depths=(1, 2, 1, 1), dims=(8, 12, 16, 20), num_classes=5
        ),
    }


def slow(model):
    return pytest.param(model, marks=pytest.mark.slow)


@pytest.mark.parametrize("model", ["vit", slow("swin"), "resnet", slow("convnext")])
def test_evaluators_of_blocks_and_loss_on_timm_models(device, model):
    data, errors = photographs(), {}
    torch.manual_seed(0)
    there = foreign_models()[model].to(device).eval()
    # Products with the Hessian are those of hessian_trace, which takes longest: a
    # network of convs and one of attention.
    left_out = {"flatness", "latency", "loss_landscape"}
    if model in ("swin", "convnext"):
        left_out.add("hessian_trace")
    for name in sorted(set(EVALUATORS) - left_out):
        try:
            assert few(name).evaluate(there, data).metrics
        except Exception as error:  # all of them in one report
            errors[name] = f"{type(error).__name__}: {error}"
    assert not errors


class Forgetful(nn.Module):
    """Keeps a tensor that moves with no `.to(device)`."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.offset = torch.ones(64)

    def forward(self, x):
        return self.layer(x.flatten(1) + self.offset)


def test_a_network_that_forgets_a_tensor_fails(device, digits):
    train(Forgetful(), digits, RECIPE, seed=0, device=CPU)
    with pytest.raises(RuntimeError, match=MIXED):
        train(Forgetful(), digits, RECIPE, seed=0, device=device)


def test_an_evaluator_that_forgets_to_move_its_images_fails(device, digits):
    class Stays(Evaluator):
        name, metrics = "stays", ()

        def evaluate(self, model, data):
            with untouched(model), torch.no_grad():
                model(data.validation.batch(slice(0, 4), CPU)[0])
            return Evaluation({})

    data = digits.evaluation_data(None, 0.0)
    Stays().evaluate(network(), data)
    with pytest.raises(RuntimeError, match=MIXED):
        Stays().evaluate(network().to(device), data)


LOSS = {"flatness", "hessian_trace", "loss_landscape", "sharpness", "training_nll"}
DRAWS_ITS_OWN = {"cost", "latency"}


@pytest.mark.parametrize("name", sorted(set(EVALUATORS) - DRAWS_ITS_OWN))
def test_every_evaluator_fails_if_images_are_not_moved(
    device, digits, name, monkeypatch
):
    if name in LOSS:
        for module in (batch_loss, loss_landscape, training_nll):
            monkeypatch.setattr(
                module, "draw_minibatches", lambda *a: draw_minibatches(*a[:-1], CPU)
            )
    else:
        moved = ImageSet.pixels
        monkeypatch.setattr(
            ImageSet, "pixels", lambda self, rows, _: moved(self, rows, CPU)
        )
    data = digits.evaluation_data(None, 0.05)
    with pytest.raises(RuntimeError, match=MIXED):
        few(name).evaluate(network().to(device).eval(), data)


def test_training_fails_if_labels_are_not_moved(device, digits, monkeypatch):
    monkeypatch.setattr(ImageSet, "pixels", _pixels_with_labels_that_stay)
    with pytest.raises(RuntimeError, match=MIXED):
        train(network(), digits, RECIPE, seed=0, device=device)


def _pixels_with_labels_that_stay(self, rows, device):
    class Stay(torch.Tensor):
        def to(self, *_, **__):
            return self.as_subclass(torch.Tensor)

    object.__setattr__(self, "labels", self.labels.as_subclass(Stay))
    return self.images[rows].to(device).float().div_(255)
