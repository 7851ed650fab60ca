import json
import os
import random
import time
from dataclasses import replace

import pytest
from mutation import spoil

from nas.ledger.trial import Objective
from nas.study.launch_cost import LaunchCost, MeasuredPlacement
from nas.study.layout import StudyLayout
from nas.study.progress import Progress
from nas.study.remaining_time import Underway, duration_text, remaining_seconds
from nas.study.status import _seconds_left

CHEAP = MeasuredPlacement("CC", 100, (9.0, 10.0, 12.0), 3.0, {"cost": 2.0}, 5.0, 10, 7)
DEAR = MeasuredPlacement("MM", 300, (18.0, 20.0, 21.0), 6.0, {"cost": 4.0}, 5.0, 30, 9)
COST = LaunchCost(12, 3, 4, 4.0, 150.0, CHEAP, DEAR, 0.5, 2.0, None, "1 GPU")


def test_a_training_lies_on_the_line_through_both_by_macs():
    # 4 epochs: 40 + 10 of the cheapest, 80 + 15 of the dearest, a quarter of the way
    assert COST.trial_seconds.expected == pytest.approx(50 + (95 - 50) / 4)
    assert COST.trial_seconds.low == 36 + 10
    assert COST.trial_seconds.high == 84 + 15


def test_the_search_is_its_trainings_side_by_side():
    assert COST.seconds.expected == pytest.approx(12 * 61.25 / 3)
    assert COST.gpu_hours.expected == pytest.approx(12 * 61.25 / 2 / 3600)
    assert COST.cpu_hours.high == pytest.approx(12 * 99 * 2 / 3600)
    assert COST.disk_bytes.low == 12 * 10 + 3 * 7
    assert COST.disk_bytes.high == 12 * 30 + 3 * 9


def test_weak_trainings_that_are_stopped_cost_less_but_may_not_be_stopped():
    halved = replace(COST, mean_epochs=2.0)
    assert halved.trial_seconds.expected == pytest.approx(30 + (55 - 30) / 4)
    assert halved.trial_seconds.high == COST.trial_seconds.high


def test_a_time_limit_ends_the_search_after_the_training_that_runs():
    limited = replace(COST, time_limit_s=100.0)
    assert limited.seconds.expected == pytest.approx(100 + 61.25)
    assert limited.seconds.high == 100 + 99
    assert limited.gpu_hours.expected == pytest.approx(161.25 * 3 / 2 / 3600)
    assert replace(COST, time_limit_s=1e9).seconds == COST.seconds


def test_it_is_the_first_estimate_of_the_time_left_everywhere(tmp_path):
    layout = StudyLayout(tmp_path)
    COST.write(layout.launch_cost)
    progress = Progress([Objective("accuracy", "maximize")], 12, [], study=layout)
    expected = COST.seconds.expected
    assert progress._time_left() == f"{duration_text(expected)} left"
    now = time.time()
    assert _seconds_left([], (), 12, now, {}, COST.expected) == pytest.approx(expected)


def test_what_ended_counts_beside_what_was_expected():
    found = remaining_seconds([100.0, 100.0, 100.0], [], 4, COST.expected)
    assert found == pytest.approx(4 * (300 + 61.25) / 4 / 3)
    running = [Underway(10.0, 1, 4)]
    assert remaining_seconds([], running, 1, COST.expected) == pytest.approx(30)


def test_a_study_keeps_it_and_a_damaged_file_is_left_alone(tmp_path):
    path = tmp_path / "cost.json"
    assert LaunchCost.read(path) is None
    COST.write(path)
    assert LaunchCost.read(path) == COST
    text = path.read_text()
    rng = random.Random(0)
    for _ in range(200):
        path.write_bytes(spoil(text, rng).encode(errors="surrogatepass"))
        found = LaunchCost.read(path)
        assert found is None or found.seconds.expected >= 0
        assert found is None or found.lines()


def test_what_is_printed_is_what_json_has():
    data = json.loads(json.dumps(COST.to_dict()))
    assert data["seconds"]["expected"] == pytest.approx(245)
    lines = COST.lines()
    assert lines[0].startswith("time         4 min 05 s (3 min 04 s to 6 min 36 s)")
    assert "12 trainings, 3 at once" in lines[0]
    one = replace(COST, trials=1).lines()[0]
    assert ": 1 training of 1 min 01 s (" in one and "each" not in one, one
    assert "CC: 10 s an epoch, validation 3 s, cost 2 s" in lines[3]


def test_a_pipe_in_its_place_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "cost.json")
    assert LaunchCost.read(tmp_path / "cost.json") is None
