"""The cluster recipes, checked as far as a machine without the cluster allows."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
SCRIPTS = ("ray-start.sh", "slurm.sbatch")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_shell(name):
    subprocess.run(["bash", "-n", DEPLOY / name], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_pass_shellcheck(name):
    subprocess.run(["shellcheck", "-S", "warning", DEPLOY / name], check=True)


def test_ray_start_says_how_it_is_used():
    answer = subprocess.run(
        [DEPLOY / "ray-start.sh"], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 2
    assert "deploy/ray-start.sh head" in answer.stderr


def test_slurm_asks_for_what_it_needs():
    answer = subprocess.run(
        ["bash", DEPLOY / "slurm.sbatch"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert answer.returncode != 0
    assert "set CONFIG to a preset or a YAML file" in answer.stderr


def test_slurm_starts_a_node_on_each_host_and_resumes(tmp_path):
    """With commands that only write down how they were called."""
    log = tmp_path / "calls"
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, body in {
        "scontrol": 'printf "h1\\nh2\\nh3\\n"',
        # The first start on each host fails, as before the head listens.
        "srun": f'echo "srun $*" >> {log}; [ "$(grep -c -- "$5 " {log})" -ge 2 ]',
        # Until every node has written down its second start.
        "nas": f'echo "nas $*" >> {log}; for i in {{1..200}}; do'
        f' [ "$(grep -c ^srun {log})" -ge 6 ] && break; /bin/sleep 0.1; done',
        # The head is up when it is asked for the third time.
        "ray": f'echo "ray $*" >> {log}; [ "$(grep -c "^ray status" {log})" -ge 3 ]',
        "sleep": "/bin/sleep 0.1",
    }.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    study = tmp_path / "study"
    environment = {
        "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "CONFIG": "quickstart",
        "STUDY": str(study),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "h[1-3]",
        "SLURM_CPUS_PER_TASK": "4",
    }
    for verb in ("search", "resume"):
        log.unlink(missing_ok=True)
        command = ["bash", str(DEPLOY / "slurm.sbatch")]
        subprocess.run(command, check=True, env=environment, timeout=60)
        calls = log.read_text()
        assert calls.count("ray start --address=h1:20007") == 2 * 2
        assert calls.count("ray start --head --port=20007") == 2
        assert calls.count("ray status --address h1:20007") == 3
        assert calls.count("--cpus-per-task=4 ") == 6
        assert f"nas {verb}" in calls
        assert "--address h1:20007" in calls
        study.mkdir(exist_ok=True)
        (study / "config.yaml").touch()
    assert not (tmp_path / ".ray" / "token-7").exists()


def test_slurm_gives_up_when_the_head_does_not_come(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, body in {
        "scontrol": "echo h1",
        "srun": "exit 1",
        "ray": "exit 1",
        "sleep": "true",
        "nas": f"touch {tmp_path}/started",
    }.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    answer = subprocess.run(
        ["bash", str(DEPLOY / "slurm.sbatch")],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "CONFIG": "quickstart",
            "STUDY": str(tmp_path / "study"),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "h1",
            "SLURM_CPUS_PER_TASK": "4",
        },
    )
    assert answer.returncode == 1
    assert "the Ray head on h1:20007 did not come up (asked 60 times)" in answer.stderr
    assert not (tmp_path / "started").exists()


def test_ray_up_is_a_cluster_config():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((DEPLOY / "ray-up.yaml").read_text())
    validate_config(prepare_config(config))


def test_kuberay_is_three_objects_that_fit_together():
    claim, job = None, None
    config, claim, job = yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text())
    assert (config["kind"], claim["kind"]) == ("ConfigMap", "PersistentVolumeClaim")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    spec = job["spec"]["rayClusterSpec"]
    # docs/cluster.md: the recipes keep token authentication on.
    assert spec["authOptions"] == {"mode": "token"}
    assert tuple(map(int, spec["rayVersion"].split("."))) >= (2, 52)
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        claimed = volumes["studies"]["persistentVolumeClaim"]["claimName"]
        assert claimed == claim["metadata"]["name"]
        assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
        (container,) = pod["containers"]
        mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert mounted == {"studies": "/shared", "config": "/config"}
    assert "--out /shared/search" in job["spec"]["entrypoint"]


def test_the_config_of_the_kubernetes_job_is_one_of_ours():
    from nas.config import config_from_dict

    first = next(yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text()))
    config = config_from_dict(yaml.safe_load(first["data"]["search.yaml"]))
    assert config.search.trials == 200


def test_the_job_environment_is_one_that_ray_knows():
    from ray.runtime_env import RuntimeEnv

    environment = yaml.safe_load((DEPLOY / "job.yaml").read_text())
    environment["working_dir"] = "https://example.com/package.zip"  # no upload here
    assert set(RuntimeEnv(**environment)) >= {"excludes", "env_vars"}
