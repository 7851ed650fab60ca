"""The process that trains: a Ray Tune trainable that lives through many trials.

Starting a process and importing torch costs seconds, so Tune is asked to reuse
workers (about 40 times less overhead per trial). Errors of a trial are caught here
and sent back as data: the worker survives them. What it cannot catch (a kill, a
node that is gone, memory that ran out) reaches Tune as a dead actor, and the ledger
queues the trial again.
"""

import faulthandler
import json
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from ray.tune import Trainable

from nas.execution.full_disk import is_full_disk
from nas.execution.threads import limit_threads
from nas.execution.trial_process import TrialProcess
from nas.execution.working_directory import go_to
from nas.scoring.trial_run import (
    FAILED_BY_TRIAL,
    TrialFunction,
    TrialOutcome,
    TrialRun,
    TrialStopped,
)
from nas.study.layout import StudyLayout
from nas.study.worker_file import write_worker

_LOOK_S = 1.0
"""How often a process looks whether its trial has closed what Ray needs."""


@dataclass(frozen=True)
class WorkerContext:
    """What all trials of a search share; sent once to each node.

    Attributes:
        function: Trains and measures one network.
        study: The study directory, which every node must see.
        settings: Passed on to the function.
        data: Passed on to the function; put NumPy arrays here, not tensors.
        cpus: CPUs of a trial.
        gpus: GPUs of a trial.
        rungs: Epochs at which a trial reports and may be stopped.
        time_limit_s: Seconds after which a trial's process is ended, or ``None``.
        is_tracked: Whether each epoch is sent to the driver.
        started_in: Where relative paths of the settings begin.
    """

    function: TrialFunction
    study: Path
    settings: Any = None
    data: Any = None
    cpus: float = 1.0
    gpus: float = 0.0
    rungs: tuple[int, ...] = ()
    time_limit_s: float | None = None
    is_tracked: bool = False
    started_in: Path = field(default_factory=Path.cwd)


@dataclass(frozen=True)
class _Event:
    """Something that a running trial says.

    Attributes:
        kind: ``epoch``, ``rung``, ``outcome``, ``stopped`` or ``error``.
        value: What it says.
        epochs: Epochs that were shown before it and not sent yet.
        time: When it was said, which may be before it is listened to.
    """

    kind: str
    value: Any = None
    epochs: tuple[dict[str, Any], ...] = ()
    time: float = field(default_factory=time.time)


class _RunInSteps:
    """Runs a trial in a thread that pauses at each rung until told to go on.

    Epochs do not make it pause: a driver that is slow to listen costs no training.
    """

    def __init__(
        self,
        function: TrialFunction,
        run: TrialRun,
        look: Callable[[], None],
        *,
        is_tracked: bool,
    ) -> None:
        self._function = function
        self._look = look
        self._run = replace(run, report=self._report)
        if is_tracked:
            self._run = replace(self._run, watch=self._watch)
        self._events: queue.Queue[_Event] = queue.Queue()
        self._answers: queue.Queue[bool] = queue.Queue()
        self._waits = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        try:
            event = _Event("outcome", self._function(self._run))
        except TrialStopped:
            event = _Event("stopped")
        except BaseException as error:  # noqa: BLE001 - handed to the other thread
            event = _Event("error", error)
        # The limit is the trial's: what comes now is the time of those who listen.
        faulthandler.cancel_dump_traceback_later()
        self._events.put(event)

    def _report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._events.put(_Event("rung", (epoch, dict(metrics))))
        if not self._answers.get():
            raise TrialStopped

    def _watch(self, epoch: Mapping[str, float]) -> None:
        self._events.put(_Event("epoch", _plain(epoch)))

    def step(self) -> _Event:
        """Run to the next epoch that is shown, the next rung, or the end.

        Returns:
            The event, together with all epochs that were shown before it.
        """
        if self._thread.ident is None:
            self._thread.start()
        elif self._waits:
            self._answers.put(True)
        event, epochs = self._next(), []
        while event.kind == "epoch":
            epochs.append(event.value)
            if self._events.empty():
                break
            event = self._events.get()
        self._waits = event.kind == "rung"
        return replace(event, epochs=tuple(epochs))

    def _next(self) -> _Event:
        while True:
            with suppress(queue.Empty):
                return self._events.get(timeout=_LOOK_S)
            self._look()

    def stop(self) -> None:
        """End a run that waits at a rung."""
        self._answers.put(False)
        if self._waits:  # else it trains, in a process that is about to end
            self._thread.join()


