from nas.commands.design_power import planned_placements, power_of_search, thin_slots
from nas.config import load_config


def test_the_power_of_a_search_is_known_before_it():
    changes = ["search.sampler=factorial", "search.trials=40", "search.replicates=2"]
    assert power_of_search(load_config("quickstart", changes)).num_rows == 20
    changes.append("search.replicate_first=8")
    assert len(planned_placements(load_config("quickstart", changes))) == 32
    assert power_of_search(load_config("quickstart", ["search.sampler=tpe"])) is None


def test_slots_that_will_hardly_vary_are_named():
    few = load_config("quickstart", ["search.sampler=factorial", "search.trials=12"])
    assert "fewer than 8 placements" in thin_slots(few)
    many = load_config("quickstart", ["search.sampler=factorial", "search.trials=48"])
    assert thin_slots(many) == ""
