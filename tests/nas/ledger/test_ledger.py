import pickle

import optuna
import pytest
from search_parts import OBJECTIVES, measured, new_ledger, reopened, small_space

from nas.ledger.cause import Cause
from nas.ledger.ledger import MAX_CRASHES, MAX_LOSSES, Ledger
from nas.ledger.location import Location
from nas.ledger.trial import Objective, TrialState
from search_spaces import Constraints
from search_spaces.errors import InputError


def enqueue(ledger, space, index=0, **attributes):
    architecture = list(space.enumerate())[index]
    return ledger.enqueue(
        architecture,
        [0],
        2,
        params=space.parameters(architecture),
        attributes=attributes,
    )


def start(ledger, space, index=0):
    enqueue(ledger, space, index)
    return ledger.pop(space)


def test_everything_about_a_trial_is_an_attribute_and_survives(tmp_path):
    space = small_space()
    ledger = new_ledger(tmp_path)
    proposal = start(ledger, space, 7)
    ledger.complete(
        proposal.number,
        {**measured(proposal.architecture), "nll": 0.7},
        standard_errors={"accuracy": 0.02},
        attributes={"node": "host1", "duration_s": 3.5},
    )
    trial = reopened(tmp_path).trial(0)
    assert trial.state is TrialState.COMPLETE
    assert trial.architecture == proposal.architecture.to_dict()
    assert trial.architecture_id == proposal.architecture.id
    assert trial.placement == str(proposal.architecture.placement)
    assert (trial.seed, trial.epochs, trial.node) == (0, 2, "host1")
    assert trial.metrics == {**measured(proposal.architecture), "nll": 0.7}
    assert trial.standard_errors == {"accuracy": 0.02}
    assert trial.duration_s == 3.5
    assert trial.started <= trial.finished
    assert trial.params == space.parameters(proposal.architecture)


def test_the_dashboard_sees_named_objectives_and_the_front(tmp_path):
    ledger = new_ledger(tmp_path)
    proposal = start(ledger, small_space())
    ledger.complete(proposal.number, measured(proposal.architecture))
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    study = optuna.load_study(
        study_name="test", storage=optuna.storages.JournalStorage(backend)
    )
    assert study.metric_names == ["accuracy", "macs"]
    assert [t.number for t in study.best_trials] == [0]
    assert study.trials[0].user_attrs["placement"] == "CCC-CCC"


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({"accuracy": 0.5}, "no value for the objective macs"),
        ({"accuracy": float("nan"), "macs": 1.0}, "finite numbers, got accuracy = nan"),
        ({"accuracy": 0.5, "macs": float("inf")}, "finite numbers, got macs = inf"),
        ({"accuracy": "high", "macs": 1.0}, "finite numbers, got accuracy = high"),
        ({"accuracy": 0.5, "macs": 1.0, "seed": 3.0}, "cannot be named seed"),
    ],
)
def test_the_gate_fails_what_is_not_a_result(tmp_path, metrics, reason):
    ledger = new_ledger(tmp_path)
    number = start(ledger, small_space()).number
    assert reason in ledger.complete(number, metrics)
    trial = reopened(tmp_path).trial(number)
    assert trial.state is TrialState.FAILED
    assert reason in trial.error


def test_a_metric_that_is_no_objective_may_be_missing_or_nan(tmp_path):
    ledger = new_ledger(tmp_path)
    proposal = start(ledger, small_space())
    metrics = {**measured(proposal.architecture), "low_pass": float("nan")}
    assert ledger.complete(proposal.number, metrics) == ""
    assert "low_pass" not in reopened(tmp_path).trial(0).metrics
    assert "NaN" not in (tmp_path / "study.log").read_text()


