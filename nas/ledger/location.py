"""Where a ledger is kept: a journal file, or any storage that Optuna can open."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.trial import FrozenTrial

from nas.ledger.attributes import Row
from nas.ledger.journal import Journal
from nas.ledger.paused_collector import paused_collector
from search_spaces.errors import InputError


@dataclass(frozen=True)
class Location:
    """Where a ledger is kept.

    Attributes:
        url: Any Optuna storage URL, or ``""`` for the journal file.
        journal: The journal file of the study directory.
    """

    url: str
    journal: Path

    def open(self) -> BaseStorage:
        """Connect to the storage.

        Raises:
            InputError: The URL is not one that can be opened.
        """
        if not self.url:
            try:
                with paused_collector():
                    storage = JournalStorage(Journal(self.journal))
            except InputError:
                raise
            except OSError as error:
                raise InputError(
                    f"the ledger {self.journal} cannot be opened: {error.strerror}"
                ) from error
            except Exception as error:  # a line that is JSON, but not what was written
                raise InputError(
                    f"the ledger {self.journal} is damaged "
                    f"({type(error).__name__}: {one_line(error)}); restore it from a "
                    "copy (status, pareto and report still read the rest)"
                ) from error
            # Optuna 5.0 has no value before the first trial, and asks for one when
            # several are created in one write.
            storage._replay_result._last_created_trial_id_by_this_process = -1
            return storage
        try:
            return optuna.storages.get_storage(self.url)
        except Exception as error:  # noqa: BLE001 - drivers raise what they like
            raise InputError(
                "storage must be a URL that Optuna can open (sqlite:///FILE, "
                f"postgresql://…), but {_without_password(self.url)!r} failed: "
                f"{one_line(error)}"
            ) from error

    def check_free(self, name: str) -> None:
        """Refuse to make a study where there is one of its name.

        Args:
            name: Of the study that is to be made.

        Raises:
            InputError: There is one, or the storage cannot be opened.
        """
        if name in optuna.get_all_study_names(self.open()):
            raise taken(name)


def taken(name: str) -> InputError:
    """The error of a study that is to be made a second time."""
    return InputError(
        f"the storage holds a study {name!r} already; resume that one, or choose "
        "another name"
    )


def open_study(url: str, name: str) -> optuna.Study:
    """Open a study that is kept in a database, to read: nothing is created.

    Args:
        url: An Optuna storage URL.
        name: Name of the study.

    Raises:
        InputError: The URL cannot be opened, or holds no such study.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = _open_to_read(url)
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError as error:
        raise InputError(_missing(name)) from error
    except Exception as error:  # noqa: BLE001 - drivers raise what they like
        raise InputError(
            f"storage must be a URL with a study in it, but {_without_password(url)!r} "
            f"cannot be read: {one_line(error)}"
        ) from error


def _open_to_read(url: str) -> BaseStorage:
    """Connect to a storage that is there; an SQLite file is opened read-only."""
    from sqlalchemy.engine import make_url

    if url.startswith("redis"):
        return optuna.storages.get_storage(url)
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or ":memory:")
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
        parsed = parsed.set(
            database=f"file:{quote(str(file.absolute()))}",
            query={"mode": "ro", "uri": "true"},
        )
    return optuna.storages.RDBStorage(
        parsed.render_as_string(hide_password=False), skip_table_creation=True
    )


def load_optuna_study(location: Location, name: str) -> optuna.Study:
    """Connect to a study.

    Args:
        location: Where it is kept.
        name: Its name.

    Raises:
        InputError: The storage cannot be opened, or holds no such study.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = location.open()
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError as error:
        raise InputError(_missing(name)) from error


def _missing(name: str) -> str:
    return f"the storage holds no study {name!r}; was it moved or emptied?"


def row_of(frozen: FrozenTrial) -> Row:
    """Convert a trial as Optuna gives it."""
    started, finished = frozen.datetime_start, frozen.datetime_complete
    return Row(
        frozen.number,
        frozen.state.value,
        frozen.user_attrs,
        frozen.params,
        started.timestamp() if started else None,
        finished.timestamp() if finished else None,
    )


def one_line(error: object) -> str:
    """An error message without line breaks, not longer than a table can show.

    Lone surrogates, which no encoding can write, are shown as escapes.
    """
    text = str(error).encode("utf-8", "backslashreplace").decode("utf-8")
    return " ".join(text.split())[:500]


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    scheme, _, credentials = head.partition("://")
    return f"{scheme}://{credentials.split(':')[0]}:***@{tail}"
