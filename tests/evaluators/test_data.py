import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluators.data import ImageSet

CPU = torch.device("cpu")


def sorted_by_class(num_classes, of_each):
    """Images whose only pixel is their position, one class after the other."""
    num = num_classes * of_each
    pixels = torch.arange(num, dtype=torch.float32).view(num, 1, 1, 1) / num
    labels = torch.arange(num) // of_each
    return ImageSet(pixels, labels, (0.0,), (1.0,))


@given(
    num=st.integers(2, 60),
    size=st.integers(1, 70),
    wanted=st.none() | st.integers(1, 70),
)
def test_batches_hold_each_image_once_with_its_label(num, size, wanted):
    images = sorted_by_class(1, num)
    images.labels.copy_(torch.arange(num))
    seen, labels = zip(*images.batches(size, CPU, wanted), strict=True)
    positions = (torch.cat(seen).flatten() * num).round().long()
    assert torch.equal(positions, torch.cat(labels))
    assert len(set(positions.tolist())) == len(positions) == min(num, wanted or num)
    assert all(len(batch) == size for batch in seen[:-1])


def test_a_part_of_images_sorted_by_class_is_of_all_classes():
    images = sorted_by_class(10, 100)
    for batch, labels in images.batches(100, CPU, 300):
        counts = torch.bincount(labels, minlength=10)
        # Binomial with mean 10 and deviation 3: five deviations.
        assert counts.max() <= 25
        assert len(batch) == 100
    _, all_labels = zip(*images.batches(100, CPU, 300), strict=True)
    assert torch.bincount(torch.cat(all_labels), minlength=10).min() >= 10


def test_the_order_is_the_same_each_time_and_a_part_is_its_beginning():
    images = sorted_by_class(3, 20)
    assert torch.equal(images.order(), images.order())
    assert torch.equal(images.order(7), images.order()[:7])