def test_a_lost_trial_is_failed_once_and_queued_again_first(tmp_path):
    space = small_space()
    ledger = new_ledger(tmp_path)
    lost = start(ledger, space, 1)
    enqueue(ledger, space, 2)
    again = ledger.lose(lost.number, "its node died", Cause.NODE)
    old, new = ledger.trial(lost.number), ledger.trial(again)
    assert (old.state, old.error) == (TrialState.FAILED, "its node died")
    assert old.cause is Cause.NODE
    assert (old.retried_as, new.retry_of) == (again, lost.number)
    assert new.state is TrialState.WAITING
    assert new.architecture == old.architecture
    assert ledger.num_counted == 2
    popped = [ledger.pop(space) for _ in range(2)]
    assert {p.number for p in popped} == {1, again}
    assert ledger.find(lost.key) == again


def test_a_trial_that_takes_its_worker_down_each_time_is_given_up(tmp_path):
    space = small_space()
    ledger = new_ledger(tmp_path)
    number = start(ledger, space).number
    for _ in range(MAX_LOSSES - 1):
        assert ledger.lose(number, "out of memory", Cause.MEMORY) is not None
        number = ledger.pop(space).number
    assert ledger.lose(number, "out of memory", Cause.MEMORY) is None
    assert ledger.trial(number).error == (
        f"out of memory; given up after {MAX_LOSSES} lost workers"
    )
    assert ledger.num_counted == 1


def test_deaths_in_the_same_place_are_a_crash_and_others_are_not(tmp_path):
    space = small_space()
    ledger = new_ledger(tmp_path)
    number = start(ledger, space).number
    here, there = '"net.py", line 12 in forward', '"net.py", line 13 in forward'
    for place in (here, there, "", here):
        again = ledger.lose(number, "its process died", Cause.KILLED, place=place)
        assert again is not None
        number = ledger.pop(space).number
    ledger = reopened(tmp_path)
    signal = {"signal": "SIGSEGV"}
    args = (number, "its process died", Cause.KILLED)
    assert ledger.lose(*args, place=here, attributes=signal) is None
    trial = ledger.trial(number)
    assert (trial.cause, trial.signal) == (Cause.CRASH, "SIGSEGV")
    assert trial.error == f"its process died; given up after {MAX_CRASHES} deaths there"
    assert ledger.num_counted == 1


def test_reclaim_finds_what_a_dead_driver_left(tmp_path):
    space = small_space()
    ledger = new_ledger(tmp_path)
    done = start(ledger, space, 0)
    ledger.complete(done.number, measured(done.architecture))
    left = [start(ledger, space, i) for i in (1, 2)]
    ledger.ask()  # the driver died while the sampler was thinking
    after = reopened(tmp_path)
    assert after.reclaim("lost with its driver", Cause.DRIVER) == [1, 2, 3]
    assert after.num_running == 0
    assert after.num_waiting == 2
    assert {after.pop(space).key for _ in range(2)} == {p.key for p in left}
    assert after.num_counted == 3
    assert after.trial(done.number).state is TrialState.COMPLETE


def test_reclaim_after_a_death_in_the_middle_of_reclaim(tmp_path):
    space = small_space()
    ledger = new_ledger(tmp_path)
    start(ledger, space)
    ledger.enqueue(  # as reclaim does it, then the driver dies
        next(iter(space.enumerate())),
        [0],
        2,
        params={},
        attributes={"retry_of": 0, "losses": 0},
    )
    after = reopened(tmp_path)
    after.reclaim("lost with its driver", Cause.DRIVER)
    assert [t.state for t in after.trials()] == [TrialState.FAILED, TrialState.WAITING]
    assert after.num_counted == 1


def test_a_pruned_trial_has_its_rung_and_no_objective_values(tmp_path):
    ledger = new_ledger(tmp_path)
    number = start(ledger, small_space()).number
    ledger.report(number, 1, {"accuracy": 0.4})
    ledger.prune(number, 1, {"accuracy": 0.4}, attributes={"node": "host1"})
    trial = reopened(tmp_path).trial(number)
    assert (trial.state, trial.rung) == (TrialState.PRUNED, 1)
    assert trial.metrics == {"accuracy": 0.4}
    assert ledger.study.best_trials == []
    assert ledger.study.trials[0].values is None


