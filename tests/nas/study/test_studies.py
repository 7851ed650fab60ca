import json

import pytest
from search_parts import OBJECTIVES, measured, plan, settings

from nas.cli import main
from nas.ledger.ledger import Ledger, Proposal
from nas.ledger.location import Location
from nas.sampling.proposer import Proposer
from nas.study.lease import Lease
from nas.study.studies import list_studies


def make(directory, num_trials=4, wanted=4):
    import yaml

    directory.mkdir(parents=True)
    content = settings(name=directory.name, search={"trials": wanted})
    (directory / "config.yaml").write_text(yaml.safe_dump(content))
    ledger = Ledger(
        Location("", directory / "study.log"), directory.name, OBJECTIVES, create=True
    )
    proposer = Proposer(ledger, plan(num_trials=num_trials))
    while isinstance(proposal := proposer.next(), Proposal):
        ledger.complete(proposal.number, measured(proposal.architecture, 0))


@pytest.fixture
def runs(tmp_path, monkeypatch):
    make(tmp_path / "runs" / "whole")
    make(tmp_path / "runs" / "team" / "half", num_trials=2)
    broken = tmp_path / "runs" / "broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("study: {format: nas-study/99}\n")
    (tmp_path / "runs" / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def test_every_study_is_listed_with_its_state_and_best(runs):
    found = {one["name"]: one for one in list_studies(runs)}
    assert set(found) == {"whole", "half", "broken"}
    assert (found["whole"]["state"], found["whole"]["num_ended"]) == ("finished", 4)
    assert found["half"]["state"] == "interrupted"
    assert found["half"]["num_trials"] == 4
    best = found["whole"]["best"]
    assert best["metric"] == "accuracy" and best["placement"].count("-") == 1
    assert "format" in found["broken"]["problem"]


def test_ls_fits_80_columns_and_prints_json(runs, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["ls"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert max(map(len, text.splitlines())) <= 80
    assert "runs/team/half" in text and "2/4" in text and "damaged" in text
    with pytest.raises(SystemExit):
        main(["ls", "--format", "json"])
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_a_place_without_studies(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments, code, said in (
        (["ls"], 2, "runs does not exist"),
        (["ls", "--format", "json"], 0, "[]"),
        (["ls", "."], 0, "no study below"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        captured = capsys.readouterr()
        assert stop.value.code == code
        assert said in captured.out + captured.err


def test_a_search_that_is_starting_is_listed(runs, capsys):
    (runs / "new").mkdir()
    with Lease(runs / "new"):
        (found,) = [one for one in list_studies(runs) if one["name"] == "new"]
        assert (found["state"], found["problem"]) == ("starting", "")
        assert found["changed"] > 0
    assert "new" not in {one["name"] for one in list_studies(runs)}


def test_a_file_is_no_directory_of_studies(runs, capsys):
    (runs / "a").write_text("")
    with pytest.raises(SystemExit) as stop:
        main(["ls", str(runs / "a")])
    assert stop.value.code == 2 and "a is a file" in capsys.readouterr().err
