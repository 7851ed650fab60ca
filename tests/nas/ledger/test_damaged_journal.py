"""Journals that were cut or changed, with the real ledger and proposer."""

import random
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
import yaml
from search_parts import (
    OBJECTIVES,
    measured,
    new_ledger,
    plan,
    run_all,
    settings,
    small_space,
)

from nas.ledger.cause import Cause
from nas.ledger.journal_reader import JournalReader
from nas.ledger.ledger import Ledger
from nas.ledger.location import Location
from nas.ledger.record_line import sealed
from nas.ledger.trial import TrialState
from nas.pareto.table import ParetoTable
from nas.sampling.proposer import Proposer
from nas.study.status import StudyStatus
from nas.study.study import Study
from search_spaces import Constraints
from search_spaces.errors import InputError

SOON = {"tpe": {"n_startup_trials": 3}, "nsga2": {"population_size": 3}}
"""So that a few trials get to what a sampler does after its random beginning."""


def planned(sampler, num_trials, replicates):
    space = small_space(constraints=Constraints(max_msas=4))
    architectures = list(space.enumerate())
    options = {"baselines": {"plain": architectures[0]}}
    if sampler in ("factorial", "exhaustive"):
        options = {}
    options["sampler_options"] = SOON.get(sampler, {})
    return plan(
        space,
        sampler=sampler,
        num_trials=num_trials,
        replicates=replicates,
        **options,
    )


def eventful(directory, wanted, seed=0):
    """A search in which workers are lost and trials fail."""
    ledger = new_ledger(directory)
    ledger.set_note("settings", {"seed": 0})
    proposer = Proposer(ledger, wanted)
    rng = random.Random(seed)
    while (proposal := proposer.next()) is not None:
        event = rng.random()
        if event < 0.15:
            ledger.lose(proposal.number, "its node died", Cause.NODE)
        elif event < 0.25:
            ledger.fail(proposal.number, "no good")
        else:
            ledger.report(proposal.number, 1, {"accuracy": 0.1})
            metrics = measured(proposal.architecture, proposal.seed)
            ledger.complete(proposal.number, metrics)
    return ledger


def go_on(directory, wanted):
    """What resume does, without Ray."""
    ledger = Ledger(
        Location("", directory / "study.log"), "test", OBJECTIVES, finish=True
    )
    ledger.reclaim("lost with its driver", Cause.DRIVER)
    run_all(ledger, Proposer(ledger, wanted))
    return ledger


def check_cuts(directory, wanted, step=1):
    eventful(directory / "whole", wanted)
    lines = (directory / "whole" / "study.log").read_bytes().splitlines(keepends=True)
    cut = directory / "cut"
    cut.mkdir()
    (cut / "config.yaml").write_text(
        yaml.safe_dump(settings(search={"trials": wanted.num_trials}))
    )
    for length in range(0, len(lines) + 1, step):
        half = lines[length][: len(lines[length]) // 2] if length < len(lines) else b""
        (cut / "study.log").write_bytes(b"".join(lines[:length]) + half)
        ledger = go_on(cut, wanted)
        kept = [t for t in ledger.trials() if t.retried_as is None]
        keys = [(t.architecture_id, t.seed) for t in kept]
        where = f"cut behind line {length}"
        assert len(kept) == wanted.num_trials, where
        assert len(set(keys)) == len(keys), where
        assert {t.state for t in kept} <= {TrialState.COMPLETE, TrialState.FAILED}
        # All seeds of each network, the last one perhaps left out.
        seeds = [len([k for k in keys if k[0] == one]) for one, _ in keys]
        assert sum(n < wanted.replicates for n in seeds) < wanted.replicates, where
        status = StudyStatus.of(Study.open(cut))
        assert status.state == "finished", where
        assert status.problems == ()


def test_every_prefix_of_a_journal_resumes_to_the_planned_count(tmp_path):
    (tmp_path / "whole").mkdir()
    check_cuts(tmp_path, planned("random", num_trials=6, replicates=2))


@pytest.mark.slow
@pytest.mark.parametrize("replicates", [1, 2])
@pytest.mark.parametrize(
    "sampler", ["random", "tpe", "nsga2", "factorial", "exhaustive"]
)
def test_every_prefix_with_every_kind_of_sampler(tmp_path, sampler, replicates):
    (tmp_path / "whole").mkdir()
    check_cuts(tmp_path, planned(sampler, num_trials=10, replicates=replicates))


@pytest.mark.slow
def test_a_whole_space_with_seeds_is_used_up_from_every_prefix(tmp_path):
    (tmp_path / "whole").mkdir()
    space = small_space(constraints=Constraints(max_msas=2))
    wanted = plan(space, sampler="random", num_trials=2 * space.size, replicates=2)
    check_cuts(tmp_path, wanted, step=7)


def flipped(whole: bytes, rng: random.Random) -> tuple[bytes, int]:
    place = rng.randrange(len(whole) - 1)  # not the last line end: as if not written
    changed = bytearray(whole)
    changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed), whole.count(b"\n", 0, place) + 1


