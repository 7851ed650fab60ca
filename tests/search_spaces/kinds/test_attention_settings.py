import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Attention, InputError
from search_spaces.kinds.attention import (
    _warn_of_whole_map,
    fitting_windows,
    resolve_window,
)


@pytest.mark.filterwarnings("ignore:window. auto")
@given(st.integers(1, 60))
def test_windows_that_fit_divide_the_map(map_size):
    fitting = fitting_windows(map_size)
    assert all(map_size % window == 0 for window in fitting)
    for window in range(1, map_size + 1):
        assert (window in fitting) == (map_size % window == 0)
    chosen = resolve_window("auto", map_size, stage=1)
    assert chosen in fitting
    small = [window for window in fitting if 2 <= window <= 7]
    assert chosen == (max(small) if small else map_size)


def test_auto_says_when_it_takes_the_whole_map():
    _warn_of_whole_map.cache_clear()
    with pytest.warns(UserWarning, match="13x13 map of stage 2.*169 tokens"):
        assert resolve_window("auto", 13, stage=2) == 13
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve_window("auto", 13, stage=2) == 13  # said once
        assert resolve_window("auto", 14, stage=2) == 7
        assert resolve_window("auto", 1, stage=2) == 1


def test_a_window_that_does_not_fit_names_those_that_do():
    with pytest.raises(InputError, match="windows that fit: 1, 2, 4, 8, or auto"):
        resolve_window(7, 8, stage=3)


def test_automatic_heads_double_from_stage_to_stage():
    assert Attention().per_stage(4).heads == (3, 6, 12, 24)
    assert Attention(heads=(2, "auto")).per_stage(2).heads == (2, 6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 0}, "attention.heads is a positive whole number"),
        ({"heads": (1, -2)}, "attention.heads is a positive whole number"),
        ({"head_dim": "auto"}, "attention.head_dim is a positive whole number"),
        ({"window": 2.5}, "attention.window is a positive whole number or auto"),
        ({"window": True}, "attention.window"),
        ({"size": "big"}, "attention.size is one of reference, matched; got 'big'"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Attention(**settings)


def test_a_list_of_another_length_is_refused():
    with pytest.raises(InputError, match=r"one per stage \(3\); got 2: \[1, 2\]"):
        Attention(heads=(1, 2)).per_stage(3)
