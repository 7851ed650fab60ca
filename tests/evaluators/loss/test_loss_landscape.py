import copy
import json

import pytest
import torch
from torch.nn import functional

from evaluators.evaluator import EvaluationError
from evaluators.loss.loss_landscape import LossLandscape, l2_penalty, random_direction
from evaluators.loss.minibatches import draw_minibatches, generator_for
from search_spaces.errors import InputError
from tests.evaluators.flatness_cases import make_data, make_net

SMALL = LossLandscape(
    num_points=3, batch_size=16, max_images=32, precision="float64", radius=0.5
)


def images_of(data):
    batches = list(draw_minibatches(data, 16, 2, 0, torch.device("cpu")))
    return torch.cat([b.images for b in batches]), torch.cat(
        [b.labels for b in batches]
    )


def test_centre_is_the_loss_of_the_network():
    net, data = make_net(), make_data(weight_decay=0.05)
    details = SMALL.evaluate(net, data).details
    images, labels = images_of(data)
    want = functional.cross_entropy(
        copy.deepcopy(net).double()(images.double()), labels
    )
    assert details["nll"][1][1] == pytest.approx(float(want.detach()), rel=1e-12)
    assert details["nll"][1][1] == details["centre_nll"]
    squares = sum(float((p.detach().double() ** 2).sum()) for p in net.parameters())
    assert details["l2"][1][1] == pytest.approx(0.025 * squares, rel=1e-12)
    assert details["axis"] == [-0.5, 0.0, 0.5]


def test_corner_equals_a_network_whose_weights_were_moved_by_hand():
    net, data = make_net(), make_data(weight_decay=0.05)
    details = SMALL.evaluate(net, data).details
    moved = copy.deepcopy(net).double()
    names = [name for name, _ in moved.named_parameters()]
    weights = [p.detach().clone() for p in moved.parameters()]
    first, second = (
        random_direction(names, weights, generator_for(0, 5, axis)) for axis in (0, 1)
    )
    with torch.no_grad():
        for p, a, b in zip(moved.parameters(), first, second, strict=True):
            p += 0.5 * a - 0.5 * b
    images, labels = images_of(data)
    want = functional.cross_entropy(moved(images.double()), labels)
    assert details["nll"][0][2] == pytest.approx(float(want.detach()), rel=1e-12)
    assert details["nll"][2][0] != pytest.approx(details["nll"][0][2])
    assert details["l2"][0][2] == pytest.approx(
        l2_penalty([p.detach() for p in moved.parameters()], 0.05)
    )


def test_every_filter_of_a_direction_has_the_norm_of_the_weights():
    torch.manual_seed(0)
    weight = torch.randn(5, 3, 2, 2, dtype=torch.float64)
    (direction,) = random_direction(["conv.weight"], [weight], generator_for(0))
    assert torch.allclose(
        direction.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1), rtol=1e-6
    )
    reference = random_direction(["w"], [weight], generator_for(0), "reference")[0]
    assert torch.allclose(reference.norm(dim=0), weight.norm(dim=0), rtol=1e-6)
    assert not torch.allclose(reference, direction)


def test_biases_norms_and_position_biases_do_not_move():
    names = ["norm.weight", "conv.weight", "a.position_bias", "pos_embed"]
    weights = [torch.ones(3), torch.ones(3, 2), torch.ones(3, 3), torch.ones(1, 4, 2)]
    moved = [
        bool(d.abs().sum() > 0)
        for d in random_direction(names, weights, generator_for(0))
    ]
    assert moved == [False, True, False, False]


def test_l2_of_both_variants_by_hand():
    weights = [torch.tensor([3.0, 4.0]), torch.tensor([[12.0]])]
    assert l2_penalty(weights, 0.1) == pytest.approx(0.05 * (25 + 144))
    assert l2_penalty(weights, 0.1, "reference") == pytest.approx(0.1 * (5 + 12))


def test_a_line_is_the_row_of_the_plane_through_the_centre():
    net, data = make_net(), make_data()
    options = {"num_points": 3, "batch_size": 16, "max_images": 32, "radius": 0.5}
    line = LossLandscape(dimensions=1, precision="float64", **options)
    got = line.evaluate(net, data).details["nll"]
    assert got == [SMALL.evaluate(net, data).details["nll"][1]]


def test_overflow_far_away_is_none_and_details_are_json():
    net, data = make_net(), make_data(weight_decay=0.05)
    far = LossLandscape(num_points=3, radius=1e30, batch_size=16, max_images=16)
    details = far.evaluate(net, data).details
    assert details["nll"][0][0] is None
    assert far.evaluate(net, data).metrics == {}
    assert details["nll"][1][1] is not None
    assert json.loads(json.dumps(details, allow_nan=False))


def test_rise_is_the_median_over_the_grid():
    evaluation = SMALL.evaluate(make_net(), make_data())
    heights = sorted(z for row in evaluation.details["nll"] for z in row)
    assert evaluation.metrics == {
        "landscape_rise": heights[4] - evaluation.details["centre_nll"]
    }


def test_same_seed_same_grid_and_the_network_is_untouched():
    net, data = make_net(), make_data()
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    first = SMALL.evaluate(net, data)
    assert SMALL.evaluate(net, data) == first
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert net.training and all(p.grad is None for p in net.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_nan_at_the_centre_is_refused():
    net = make_net()
    with torch.no_grad():
        net.head.bias[0] = float("nan")
    with pytest.raises(EvaluationError, match="not finite"):
        SMALL.evaluate(net, make_data())


@pytest.mark.parametrize(
    "options", [{"num_points": 2}, {"radius": 0.0}, {"max_images": 0}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        LossLandscape(**options)
