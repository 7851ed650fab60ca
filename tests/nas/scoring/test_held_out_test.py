from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from nas.config import config_from_dict
from nas.data.datasets import load_dataset
from nas.ledger.held_out_results import read_test, results_of, write_test
from nas.ledger.trial import Objective, Trial, TrialState
from nas.scoring.from_scratch import train_and_evaluate
from nas.scoring.held_out_test import chosen_trials, final_test, look_once
from search_spaces import InputError, Placement

CONFIG = config_from_dict(
    {
        "data": {
            "name": "digits",
            "max_train": 64,
            "max_validation": 32,
            "max_test": 50,
        },
        "space": {
            "backbone": {
                "block": "basic",
                "stem": "cifar",
                "depths": [2],
                "widths": [4],
            },
            "attention": {"heads": 1, "head_dim": 4},
        },
        "training": {"epochs": 1, "batch_size": 32},
    }
)


@dataclass
class DiskStudy:
    """Trials with weights on disk; what final_test needs of a Study."""

    path: Path
    known: list[Trial]
    name: str = "disk"
    config: object = CONFIG
    objectives: tuple[Objective, ...] = CONFIG.make_objectives()

    def trials(self):
        return self.known

    def trial_directory(self, number):
        return self.path / "trials" / str(number)


@pytest.fixture(scope="module")
def dataset():
    return load_dataset(CONFIG.data)


@pytest.fixture(scope="module")
def study(dataset, tmp_path_factory):
    study = DiskStudy(tmp_path_factory.mktemp("study"), [])
    space = CONFIG.space.make(10, 1, 8)
    for number, letters in enumerate(("CC", "CM", "MM")):
        architecture = space.architecture(Placement.parse(letters))
        result = train_and_evaluate(
            architecture,
            CONFIG,
            dataset,
            seed=number,
            directory=study.trial_directory(number),
        )
        study.known.append(
            Trial(
                number,
                TrialState.COMPLETE,
                architecture.to_dict(),
                letters,
                number,
                1,
                result.metrics,
                baseline="all_conv" if letters == "CC" else None,
            )
        )
    return study


def test_results_equal_a_plain_loop_over_the_test_images(study, dataset):
    found = final_test(study, dataset, study.trials())
    assert [one.number for one in found] == [0, 1, 2]
    images = dataset.image_set(dataset.test)
    batch, labels = images.batch(slice(None), torch.device("cpu"))
    from nas.exporting.formats import load_weights
    from search_spaces import Architecture

    for one, trial in zip(found, study.trials(), strict=True):
        path = study.trial_directory(trial.number) / "weights.safetensors"
        model = load_weights(Architecture.from_dict(dict(trial.architecture)), path)
        with torch.no_grad():
            correct = (model(batch).argmax(1) == labels).float().mean()
        assert one.test_accuracy == pytest.approx(float(correct))
        assert one.num_images == 50
        p = one.test_accuracy
        assert one.test_accuracy_se == pytest.approx((p * (1 - p) / 49) ** 0.5)


def test_the_front_and_the_baselines_are_chosen(study):
    trials = study.trials()
    values = {0: (0.5, 100.0), 1: (0.9, 90.0), 2: (0.2, 120.0)}
    known = [
        replace(t, metrics={"accuracy": a, "macs": m})
        for t, (a, m) in zip(trials, values.values(), strict=True)
    ]
    failed = replace(known[1], number=3, state=TrialState.FAILED)
    chosen = chosen_trials(DiskStudy(study.path, [*known, failed]))
    assert [one.number for one in chosen] == [0, 1]  # the baseline and the front


def test_a_trial_without_weights_is_left_out(study, dataset):
    gone = replace(study.trials()[0], number=99)
    assert final_test(study, dataset, [gone]) == []


def test_the_file_keeps_every_value(study, dataset, tmp_path):
    assert read_test(tmp_path / "test.csv") == []
    found = final_test(study, dataset, study.trials())
    write_test(tmp_path / "test.csv", found)
    assert read_test(tmp_path / "test.csv") == found
    text = (tmp_path / "test.csv").read_text().replace(",50", ",many")
    (tmp_path / "test.csv").write_text(text)
    with pytest.raises(InputError, match=r"test.csv is damaged near line 2"):
        read_test(tmp_path / "test.csv")


def never():
    raise AssertionError("the test images were looked at again")


def test_each_network_is_looked_at_once(study, dataset, tmp_path):
    own = replace(study, path=tmp_path)
    (tmp_path / "trials").symlink_to(study.path / "trials")
    first = look_once(own, lambda: dataset, study.trials()[:2])
    assert [one.number for one in first] == [0, 1]
    assert all(one.looked.endswith("+00:00") for one in first)
    written = (tmp_path / "test.csv").read_bytes()
    assert look_once(own, never, study.trials()[:2]) == first
    assert look_once(own, never, study.trials()[1:2]) == first[1:]
    assert (tmp_path / "test.csv").read_bytes() == written
    # a longer search: only the new network is looked at, the others keep their row
    more = look_once(own, lambda: dataset, study.trials())
    assert more[:2] == first and more[2].number == 2
    assert read_test(tmp_path / "test.csv") == more
    # a network whose weights are gone was looked at all the same
    gone = replace(study, path=tmp_path)
    (tmp_path / "trials").unlink()
    assert look_once(gone, never, study.trials()) == more


def test_results_of_other_networks_are_not_taken_for_ours(study, dataset, tmp_path):
    own = replace(study, path=tmp_path)
    (tmp_path / "trials").symlink_to(study.path / "trials")
    first = look_once(own, lambda: dataset, study.trials()[:2])
    foreign = [replace(first[0], seed=99), replace(first[1], placement="CCC")]
    write_test(tmp_path / "test.csv", [*foreign, replace(first[0], number=7)])
    assert results_of(study.trials(), read_test(tmp_path / "test.csv")) == {}
    again = look_once(own, lambda: dataset, study.trials()[:2])
    assert [one.test_nll for one in again] == [one.test_nll for one in first]


def test_a_file_of_an_earlier_version_is_read(study, dataset, tmp_path):
    found = final_test(study, dataset, study.trials()[:1])
    write_test(tmp_path / "test.csv", found)
    lines = (tmp_path / "test.csv").read_text().splitlines()
    assert lines[0].endswith(",looked")
    old = "\n".join(line.rsplit(",", 1)[0] for line in lines)
    (tmp_path / "test.csv").write_text(old)
    assert read_test(tmp_path / "test.csv") == [replace(found[0], looked="")]


def test_a_damaged_file_stops_the_look_and_keeps_the_file(study, dataset, tmp_path):
    own = replace(study, path=tmp_path)
    (tmp_path / "test.csv").write_bytes(b"number\n\xff\xfe")
    with pytest.raises(InputError, match="test.csv is damaged"):
        look_once(own, lambda: dataset, study.trials())
    assert (tmp_path / "test.csv").read_bytes() == b"number\n\xff\xfe"
