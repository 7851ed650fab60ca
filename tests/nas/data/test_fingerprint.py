import hashlib

import numpy as np
import pytest

from nas.data import fingerprint
from nas.data.fingerprint import channel_moments, pixel_digest


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_steps_do_not_matter(monkeypatch, step):
    monkeypatch.setattr(fingerprint, "_STEP_BYTES", step)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (11, 2, 3, 3), dtype=np.uint8)
    labels = np.arange(11)
    plain = hashlib.sha256(images.tobytes() + labels.tobytes() + b"").hexdigest()
    assert pixel_digest([(images, labels), (images[:0], labels[:0])]) == plain
    mean, std = channel_moments(images)
    np.testing.assert_allclose(mean, images.mean((0, 2, 3)) / 255)
    np.testing.assert_allclose(std, images.std((0, 2, 3)) / 255)


def test_every_change_is_seen():
    images = np.zeros((4, 1, 2, 2), np.uint8)
    labels = np.array([0, 1, 0, 1])
    found = {pixel_digest([(images, labels)]), pixel_digest([(images, 1 - labels)])}
    for position in range(16):
        changed = images.copy()
        changed.reshape(-1)[position] = 1
        found.add(pixel_digest([(changed, labels)]))
    found.add(pixel_digest([(images[:2], labels[:2]), (images[2:], labels[2:])]))
    assert len(found) == 19


def test_a_constant_channel_can_be_divided_by():
    assert channel_moments(np.full((2, 1, 3, 3), 7, np.uint8)) == ((7 / 255,), (1e-3,))
