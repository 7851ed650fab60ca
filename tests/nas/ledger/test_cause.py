import pytest

from nas.ledger.cause import Cause, recorded_cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("", None),
        ("ValueError: boom", Cause.TRIAL),
        ("interrupted: the search was stopped", Cause.INTERRUPTED),
        ("lost with its driver, which was killed", Cause.DRIVER),
        ("lost with its worker: its node died", Cause.NODE),
        ("lost with its worker: its process died (killed, or …)", Cause.KILLED),
        ("ran longer than its time limit; stopped in f", Cause.TIME_LIMIT),
    ],
)
def test_old_studies_have_the_words_alone(error, cause):
    assert recorded_cause(None, error) is cause


def test_what_is_recorded_counts_whatever_the_words_say():
    assert recorded_cause("node", "interrupted by a flood") is Cause.NODE


def test_only_deaths_of_the_process_blame_the_trial():
    assert {c for c in Cause if c.blames_trial} == {Cause.KILLED, Cause.MEMORY}
