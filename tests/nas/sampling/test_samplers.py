import pytest
from search_parts import OBJECTIVES, small_space

from nas.sampling.samplers import (
    MAX_ENUMERATED,
    SAMPLERS,
    Design,
    SamplerContext,
    create_sampler,
)
from search_spaces import Backbone, FreeSpace
from search_spaces.errors import InputError


def context(**changes):
    fields = {
        "space": small_space(),
        "objectives": OBJECTIVES,
        "seed": 0,
        "num_trials": 10,
    }
    return SamplerContext(**{**fields, **changes})


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="unknown sampler 'tep'.*exhaustive.*tpe"):
        create_sampler("tep", context())


def test_tpe_is_multivariate_unless_told_otherwise():
    assert create_sampler("tpe", context())._multivariate is True
    other = create_sampler("tpe", context(options={"multivariate": False}))
    assert other._multivariate is False


def test_options_that_a_sampler_does_not_know_are_refused():
    with pytest.raises(InputError, match="'tpe' refuses its options"):
        create_sampler("tpe", context(options={"n_starts": 3}))


def test_exhaustive_walks_through_the_space_in_its_order():
    design = create_sampler("exhaustive", context())
    assert isinstance(design, Design)
    found = []
    while (architecture := design.propose([])) is not None:
        found.append(architecture.id)
    assert found == [a.id for a in small_space().enumerate()]


def test_exhaustive_refuses_what_would_never_end():
    backbone = Backbone("basic", "patch2", (8, 8, 8), (8, 8, 8), (1, 2, 2))
    space = FreeSpace(backbone, strided_msas=True)
    assert space.size > MAX_ENUMERATED
    with pytest.raises(InputError, match=f"at most {MAX_ENUMERATED}.*{space.size}"):
        create_sampler("exhaustive", context(space=space))


def test_nsga2_has_several_generations_in_a_short_search():
    assert create_sampler("nsga2", context(num_trials=80))._population_size == 10


def test_every_sampler_of_the_registry_can_be_made():
    architecture = next(iter(small_space().enumerate())).to_dict()
    for name in SAMPLERS:
        options = {"architectures": [architecture]} if name == "given" else None
        assert create_sampler(name, context(options=options)) is not None
