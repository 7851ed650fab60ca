import pytest

from nas.execution.loss import diagnose
from nas.ledger.cause import Cause
from nas.study.layout import TrialLayout

VANISHED = "Worker exits with connection error code 2. End of file."
DUMP = """a warning of the trial
Fatal Python error: {words}

Thread 0x00007f01 (most recent call first):
  File "/lib/threading.py", line 324 in wait

Current thread 0x00007f02 (most recent call first):
  File "/code/net.py", line 12 in forward
  File "/code/net.py", line 90 in train
"""


@pytest.fixture
def files(tmp_path):
    return TrialLayout(tmp_path)


@pytest.mark.parametrize(
    ("words", "signal"),
    [
        ("Aborted", "SIGABRT"),
        ("Segmentation fault", "SIGSEGV"),
        ("Bus error", "SIGBUS"),
        ("Floating point exception", "SIGFPE"),
        ("Illegal instruction", "SIGILL"),
        ("PyThreadState_Get: the GIL is not held", "SIGABRT"),
    ],
)
def test_a_dump_names_signal_and_place(files, words, signal):
    files.stderr.write_text(DUMP.format(words=words))
    loss = diagnose(files, VANISHED)
    assert (loss.cause, loss.signal) == (Cause.KILLED, signal)
    assert loss.place == '"/code/net.py", line 12 in forward'
    text = files.error.read_text()
    assert text.startswith(loss.reason)
    assert "a warning of the trial" in text
    assert "line 90 in train" in text
    assert not files.stderr.exists()


def test_a_dump_without_a_frame_has_the_signal_as_its_place(files):
    files.stderr.write_text("Fatal Python error: Aborted\n\n<no Python frame>\n")
    assert diagnose(files, VANISHED).place == "SIGABRT"


@pytest.mark.parametrize("stderr", ["", "only a warning\n", None])
def test_a_process_that_vanished_has_no_place(files, stderr):
    if stderr is not None:
        files.stderr.write_text(stderr)
    loss = diagnose(files, VANISHED)
    assert (loss.cause, loss.signal, loss.place) == (Cause.KILLED, "SIGKILL", "")
    assert files.error.read_text().startswith(loss.reason)


def test_memory_that_ran_out_is_no_signal(files):
    loss = diagnose(files, "ray.exceptions.OutOfMemoryError: Task was killed")
    assert (loss.cause, loss.signal) == (Cause.MEMORY, "out of memory")


def test_a_lost_node_is_not_the_death_of_a_process(files):
    loss = diagnose(files, "The actor died because its node has died.")
    assert (loss.cause, loss.signal, loss.place) == (Cause.NODE, "", "")


def test_the_end_of_a_long_stderr_is_kept(files):
    files.stderr.write_text("x" * 10**6 + "\nthe last line\n")
    diagnose(files, VANISHED)
    text = files.error.read_text()
    assert text.endswith("the last line\n")
    assert len(text) < 10**5
