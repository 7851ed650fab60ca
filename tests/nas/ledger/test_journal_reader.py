import json
import random

import optuna
import pytest
from search_parts import measured, new_ledger, plan, reopened, run_all, small_space

from nas.ledger.attributes import Row
from nas.ledger.cause import Cause
from nas.ledger.journal_reader import JournalReader
from nas.ledger.ledger import Ledger
from nas.ledger.location import row_of
from nas.ledger.record_line import sealed
from nas.sampling.proposer import Proposer
from search_spaces import Constraints
from search_spaces.errors import InputError


def reader_of(path):
    return JournalReader(path, path.with_name("study.index"))


def by_optuna(ledger: Ledger) -> list[Row]:
    return [row_of(frozen) for frozen in ledger.study.get_trials(deepcopy=False)]


def busy_study(directory, num_trials=12):
    """Trials in every state, repeated and refused proposals, lost trials."""
    space = small_space(constraints=Constraints(max_msas=3))
    ledger = new_ledger(directory)
    proposer = Proposer(ledger, plan(space, sampler="random", num_trials=num_trials))
    rng = random.Random(0)
    for _ in range(num_trials):
        proposal = proposer.next()
        match rng.randrange(5):
            case 0:
                ledger.fail(proposal.number, "no good")
            case 1:
                ledger.prune(proposal.number, 1, {"accuracy": 0.5})
            case 2:
                ledger.lose(proposal.number, "its node died", Cause.NODE)
            case 3:
                ledger.report(proposal.number, 1, {"accuracy": 0.1})
            case _:
                ledger.complete(proposal.number, measured(proposal.architecture))
    return ledger


def test_reads_what_optuna_reads(tmp_path):
    ledger = busy_study(tmp_path)
    assert reader_of(tmp_path / "study.log").rows() == by_optuna(ledger)


def test_follows_a_live_study(tmp_path):
    ledger = new_ledger(tmp_path)
    reader = reader_of(tmp_path / "study.log")
    assert reader.rows() == []
    for num_trials in (3, 6):
        run_all(ledger, Proposer(ledger, plan(num_trials=num_trials)))
        reader.refresh()
        assert reader.rows() == by_optuna(ledger)


def test_an_index_changes_nothing_and_is_gone_on_from(tmp_path):
    ledger = busy_study(tmp_path)
    path = tmp_path / "study.log"
    reader_of(path).write_index()
    assert (tmp_path / "study.index").exists()
    ledger = reopened(tmp_path)
    ledger.reclaim(
        "lost with its driver", Cause.DRIVER
    )  # changes trials that the index has
    assert reader_of(path).rows() == by_optuna(ledger)


def test_an_index_keeps_architectures_that_are_none(tmp_path):
    """Damaged attributes of the ledger are told, not turned into others."""
    ledger = busy_study(tmp_path)
    path = tmp_path / "study.log"
    lines = path.read_bytes().splitlines()
    for damage in (b"0", b"[0]", b"null", b'{"placement":"CCC-CCM"}', b"{}"):
        number = next(i for i, line in enumerate(lines) if b'"architecture":{' in line)
        start = lines[number].index(b'"architecture":') + len(b'"architecture":')
        _, end = json.JSONDecoder().raw_decode(lines[number][start:].decode())
        lines[number] = lines[number][:start] + damage + lines[number][start + end :]
    path.write_bytes(b"\n".join(lines) + b"\n")
    without = reader_of(path)
    without.write_index()
    found = reader_of(path)
    assert found.rows() == without.rows() != by_optuna(ledger)
    assert found.problems == without.problems


HARMS = ["truncate", "foreign", "nonsense", "version", "number", "no placement"]


@pytest.mark.parametrize("harm", HARMS)
def test_an_index_that_does_not_belong_is_not_used(tmp_path, harm):
    ledger = busy_study(tmp_path)
    path, index = tmp_path / "study.log", tmp_path / "study.index"
    reader_of(path).write_index()
    if harm == "truncate":
        index.write_bytes(index.read_bytes()[:-20])
    elif harm == "nonsense":
        index.write_text("[]")
    elif harm == "version":
        index.write_text(index.read_text().replace("nas-index/2", "nas-index/1"))
    elif harm == "number":
        content = json.loads(index.read_text())
        content["rows"][0][-1] = 7
        index.write_text(json.dumps(content))
    elif harm == "no placement":
        content = json.loads(index.read_text())
        del content["rows"][0][1]["placement"]
        index.write_text(json.dumps(content))
    else:
        content = json.loads(index.read_text())
        content["rows"] = []
        content["fingerprint"] = "0" * 64
        index.write_text(json.dumps(content))
    assert reader_of(path).rows() == by_optuna(ledger)


def test_a_line_that_is_being_written_is_left_for_later(tmp_path):
    ledger = busy_study(tmp_path)
    path = tmp_path / "study.log"
    whole = path.read_bytes()
    expected = by_optuna(ledger)
    path.write_bytes(whole[:-10])
    reader = reader_of(path)
    path.write_bytes(whole)
    reader.refresh()
    assert reader.problems == []
    assert reader.rows() == expected


def test_a_damaged_line_is_named_and_the_rest_is_readable(tmp_path):
    ledger = busy_study(tmp_path)
    path = tmp_path / "study.log"
    expected = by_optuna(ledger)
    lines = path.read_bytes().splitlines(keepends=True)
    creating = [i for i, line in enumerate(lines) if b'"op_code":4' in line]
    victim = creating[2]
    lines[victim] = lines[victim][: len(lines[victim]) // 2] + b"\n"
    path.write_bytes(b"".join(lines))
    reader = reader_of(path)
    (problem,) = reader.problems
    assert f"study.log: line {victim + 1} is damaged" in problem
    rows = reader.rows()
    assert len(rows) == len(expected)
    assert rows[:2] + rows[3:] == expected[:2] + expected[3:]


def test_a_journal_that_cannot_be_read_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"missing\.log cannot be read: No such file"):
        reader_of(tmp_path / "missing.log")


def test_whole_numbers_and_choices_are_as_the_sampler_chose_them(tmp_path):
    ledger = new_ledger(tmp_path)
    trial = ledger.study.ask()
    trial.suggest_int("count", 0, 5)
    trial.suggest_categorical("window", ["auto", 4])
    trial.suggest_float("rate", 0.0, 1.0)
    (row,) = reader_of(tmp_path / "study.log").rows()
    assert row.params == trial.params
    assert isinstance(row.params["count"], int)


def test_what_optunas_own_backend_writes_is_read(tmp_path):
    path = tmp_path / "study.log"
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    study = optuna.create_study(storage=optuna.storages.JournalStorage(backend))
    study.enqueue_trial({"x": 0.5}, user_attrs={"a": 1})
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=3)
    rows = reader_of(path).rows()
    assert rows == [row_of(t) for t in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("seal", [True, False])
def test_an_operation_that_means_nothing_is_told_and_the_rest_read(tmp_path, seal):
    """Of a later version, say: whole by its checksum, or without one."""
    ledger = busy_study(tmp_path)
    path = tmp_path / "study.log"
    odd = {"op_code": 6, "trial_id": 0, "state": "splendid"}
    line = sealed(odd) if seal else json.dumps(odd).encode() + b"\n"
    with path.open("ab") as file:
        file.write(line)
    reader = reader_of(path)
    (problem,) = reader.problems
    assert "is damaged (ValueError: no state: 'splendid')" in problem
    before = path.read_bytes()[: -len(line)]
    path.write_bytes(before)
    assert reader.rows() == reader_of(path).rows() == by_optuna(ledger)
