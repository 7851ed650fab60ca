"""What is damaged in a study, told by every command that reads one."""

from typing import TYPE_CHECKING

from nas.terminal import say

if TYPE_CHECKING:
    from nas.study.study import Study


def say_problems(study: "Study") -> None:
    """Say on stderr what could not be read and was left out; nothing if all was.

    Args:
        study: A study that has been read.
    """
    for problem in study.problems:
        say(f"warning: {problem}", err=True)
