"""Real Ray nodes on this machine, in a network of their own, to be killed.

A script that calls :func:`enter_own_network` first runs in a new network namespace
that has a loopback interface and nothing else: nodes cannot meet other Ray
clusters, and nobody can reach them. Every node is a real ``ray start``.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PORT = 6399
ADDRESS = f"127.0.0.1:{PORT}"
_INSIDE = "NAS_OWN_NETWORK"
_ENVIRONMENT = {
    # Who has switched several nodes off on a machine is not asked in here: nothing
    # of this network is seen outside.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
    "RAY_AUTH_MODE": "disabled",  # nobody else is in this network
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "OMP_NUM_THREADS": "1",
}
_START_S = 240.0
"""Patience with `ray start`: 8 s on a quiet machine, minutes on a busy one."""


_ATTEMPTS = 4


def enter_own_network() -> None:
    """Run this script again in a network namespace of its own, unless it is."""
    if os.environ.get(_INSIDE):
        return
    root = str(Path(__file__).resolve().parent.parent)
    paths = filter(None, (root, os.environ.get("PYTHONPATH", "")))
    environment = {
        **os.environ,
        **_ENVIRONMENT,
        _INSIDE: "1",
        "PYTHONPATH": os.pathsep.join(paths),
        # nas.cli and ray are found beside the interpreter
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    kind = [] if os.geteuid() == 0 else ["-r"]
    command = 'ip link set lo up && exec "$@"'
    arguments = ["unshare", "-n", *kind, "bash", "-c", command, "--"]
    os.execvpe("unshare", [*arguments, sys.executable, *sys.argv], environment)


def can_enter() -> bool:
    """Whether this machine lets us make a network namespace."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    kind = [] if os.geteuid() == 0 else ["-r"]
    probe = ["unshare", "-n", *kind, "ip", "link", "set", "lo", "up"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = (entry / "cmdline").read_bytes().split(b"\0")
                found[int(entry.name)] = (parent, b" ".join(words).decode().strip())
    return found


def descendants(pid: int) -> dict[int, str]:
    """Command lines of all processes below one."""
    every = processes()
    found: dict[int, str] = {}
    frontier = [pid]
    while frontier:
        above = frontier.pop()
        below = [child for child, (parent, _) in every.items() if parent == above]
        found |= {child: every[child][1] for child in below}
        frontier += below
    return found


def kill(pid: int) -> None:
    """Kill a process as hard as it goes; it may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class NodeNotStartedError(RuntimeError):
    """``ray start`` gave up; it does after 30 s, which a busy machine may need."""


class Node:
    """One ``ray start --block`` and everything below it."""

    def __init__(
        self,
        session: Path,
        num_cpus: int,
        *,
        head: bool,
        prefix: tuple[str, ...] = (),
    ) -> None:
        where = (
            [
                "--head",
                f"--port={PORT}",
                f"--temp-dir={session}",
                "--include-dashboard=false",
            ]
            if head
            else [f"--address={ADDRESS}"]
        )
        ray = Path(sys.executable).parent / "ray"
        self._log = (session / f"node-{time.time_ns()}.out").open("w")
        self._process = subprocess.Popen(
            [
                *prefix,
                sys.executable,
                str(ray),
                "start",
                *where,
                "--node-ip-address=127.0.0.1",
                f"--num-cpus={num_cpus}",
                "--object-store-memory=100000000",
                "--disable-usage-stats",
                "--block",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self.is_head = head

    def find(self, word: str) -> int | None:
        """Process id of a part of the node, e.g. ``raylet`` or ``gcs_server``."""
        for pid, command in descendants(self._process.pid).items():
            if command.split(" ")[0].endswith(word):
                return pid
        return None

    def wait_until_up(self) -> None:
        """Wait until the node says that it runs."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise NodeNotStartedError(
                    f"ray start ended:\n{Path(self._log.name).read_text()}"
                )
            if "Ray runtime started" in Path(self._log.name).read_text():
                return
            time.sleep(0.2)
        raise TimeoutError(f"ray start took more than {_START_S} s")

    def lose(self) -> None:
        """Lose the node as in a power failure: kill -9 of its raylet."""
        raylet = self.find("raylet")
        if raylet is not None:
            kill(raylet)
        self.end()

    def lose_head(self) -> None:
        """Lose the head: kill -9 of the process that knows the cluster."""
        server = self.find("gcs_server")
        if server is not None:
            kill(server)

    def end(self) -> None:
        """End every process of the node."""
        below = descendants(self._process.pid)
        for pid in (*below, self._process.pid):
            kill(pid)
        self._process.wait()
        self._log.close()


class Cluster:
    """A head without CPUs and some nodes."""

    def __init__(self, session: Path) -> None:
        self._session = session
        self.nodes: list[Node] = []
        self.head = self._start(0, head=True)

    def _start(self, num_cpus: int, **options: Any) -> Node:
        """Start a node, again if the machine was too busy."""
        for attempt in range(_ATTEMPTS):
            node = Node(self._session, num_cpus, **options)
            try:
                node.wait_until_up()
                return node
            except NodeNotStartedError:
                node.end()
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def add_nodes(self, count: int, num_cpus: int = 1) -> None:
        """Start nodes one after the other."""
        for _ in range(count):
            self.nodes.append(self._start(num_cpus, head=False))

    def add_blind_node(self, directory: Path) -> None:
        """Start a node for which a directory is empty, as on another host."""
        mount = f'mount -t tmpfs tmpfs {directory} && exec "$@"'
        self.add_changed_node("unshare", "-m", "bash", "-c", mount, "--")

    def add_changed_node(self, *prefix: str) -> None:
        """Start a node whose command follows another one, which changes something."""
        self.nodes.append(self._start(1, head=False, prefix=prefix))

    def end(self) -> None:
        """End every node."""
        for node in (*self.nodes, self.head):
            node.end()


@contextlib.contextmanager
def cluster(num_nodes: int, num_cpus: int = 1) -> Iterator[Cluster]:
    """A cluster that is gone afterwards."""
    session = Path(tempfile.mkdtemp(prefix="rn", dir="/tmp"))  # sockets: short paths
    made = Cluster(session)
    try:
        made.add_nodes(num_nodes, num_cpus)
        yield made
    finally:
        made.end()
        shutil.rmtree(session, ignore_errors=True)
