import torch
from torch import nn

from nas.scoring.weight_average import WeightAverage


def set_weight(model, value):
    with torch.no_grad():
        model.weight.fill_(value)


def test_the_average_equals_a_hand_computation():
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 0.0)
    average = WeightAverage(model, decay=0.5, every=1)
    expected = 0.0
    for k, value in enumerate([1.0, 2.0, -4.0, 8.0], start=1):
        set_weight(model, value)
        average.update()
        decay = min(0.5, k / (k + 10))  # 1/11, 2/12, 3/13, 4/14: the warm-up
        expected = decay * expected + (1 - decay) * value
    average.copy_to_model()
    assert abs(float(model.weight.detach()) - expected) < 1e-6


def test_a_long_run_follows_the_decay():
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 1.0)
    average = WeightAverage(model, decay=0.5, every=1)
    for _ in range(60):
        average.update()
    set_weight(model, 0.0)
    average.update()
    average.copy_to_model()
    assert float(model.weight.detach()) == 0.5


def test_updates_come_every_few_steps_with_the_decay_of_as_many():
    """After the warm-up, k steps between updates decay by decay ** k."""
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 1.0)
    average = WeightAverage(model, decay=0.5, every=2)
    for _ in range(60):
        average.update()
    set_weight(model, 0.0)
    average.update()
    with average.in_place():
        assert float(model.weight.detach()) == 1.0  # the first of two steps
    average.update()
    with average.in_place():
        assert float(model.weight.detach()) == 0.25


def test_in_place_lends_the_average_and_gives_the_weights_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(model, decay=0.9, every=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(1)
    after = {name: value.clone() for name, value in model.state_dict().items()}
    with average.in_place():
        for name, value in model.state_dict().items():
            # counters are no weights and stay
            expected = before if value.is_floating_point() else after
            assert torch.equal(value, expected[name])
    for name, value in model.state_dict().items():
        assert torch.equal(value, after[name])


def test_an_error_inside_gives_the_weights_back_too():
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 1.0)
    average = WeightAverage(model, decay=0.9)
    set_weight(model, 2.0)
    try:
        with average.in_place():
            raise KeyError
    except KeyError:
        pass
    assert float(model.weight.detach()) == 2.0


def test_a_training_shorter_than_the_first_update_keeps_what_it_learned():
    """Not the weights that it began with."""
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 0.0)
    average = WeightAverage(model, decay=0.5, every=5)
    for value in (1.0, 2.0, 3.0, 4.0):
        set_weight(model, value)
        average.update()
        with average.in_place():
            assert float(model.weight.detach()) == value
    average.copy_to_model()
    assert float(model.weight.detach()) == 4.0
