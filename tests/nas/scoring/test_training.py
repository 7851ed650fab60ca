import math
import os

import numpy as np
import pytest
import torch

from nas.config import DataConfig, TrainingConfig
from nas.data.datasets import load_dataset
from nas.scoring.training import DivergedError, num_steps, train, validate
from search_spaces import Architecture, Attention, Backbone, Placement

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return load_dataset(DataConfig(name="digits", max_train=128, max_validation=64))


def network(seed=0, placement="CM-C", drop_path=0.0):
    architecture = Architecture(
        Backbone("basic", "cifar", (2, 1), (4, 8)),
        Placement.parse(placement),
        Attention(heads=1, head_dim=4),
        10,
        1,
        8,
    )
    torch.manual_seed(seed)
    return architecture.build(drop_path=drop_path)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_it_learns(digits):
    model = network()
    history = train(
        model,
        digits,
        TrainingConfig(epochs=12, batch_size=16, learning_rate=0.01, label_smoothing=0),
        seed=0,
        device=CPU,
    )
    assert history[-1].val_accuracy > 0.5  # chance is 0.1
    assert history[-1].train_loss < history[0].train_loss
    assert not model.training


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"crop_padding": 1, "horizontal_flip": 0.5, "drop_path": 0.2},
        {"mixup": 1.0, "cutmix": 1.0},
    ],
)
def test_the_seed_alone_decides(digits, extra):
    config = TrainingConfig(epochs=2, batch_size=32, **extra)
    runs = []
    for global_seed, seed in ((1, 5), (2, 5), (1, 6)):
        model = network(drop_path=config.drop_path)
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002  (the point: it must not matter)
        train(model, digits, config, seed=seed, device=CPU)
        runs.append(weights(model))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_training_leaves_the_global_random_state_alone(digits):
    model = network(drop_path=0.2)
    before = torch.get_rng_state()
    train(model, digits, TrainingConfig(epochs=1), seed=0, device=CPU)
    assert torch.equal(torch.get_rng_state(), before)


SGD = {
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "decay": "linear",
    "horizontal_flip": 0.5,
    "flip": "alternating",
    "averaging": 0.9,
}


@pytest.mark.parametrize(
    "extra",
    [
        {"crop_padding": 1, "mixup": 0.5},
        SGD,
        {**SGD, "optimizer": "muon", "crop_padding": 1, "crop_border": "reflect"},
        {"averaging": 0.99, "last_batch": "keep", "batch_size": 33},
        {"warmup_start": "zero", "watched_images": 10},
    ],
)
def test_a_continued_run_equals_an_uninterrupted_one(digits, tmp_path, extra):
    config = TrainingConfig(
        **{"epochs": 4, "batch_size": 32, "drop_path": 0.3, **extra}
    )
    whole = network(drop_path=0.3)
    train(whole, digits, config, seed=7, device=CPU)

    class Killed(Exception):
        pass

    def kill(epoch):
        if epoch.epoch == 3:  # an odd one: the next mirrors the other images
            raise Killed
        return False

    path = tmp_path / "checkpoint.pt"
    first = network(drop_path=0.3)
    with pytest.raises(Killed):
        train(first, digits, config, seed=7, device=CPU, report=kill, checkpoint=path)
    second = network(seed=99, drop_path=0.3)
    seen = []
    history = train(
        second, digits, config, seed=7, device=CPU, watch=seen.append, checkpoint=path
    )
    assert [record.epoch for record in history] == [1, 2, 3, 4]
    assert seen == history  # also what was trained before the kill
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_a_run_killed_after_its_last_epoch_ends_with_the_average(digits, tmp_path):
    config = TrainingConfig(epochs=2, batch_size=32, **SGD)
    path = tmp_path / "checkpoint.pt"
    first, second = network(), network(seed=99)
    train(first, digits, config, seed=7, device=CPU, checkpoint=path)
    train(second, digits, config, seed=7, device=CPU, checkpoint=path)
    assert torch.equal(weights(first), weights(second))


def test_the_network_ends_with_the_averaged_weights_that_were_validated(digits):
    config = TrainingConfig(epochs=3, batch_size=16, **SGD)
    model = network()
    history = train(model, digits, config, seed=0, device=CPU)
    images = digits.image_set(digits.validation)
    nll, accuracy = validate(model, images, config, CPU)
    assert (history[-1].val_loss, history[-1].val_accuracy) == (nll, accuracy)
    plain = network()
    off = config.model_copy(update={"averaging": 0.0})
    train(plain, digits, off, seed=0, device=CPU)
    assert not torch.equal(weights(model), weights(plain))


def test_a_stopped_run_ends_with_the_averaged_weights_too(digits):
    config = TrainingConfig(epochs=5, batch_size=16, **SGD)
    model = network()
    history = train(
        model, digits, config, seed=0, device=CPU, report=lambda e: e.epoch == 2
    )
    images = digits.image_set(digits.validation)
    assert validate(model, images, config, CPU)[1] == history[-1].val_accuracy


