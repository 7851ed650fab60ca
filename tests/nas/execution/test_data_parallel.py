import json
import math

import pytest
import torch
from torch import distributed, multiprocessing, nn

from nas.cli import main
from nas.config import DataConfig, TrainingConfig, config_from_dict
from nas.data.datasets import load_dataset
from nas.scoring.training import DataParallelWorker, train
from nas.study.study import Study
from search_spaces import Architecture, Attention, Backbone, InputError, Placement

CONFIGS = {
    "adamw": TrainingConfig(
        epochs=2, batch_size=16, learning_rate=0.01, label_smoothing=0.0
    ),
    "muon": TrainingConfig(
        epochs=2,
        batch_size=16,
        learning_rate=0.05,
        optimizer="muon",
        decay="linear",
        averaging=0.9,
        horizontal_flip=0.5,
        flip="alternating",
    ),
}


def linear_model():
    """No BatchNorm, whose statistics would be those of a worker's share."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, 10),
    )


class TwoPaths(nn.Module):
    """Two blocks in each of two slots, of which a path takes one each; no BatchNorm."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Linear(64, 16)
        self.slots = nn.ModuleList(
            nn.ModuleList(nn.Linear(16, 16) for _ in range(2)) for _ in range(2)
        )
        self.head = nn.Linear(16, 10)

    def forward(self, images, path):
        x = self.stem(images.flatten(1))
        for slot, letter in zip(self.slots, path, strict=True):
            x = x + slot[letter](x).relu()
        return self.head(x)


def both_paths(step):
    """A path and its complement; every other step one path twice, none of the other."""
    return ((0, 1), (1, 0)) if step % 2 else ((0, 0), (0, 0))


def models():
    """What is trained: a network by both recipes, and a supernet."""
    for name, config in CONFIGS.items():
        yield name, linear_model(), config, None
        yield f"{name} paths", TwoPaths(), config, both_paths


def train_shares(rank, path, store):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    dataset = load_dataset(DataConfig(name="digits", max_train=128))
    for name, model, config, paths in models():
        history = train(
            model,
            dataset,
            config,
            seed=3,
            device=torch.device("cpu"),
            worker=DataParallelWorker(rank, 2),
            paths=paths,
        )
        validates = rank == 0 and paths is None
        assert (history[-1].val_accuracy == history[-1].val_accuracy) == validates
        torch.save(model.state_dict(), f"{path}/{name}-{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    """What two workers trained. They import torch once for all configs: 7 s each."""
    path = tmp_path_factory.mktemp("shares")
    multiprocessing.spawn(train_shares, (str(path), str(path / "store")), nprocs=2)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CONFIGS, *(f"{one} paths" for one in CONFIGS)])
def test_two_workers_train_the_network_that_one_trains(shares, name):
    """Mean gradients over the shares of a batch are the batch's own gradient."""
    (found,) = (one for one in models() if one[0] == name)
    _, model, config, paths = found
    dataset = load_dataset(DataConfig(name="digits", max_train=128))
    train(model, dataset, config, seed=3, device=torch.device("cpu"), paths=paths)
    first, second = (
        torch.load(shares / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    for key, value in model.state_dict().items():
        assert torch.equal(first[key], second[key])
        torch.testing.assert_close(first[key], value, rtol=1e-3, atol=1e-5)


def test_workers_must_share_a_batch_evenly():
    with pytest.raises(
        InputError, match=r"must divide training.batch_size, got 3 and 64"
    ):
        config_from_dict({"resources": {"workers_per_trial": 3}})
    with pytest.raises(InputError, match="must be left out"):
        config_from_dict(
            {"resources": {"workers_per_trial": 2}, "search": {"fidelity": {}}}
        )


@pytest.mark.ray
@pytest.mark.slow
def test_nas_train_with_two_workers(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    Architecture(
        Backbone("basic", "cifar", (2, 2), (4, 8)),
        Placement.parse("CM-CM"),
        Attention(heads=(1, 2), head_dim=4),
        4,
        3,
        16,
    ).to_yaml(path)
    config = tmp_path / "c.yaml"
    config.write_text(
        "data: {name: fake}\ntraining: {epochs: 2, batch_size: 32}\n"
        "resources: {workers_per_trial: 2}\n"
    )
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as ended:
        main(
            ["train", str(path), "--config", str(config), "--seeds", "1"]
            + ["--no-baselines", "--out", str(out), "--format", "json", "--quiet"]
        )
    assert ended.value.code == 0, capsys.readouterr().err
    (row,) = json.loads(capsys.readouterr().out)
    assert row["num_seeds"] == 1
    assert 0 <= row["test_accuracy"] <= 1
    record = json.loads((out / "trials" / "0" / "metrics.json").read_text())
    assert record["metrics"]["accuracy"] == row["val_accuracy"]


@pytest.mark.ray
@pytest.mark.slow
def test_two_workers_train_each_supernet_of_a_search(tmp_path, capsys):
    config = tmp_path / "c.yaml"
    config.write_text(
        "name: shared\n"
        "data: {name: digits, image_size: 8, max_train: 128}\n"
        "space: {kind: free, backbone: {block: basic, stem: cifar, depths: [2, 2],\n"
        "  widths: [4, 8]}, attention: {heads: [1, 2], head_dim: 4}}\n"
        "training: {epochs: 2, batch_size: 32}\n"
        "evaluators: [accuracy, cost]\n"
        "scoring: {kind: supernet, supernets: 2, epochs: 2, calibration_images: 32}\n"
        "resources: {workers_per_trial: 2}\n"
    )
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as ended:
        main(["search", str(config), "--out", str(out)])
    err = capsys.readouterr().err
    assert ended.value.code == 0, err
    assert "supernet 1 is ready" in err
    study = Study.open(out)
    complete = [t for t in study.trials() if t.state == "complete"]
    assert {t.supernet for t in complete} == {0, 1}
    assert len(complete) == 2 * 2**3
    assert all(math.isfinite(t.metrics["nll"]) for t in complete)
    left = sorted(path.name for path in (out / "supernets").iterdir())
    assert left == ["0.json", "0.safetensors", "1.json", "1.safetensors"]
    assert not (out / "preparing").exists()
