import pytest
import torch
from torch import nn

from nas.scoring.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 36), (2, 40, 5)])
def test_singular_values_come_close_to_one_and_vectors_stay(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape, dtype=torch.float64)
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonalise(matrices)
    # in the basis of the input's singular vectors the result is diagonal
    core = u.mT @ result @ vt.mT
    diagonal = core.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(core, torch.diag_embed(diagonal), rtol=0, atol=1e-9)
    assert diagonal.min() > 0.3 and diagonal.max() < 1.3


def test_a_scaled_gradient_gives_the_same_step():
    torch.manual_seed(0)
    matrices = torch.randn(2, 6, 10, dtype=torch.float64)
    torch.testing.assert_close(orthogonalise(matrices), orthogonalise(1000 * matrices))


def test_zero_gradients_move_nothing():
    assert torch.equal(orthogonalise(torch.zeros(1, 4, 4)), torch.zeros(1, 4, 4))


def test_steps_equal_a_naive_loop():
    """Each tensor alone, in the plain order of the definition."""
    torch.manual_seed(1)
    shapes = [(4, 2, 3, 3), (4, 2, 3, 3), (6, 4, 1, 1), (3, 12), (8, 3)]
    ours = [nn.Parameter(torch.randn(s, dtype=torch.float64)) for s in shapes]
    naive = [p.detach().clone() for p in ours]
    buffers = [torch.zeros_like(p) for p in naive]
    optimizer = Muon(ours, lr=0.1, momentum=0.8, weight_decay=0.3)
    for _ in range(3):
        for parameter, other, buffer in zip(ours, naive, buffers, strict=True):
            gradient = torch.randn_like(other)
            parameter.grad = gradient.clone()
            buffer.mul_(0.8).add_(gradient)
            update = gradient + 0.8 * buffer
            matrix = update.reshape(len(update), -1)
            direction = orthogonalise(matrix[None])[0].view_as(other)
            scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
            other.mul_(1 - 0.1 * 0.3).sub_(0.1 * scale * direction)
        optimizer.step()
    for parameter, other in zip(ours, naive, strict=True):
        torch.testing.assert_close(parameter.detach(), other)


def test_parameters_without_a_gradient_stay_and_closures_run():
    moved, still = (nn.Parameter(torch.ones(3, 3)) for _ in range(2))
    optimizer = Muon([moved, still])

    def closure():
        loss = (moved**2).sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure).detach()) == 9
    assert not torch.equal(moved, torch.ones(3, 3))
    assert torch.equal(still, torch.ones(3, 3))


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r"two dimensions or more, got shape \(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))])