def test_watching_fewer_images_changes_no_weight_and_not_the_last_value(digits):
    runs = []
    for watched in (None, 16):
        config = TrainingConfig(epochs=2, batch_size=32, watched_images=watched)
        model = network()
        history = train(model, digits, config, seed=0, device=CPU)
        runs.append((weights(model), history))
    (first, all_seen), (second, few_seen) = runs
    assert torch.equal(first, second)
    assert all_seen[0].val_loss != few_seen[0].val_loss
    assert all_seen[1].val_loss == few_seen[1].val_loss
    images = digits.image_set(digits.validation)
    nll, _ = validate(model, images, config, CPU, max_images=16)
    with torch.no_grad():
        plain = sum(
            float(torch.nn.functional.cross_entropy(model(batch), label))
            for batch, label in images.batches(1, CPU, 16)
        )
    assert nll == pytest.approx(plain / 16, rel=1e-4)


def test_a_kept_last_batch_is_one_more_step():
    for num_images, drop, keep in ((128, 4, 4), (129, 4, 5), (10, 1, 1)):
        assert num_steps(num_images, TrainingConfig(batch_size=32)) == drop
        config = TrainingConfig(batch_size=32, last_batch="keep")
        assert num_steps(num_images, config) == keep


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_every_optimizer_learns_with_msa_blocks_alone(digits, optimizer):
    rate = {"adamw": 0.01, "sgd": 0.1, "muon": 0.1}[optimizer]
    config = TrainingConfig(
        epochs=12, batch_size=16, optimizer=optimizer, learning_rate=rate
    )
    model = network(placement="MM-M")
    history = train(model, digits, config, seed=0, device=CPU)
    assert history[-1].val_accuracy > 0.3  # chance is 0.1


@pytest.mark.parametrize("share", [0, 1e-4, 0.5, 0.99])
def test_a_run_whose_checkpoint_was_cut_begins_anew(digits, tmp_path, share):
    config = TrainingConfig(epochs=1, batch_size=32)
    path = tmp_path / "checkpoint.pt"
    first, second = network(), network()
    train(first, digits, config, seed=7, device=CPU, checkpoint=path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert len(train(second, digits, config, seed=7, device=CPU, checkpoint=path)) == 1
    assert torch.equal(weights(first), weights(second))


class Runs:
    """A pickle of it calls a function where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_of_other_objects_is_not_run_and_training_begins_anew(
    digits, tmp_path
):
    path, made = tmp_path / "checkpoint.pt", tmp_path / "made"
    torch.save({"model": Runs(made)}, path)
    config = TrainingConfig(epochs=1, batch_size=32)
    first, second = network(), network()
    train(first, digits, config, seed=7, device=CPU, checkpoint=path)
    train(second, digits, config, seed=7, device=CPU)
    assert not made.exists()
    assert torch.equal(weights(first), weights(second))


def test_report_can_stop(digits):
    config = TrainingConfig(epochs=5, batch_size=32)
    history = train(
        network(),
        digits,
        config,
        seed=0,
        device=CPU,
        report=lambda epoch: epoch.epoch == 2,
    )
    assert len(history) == 2


def test_divergence_names_the_step(digits):
    model = network()
    with torch.no_grad():
        model.head.linear.weight.fill_(math.nan)
    with pytest.raises(DivergedError, match="loss is nan at step 1 of 8"):
        train(
            model,
            digits,
            TrainingConfig(epochs=2, batch_size=32),
            seed=0,
            device=CPU,
        )


def test_validate_equals_a_plain_loop(digits):
    model = network()
    images = digits.image_set(digits.validation)
    nll, accuracy = validate(model, images, TrainingConfig(), CPU)
    total, correct = 0.0, 0
    with torch.no_grad():
        for index in range(len(images)):
            batch, label = images.batch(torch.tensor([index]), CPU)
            logits = model(batch)[0]
            total -= float(logits.log_softmax(0)[label[0]])
            correct += int(logits.argmax() == label[0])
    assert nll == pytest.approx(total / len(images), rel=1e-5)
    assert accuracy == correct / len(images)


def test_bf16_and_layout_are_optional(digits):
    for settings in ({"amp": "bf16"}, {"channels_last": "off"}):
        config = TrainingConfig(epochs=1, batch_size=32, **settings)
        history = train(network(), digits, config, seed=0, device=CPU)
        assert math.isfinite(history[0].train_loss)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(digits):
    config = TrainingConfig(epochs=1, batch_size=32, amp="off")
    runs = []
    for device in (CPU, torch.device("cuda")):
        model = network()
        runs.append(train(model, digits, config, seed=0, device=device)[0].train_loss)
    assert runs[0] == pytest.approx(runs[1], rel=1e-3)
