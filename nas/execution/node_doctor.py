"""The doctor's checks on every node of a Ray cluster, and that Ray starts at all."""

import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from nas.execution.cluster import ray_cluster
from nas.execution.doctor import (
    Finding,
    Level,
    disk,
    looked,
    machine_checks,
)
from nas.execution.resources import Resources
from search_spaces.errors import one_line

PATIENCE_S = 120.0
"""Seconds until a node has answered (our choice: a worker that imports torch on a busy
machine takes half of it)."""

VERSIONS = ("torch", "ray", "optuna", "numpy")


def examine_nodes(out: Path, address: str) -> list[Finding]:
    """Connect to Ray and look at every node.

    Args:
        out: Where studies will be written; every node must see it.
        address: As for a search: ``local``, ``auto``, ``HOST:PORT`` or ``ray://``.

    Returns:
        Findings; those of a node are named after it.

    Raises:
        InputError: There is no cluster at the address.
    """
    started = time.perf_counter()
    with ray_cluster(Resources(address=address)):
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        seconds = time.perf_counter() - started
        known = ray.nodes()  # type: ignore[no-untyped-call]
        nodes = [node for node in known if node["Alive"]]
        cpus = sum(node["Resources"].get("CPU", 0) for node in nodes)
        findings = [
            Finding(
                "Ray", Level.GOOD,
                f"{address} answers after {seconds:.1f} s: {len(nodes)} "
                f"{'node' if len(nodes) == 1 else 'nodes'}, {cpus:.0f} CPUs",
            )
        ]  # fmt: skip
        place = next(one for one in (out.absolute(), *out.absolute().parents)
                     if one.is_dir())  # fmt: skip
        names = _names(nodes)
        with tempfile.TemporaryDirectory(dir=place, prefix=".nas-doctor-") as marker:
            task = ray.remote(num_cpus=0)(node_findings)
            asked = {}
            for node in nodes:
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                answer = task.options(scheduling_strategy=there).remote(
                    marker, versions()
                )
                asked[answer] = names[node["NodeID"]]
            done, late = ray.wait(
                list(asked), num_returns=len(asked), timeout=PATIENCE_S
            )
            for answer in sorted(done, key=list(asked).index):
                findings += _named(asked[answer], lambda: ray.get(answer))  # noqa: B023
        findings += [
            Finding(
                f"{asked[one]}", Level.BAD,
                f"no worker has started within {PATIENCE_S:.0f} s",
            )
            for one in late
        ]  # fmt: skip
    return findings


def _names(nodes: list[dict[str, Any]]) -> dict[str, str]:
    """What each node is called, by its id: its host, unless that has several."""
    hosts = Counter(node["NodeManagerHostname"] for node in nodes)
    return {
        node["NodeID"]: host if hosts[host] == 1 else f"{host} {node['NodeID'][:6]}"
        for node in nodes
        for host in (node["NodeManagerHostname"],)
    }


def _named(host: str, ask: Callable[[], list[dict[str, Any]]]) -> list[Finding]:
    try:
        found = ask()
    except Exception as error:  # a node without this package, or one that has died
        text = one_line(error)[-300:]
        return [
            Finding(
                host, Level.BAD, f"its worker failed: {text}",
                "install the same version of this package on every node",
            )
        ]  # fmt: skip
    return [
        Finding(
            f"{host}: {one['what']}", Level(one["level"]), one["found"], one["advice"]
        )
        for one in found
    ]


def versions() -> dict[str, str]:
    """Versions that workers and driver must share."""
    return {
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in VERSIONS},
    }


def node_findings(marker: str, wanted: dict[str, str]) -> list[dict[str, str]]:
    """What one node finds on itself.

    Args:
        marker: A directory that the driver has just made where studies will be.
        wanted: The driver's versions.
    """
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("versions", lambda: same_versions(wanted)),
        ("study directory", lambda: shared_path(marker)),
        *machine_checks(),
        ("disk", lambda: disk(Path(marker).parent)),
    ]
    return [looked(what, check).to_dict() for what, check in checks]


def same_versions(wanted: dict[str, str]) -> Finding:
    """Whether a worker has the driver's versions."""
    here = versions()
    other = [
        f"{name} {here[name]} instead of {text}"
        for name, text in wanted.items()
        if here[name] != text
    ]
    if not other:
        return Finding("versions", Level.GOOD, "those of this machine")
    return Finding(
        "versions", Level.WARNING, ", ".join(other), "install the same on every node"
    )


def shared_path(marker: str) -> Finding:
    """Whether a node sees the directory of studies, and can write there."""
    place = Path(marker).parent
    advice = "--out must be a path that every node sees and writes: NFS, Lustre, ..."
    if not os.path.isdir(marker):
        found = f"{place} is not that of this machine"
        return Finding("study directory", Level.BAD, found, advice)
    try:
        Path(marker, f"{platform.node()}-{os.getpid()}").write_bytes(b"x")
    except OSError as error:
        found = f"{place} is seen, but cannot be written: {error.strerror}"
        return Finding("study directory", Level.BAD, found, advice)
    return Finding("study directory", Level.GOOD, f"{place} is seen and written")
