"""Put an export on the Hugging Face hub."""

import importlib.util
import re
from pathlib import Path

from nas.exporting.formats import ExportError
from search_spaces.errors import InputError, one_line

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def check_repo(repo: str) -> None:
    """Check the name and the package, before anything is written.

    Args:
        repo: ``user/name``.

    Raises:
        InputError: It is no such name, or huggingface_hub is missing.
    """
    if not REPO.fullmatch(repo):
        raise InputError(
            "a model on the hub is named USER/NAME, of letters, digits, - _ and .; "
            f"got {repo!r}"
        )
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError(
            "the hub needs the package huggingface_hub: pip install huggingface_hub"
        )


def push(directory: Path, repo: str, *, private: bool = False) -> str:
    """Upload the files of one model; a repository is made if there is none.

    The token is the one that ``hf auth login`` or ``HF_TOKEN`` gave the machine.

    Args:
        directory: An export of one model.
        repo: ``user/name``.
        private: Make a new repository private.

    Returns:
        Address of the model.

    Raises:
        InputError: It is no such name, or huggingface_hub is missing.
        ExportError: The hub refuses, or cannot be reached.
    """
    check_repo(repo)
    import huggingface_hub

    from nas.exporting.exporter import FILES

    api = huggingface_hub.HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            folder_path=directory,
            allow_patterns=list(FILES),
            commit_message="Export of nas export",
        )
    except Exception as error:  # of requests, httpx or the hub itself
        reason = one_line(error, 300) or type(error).__name__
        raise ExportError(
            f"{repo} could not be uploaded (the export is in {directory}): {reason}"
        ) from error
    return f"https://huggingface.co/{repo}"
