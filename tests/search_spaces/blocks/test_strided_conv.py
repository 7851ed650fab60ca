"""oneDNN writes past a workspace in the weight gradient of a strided 1x1 conv.

Such a process dies, so everything that could meet the fault runs in one of its own.
Processors with AVX-512 are told to do as if they had AVX2 alone. On other machines
than x86 the comparisons hold as well, but no fault could be met.
"""

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.blocks.conv_block import ConvBlock
from search_spaces.blocks.strided_conv import StridedConv1x1, safe_conv_gradients

CPU = torch.device("cpu")

COMPARE = """
import itertools
import sys
import torch
from torch import nn
from search_spaces.blocks.conv_block import ConvBlock
from search_spaces.blocks.strided_conv import safe_conv_gradients

torch.set_num_threads(1)
FORMATS = (torch.contiguous_format, torch.channels_last)
MAPS = ((64, 8, 8), (1, 7, 9), (3, 1, 2))
CHANNELS = [int(count) for count in sys.argv[1:]]

def check(layer, channels, shape, memory_format, what):
    batch, height, width = shape
    x = torch.randn(batch, channels, height, width)
    exact = x.double().requires_grad_()
    layer.double()(exact).square().sum().backward()
    truth = [exact.grad, *(p.grad for p in layer.parameters())]
    layer.zero_grad(set_to_none=True)
    layer.float().to(memory_format=memory_format)
    for _ in range(3):
        layer.zero_grad(set_to_none=True)
        once = x.clone(memory_format=memory_format).requires_grad_()
        layer(once).square().sum().backward()
        for want, got in zip(truth, [once.grad, *(p.grad for p in layer.parameters())]):
            scale = want.abs().max() + 1e-6
            error = float((got - want).abs().max() / scale)
            assert error < 1e-3, f"{what} {channels} {shape} {memory_format}: {error}"
"""

SHORTCUTS = """
for channels, shape, memory_format in itertools.product(CHANNELS, MAPS, FORMATS):
    torch.manual_seed(channels)
    conv = ConvBlock(channels, 8, bottleneck=False, stride=2).shortcut
    check(conv, channels, shape, memory_format, "shortcut")
"""

FOREIGN = """
class Own(nn.Conv2d):
    def forward(self, x):  # as timm's weight-standardised convs
        return nn.functional.conv2d(x, 2 * self.weight, self.bias, self.stride)

for channels, shape, memory_format in itertools.product(CHANNELS, MAPS, FORMATS):
    torch.manual_seed(channels)
    for conv in (
        nn.Conv2d(channels, 8, 1, stride=2),
        nn.Conv2d(channels, 24, 1, stride=(2, 1), bias=False),
        nn.Conv2d(channels, 2 * channels, 1, stride=2, groups=channels),
        nn.Conv2d(channels, 8, 1, stride=2, padding=1),
        Own(channels, 8, 1, stride=2),
    ):
        with safe_conv_gradients(torch.device("cpu")):
            check(conv, channels, shape, memory_format, str(conv))
"""


FEW = (1, 2, 4, 7, 8, 9, 17)
"""Channels of the fast suite: on both sides of a block of 8 and of 16."""


def run_alone(isa, channels, *parts):
    code = "\n".join(textwrap.dedent(part) for part in parts) + "\nprint('through')"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, channels)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    assert done.stdout.endswith("through\n")