def test_a_repeated_proposal_takes_over_the_values_and_is_no_trial(tmp_path):
    space = small_space()
    ledger = new_ledger(tmp_path)
    first = start(ledger, space)
    ledger.complete(first.number, measured(first.architecture))
    handle = ledger.ask()
    ledger.repeat(handle, first.architecture, first.number)
    assert ledger.study.trials[1].values == ledger.study.trials[0].values
    assert [t.number for t in ledger.trials()] == [0]
    running = start(ledger, space, 1)
    handle = ledger.ask()
    ledger.repeat(handle, running.architecture, running.number)
    assert ledger.study.trials[3].state == optuna.trial.TrialState.PRUNED


def test_a_refused_proposal_shows_its_constraints_to_sampler_and_dashboard(tmp_path):
    space = small_space(constraints=Constraints(max_msas=1))
    ledger = new_ledger(tmp_path)
    architecture = list(small_space().enumerate())[-1]
    handle = ledger.ask()
    amounts = space.violations(architecture)
    ledger.constrain(handle, amounts)
    ledger.refuse(handle, architecture, amounts)
    stored = ledger.study.trials[0]
    assert stored.state == optuna.trial.TrialState.PRUNED
    assert stored.system_attrs["constraints:max_msas"] == amounts["max_msas"] > 0
    assert stored.system_attrs["constraints"] == [amounts["max_msas"]]
    assert ledger.trials() == []


def test_a_study_of_that_name_is_not_overwritten(tmp_path):
    new_ledger(tmp_path)
    with pytest.raises(InputError, match="holds a study 'test' already"):
        new_ledger(tmp_path)


def test_other_objectives_are_refused(tmp_path):
    new_ledger(tmp_path)
    with pytest.raises(InputError, match="optimises 2 objectives"):
        Ledger(
            Location("", tmp_path / "study.log"),
            "test",
            (Objective("accuracy", "maximize"),),
        )


def test_a_foreign_optuna_study_is_refused(tmp_path):
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    optuna.create_study(
        study_name="test",
        storage=optuna.storages.JournalStorage(backend),
        directions=["maximize", "minimize"],
    )
    with pytest.raises(InputError, match="must be of format 'nas-study/1', got None"):
        reopened(tmp_path)


def test_a_missing_study_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no study 'test'"):
        reopened(tmp_path)


def test_a_pickled_ledger_holds_no_connection(tmp_path):
    ledger = new_ledger(tmp_path)
    number = start(ledger, small_space()).number
    copy = pickle.loads(pickle.dumps(ledger))
    assert copy._study is None
    assert copy.trial(number).state is TrialState.RUNNING


def test_sqlite_works_the_same(tmp_path):
    location = Location(f"sqlite:///{tmp_path}/s.db", tmp_path / "unused.log")
    ledger = Ledger(location, "test", OBJECTIVES, create=True)
    space = small_space()
    first, second = start(ledger, space, 0), start(ledger, space, 1)
    ledger.complete(first.number, measured(first.architecture))
    after = Ledger(location, "test", OBJECTIVES)
    assert after.reclaim("lost with its driver", Cause.DRIVER) == [second.number]
    assert [t.state for t in after.trials()] == [
        TrialState.COMPLETE,
        TrialState.FAILED,
        TrialState.WAITING,
    ]
    assert not (tmp_path / "unused.log").exists()


def test_a_bad_storage_url_hides_the_password(tmp_path):
    location = Location("nonsense://me:secret@host/db", tmp_path / "study.log")
    with pytest.raises(InputError, match=r"nonsense://me:\*\*\*@host/db") as caught:
        Ledger(location, "test", OBJECTIVES, create=True)
    assert "secret" not in str(caught.value)
