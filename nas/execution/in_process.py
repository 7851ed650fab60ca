"""Runs a search in this process: for scores that cost less than asking a worker."""

from pathlib import Path
from typing import TYPE_CHECKING

from nas.execution.full_disk import is_full_disk
from nas.ledger.ledger import Ledger, Proposal
from nas.sampling.proposer import Proposer
from nas.scoring.scorer import Scorer
from nas.scoring.trial_run import TrialRun
from nas.study.layout import StudyLayout
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.execution.searcher import Listener

LINE_EVERY_S = 10.0
"""Seconds between two lines of a log (our choice)."""


def run_in_process(
    ledger: Ledger,
    proposer: Proposer,
    scorer: Scorer,
    study: Path,
    listener: "Listener",
) -> None:
    """Score whatever is proposed, one after the other, until nothing is.

    A run that raises fails with its reason, and the next one is started, unless the
    disk is full: that is raised, and the run is done again by whoever resumes.

    Args:
        ledger: Where everything is written down.
        proposer: Says what is next.
        scorer: Scores each run.
        study: The study's directory.
        listener: Who is told about it.
    """
    layout = StudyLayout(study)
    while isinstance(proposal := proposer.next(), Proposal):
        number = proposal.number
        listener.started(proposal)
        run = TrialRun(
            number=number,
            architecture=proposal.architecture.to_dict(),
            seed=proposal.seed,
            epochs=proposal.epochs,
            directory=layout.trial(number).directory,
            checkpoint=layout.checkpoint(
                proposal.architecture.id,
                proposal.seed,
                proposal.epochs,
                proposal.split_seed,
            ),
            split_seed=proposal.split_seed,
            settings=scorer.config,
            data=scorer.data,
        )
        try:
            outcome = scorer.function(run)
        except InputError as error:
            ledger.fail(number, str(error))
        except Exception as error:  # whatever it is, the search goes on
            if is_full_disk(error):
                raise
            ledger.fail(number, f"{type(error).__name__}: {error}")
        else:
            ledger.complete(
                number, outcome.metrics, standard_errors=outcome.standard_errors
            )
        listener.ended(ledger.trial(number))
