import pytest

from nas.pareto.find_trial import find_trial
from search_spaces.errors import InputError


def test_best_latest_and_numbers(known_study, make_study, make_trial):
    assert find_trial(known_study, "3") == 3
    assert find_trial(known_study, "best") == 3  # 0.95; the 0.99 of trial 6 is pruned
    assert find_trial(known_study, "latest") == 5  # 6 is no trained trial
    ended_early = make_trial(9, accuracy=0.5, params=1, finished=0.0)
    study = make_study([*known_study.known, ended_early])
    assert find_trial(study, "latest") == 5


def test_of_equals_one_on_the_front_is_best(make_study, make_trial):
    study = make_study(
        [
            make_trial(0, accuracy=0.9, params=300),
            make_trial(1, accuracy=0.9, params=100),
            make_trial(2, accuracy=0.8, params=50),
        ]
    )
    assert find_trial(study, "best") == 1


@pytest.mark.parametrize("name", ["", "-1", "1.5", "bset", "٣", "9" * 5000, "best "])
def test_other_words(known_study, name):
    with pytest.raises(InputError, match="a trial is a number, 'best' or 'latest'"):
        find_trial(known_study, name)


@pytest.mark.parametrize("name", ["best", "latest"])
def test_before_the_first_is_trained(make_study, name):
    with pytest.raises(InputError, match="no trial of 'known' is trained yet"):
        find_trial(make_study([]), name)
