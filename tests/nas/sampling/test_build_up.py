import random

import pytest

from nas.sampling.build_up import BuildUp, follow
from search_spaces.placement import Placement

DEPTHS = (3, 4, 6, 4)

# CIFAR-100 accuracies of the paper's build-up, decoded from the vector figure in the
# reference repository (resources/vit/buildup_v.key), by MSAs per stage.
PUBLISHED = {
    (0, 0, 0, 0): 82.48,
    (0, 0, 0, 1): 83.45,
    (0, 0, 0, 2): 83.66,
    (0, 0, 1, 2): 83.77,
    (0, 0, 2, 2): 83.52,
    (0, 0, 3, 2): 83.19,
    (0, 1, 1, 2): 84.02,
    (0, 2, 1, 2): 83.39,
    (1, 1, 1, 2): 83.80,
}


def published(counts):
    return Placement.alternating(DEPTHS, counts)


def test_published_accuracies_lead_to_the_published_network():
    machine = BuildUp(DEPTHS)
    values = {published(counts): [acc] for counts, acc in PUBLISHED.items()}
    steps = list(follow(machine, values))
    assert machine.ask() is None
    assert str(machine.best) == "CCC-CCCM-CCCCCM-CMCM"
    assert [step.placement.msa_counts for step in steps if step.kept] == [
        (0, 0, 0, 0),
        (0, 0, 0, 1),
        (0, 0, 0, 2),
        (0, 0, 1, 2),
        (0, 1, 1, 2),
    ]
    assert [step.placement.msa_counts for step in steps if not step.kept] == [
        (0, 0, 2, 2),
        (0, 2, 1, 2),
        (1, 1, 1, 2),
    ]


def test_errors_in_percent_lead_there_too():
    machine = BuildUp(DEPTHS, maximize=False)
    values = {published(counts): [100 - acc] for counts, acc in PUBLISHED.items()}
    list(follow(machine, values))
    assert machine.best.msa_counts == (0, 1, 1, 2)


def test_gains_within_the_noise_of_seeds_are_not_kept():
    # The published gains with three seeds that spread by one point: only +0.97 over the
    # parent might be told from noise, and with the t test not even that.
    machine = BuildUp(DEPTHS)
    values = {
        published(counts): [acc - 1, acc, acc + 1] for counts, acc in PUBLISHED.items()
    }
    values[published((0, 0, 1, 0))] = [82, 83, 84]
    values[published((0, 1, 0, 0))] = [82, 83, 84]
    values[published((1, 0, 0, 0))] = [82, 83, 84]
    steps = list(follow(machine, values))
    assert machine.ask() is None
    assert machine.best == Placement.all_conv(DEPTHS)
    # 2 * 3 squared deviations of 1 with 4 degrees of freedom: sd 1, standard error
    # sqrt(2 / 3), one-sided 5% point of t(4) = 2.132.
    assert steps[1].needed == pytest.approx(2.132 * (2 / 3) ** 0.5, abs=1e-3)


def test_false_steps_are_as_rare_as_the_level():
    rng = random.Random(0)
    kept = 0
    for _ in range(400):
        machine = BuildUp((2,), level=0.05)
        machine.tell([rng.gauss(0, 1) for _ in range(4)])
        kept += machine.tell([rng.gauss(0, 1) for _ in range(4)]).kept
    # Binomial: 20 expected, standard deviation 4.4.
    assert 7 <= kept <= 33


def test_a_step_that_failed_is_not_kept():
    machine = BuildUp((2, 2))
    machine.tell([0.5])
    step = machine.tell([])
    assert not step.kept and step.mean is None
    assert str(machine.ask()) == "CM-CC"


def test_without_a_parent_anything_is_better():
    machine = BuildUp((2,))
    machine.tell([])
    assert machine.tell([0.1]).kept


def test_placements_that_may_not_be_tried_are_skipped():
    machine = BuildUp((2, 2, 2), allowed=lambda placement: placement.num_msas <= 1)
    machine.tell([0.5])
    assert machine.tell([0.6]).kept
    assert machine.ask() is None
    assert str(machine.best) == "CC-CC-CM"


def test_asking_twice_changes_nothing():
    machine = BuildUp((1, 2))
    assert machine.ask() == machine.ask() == Placement.parse("C-CC")
    machine.tell([1.0])
    assert machine.ask() == machine.ask() == Placement.parse("C-CM")
    machine.tell([0.0])
    assert machine.ask() is None
    with pytest.raises(RuntimeError, match="at its end"):
        machine.tell([1.0])
