import threading
from contextlib import contextmanager

from nas.tracking.tracker import Tracker


class Logger:
    def __init__(self):
        self.seen = []

    def setup(self):
        self.seen.append("setup")

    def log(self, value):
        if value == "bad":
            raise OSError("No space left\non device")
        self.seen.append(value)

    def on_experiment_end(self, trials):
        self.seen.append("end")


def tracker_of(logger, **options):
    @contextmanager
    def make():
        try:
            yield logger
        finally:
            logger.seen.append("tidy")

    return Tracker("board", "there", make, **options)


def test_calls_are_passed_on_in_order(capsys):
    logger = Logger()
    tracker = tracker_of(logger)
    tracker.start()
    for number in range(100):
        tracker.call("log", number)
    tracker.close()
    assert logger.seen == ["setup", *range(100), "end", "tidy"]
    assert capsys.readouterr().err == ""
    assert str(tracker) == "board: there"


def test_an_error_is_one_line_and_the_tracker_is_off(capsys):
    logger = Logger()
    tracker = tracker_of(logger)
    tracker.start()
    for value in (1, "bad", 2):
        tracker.call("log", value)
    tracker.close()
    tracker.call("log", 3)
    assert logger.seen == ["setup", 1, "tidy"]
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "tracking to board failed and is off now: OSError: No space left on device "
        "(the search is not affected)\n",
    )


def test_a_tracker_that_hangs_is_left_behind(capsys):
    gate = threading.Event()
    logger = Logger()
    logger.wait = gate.wait
    tracker = tracker_of(logger, patience_s=0.2)
    tracker.start()
    tracker.call("wait")
    tracker.close()
    assert "tracking to board is not done after 0.2 s" in capsys.readouterr().err
    gate.set()
