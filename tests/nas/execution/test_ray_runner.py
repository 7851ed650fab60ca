import os
import signal

import pytest

from nas.execution.ray_runner import stop_on_sigterm


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_sigterm_is_ctrl_c_also_where_a_script_has_ctrl_c_ignored(ctrl_c):
    """A shell without job control starts what it puts in the background like that."""
    before = signal.signal(signal.SIGINT, ctrl_c)
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            stop_on_sigterm(lambda: pytest.fail("it was not stopped in time")),
        ):
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(100_000):
                pass
            pytest.fail("it went on")
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.getsignal(signal.SIGTERM) is not None
