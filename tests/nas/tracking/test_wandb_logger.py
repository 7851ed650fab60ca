from types import SimpleNamespace

import pytest

from nas.tracking.wandb_logger import _RunWriter, _Wandb


@pytest.mark.parametrize(
    ("state", "exit_code"), [("complete", 0), ("pruned", 0), ("failed", 1), ("lost", 1)]
)
def test_failed_trials_are_runs_that_failed(state, exit_code):
    ends = []
    module = SimpleNamespace(
        finish=lambda exit_code: ends.append(exit_code), version="as before"
    )
    writer = object.__new__(_RunWriter)  # its real one starts inside Ray
    writer._module, writer._exclude, writer._to_config = _Wandb(module), {"config"}, ()
    words = {"state": state, "error": "boom"}
    log, config = writer._handle_result({"accuracy": 0.5, "config": words})
    assert (log, config) == ({"accuracy": 0.5}, words)
    writer._module.finish()
    assert ends == [exit_code]
    assert writer._module.version == "as before"
