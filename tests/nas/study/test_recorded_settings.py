import copy

import pytest
from search_parts import config

from nas.study.recorded_settings import check_unchanged, settings_to_record
from search_spaces.errors import InputError

BEFORE = config().to_dict()


def edited(path, value):
    settings = copy.deepcopy(BEFORE)
    here = settings
    *parents, last = path.split(".")
    for parent in parents:
        here = here[parent]
    here[last] = value
    return settings


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 7),
        ("objectives", [{"metric": "nll", "direction": "minimize"}]),
        ("space.kind", "per_stage_count"),
        ("data.name", "digits"),
        ("data.max_train", 10),
        ("training.epochs", 9),
        ("scoring.kind", "finetune"),
        ("search.sampler", "tpe"),
        ("search.replicates", 3),
        ("search.randomise", ["seed", "split"]),
    ],
)
def test_what_trials_depend_on_may_not_change(path, value):
    recorded = settings_to_record(BEFORE, "abc")
    section = path.split(".")[0] if path == "objectives" else path
    with pytest.raises(InputError, match=f"{section} changed from .* to "):
        check_unchanged(recorded, settings_to_record(edited(path, value), "abc"))


def test_images_with_other_pixels_are_refused_wherever_they_are():
    recorded = settings_to_record(BEFORE, "abc")
    check_unchanged(recorded, settings_to_record(edited("data.root", "/moved"), "abc"))
    with pytest.raises(InputError, match='the images changed from "abc" to "abd"'):
        check_unchanged(recorded, settings_to_record(BEFORE, "abd"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("search.trials", 99),
        ("scoring.path", "moved"),
        ("search.time_limit_s", 5.0),
        ("resources.max_concurrent", 1),
        ("tracking.to", ["tensorboard"]),
    ],
)
def test_the_rest_may_change(path, value):
    recorded = settings_to_record(BEFORE, None)
    check_unchanged(recorded, settings_to_record(edited(path, value), None))


def test_settings_that_one_version_does_not_know_are_not_compared():
    recorded = settings_to_record(BEFORE, None)
    now = settings_to_record(BEFORE, None)
    now["training"]["invented_later"] = 1
    del now["training"]["epochs"]
    check_unchanged(recorded, now)


def test_a_study_of_before_splits_were_drawn_anew_goes_on_without_it():
    recorded = settings_to_record(BEFORE, None)
    del recorded["search"]["randomise"]
    check_unchanged(recorded, settings_to_record(BEFORE, None))
    edit = edited("search.randomise", ["split"])
    with pytest.raises(InputError, match=r"search.randomise changed from \["):
        check_unchanged(recorded, settings_to_record(edit, None))
