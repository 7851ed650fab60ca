import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

from evaluators.evaluator import EvaluationError
from evaluators.loss.batch_loss import BatchLoss
from evaluators.loss.hvp import Hessian
from tests.evaluators.flatness_cases import dense_hessian, make_data, make_net


def flash(x):
    """The fused CPU attention kernel itself: it has no second derivative."""
    tokens = x.view(x.shape[0], 1, 2, -1)
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return kernel(tokens, tokens, tokens)[0].reshape(x.shape)


def plain(x):
    tokens = x.view(x.shape[0], 1, 2, -1)
    scores = tokens @ tokens.transpose(-2, -1) / tokens.shape[-1] ** 0.5
    return (scores.softmax(-1) @ tokens).reshape(x.shape)


class FusedNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(12, 8), nn.Linear(8, 3)
        self.fused = True

    def forward(self, x):
        hidden = self.first(x.flatten(1))
        hidden = flash(hidden) if self.fused else plain(hidden)
        return self.second(hidden)


def batch(num=16):
    data = make_data()
    return data.train.batch(slice(0, num), torch.device("cpu"))


def fused_case():
    torch.manual_seed(0)
    return FusedNet(), torch.randn(5, 3, 2, 2), torch.tensor([0, 1, 2, 0, 1])


@functools.cache
def dense():
    return dense_hessian(make_net(), *batch())


def products(hessian, want):
    """Products with 24 random vectors, and what the dense matrix gives.

    A wrong entry anywhere changes nearly all of them, and the norm of their errors is
    that of the matrix of errors, up to a factor; all columns would take 25 times as
    long.
    """
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(24, hessian.size, generator=generator, dtype=torch.float64)
    got = torch.stack([hessian @ row.to(hessian.dtype) for row in vectors], dim=1)
    return got, want @ vectors.to(hessian.dtype).double().T


def relative(got, want):
    return float(torch.linalg.norm(got.double() - want) / torch.linalg.norm(want))


@pytest.mark.parametrize("precision, bound", [("float64", 1e-12), ("float32", 1e-5)])
def test_products_equal_the_dense_hessian(precision, bound):
    net, (images, labels) = make_net(), batch()
    hessian = Hessian(BatchLoss(net, images, labels, precision))
    assert relative(*products(hessian, dense())) < bound
    assert hessian.method == "exact"
    assert hessian.num_products == 24


@pytest.mark.parametrize("precision, bound", [("float64", 1e-6), ("float32", 3e-3)])
def test_finite_differences_agree(precision, bound):
    net, (images, labels) = make_net(), batch()
    hessian = Hessian(BatchLoss(net, images, labels, precision), "finite_difference")
    want = dense()
    vector = torch.randn(hessian.size, generator=torch.Generator().manual_seed(0))
    vector = 7 * vector.to(hessian.dtype)  # the length must not matter
    assert relative(hessian @ vector, want @ vector.double()) < bound
    assert torch.equal(hessian @ torch.zeros_like(vector), torch.zeros_like(vector))


def test_frozen_position_bias_does_not_break_the_second_derivative():
    net, (images, labels) = make_net(), batch()
    net.attention.bias.requires_grad_(False)
    hessian = Hessian(BatchLoss(net, images, labels, "float64"), "exact")
    want = dense_hessian(net, images, labels)
    assert (
        hessian.size
        == len(want)
        == sum(p.numel() for p in net.parameters() if p.requires_grad)
    )
    assert relative(*products(hessian, want)) < 1e-12


def test_automatic_fallback_for_a_kernel_without_second_derivative():
    net, images, labels = fused_case()
    hessian = Hessian(BatchLoss(net, images, labels, "float64"))
    vector = torch.ones(hessian.size, dtype=torch.float64)
    product = hessian @ vector
    assert hessian.method == "finite_difference"
    net.fused = False
    want = dense_hessian(net, images, labels) @ vector
    assert relative(product, want) < 1e-6


