"""Where everything of a study is kept: the only place that knows the file names.

``<study>/`` has config.yaml, study.log and its study.index, driver.lock, the tables
trials.parquet, trials.csv and test.csv, launch_cost.json, the directories ``trials``,
``checkpoints``, ``supernets`` and ``tensorboard``, before the first trial
``preparing``; a search that starts from a trained CNN also ``library`` (its replacement
blocks), ``parent`` (a study of its own, if the search trains the CNN) and ``scores``
(another, if it has two steps).
``<study>/trials/<number>/`` has architecture.yaml, metrics.json, details.json,
history.csv, weights.safetensors, worker.json, and error.txt if the trial did not end
well; while it runs also stderr.txt and time_limit.txt.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nas.study_path import CONFIG_FILE, LEASE_FILE
from search_spaces.errors import InputError


@dataclass(frozen=True)
class TrialLayout:
    """The files of one trial; of any directory that holds one trained network.

    Attributes:
        directory: ``<study>/trials/<number>``.
    """

    directory: Path

    @property
    def architecture(self) -> Path:
        """The architecture, ``alternet/1``."""
        return self.directory / "architecture.yaml"

    @property
    def metrics(self) -> Path:
        """Metrics and their standard errors; written last, marks a whole trial."""
        return self.directory / "metrics.json"

    @property
    def details(self) -> Path:
        """What figures need, by evaluator."""
        return self.directory / "details.json"

    @property
    def history(self) -> Path:
        """The training curve, one line per epoch."""
        return self.directory / "history.csv"

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.directory / "weights.safetensors"

    @property
    def worker(self) -> Path:
        """Which process works on it."""
        return self.directory / "worker.json"

    @property
    def error(self) -> Path:
        """Why it failed or was lost: traceback, last lines of its stderr."""
        return self.directory / "error.txt"

    @property
    def stderr(self) -> Path:
        """What its process writes to stderr; removed when the trial has ended."""
        return self.directory / "stderr.txt"

    @property
    def time_limit(self) -> Path:
        """The stacks that a trial was stopped in; removed if it was not."""
        return self.directory / "time_limit.txt"

    @property
    def data_parallel(self) -> Path:
        """What Ray Train keeps of a trial on several processes."""
        return self.directory / "ray_train"


@dataclass(frozen=True)
class StudyLayout:
    """The files of a study.

    Attributes:
        path: The study directory.
    """

    path: Path

    @classmethod
    def of_trial(cls, directory: Path) -> Self | None:
        """The study that a directory is a trial of, ``None`` if it is not of any."""
        study = cls(directory.parent.parent)
        return study if study.trials == directory.parent and study.exists() else None

    def exists(self) -> bool:
        """Whether there is a study: a search has written down what it will do."""
        return self.config.is_file()

    @property
    def config(self) -> Path:
        """Every setting, resolved."""
        return self.path / CONFIG_FILE

    @property
    def journal(self) -> Path:
        """The ledger, an Optuna journal; absent if the ledger is in a database."""
        return self.path / "study.log"

    @property
    def index(self) -> Path:
        """What the first part of the journal amounts to, for readers in a hurry."""
        return self.path / "study.index"

    @property
    def lease(self) -> Path:
        """Who drives the study."""
        return self.path / LEASE_FILE

    @property
    def parquet(self) -> Path:
        """The table of trials."""
        return self.path / "trials.parquet"

    @property
    def csv(self) -> Path:
        """The same table, for people."""
        return self.path / "trials.csv"

    @property
    def test(self) -> Path:
        """How the chosen networks do on the test images."""
        return self.path / "test.csv"

    @property
    def launch_cost(self) -> Path:
        """What the search was expected to take, if that was measured."""
        return self.path / "launch_cost.json"

    @property
    def tensorboard(self) -> Path:
        """Event files for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def trials(self) -> Path:
        """One directory per trial."""
        return self.path / "trials"

    @property
    def checkpoints(self) -> Path:
        """Unfinished training, to be gone on with."""
        return self.path / "checkpoints"

    @property
    def preparing(self) -> Path:
        """How far the tasks before the first trial are, while they run."""
        return self.path / "preparing"

    @property
    def supernets(self) -> Path:
        """Weights and scores of the supernets that the trials were read off."""
        return self.path / "supernets"

    def trial(self, number: int) -> TrialLayout:
        """The files of one trial."""
        return TrialLayout(self.trials / str(number))

    def checkpoint(
        self,
        architecture_id: str,
        seed: int,
        epochs: int,
        split_seed: int | None = None,
    ) -> Path:
        """Where every attempt at one training run keeps its checkpoint.

        Not with the trial: an attempt that is repeated gets another number.

        Raises:
            InputError: The id is not fit to be part of a file name.
        """
        if not architecture_id.isalnum():
            raise InputError(
                "an architecture id has letters and digits only, "
                f"got {architecture_id!r}"
            )
        split = "" if split_seed is None else f"-p{split_seed}"
        return self.checkpoints / f"{architecture_id}-s{seed}-e{epochs}{split}.pt"
