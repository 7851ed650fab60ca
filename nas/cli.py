"""The command line ``nas``: one verb a command, errors in one line.

Exit codes: 0 done; 1 the run failed; 2 the user's input was wrong; 130 interrupted.
Verbs are imported when they are used, so that ``nas --help`` is quick.
"""

import errno
import gc
import importlib
import sys
import traceback
from typing import NoReturn

import click

from nas.terminal import say, write_what_can_be_written
from search_spaces.errors import InputError, did_you_mean, shown

VERBS = {
    "search": "Search placements on your images.",
    "probe": "Fit a trained CNN's last layer to the classes of your images.",
    "distill": "Teach blocks to imitate those of a trained CNN.",
    "supernet": "Train networks that all placements of a space share.",
    "resume": "Go on where a killed or finished search stopped.",
    "ls": "The studies there are, with their state, trials and best.",
    "status": "Counts, best so far and time left, live or finished.",
    "pareto": "The trials that no other trial beats, as table or figure.",
    "show": "One trial: diagram of the placement, metrics, curves.",
    "predict": "Every placement of the space with an interval, untrained ones too.",
    "agreement": "Whether cheap scores rank placements as training does.",
    "rule": "Test whether MSAs belong at the end of a stage.",
    "report": "One self-contained HTML page of a study.",
    "serve": "That page live, of one study or several, while they are searched.",
    "export": "Take architectures and weights away.",
    "train": "Train architectures with the full recipe, beside their baselines.",
    "evaluate": "Measure a trained network with any evaluator.",
    "claims": "The paper's nine claims, measured on your images.",
    "space": "Size, examples and cost of a space before anything is spent.",
    "doctor": "Check whether this machine can run a search.",
    "init": "Look at a directory of images and write a config for it.",
}


MAX_MESSAGE = 1500
"""Characters of a message; our choice, the longest list of allowed names fits."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of a user's work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a verb's command."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"nas.commands.{cmd_name}")
        command: click.Command = module.command
        command.name = cmd_name
        # Docstrings are raw, so click's mark of a paragraph that keeps its lines is not
        # yet the control character that click looks for.
        command.help = (command.help or "").replace(r"\b", "\b")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the verbs there are when the given one is unknown."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], VERBS)
            if len(args) > 1 and args[1] in VERBS:
                hint = f"the command comes first: nas {args[1]} {args[0]}"
            message = f"unknown command {shown(args[0])}; there are {', '.join(VERBS)}"
            raise click.UsageError(message + (f" ({hint})" if hint else ""))
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="alternet-nas", message="%(version)s")
def nas(debug: bool) -> None:
    """Find out which Conv blocks of a CNN should become self-attention blocks."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: Instead of those of the process.
    """
    # A study of ten thousand trials is a million objects that live to the end of the
    # command: looking for cycles among them again and again costs a tenth of its time.
    gc.set_threshold(100_000, 20, 100)
    write_what_can_be_written()
    arguments = sys.argv[1:] if arguments is None else arguments
    # --debug may stand anywhere: people add it to a command that has just failed.
    debug = "--debug" in arguments
    arguments = [one for one in arguments if one != "--debug"] or ["--help"]
    code = 0
    try:
        outcome = nas.main(args=arguments, prog_name="nas", standalone_mode=False)
        code = outcome if isinstance(outcome, int) else 0
    except (InputError, click.ClickException) as error:
        _complain(error, debug)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        say("nas: interrupted", err=True)
        code = 130
    except BrokenPipeError:  # the reader of a pipe, e.g. `| head`, has gone
        sys.stderr.close()
        code = 0
    except SystemExit as exit_request:  # a command chose its own code
        code = exit_request.code if isinstance(exit_request.code, int) else 1
    except OSError as error:
        is_input = error.errno == errno.ENAMETOOLONG  # no file has such a name
        _complain(InputError("a path is too long") if is_input else error, debug)
        code = 2 if is_input else 1
    except Exception as error:
        _complain(error, debug)
        code = 1
    sys.exit(code)


def _complain(error: Exception, debug: bool) -> None:
    if debug:
        say(traceback.format_exc(), err=True)
    if isinstance(error, click.ClickException):
        message = error.format_message()
    else:
        message = str(error) or type(error).__name__
        if not isinstance(error, InputError):
            message = f"{type(error).__name__}: {message}"
    line = " ".join(message.split())
    if len(line) > MAX_MESSAGE:
        line = f"{line[: MAX_MESSAGE - 100]} ... {line[-90:]}"
    if isinstance(error, InputError) and error.hint:
        line += f" ({error.hint})"
    elif isinstance(error, click.UsageError) and error.ctx and error.ctx.parent:
        line += f" ({error.ctx.command_path} --help)"
    say(f"nas: {line}", err=True)


if __name__ == "__main__":
    main()
