"""Ray Tune's side of the ledger: a Searcher and a Scheduler around ask and tell.

Tune executes; the ledger decides and remembers. Why not Tune's ``OptunaSearch``:
with it a NaN leaves its trial running for ever, a missing metric ends the whole
run, baselines are queued again at every restart, early-stopped trials count as
complete, and nothing is deduplicated (found by running ray 2.60 with optuna 5.0).
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from nas.execution.loss import Loss
from nas.execution.memory_kill import MemoryPause
from nas.ledger.cause import Cause
from nas.ledger.ledger import Ledger, Proposal
from nas.ledger.trial import Trial
from nas.sampling.design import Wait
from nas.sampling.halving import Halving
from nas.sampling.proposer import Proposer
from nas.study.remaining_time import duration_text

_MAX_FAILED_STARTS = 6
"""Workers that fail to start, one after the other, before the search gives up."""


class Listener(Protocol):
    """Somebody who watches a search."""

    def started(self, proposal: Proposal) -> None:
        """A training run was given out."""

    def ended(self, trial: Trial) -> None:
        """A training run ended, however it did."""

    def remark(self, text: str) -> None:
        """Something else happened that a person should know."""


class LedgerSearcher(Searcher):
    """Asks the proposer, tells the ledger.

    Nothing of it is saved by Tune: a search is resumed from the ledger.

    Attributes:
        finished: Whether the search came to its own end.
        fatal: Why no worker can be started at all, or ``""``.
        full_disk: What a trial said for which there was no room on the disk, or ``""``.
        numbers: Number of the trial by Tune's id, of trials that are under way.

    Args:
        ledger: Where everything is written down.
        proposer: Who says what is next.
        listener: Who is told about it.
        max_running: Says how many trials may be under way now.
        diagnose: Turns the number of a lost trial and Ray's error text into the
            reason.
    """

    def __init__(
        self,
        ledger: Ledger,
        proposer: Proposer,
        listener: Listener,
        max_running: Callable[[], int],
        diagnose: Callable[[int, str], Loss],
    ) -> None:
        super().__init__()
        self._ledger = ledger
        self._proposer = proposer
        self._listener = listener
        self._max_running = max_running
        self._diagnose = diagnose
        self.finished = False
        self.fatal = ""
        self.full_disk = ""
        self._num_failed_starts = 0
        self._pause = MemoryPause()
        self.numbers: dict[str, int] = {}
        self.errors: dict[str, str] = {}
        self.stopped_at: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing: the ledger is on disk already."""

    def suggest(  # type: ignore[override]  # FINISHED is a text
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Name the next training run to Tune."""
        if self.fatal or self.full_disk:
            return str(Searcher.FINISHED)
        if self._pause.lasts() or len(self.numbers) >= max(1, self._max_running()):
            return None
        proposal = self._proposer.next()
        if proposal is None:
            self.finished = True
            return str(Searcher.FINISHED)
        if isinstance(proposal, Wait):
            return None
        self.numbers[trial_id] = proposal.number
        self._listener.started(proposal)
        run = {
            "number": proposal.number,
            "architecture": proposal.architecture.to_dict(),
            "architecture_id": proposal.architecture.id,
            "seed": proposal.seed,
            "epochs": proposal.epochs,
            "split_seed": proposal.split_seed,
        }
        # One string: Tune walks through nested configs many times.
        return {"run": json.dumps(run)}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Nothing: the scheduler writes rungs down before it decides."""

    def on_trial_complete(
        self,
        trial_id: str,
        result: Mapping[str, Any] | None = None,
        error: bool = False,
    ) -> None:
        """Write down how a training run ended."""
        number = self.numbers.pop(trial_id, None)
        if number is None:
            return
        outcome = (
            json.loads(result["outcome"]) if result and "outcome" in result else {}
        )
        attributes = outcome.get("attributes", {})
        is_memory = False
        if error:
            loss = self._diagnose(number, self.errors.pop(trial_id, ""))
            is_memory = loss.cause is Cause.MEMORY
            self._lost(number, loss)
        elif trial_id in self.stopped_at:
            rung = self.stopped_at.pop(trial_id)
            self._ledger.prune(number, rung, outcome["metrics"], attributes=attributes)
        elif outcome.get("full_disk"):
            # The next trials would fail, too: it is done again when there is room.
            self.full_disk = outcome["error"]
            reason = f"interrupted: the disk was full: {self.full_disk}"
            self._ledger.lose(number, reason, Cause.INTERRUPTED, attributes=attributes)
        elif "error" in outcome:
            self._ledger.fail(number, outcome["error"], attributes=attributes)
        elif outcome.get("done"):
            self._ledger.complete(
                number,
                outcome["metrics"],
                standard_errors=outcome["standard_errors"],
                attributes=attributes,
            )
        else:
            return  # interrupted: whoever closes the search reclaims it
        if not error:
            self._num_failed_starts = 0
            self._pause.forget()
        self._listener.ended(self._ledger.trial(number))
        if is_memory and (seconds := self._pause.lengthen()):
            self._listener.remark(
                f"memory is low: the next trial begins in {duration_text(seconds)}, if "
                "there is one (fewer at once: resources.max_concurrent)"
            )

    def _lost(self, number: int, loss: Loss) -> None:
        attributes = {"signal": loss.signal} if loss.signal else {}
        if loss.cause in (Cause.TRIAL, Cause.TIME_LIMIT):
            self._ledger.fail(number, loss.reason, cause=loss.cause)
            return
        self._ledger.lose(
            number, loss.reason, loss.cause, place=loss.place, attributes=attributes
        )
        if loss.cause is Cause.START:
            self._num_failed_starts += 1
            if self._num_failed_starts >= _MAX_FAILED_STARTS:
                self.fatal = loss.reason


class LedgerScheduler(FIFOScheduler):
    """First come, first served; stops trials at rungs if there is a halving.

    Args:
        searcher: The searcher of the same run.
        ledger: Where rungs are written down.
        halving: Who decides at a rung, or ``None``.
    """

    def __init__(
        self, searcher: LedgerSearcher, ledger: Ledger, halving: Halving | None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._searcher = searcher
        self._ledger = ledger
        self._halving = halving

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_result(
        self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]
    ) -> str:
        """Write a rung down and decide; Tune calls this before the searcher."""
        number = self._searcher.numbers.get(trial.trial_id)
        if "rung" not in result or number is None or self._halving is None:
            return str(TrialScheduler.CONTINUE)
        rung = int(result["rung"])
        metrics = json.loads(result["outcome"])["metrics"]
        self._ledger.report(number, rung, metrics)
        if self._halving.promote(rung, self._ledger.key_of(number), metrics):
            return str(TrialScheduler.CONTINUE)
        self._searcher.stopped_at[trial.trial_id] = rung
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Keep Ray's error text for the searcher, which is told next."""
        path = trial.error_file
        text = Path(path).read_text(errors="replace") if path else ""
        self._searcher.errors[trial.trial_id] = text

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """The first pending trial; looks at live trials only, not at all ever."""
        pending = (
            trial
            for trial in tune_controller.get_live_trials()
            if trial.status in (TuneTrial.PENDING, TuneTrial.PAUSED)
        )
        return min(pending, key=self._order, default=None)

    def _order(self, trial: TuneTrial) -> int:
        return self._searcher.numbers.get(trial.trial_id, -1)
