"""The Ray cluster of a search: started here or joined, its size, what its nodes see.

Safe defaults: a local cluster binds to the loopback interface only, has no
dashboard and sends no usage statistics.
"""

import logging
import math
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.execution.cluster_address import check_somebody_listens
from nas.execution.resources import Resources
from search_spaces.errors import InputError, one_line

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output engine prints a table at verbose=0
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # A worker that dies takes the programs with it that it has started.
    "RAY_process_group_cleanup_enabled": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # its state is thrown away
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # the searcher limits them
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

_INIT_ATTEMPTS = 3

_SLOT_REFRESH_S = 2.0
"""How often the cluster is asked for its size, so that a node that joins is used."""


@contextmanager
def ray_cluster(resources: Resources) -> Iterator[None]:
    """Be connected to Ray inside; a connection that was there before is used.

    Args:
        resources: Says which cluster.

    Raises:
        InputError: There is no cluster at the address, or no node that is large
            enough for a trial.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    local = resources.address == "local"
    if local:
        # Without it Ray 2.60 replaces 127.0.0.1 by the host's address.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        _let_workers_import_us()
    import ray

    # Lost workers are reported in one line each by ourselves.
    for name in ("ray", "ray.tune", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    joined = ray.is_initialized()
    if not joined:
        _keep_stdout_clean()
        options: dict[str, Any] = {"num_cpus": _local_cpus(resources)} if local else {}
        if local:
            options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        check_somebody_listens(resources.address)
        _connect(resources.address, options)
    try:
        yield
    finally:
        if not joined:
            ray.shutdown()


def check_before_connecting(resources: Resources) -> None:
    """Refuse what can be told before Ray is asked, and before images are read.

    Args:
        resources: Of a trial, and where.

    Raises:
        InputError: Nothing answers at the address, or a trial is larger than this
            machine, where it would run.
    """
    check_somebody_listens(resources.address)
    ray = sys.modules.get("ray")
    elsewhere = resources.address != "local" or (ray and ray.is_initialized())
    if elsewhere or resources.max_concurrent is not None:
        return
    if num_slots(resources) == 0:
        raise too_large(resources, "this machine does not have them")


def too_large(resources: Resources, why: str) -> InputError:
    """The error of a trial that fits on no node.

    Args:
        resources: Of the trial.
        why: Which nodes are too small.
    """
    return InputError(
        f"a trial needs {resources.cpus:g} CPUs and {resources.gpus:g} GPUs on one "
        f"node, but {why}; lower resources.cpus_per_trial or resources.gpus_per_trial "
        "(or set max_concurrent, if nodes are still to come)"
    )


def _connect(address: str, options: dict[str, Any]) -> None:
    """``ray.init``, again if the machine was too busy for its 30 s of patience."""
    import ray

    for attempt in range(_INIT_ATTEMPTS):
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                configure_logging=False,
                **options,
            )
            return
        except (ConnectionError, ValueError) as error:
            raise InputError(
                "address must be 'local', 'auto' or that of a running Ray cluster, "
                f"got {address!r}: {one_line(error, 300)}"
            ) from error
        except Exception as error:
            # Ray 2.60 raises a bare Exception here.
            busy = "timed out during startup" in str(error)
            if not busy or attempt == _INIT_ATTEMPTS - 1:
                raise
            ray.shutdown()


def _let_workers_import_us() -> None:
    """Make local workers find this package when it runs from a source tree."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH", "")
    if root not in known.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, known)))


def _keep_stdout_clean() -> None:
    """Stop Ray from printing raylet messages to stdout, which is for results.

    Ray 2.60 has no switch for it: ``log_to_driver=False`` covers the output of
    workers only. What happened to a worker is in the ledger and in our progress.
    """
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = _print_nothing


def _print_nothing(*_: Any, **__: Any) -> None:
    """Take a message and drop it."""


def _local_cpus(resources: Resources) -> int:
    """CPUs of a local cluster: this machine's, or what the trials at once need."""
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    per_trial = resources.cpus + resources.worker_cpus
    wanted = math.ceil((resources.max_concurrent or 1) * per_trial)
    return max(available, wanted if resources.max_concurrent else 0)


def num_slots(resources: Resources) -> int:
    """How many trials fit at once on this machine, or on the cluster joined.

    Args:
        resources: Of a trial, and where.
    """
    if resources.address != "local":
        return Slots(resources).count()
    gpus = 0.0
    if resources.gpus:
        import torch

        gpus = float(torch.cuda.device_count())
    return resources.slots_on({"CPU": float(_local_cpus(resources)), "GPU": gpus})


class Slots:
    """How many trials the cluster can run at once, now."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._asked = -math.inf
        self._num = 0

    def __call__(self) -> int:
        """The most at once that was asked for, else the count of a moment ago."""
        limit = self._resources.max_concurrent
        if limit is not None:
            return limit
        now = time.monotonic()
        if now - self._asked > _SLOT_REFRESH_S:
            self._num = self.count()
            self._asked = now
        return self._num

    def count(self) -> int:
        """Ask the cluster."""
        import ray

        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        return sum(self._resources.slots_on(offer) for offer in alive)


def check_study_is_shared(study: Path) -> None:
    """Refuse a study directory that some node of the cluster does not see.

    Args:
        study: The study directory.

    Raises:
        InputError: A node does not see it; says which.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    others = [n for n in nodes if n["Alive"] and n["NodeID"] != here]
    if not others:
        return
    marker = study / f".shared-{uuid.uuid4().hex}"
    marker.touch()
    try:

        @ray.remote(num_cpus=0)
        def sees(path: str) -> bool:
            return os.path.exists(path)

        blind = []
        for node in others:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            answer = sees.options(scheduling_strategy=there).remote(str(marker))
            try:
                visible = ray.get(answer, timeout=120)
            except ray.exceptions.RayError:
                if _is_alive(node["NodeID"]):
                    raise
                continue  # lost in this moment: nobody needs to see anything there
            if not visible:
                blind.append(node["NodeManagerHostname"])
    finally:
        marker.unlink()
    if blind:
        raise InputError(
            "on several nodes the study directory must be on a file system that all "
            f"of them see, but {study} is not visible on {', '.join(sorted(blind))}; "
            "use a shared path, e.g. NFS",
            hint="--out /shared/...",
        )


def _is_alive(node_id: str) -> bool:
    import ray

    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return any(node["Alive"] and node["NodeID"] == node_id for node in nodes)
