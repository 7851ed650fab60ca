import json

import pytest
import torch
from torch import distributed, multiprocessing, nn

from nas.cli import main
from nas.config import DataConfig, TrainingConfig, config_from_dict
from nas.data.datasets import load_dataset
from nas.scoring.training import DataParallelWorker, train
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


def train_shares(rank, path, store):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    dataset = load_dataset(DataConfig(name="digits", max_train=128))
    for name, config in CONFIGS.items():
        model = linear_model()
        history = train(
            model,
            dataset,
            config,
            seed=3,
            device=torch.device("cpu"),
            worker=DataParallelWorker(rank, 2),
        )
        assert (history[-1].val_accuracy == history[-1].val_accuracy) == (rank == 0)
        torch.save(model.state_dict(), f"{path}/{name}-{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    """What two workers trained. They import torch once for all configs: 7 s each."""
    path = tmp_path_factory.mktemp("shares")
    multiprocessing.spawn(train_shares, (str(path), str(path / "store")), nprocs=2)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_two_workers_train_the_network_that_one_trains(shares, name):
    """Mean gradients over the shares of a batch are the batch's own gradient."""
    model = linear_model()
    dataset = load_dataset(DataConfig(name="digits", max_train=128))
    train(model, dataset, CONFIGS[name], seed=3, device=torch.device("cpu"))
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