class TrialWorker(Trainable):
    """Runs the trials that Tune hands it, one after the other."""

    def setup(  # type: ignore[override]  # as tune.with_parameters calls it
        self, config: dict[str, Any], context: WorkerContext
    ) -> None:
        """Take the first trial; called once in a process.

        Args:
            config: The first trial.
            context: What all trials share.
        """
        if not context.study.is_dir():
            raise RuntimeError(
                f"host {socket.gethostname()} does not see the study directory "
                f"{context.study}; it must be on a file system that all nodes share"
            )
        go_to(context.started_in)
        self._context = context
        self._steps: _RunInSteps | None = None
        self._limit_file: TextIO | None = None
        self._process = TrialProcess()
        limit_threads(max(1, int(context.cpus)))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._close()
        self._run: dict[str, Any] = json.loads(new_config["run"])
        self._started = time.time()
        return True

    def step(self) -> dict[str, Any]:
        """Run the trial to its next rung or to its end.

        Returns:
            ``outcome``, a JSON text; ``done`` at the end, ``rung`` before it. If the
            search is tracked, also results with ``epochs`` alone, a JSON text.
        """
        try:
            event = self._advance()
        except OSError as error:  # the study directory is full or read-only
            event = _Event("error", error)
        shown = {"epochs": json.dumps(event.epochs)} if event.epochs else {}
        if event.kind == "epoch":
            return shown
        attributes = {
            "node": socket.gethostname(),
            "duration_s": event.time - self._started,
        }
        if event.kind == "rung":
            epoch, metrics = event.value
            so_far = {"metrics": _plain(metrics), "attributes": attributes}
            return {"rung": epoch, "outcome": json.dumps(so_far), **shown}
        outcome: dict[str, Any] = {"attributes": attributes, "done": True}
        if event.kind == "error":
            outcome["error"] = self._describe(event.value)
            outcome["full_disk"] = is_full_disk(event.value)
        else:
            outcome["metrics"] = _plain(event.value.metrics)
            outcome["standard_errors"] = _plain(event.value.standard_errors)
        self._close()
        return {"done": True, "outcome": json.dumps(outcome), **shown}

    def _advance(self) -> _Event:
        context, run = self._context, self._run
        study = StudyLayout(context.study)
        files = study.trial(run["number"])
        if self._steps is None:
            files.directory.mkdir(parents=True, exist_ok=True)
            write_worker(files, self._started)
            self._process.begin(files)
            checkpoint = study.checkpoint(
                run["architecture_id"],
                run["seed"],
                run["epochs"],
                run.get("split_seed"),
            )
            self._steps = _RunInSteps(
                context.function,
                TrialRun(
                    number=run["number"],
                    architecture=run["architecture"],
                    seed=run["seed"],
                    epochs=run["epochs"],
                    directory=files.directory,
                    checkpoint=checkpoint,
                    settings=context.settings,
                    data=context.data,
                    cpus=context.cpus,
                    gpus=context.gpus,
                    rungs=tuple(r for r in context.rungs if r < run["epochs"]),
                    split_seed=run.get("split_seed"),
                ),
                self._check_files,
                is_tracked=context.is_tracked,
            )
            self._arm(files.time_limit)
        event = self._steps.step()
        self._check_files()
        if event.kind == "outcome" and not isinstance(event.value, TrialOutcome):
            problem = TypeError(
                "a trial function returns a TrialOutcome, "
                f"got {type(event.value).__name__}"
            )
            return replace(event, kind="error", value=problem)
        return event

    def _check_files(self) -> None:
        """Give the process up if Ray cannot work in it any more."""
        if self._process.has_lost_its_files():
            self._process.give_up()

    def _arm(self, file: Path) -> None:
        """End the process if the trial takes too long.

        The watchdog is a C thread, so that it works even while native code holds
        the interpreter lock.
        """
        if self._context.time_limit_s is not None:
            self._limit_file = file.open("w")
            faulthandler.dump_traceback_later(
                self._context.time_limit_s, exit=True, file=self._limit_file
            )

    def _describe(self, error: BaseException) -> str:
        text = "".join(traceback.format_exception(error))
        if words := self._process.last_words():
            text += f"\nThe last lines of its stderr:\n{words}\n"
        files = StudyLayout(self._context.study).trial(self._run["number"])
        try:
            files.error.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            print(text, file=sys.stderr)  # the ledger still gets the message
        message = f"{type(error).__name__}: {error}".removesuffix(": ")
        if "CUDA error" in message:
            # The process's CUDA context is lost: give the process up.
            raise RuntimeError(f"{FAILED_BY_TRIAL} {message}") from error
        return message

    def _close(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        if self._steps is not None:
            self._steps.stop()
            self._steps = None
        if self._limit_file is not None:
            path = Path(self._limit_file.name)
            self._limit_file.close()
            path.unlink(missing_ok=True)
            self._limit_file = None
        self._process.end()

    def cleanup(self) -> None:
        """End a run that waits at a rung."""
        self._close()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as JSON can carry them from the worker; the ledger judges them."""
    plain: dict[str, Any] = {}
    for name, value in values.items():
        try:
            plain[str(name)] = float(value)
        except (TypeError, ValueError):
            plain[str(name)] = repr(value)
    return plain
