from nas.sampling.baselines import baselines, paper_counts
from search_spaces import Attention
from search_spaces.backbone import Backbone
from search_spaces.spaces.constraints import Constraints
from search_spaces.spaces.free_space import FreeSpace
from search_spaces.spaces.per_stage_count_space import PerStageCountSpace


def space(depths=(3, 4, 6, 4), **options):
    widths = (8, 16, 32, 64)[: len(depths)]
    return FreeSpace(Backbone("basic", "cifar", depths, widths), **options)


def placements(found):
    return {name: str(a.placement) for name, a in found.items()}


def test_strided_first_blocks_stay_conv_where_the_space_says_so():
    assert placements(baselines(space())) == {
        "all_conv": "CCC-CCCC-CCCCCC-CCCC",
        "paper_rule": "CCC-CCCM-CCCCCM-CMCM",
        "stage_starts": "CCC-CMCC-CMCCCC-CMMC",
        "last_stage": "CCC-CCCC-CCCCCC-CMMM",
        "all_msa": "MMM-CMMM-CMMMMM-CMMM",
    }


def test_with_strided_msas_the_starts_are_the_first_blocks():
    found = placements(baselines(space(strided_msas=True)))
    assert found["stage_starts"] == "CCC-MCCC-MCCCCC-MCMC"
    assert found["last_stage"] == "CCC-CCCC-CCCCCC-MMMM"
    assert found["all_msa"] == "MMM-MMMM-MMMMMM-MMMM"


def test_rule_and_starts_have_as_many_msas_in_each_stage():
    for depths in [(3, 4, 6, 4), (2, 2, 2), (3, 3, 3), (5, 1, 3)]:
        found = baselines(space(depths, strided_msas=True))
        rule, starts = found["paper_rule"], found["stage_starts"]
        assert rule.placement.msa_counts == starts.placement.msa_counts
        assert rule.placement != starts.placement


def test_counts_are_the_papers():
    assert paper_counts((3, 4, 6, 4)) == (0, 1, 1, 2)
    assert paper_counts((2, 2, 2, 2)) == (0, 1, 1, 1)
    assert paper_counts((4, 1, 3)) == (0, 0, 1)
    assert paper_counts((4,)) == (2,)


def test_upper_bounds_leave_baselines_out_but_not_the_parent():
    found = baselines(space(constraints=Constraints(min_msas=1, max_msas=4)))
    assert list(found) == ["all_conv", "paper_rule", "stage_starts", "last_stage"]


def test_windows_that_do_not_fit_leave_baselines_out():
    # The 10-pixel map of stage 2 has no window of 4, but no MSA in this space either.
    backbone = Backbone("basic", "cifar", (2, 1), (8, 8))
    family = PerStageCountSpace(
        backbone, Attention(window=4), strided_msas=True, image_size=20
    )
    assert placements(baselines(family)) == {"all_conv": "CC-C"}


def test_equal_placements_come_once():
    found = baselines(space((2, 2)))
    assert placements(found) == {
        "all_conv": "CC-CC",
        "paper_rule": "CC-CM",
        "all_msa": "MM-CM",
    }


def test_baselines_use_the_letters_of_the_space():
    found = placements(baselines(space((2, 3), kinds="CP")))
    assert set("".join(found.values())) <= set("CP-")
    assert found["all_msa"] == "PP-CPP"
    mixed = placements(baselines(space((2, 3), kinds=["CM", "CPM"])))
    assert mixed["all_msa"] == "MM-CMM"
