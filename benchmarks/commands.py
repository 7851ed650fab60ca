"""Wall and CPU time of the commands of the README, each from a directory of its own.

    python benchmarks/commands.py --python .venv/bin/python [--against CHECKOUT]

Runs them in an empty directory, on the study of a short search (six trainings of an
epoch), and prints a row of Markdown for each: the exit code if it is not 0, wall
seconds, and CPU seconds of the command with those of its children that it waited for
(Ray's workers are not among them). Other work on the machine changes the wall time.
``--study`` takes a finished study instead, and only the commands that read one.
``--against`` names the checkout of an earlier version, for a first pair of columns from
the same environment.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = (
    "--help",
    "space quickstart",
    "search quickstart --out runs/quickstart --trials 6 --set training.epochs=1 "
    "--set data.max_train=1000",
    "report runs/quickstart",
    "export runs/quickstart best --to everything --formats all",
    "export runs/quickstart best --to winner",
    "status runs/quickstart",
    "pareto runs/quickstart",
    "show runs/quickstart best",
    "rule runs/quickstart",
    "pareto runs/quickstart --plot pareto.png",
    "evaluate winner",
    "train winner --config runs/quickstart --epochs 1 --seeds 2 --out runs/final",
    "ls",
    "doctor",
    "init photos --to photos.yaml",
)
"""In this order: a command may use what an earlier one made."""

READING = ("report", "rule", "show", "pareto", "status")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--study", type=Path)
    options = parser.parse_args()
    commands = COMMANDS
    if options.study is not None:
        study = str(options.study.resolve())
        commands = tuple(
            one.replace("runs/quickstart", study)
            for one in COMMANDS
            if one.split()[0] in READING
        )
    # Not resolved: the link in an environment is what finds its packages. The name of
    # the module, because the program's start is that of the installed version.
    program = [str(options.python.absolute()), "-m", "nas"]
    checkouts = [None] if options.against is None else [options.against.resolve(), None]
    with tempfile.TemporaryDirectory() as name:
        places = [Path(name, str(index)) for index in range(len(checkouts))]
        for place in places:
            photos(place / "photos")
        for command in commands:
            cells = []
            for checkout, place in zip(checkouts, places, strict=True):
                environment = dict(os.environ)
                environment.pop("PYTHONPATH", None)
                if checkout is not None:
                    environment["PYTHONPATH"] = str(checkout)
                cells += timed([*program, *command.split()], place, environment)
            print(f"| `nas {command}` | {' | '.join(cells)} |", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)


def timed(command: list[str], place: Path, environment: dict[str, str]) -> list[str]:
    """Wall and CPU seconds of a command; what it says is left beside it."""
    before, started = cpu(), time.perf_counter()
    with (place / "said.txt").open("a") as file:
        file.write(f"$ {' '.join(command[3:])}\n")
        file.flush()
        code = subprocess.run(
            command, cwd=place, env=environment, stdout=file, stderr=file
        ).returncode
    wall, spent = time.perf_counter() - started, cpu() - before
    if code == 2 and "unknown command" in (place / "said.txt").read_text()[-400:]:
        return ["–", "–"]
    return [f"{wall:.1f}" + (f" (exit {code})" if code else ""), f"{spent:.1f}"]


def cpu() -> float:
    """CPU seconds of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def photos(place: Path) -> None:
    """A directory of images, ten classes of digits."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (image, label) in enumerate(
        zip(digits.images[:600], digits.target, strict=False)
    ):
        folder = place / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((image * 15).astype("uint8")).resize((32, 32))
        picture.save(folder / f"{index}.png")


if __name__ == "__main__":
    main()
