"""Notes and tags on trials, kept in the ledger as user attributes of the Optuna study.

Optuna does not let a finished trial be written to, so a note is an attribute of the
study, ``note:NUMBER``. The text is also kept where optuna-dashboard keeps its notes, to
stand beside the trial there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from nas.ledger.location import Location, load_optuna_study
from nas.ledger.note_texts import ATTRIBUTE, checked_note, checked_tags
from search_spaces.errors import InputError


@dataclass
class NoteBook:
    """The notes of one study, to write to.

    Attributes:
        location: Where the ledger is kept.
        name: Name of the study.
    """

    location: Location
    name: str
    _study: optuna.Study | None = None

    def write(self, number: int, note: str, tags: Sequence[str]) -> Mapping[str, Any]:
        """Keep a note, in place of the one there was.

        Args:
            number: Number of the trial.
            note: The text; ``""`` for none.
            tags: Short words.

        Returns:
            What is kept: ``note`` and ``tags``.

        Raises:
            InputError: The trial does not exist, the note or a tag is too long, or the
                ledger cannot be written to.
        """
        text, words = checked_note(note), checked_tags(tags)
        kept: dict[str, Any] = {"note": text, "tags": words}
        if self._study is None:
            self._study = load_optuna_study(self.location, self.name)
        trials = self._study.get_trials(deepcopy=False)
        if not 0 <= number < len(trials):
            raise InputError(f"there is no trial {number} in study {self.name!r}")
        trial_id = trials[number]._trial_id
        try:
            self._study.set_user_attr(f"{ATTRIBUTE}{number}", kept)
            self._tell_dashboard(trial_id, text, words)
        except OSError as error:
            raise InputError(
                f"the note cannot be written to the ledger: {error.strerror}"
            ) from error
        return kept

    def _tell_dashboard(self, trial_id: int, note: str, tags: Sequence[str]) -> None:
        """As ``save_note`` of optuna-dashboard 0.21 does (its ``_note.py``)."""
        assert self._study is not None
        storage, study_id = self._study._storage, self._study._study_id
        prefix = f"dashboard:{trial_id}"
        attributes = storage.get_study_system_attrs(study_id)
        version = int(attributes.get(f"{prefix}:note_ver", 0)) + 1
        text = "\n\n".join(filter(None, [note, " ".join(f"`{t}`" for t in tags)]))
        storage.set_study_system_attr(study_id, f"{prefix}:note_ver", version)
        storage.set_study_system_attr(study_id, f"{prefix}:note_str:0", text)
