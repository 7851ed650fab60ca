import pytest
import torch

from evaluators.data import EvaluationData, ImageSet
from evaluators.evaluator import EvaluationError
from evaluators.loss.minibatches import draw_minibatches, generator_for
from tests.evaluators.flatness_cases import make_data

CPU = torch.device("cpu")


def draw(data, batch_size=16, max_batches=4, seed=0):
    return list(draw_minibatches(data, batch_size, max_batches, seed, CPU))


def test_minibatches_are_disjoint_and_unaugmented_images_are_the_training_images():
    data = make_data(augment=False)
    batches = draw(data)
    assert [b.index for b in batches] == [0, 1, 2, 3]
    drawn = torch.cat([b.images for b in batches]).flatten(1)
    images, labels = data.train.batch(slice(None), CPU)
    distance = torch.cdist(drawn, images.flatten(1))
    nearest = distance.argmin(1)
    assert sorted(nearest.tolist()) == list(range(64))
    assert torch.equal(labels[nearest], torch.cat([b.labels for b in batches]))


def test_a_minibatch_does_not_depend_on_how_many_there_are():
    data = make_data()
    few, many = draw(data, max_batches=2), draw(data, max_batches=4)
    for a, b in zip(few, many, strict=False):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)


def test_global_random_state_and_number_of_calls_do_not_matter():
    data = make_data()
    torch.manual_seed(1)
    first = draw(data)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = draw(data)
    assert all(
        torch.equal(a.images, b.images) for a, b in zip(first, second, strict=True)
    )
    assert torch.equal(state, torch.get_rng_state())


def test_other_seeds_draw_other_images():
    data = make_data()
    assert not torch.equal(draw(data)[0].labels, draw(data, seed=1)[0].labels)


def test_augmentation_sees_pixels_before_normalisation():
    seen = []

    def record(pixels, generator):
        seen.append((float(pixels.min()), float(pixels.max())))
        return torch.ones_like(pixels)

    data = make_data()
    data = EvaluationData(data.train, data.validation, record)
    batch = draw(data, max_batches=1)[0]
    assert 0 <= seen[0][0] < seen[0][1] <= 1
    want = (1 - torch.tensor(data.train.mean)) / torch.tensor(data.train.std)
    assert torch.allclose(batch.images[0, :, 0, 0], want)


def test_incomplete_minibatches_are_left_out_unless_it_is_the_only_one():
    data = make_data(num_images=20)
    assert [len(b.labels) for b in draw(data, batch_size=8)] == [8, 8]
    assert [len(b.labels) for b in draw(data, batch_size=32)] == [20]


def test_no_images_are_refused():
    empty = ImageSet(
        torch.zeros(0, 3, 4, 4), torch.zeros(0).long(), (0, 0, 0), (1, 1, 1)
    )
    with pytest.raises(EvaluationError, match="training images"):
        draw(EvaluationData(empty, empty))


def test_generators_depend_on_every_number_of_the_key():
    keys = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 1, 0), (0, 0, 1)]
    firsts = {float(torch.rand(1, generator=generator_for(*key))) for key in keys}
    assert len(firsts) == len(keys)