@pytest.mark.parametrize(
    ("isa", "channels"),
    [
        ("AVX2", FEW),
        *(
            pytest.param(isa, range(1, 25), marks=pytest.mark.slow)
            for isa in ("SSE41", "AVX", "AVX2", "AVX2_VNNI_2", "AVX512_CORE", "DEFAULT")
        ),
    ],
)
def test_gradients_of_our_shortcut_and_of_any_guarded_conv_equal_those_of_float64(
    isa, channels
):
    """A name above what the processor can do asks for no more than it can."""
    run_alone(isa, channels, COMPARE, SHORTCUTS, FOREIGN)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [
        (1, 2, 0, 1, 1),
        (1, (2, 1), 0, 1, 1),
        (1, (1, 3), 0, 2, 1),
        (1, 2, 1, 1, 2),
        (1, 2, (0, 2), 1, 1),
        (1, 3, "valid", 1, 4),
        (1, 1, 1, 1, 1),
        (3, 2, 1, 1, 1),
        ((1, 3), 2, 0, 1, 1),
    ],
)
def test_the_guard_changes_no_value(kernel, stride, padding, dilation, groups, bias):
    torch.manual_seed(0)
    conv = nn.Conv2d(
        4, 8, kernel, stride, padding, dilation, groups, bias, dtype=torch.float64
    )
    x = torch.randn(2, 4, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = conv(x)
        with safe_conv_gradients(CPU):
            torch.testing.assert_close(conv(x), expected)
            torch.testing.assert_close(conv(x[0]), expected[0])  # without a batch


def test_the_guard_knows_one_axis_and_names_of_arguments():
    x, weight = torch.randn(2, 3, 9), torch.randn(4, 3, 1)
    expected = functional.conv1d(x, weight, None, 2)
    with safe_conv_gradients(CPU):
        torch.testing.assert_close(functional.conv1d(x, weight, None, 2), expected)
        named = functional.conv1d(input=x, weight=weight, stride=2)
    torch.testing.assert_close(named, expected)


def strides_seen(compute):
    """Strides of the 1x1 convs that reach the kernels."""
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            is_conv = func is torch.ops.aten.convolution.default
            if is_conv and args[1].shape[2:] == (1, 1):
                seen.append(tuple(args[3]))
            return func(*args, **(kwargs or {}))

    with Watch():
        compute()
    return seen


def test_our_shortcut_slices_only_where_gradients_are_asked_for_on_a_cpu():
    shortcut = ConvBlock(4, 8, bottleneck=False, stride=2).shortcut
    assert isinstance(shortcut, StridedConv1x1)
    x = torch.randn(2, 4, 7, 7)
    assert strides_seen(lambda: shortcut(x)) == [(1, 1)]
    with torch.no_grad():
        assert strides_seen(lambda: shortcut(x)) == [(2, 2)]
    with torch.inference_mode():
        torch.testing.assert_close(
            shortcut(x), functional.conv2d(x, shortcut.weight, stride=2)
        )
    meta = shortcut.to("meta")
    assert strides_seen(lambda: meta(x.to("meta"))) == [(2, 2)]
    assert list(shortcut.state_dict()) == ["weight"]


def network_of_a_user():
    # as wide as no processor gets wrong, should the guard be gone
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.Conv2d(32, 32, 1, stride=2, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    ).to(memory_format=torch.channels_last)


def test_flatness_of_a_users_network_meets_no_strided_1x1_conv():
    from evaluators.loss.batch_loss import BatchLoss

    x = torch.randn(4, 1, 8, 8)
    loss = BatchLoss(network_of_a_user(), x, torch.arange(4))
    assert set(strides_seen(loss.gradient)) == {(1, 1)}


def test_training_of_a_users_network_meets_no_strided_1x1_conv():
    from nas.config import DataConfig, TrainingConfig
    from nas.data.datasets import load_dataset
    from nas.scoring.training import train

    digits = load_dataset(DataConfig(name="digits", max_train=64, max_validation=32))
    model, config = network_of_a_user(), TrainingConfig(epochs=1, batch_size=32)
    seen = strides_seen(lambda: train(model, digits, config, seed=0, device=CPU))
    assert set(seen) == {(1, 1)}


GUARDED = {
    "evaluators/loss/batch_loss.py": "the test of flatness above",
    "evaluators/loss/hvp.py": "differentiates what batch_loss.py computed",
    "nas/scoring/taught_block.py": "tests/nas/scoring/test_block_library.py",
    "nas/scoring/training.py": "the test of training above",
}
"""Where gradients are asked for, and what shows that the guard is on there."""


def asks_for_gradients(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        called = getattr(node, "func", None)
        if isinstance(node, ast.Call) and isinstance(called, ast.Attribute):
            owner = ast.unparse(called.value)
            if called.attr == "backward" or (owner, called.attr) == (
                "torch.autograd",
                "grad",
            ):
                return True
            if owner == "torch.func" and called.attr != "functional_call":
                return True
    return False


def test_no_other_place_asks_for_gradients():
    """A new training loop is listed with the test that looks into it."""
    root = Path(__file__).parents[3]
    found = {
        str(file.relative_to(root))
        for package in ("search_spaces", "evaluators", "nas")
        for file in (root / package).rglob("*.py")
        if asks_for_gradients(file)
    }
    assert found == set(GUARDED)