def test_500_flipped_bits_change_nothing_and_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.ledger.journal_reader._LINES_AT_ONCE", 20)  # blocks
    eventful(tmp_path, planned("tpe", num_trials=8, replicates=1))
    path = tmp_path / "study.log"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings()))
    whole = path.read_bytes()
    before = Study.open(tmp_path).trials()
    rng = random.Random(0)
    num_named = 0
    for _ in range(500):
        changed, line = flipped(whole, rng)
        path.write_bytes(changed)
        study = Study.open(tmp_path)
        assert study.trials() == before
        if study.problems:  # else it was the name of the checksum, which says nothing
            num_named += 1
            assert f"line {line} " in study.problems[0]
    assert num_named > 475


def test_a_driver_goes_on_with_a_flipped_bit_or_names_the_line(tmp_path):
    wanted = planned("random", num_trials=6, replicates=1)
    eventful(tmp_path, wanted)
    path = tmp_path / "study.log"
    whole = path.read_bytes()
    before = JournalReader(path, tmp_path / "none").rows()
    rng = random.Random(1)
    num_resumed = 0
    for _ in range(60):
        changed, line = flipped(whole, rng)
        path.write_bytes(changed)
        try:
            ledger = go_on(tmp_path, wanted)
        except InputError as error:
            assert f"line {line} is damaged" in str(error)
            continue
        num_resumed += 1
        assert ledger.num_rows == len(before)
    assert num_resumed > 50


def without_checksums(directory: Path) -> bytes:
    """The journal as versions without checksums have written it."""
    path = directory / "study.log"
    lines = [line[:-19] + b"}\n" for line in path.read_bytes().splitlines(True)]
    assert b"crc" not in b"".join(lines)
    return b"".join(lines)


def test_an_old_journal_reads_as_before_and_is_gone_on_with(tmp_path):
    wanted = planned("random", num_trials=6, replicates=1)
    eventful(tmp_path, wanted)
    path = tmp_path / "study.log"
    rows = JournalReader(path, tmp_path / "none").rows()
    path.write_bytes(without_checksums(tmp_path))
    old = JournalReader(path, tmp_path / "none")
    assert (old.rows(), old.problems) == (rows, [])
    more = planned("random", num_trials=8, replicates=1)
    assert go_on(tmp_path, more).num_counted == 8
    assert JournalReader(path, tmp_path / "none").problems == []


@pytest.mark.parametrize("num_flips", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_flipped_bits_of_an_old_journal_end_in_a_line_and_no_traceback(
    tmp_path, num_flips
):
    eventful(tmp_path, planned("random", num_trials=6, replicates=1))
    path = tmp_path / "study.log"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings()))
    whole = without_checksums(tmp_path)
    rng = random.Random(2)
    for _ in range(num_flips):
        changed, _ = flipped(whole, rng)
        path.write_bytes(changed)
        study = Study.open(tmp_path)
        study.table()
        StudyStatus.of(study).to_dict()
        with suppress(InputError):
            ParetoTable.of(study).rows()


def test_a_published_study_reads_as_before():
    directory = Path(__file__).parents[3] / "results" / "cifar10-placement"
    reader = JournalReader(directory / "study.log", directory / "none")
    assert reader.problems == []
    assert (
        len(Study.open(directory).trials())
        == len((directory / "trials.csv").read_text().splitlines()) - 1
    )


def test_optunas_own_backend_opens_a_journal_with_checksums(tmp_path):
    ledger = eventful(tmp_path, planned("random", num_trials=4, replicates=1))
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    study = optuna.load_study(
        study_name="test", storage=optuna.storages.JournalStorage(backend)
    )
    assert [t.values for t in study.trials] == [t.values for t in ledger.study.trials]
    study.set_user_attr("note", "written without a checksum")
    reader = JournalReader(tmp_path / "study.log", tmp_path / "none")
    assert reader.user_attrs["note"] == "written without a checksum"
    assert reader.problems == []


@pytest.mark.parametrize("harm", [b"\x00" * 40, b"[]", b"{}", b'{"op_code":"4"}'])
def test_wide_damage_costs_its_line_alone(tmp_path, harm):
    eventful(tmp_path, planned("random", num_trials=6, replicates=1))
    path = tmp_path / "study.log"
    rows = JournalReader(path, tmp_path / "none").rows()
    lines = path.read_bytes().splitlines()
    victim = next(i for i, line in enumerate(lines) if b'"macs"' in line[:300])
    lines[victim] = harm
    path.write_bytes(b"\n".join([*lines, b""]))
    reader = JournalReader(path, tmp_path / "none")
    assert f"line {victim + 1} is damaged" in reader.problems[0]
    assert len(reader.rows()) == len(rows)
    with pytest.raises(InputError, match=f"line {victim + 1} is damaged"):
        go_on(tmp_path, planned("random", num_trials=6, replicates=1))


def test_a_checksum_is_of_what_was_written():
    assert sealed({"op_code": 1}) == b'{"op_code":1,"crc":"%08x"}\n' % 0xC0BCD947