def test_exact_products_refuse_a_kernel_without_second_derivative():
    net, images, labels = fused_case()
    hessian = Hessian(BatchLoss(net, images, labels), "exact")
    with pytest.raises(EvaluationError, match="no second derivative"):
        hessian @ torch.ones(hessian.size)


def test_unused_parameters_have_zero_rows():
    net, (images, labels) = make_net(), batch()
    net.unused = nn.Parameter(torch.ones(3))
    hessian = Hessian(BatchLoss(net, images, labels))
    start = [n for n, _ in net.named_parameters()].index("unused")
    offset = sum(p.numel() for p in list(net.parameters())[:start])
    product = hessian @ torch.ones(hessian.size)
    assert torch.equal(product[offset : offset + 3], torch.zeros(3))
    assert product.abs().sum() > 0


def test_works_under_no_grad_and_leaves_the_network_alone():
    net, (images, labels) = make_net(), batch()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for method in ("exact", "finite_difference"):
        with torch.no_grad():
            hessian = Hessian(BatchLoss(net, images, labels), method)
            hessian @ torch.ones(hessian.size)
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert all(p.grad is None and p.is_leaf for p in net.parameters())


def test_half_precision_weights_are_cast():
    net, (images, labels) = make_net(), batch()
    want = Hessian(BatchLoss(net.bfloat16().float(), images, labels))
    vector = torch.ones(want.size)
    expected = want @ vector
    got = Hessian(BatchLoss(net.bfloat16(), images, labels)) @ vector
    assert torch.allclose(got, expected)


def test_nan_is_refused():
    net, (images, labels) = make_net(), batch()
    with torch.no_grad():
        net.head.weight[0, 0] = float("nan")
    for method in ("exact", "finite_difference"):
        with pytest.raises(EvaluationError, match="not finite"):
            hessian = Hessian(BatchLoss(net, images, labels), method)
            hessian @ torch.ones(hessian.size)


def test_no_trainable_parameter_is_refused():
    net, (images, labels) = make_net(), batch()
    with pytest.raises(EvaluationError, match="requires_grad_"):
        BatchLoss(net.requires_grad_(False), images, labels)


def test_networks_without_logits_are_refused():
    net, (images, labels) = make_net(), batch()
    net.head = nn.Identity()
    with pytest.raises(EvaluationError, match=r"logits \(batch, classes\)"):
        BatchLoss(nn.Sequential(net.conv), images, labels)()


def test_random_forward_is_refused():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(12, 3)

        def forward(self, x):
            return functional.dropout(self.linear(x.flatten(1)), 0.5, training=True)

    torch.manual_seed(0)
    loss = BatchLoss(Noisy().eval(), torch.randn(4, 3, 2, 2), torch.zeros(4).long())
    with pytest.raises(EvaluationError, match="deterministic"):
        loss.check_deterministic()


def test_weights_that_are_shared_are_lent_and_given_back():
    """Two paths to one module, and one weight in two modules."""
    torch.manual_seed(0)
    twice, tied = nn.Linear(12, 12), nn.Linear(12, 12)
    tied.weight = twice.weight
    net = nn.Sequential(nn.Flatten(), twice, nn.Tanh(), twice, tied, nn.Linear(12, 3))
    weight, before = twice.weight, twice.weight.detach().clone()
    images, labels = torch.randn(6, 3, 2, 2), torch.arange(6) % 3
    loss = BatchLoss(net, images, labels, "float64")
    _, gradients = loss.gradient()
    assert twice.weight is weight and tied.weight is weight
    assert torch.equal(weight, before)
    net = net.double()
    functional.cross_entropy(net(images.double()), labels).backward()
    expected = dict(net.named_parameters())
    for name, gradient in zip(loss.names, gradients, strict=True):
        torch.testing.assert_close(gradient, expected[name].grad)
