import itertools
from collections import Counter

import pytest

from nas.sampling.balanced_designs import (
    MAX_ENUMERATED,
    factorial_architectures,
    uniform_design,
)
from nas.sampling.samplers import SamplerContext, create_sampler
from nas.sampling.swaps import swap_design
from search_spaces.backbone import Backbone
from search_spaces.errors import InputError
from search_spaces.spaces.constraints import Constraints
from search_spaces.spaces.free_space import FreeSpace


def space(depths=(3, 3, 3), **options):
    widths = (4, 8, 8, 8)[: len(depths)]
    return FreeSpace(Backbone("basic", "patch2", depths, widths), **options)


def placements(design, num):
    return [str(one.placement) for one in itertools.islice(design, num)]


def test_a_block_differs_in_the_place_of_one_msa():
    found = placements(swap_design(space(strided_msas=True)), 45)
    assert len(set(found)) == 45
    for number in range(15):
        last, middle, first = found[3 * number : 3 * number + 3]
        stage = number % 3  # stages take turns
        for text in (last, middle, first):
            stages = text.split("-")
            assert stages[:stage] == last.split("-")[:stage]
            assert stages[stage + 1 :] == last.split("-")[stage + 1 :]
        assert [t.split("-")[stage] for t in (last, middle, first)] == [
            "CCM", "CMC", "MCC",
        ]  # fmt: skip


def test_strided_slots_that_are_not_free_take_no_part():
    found = placements(swap_design(space()), 30)
    for text in found:
        assert [stage[0] for stage in text.split("-")[1:]] == ["C", "C"]
    assert [text.split("-")[1] for text in found[3:5]] == ["CCM", "CMC"]


def test_deep_stages_swap_with_every_middle_slot_and_keep_the_others():
    found = placements(swap_design(space((6,)), seed=1), 24)
    assert len(set(found)) == len(found)
    places = Counter()
    for at in range(0, len(found) - 2, 3):
        last, middle, first = found[at : at + 3]
        assert last.count("M") == middle.count("M") == first.count("M")
        assert sum(a != b for a, b in zip(last, middle, strict=True)) == 2
        assert sum(a != b for a, b in zip(last, first, strict=True)) == 2
        assert last[5] == "M" and first[0] == "M"
        places[next(i for i in range(1, 5) if middle[i] > last[i])] += 1
    assert len(places) > 1


@pytest.mark.parametrize("bounds", [{"max_msas": 3}, {"min_msas": 2, "max_msas": 4}])
@pytest.mark.parametrize("depths", [(3, 3, 3), (3, 4, 6, 3)])
def test_every_design_keeps_to_a_cap_on_msas(bounds, depths):
    capped = space(depths, strided_msas=True, constraints=Constraints(**bounds))
    least, most = bounds.get("min_msas", 0), bounds["max_msas"]
    for design in (swap_design, uniform_design, factorial_architectures):
        counts = Counter(t.count("M") for t in placements(design(capped), 60))
        assert least <= min(counts) and max(counts) <= most
        assert sum(counts.values()) == 60 and len(counts) > 1
    assert sum(depths) < 10 or space(depths, strided_msas=True).size > MAX_ENUMERATED


def test_a_constraint_on_parameters_holds_for_a_whole_block():
    free = space(strided_msas=True)
    low, high = free.cost_range()
    middle = (low.params + high.params) // 2
    bounded = space(strided_msas=True, constraints=Constraints(max_params=middle))
    found = list(swap_design(bounded))
    assert found and all(one.cost.params <= middle for one in found)
    for at in range(0, len(found), 3):
        assert len({one.placement.num_msas for one in found[at : at + 3]}) == 1


def test_the_design_ends_and_repeats_itself():
    once = placements(swap_design(space((3,)), seed=3), 99)
    assert once == ["CCM", "CMC", "MCC"]
    twice = [placements(swap_design(space(), seed=3), 40) for _ in range(2)]
    assert twice[0] == twice[1] != placements(swap_design(space(), seed=4), 40)


def test_searched_settings_are_those_of_the_block():
    choosy = space(choices={"heads": [[1, 2]] * 3}, strided_msas=True)
    found = list(itertools.islice(swap_design(choosy), 30))
    for at in range(0, 30, 3):
        assert len({str(one.attention) for one in found[at : at + 3]}) == 1
    assert len({str(one.attention) for one in found}) > 1


def test_it_is_a_sampler_and_refuses_what_it_cannot_do():
    design = create_sampler("swaps", SamplerContext(space(), (), 0, 10))
    assert str(design.propose([]).placement) == placements(swap_design(space()), 1)[0]
    with pytest.raises(InputError, match="no stage of the space has two slots"):
        create_sampler("swaps", SamplerContext(space((1, 2)), (), 0, 10))
