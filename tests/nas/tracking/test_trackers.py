import importlib.util
import subprocess
import sys

import pytest

from nas.config import TrackingConfig
from nas.tracking.trackers import check_trackers, make_trackers
from search_spaces.errors import InputError


@pytest.mark.parametrize(
    ("name", "package"),
    [("wandb", "wandb"), ("mlflow", "mlflow"), ("tensorboard", "tensorboardX")],
)
def test_a_missing_package_is_named(monkeypatch, name, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "nas.tracking.trackers.find_spec",
        lambda one: None if one == package else find(one),
    )
    with pytest.raises(InputError) as error:
        check_trackers(TrackingConfig(to=[name], wandb_mode="offline"))
    assert str(error.value).startswith(
        f"tracking to {name} needs the package {package}; pip install {package}"
    )


def test_the_output_of_wandb_is_not_taken_for_its_package(tmp_path):
    (tmp_path / "wandb").mkdir()
    code = (
        "import sys\n"
        "from nas.config import TrackingConfig\n"
        "from nas.tracking.trackers import check_trackers\n"
        f"sys.path[:] = [{str(tmp_path)!r}]\n"
        "check_trackers(TrackingConfig(to=['wandb'], wandb_mode='offline'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "needs the package wandb" in done.stderr


def test_wandb_wants_a_login_unless_it_is_offline(monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("wandb.login", lambda **_: False)
    with pytest.raises(InputError, match="run `wandb login`, set WANDB_API_KEY, or"):
        check_trackers(TrackingConfig(to=["wandb"]))
    check_trackers(TrackingConfig(to=["wandb"], wandb_mode="offline"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    check_trackers(TrackingConfig(to=["wandb"]))
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "of the user")
    check_trackers(TrackingConfig(to=["wandb"]))


def test_where_a_user_finds_it(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = TrackingConfig(to=["tensorboard", "mlflow", "wandb"], wandb_mode="offline")
    board, mlflow, wandb = map(str, make_trackers(config, "mine", tmp_path))
    assert board == f"tensorboard: tensorboard --logdir {tmp_path}/tensorboard"
    assert mlflow == f"mlflow: experiment mine at sqlite:///{tmp_path}/mlflow.db"
    assert wandb == f"wandb: wandb sync {tmp_path}/wandb/offline-run-*"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@host")
    other = TrackingConfig(to=["mlflow", "wandb"], project="p", wandb_mode="online")
    mlflow, wandb = map(str, make_trackers(other, "mine", tmp_path))
    assert mlflow == "mlflow: experiment p at MLFLOW_TRACKING_URI"
    assert wandb == "wandb: project p"


def test_nothing_of_theirs_is_imported_until_a_search_is_tracked(tmp_path):
    code = (
        "import sys\n"
        "import nas.search_run\n"
        "from nas.config import TrackingConfig\n"
        "from nas.tracking.trackers import check_trackers\n"
        "check_trackers(TrackingConfig())\n"
        "names = {'mlflow', 'wandb', 'tensorboardX', 'ray', 'nas.tracking.callback'}\n"
        "print(sorted(names & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
