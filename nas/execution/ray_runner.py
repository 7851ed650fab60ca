"""Runs a search with Ray Tune, and leaves the ledger tidy.

Tune's own experiment state goes to a temporary directory and is never read: the ledger
is the truth.
"""

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from nas.execution.cluster import Slots, too_large
from nas.execution.loss import diagnose
from nas.execution.memory_kill import memory_kills_are_deaths
from nas.execution.resources import Resources
from nas.execution.tune_directory import tune_directory
from nas.ledger.cause import Cause
from nas.ledger.journal_reader import JournalReader
from nas.study.layout import StudyLayout
from nas.terminal import say

_INDEX_EVERY = 500
"""Ended trials between two indices: what a reader of a live study must replay."""

_STOP_PATIENCE_S = 30.0
"""How long a search that was told to end may take; our choice: stopping took up to
14 s, and Ray ends the process by itself after 60."""

_INTERRUPTED = 130  # exit code of a shell for a process ended by Ctrl-C


def run_trials(
    *,
    ledger: Any,
    proposer: Any,
    context: Any,
    resources: Resources,
    listener: Any,
    halving: Any = None,
    tracking: Any = None,
) -> bool:
    """Run a search to its end, or until it is interrupted.

    Ctrl-C and SIGTERM end it in an orderly way: what was running is queued again.

    Args:
        ledger: The :class:`nas.ledger.ledger.Ledger` of the study.
        proposer: The :class:`nas.sampling.proposer.Proposer` that says what is next.
        context: The :class:`nas.execution.trial_worker.WorkerContext` of the trials.
        resources: What each trial gets.
        listener: The :class:`nas.execution.searcher.Listener` to tell.
        halving: The :class:`nas.sampling.halving.Halving`, or ``None``.
        tracking: The :class:`nas.tracking.callback.Tracking`, or ``None``.

    Returns:
        Whether the search came to its own end.

    Raises:
        InputError: No node is large enough for a trial.
        OSError: The disk is full (``ENOSPC``); what was running is queued again.
    """
    from ray import tune

    from nas.execution.searcher import LedgerScheduler, LedgerSearcher
    from nas.execution.silent_reporter import SilentReporter
    from nas.execution.trial_worker import TrialWorker

    listener = _Indexing(listener, StudyLayout(context.study))
    slots = Slots(resources)
    if resources.max_concurrent is None and slots.count() == 0:
        raise too_large(resources, "no node of the cluster has them")
    study = StudyLayout(context.study)
    searcher = LedgerSearcher(
        ledger,
        proposer,
        listener,
        slots,
        lambda number, text: diagnose(study.trial(number), text),
    )
    bundle = {"CPU": resources.cpus}
    if resources.gpus:
        bundle["GPU"] = resources.gpus
    trainable = tune.with_resources(
        tune.with_parameters(TrialWorker, context=context),
        tune.PlacementGroupFactory([bundle]),
    )

    def queue_again() -> None:
        for number in ledger.reclaim(
            "interrupted: the search was stopped", Cause.INTERRUPTED
        ):
            listener.ended(ledger.trial(number))

    def last_resort() -> None:
        queue_again()
        say(
            f"the search was stopped; go on with: nas resume {context.study}",
            err=True,
        )

    with (
        tune_directory() as scratch,
        stop_on_sigterm(last_resort),
        memory_kills_are_deaths(),
    ):
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=LedgerScheduler(searcher, ledger, halving),
                num_samples=10**9,  # the proposer ends the search
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
                trial_name_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=scratch,
                verbose=0,
                progress_reporter=SilentReporter(),
                callbacks=None if tracking is None else [tracking],
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=0, checkpoint_at_end=False
                ),
            ),
        )
        try:
            tuner.fit()
        except KeyboardInterrupt:
            pass
        finally:
            queue_again()
            if tracking is not None:
                tracking.close()
    if searcher.fatal:
        raise RuntimeError(
            f"no worker can be started, the search was stopped: {searcher.fatal}"
        )
    if searcher.full_disk:
        raise OSError(errno.ENOSPC, searcher.full_disk)
    return bool(searcher.finished)


class _Indexing:
    """A listener that passes everything on and refreshes the study's index."""

    def __init__(self, listener: Any, study: StudyLayout) -> None:
        self._listener = listener
        self._study = study
        self._reader: JournalReader | None = None
        self._num_ended = 0

    def started(self, proposal: Any) -> None:
        """Pass it on."""
        self._listener.started(proposal)

    def remark(self, text: str) -> None:
        """Pass it on."""
        self._listener.remark(text)

    def ended(self, trial: Any) -> None:
        """Pass it on; now and then write the index."""
        self._listener.ended(trial)
        self._num_ended += 1
        if self._num_ended % _INDEX_EVERY == 0 and self._study.journal.exists():
            self._reader = self._reader or JournalReader(
                self._study.journal, self._study.index
            )
            self._reader.refresh()
            with suppress(OSError):  # a full disk: the journal has it all
                self._reader.write_index()


@contextmanager
def stop_on_sigterm(last_resort: Callable[[], None]) -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, which Tune handles in an orderly way.

    `timeout`, SLURM and containers send it to the whole process group, Ray's processes
    included: Tune then waits for a cluster that is gone, and Ray ends the process after
    a minute without another line of ours. So there is a limit.

    Args:
        last_resort: Called if the search has not ended in time; the process then ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up() -> None:
        try:
            last_resort()
        finally:
            os._exit(_INTERRUPTED)

    timer = threading.Timer(_STOP_PATIENCE_S, give_up)
    timer.daemon = True

    def stop(*_: Any) -> None:
        if not timer.is_alive():
            timer.start()
        # `nas search ... &` in a script starts with Ctrl-C ignored, not with SIGTERM.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)
