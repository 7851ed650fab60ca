"""Command lines out of the words that each verb knows."""

import importlib
import random

import click
from mutation import ODD, spoil

from nas.cli import VERBS

STUDIES = ("study", "study", "study", "no_such", "latest", "table.csv", "a.yaml", ".")
TABLES = ("table.csv", "table.csv", "table.csv", "study", "no_such", "a.yaml")
CONFIGS = ("quickstart", "cifar10", "rule", "study", "study/config.yaml", "a.yaml")
NETWORKS = ("a.yaml", "a.yaml", "study/0", "study/best", "study", "timm:no_such", "?")
NUMBERS = ("best", "latest", "0", "1", "99999", "-1", "pareto", "x")
SETTINGS = (
    "training.epochs=3", "training.epochs=x", "seed=1", "data.root=/nope", "data=[1]",
    "search.sampler=tpe", "search.sampler=no", "space.kind=per_stage_count", "a.b=1",
    "evaluators=[accuracy]", "objectives=[nll]", "name=x/../y", "training", "=",
    "seed=",
)  # fmt: skip

POSITIONAL = {
    "study": STUDIES, "studies": STUDIES, "source": TABLES,
    "config": CONFIGS, "number": NUMBERS,
    "directory": (".", "study", "nowhere", "a.yaml"), "which": NUMBERS,
    "architectures": NETWORKS, "targets": NETWORKS,
}  # fmt: skip

VALUES = {
    "--set": SETTINGS,
    "--out": ("out", "study", "a.yaml", "/dev/null/x", ""),
    "--to": ("out", "out/deep", "study", "a.yaml", "x.html"),
    "--plot": ("x.png", "x.svg", "x.gif", "no/such/x.png"),
    "--picture": ("x.svg", "no/such/x.svg"),
    "--figures": ("out", "a.yaml"),
    "--metrics": ("accuracy,params", "accuracy", "nll,macs", "a,b", "accuracy,", ""),
    "--metric": ("accuracy", "accuracy", "params", "nll", "seed", "no_such", ""),
    "--constraint": ("params<=100000", "params>=1", "macs<=nan", "params", "<=1"),
    "--reference": ("accuracy=0", "accuracy=0,params=1e9", "macs=x", "=", "accuracy="),
    "--compare": STUDIES,
    "--every": ("0.1", "0", "x"),
    "--table": TABLES,
    "--config": CONFIGS,
    "--data": ("mnist5k", "no_such", "/nope", *CONFIGS),
    "--replay": TABLES,
    "--from": ("no_such", "a.yaml", "study", "."),
    "--evaluators": ("all", "accuracy", "cost,low_pass", "no_such", "accuracy,,", ""),
    "--option": ("low_pass.max_images=1", "low_pass.no=1", "accuracy", ".=", "a.b=["),
    "--formats": ("yaml", "yaml,onnx", "all", "pickle", "", ","),
    "--direction": ("maximize", "minimize", "none", "up"),
    "--space": ("CM", "[CM][CM]-[CM]M", "CC-CC", "XY", "[", "C" * 99, "-", ""),
    "--covariate": ("params", "accuracy", "no_such", "placement"),
    "--max": ("params=1200", "params=nan", "macs=1e6", "params", "=,=", "a=-1e999"),
    "--letter": ("M", "P", "C", "", "MM", "é"),
    "--smallest-effect": ("0.01", "0", "-1", "nan", "1e308", "x"),
    "--weights": ("a.yaml", "no_such"),
    "--device": ("cpu", "cuda:99", "no", ""),
    "--address": ("local", "ray://nowhere:1", "no"),
    "--plugin": ("no_such_module", "..", "", "no.such.module"),
    "--measure-latency": ("x.yaml", "no/such/x.yaml", "."),
}  # fmt: skip
"""Right and wrong values of each option; wrong ones that its reader must refuse."""

COUNTS = ("0", "1", "2", "3", "7", "-1", "100", "99999999999", "x", "1.5")


def command_of(verb: str) -> click.Command:
    """The click command of a verb."""
    command: click.Command = importlib.import_module(f"nas.commands.{verb}").command
    return command


def values_of(option: click.Option) -> tuple[str, ...]:
    """What may be written behind an option."""
    name = option.opts[0]
    if name in VALUES:
        return VALUES[name]
    if isinstance(option.type, click.Choice):
        return (*map(str, option.type.choices), "xml")
    if option.type.name in ("integer", "integer range"):
        return COUNTS
    return (*NETWORKS, *COUNTS)


def command_line(rng: random.Random) -> list[str]:
    """One verb with its arguments and options; a tenth of the words is spoiled."""
    verb = rng.choice(list(VERBS))
    words: list[str] = []
    for parameter in command_of(verb).params:
        if isinstance(parameter, click.Argument):
            if parameter.required or rng.random() < 0.6:
                num = rng.randint(1, 2) if parameter.nargs == -1 else 1
                words += rng.choices(POSITIONAL[str(parameter.name)], k=num)
        elif isinstance(parameter, click.Option):
            often = 0.95 if parameter.required else 0.2
            if rng.random() < often:
                words.append(parameter.opts[0])
                if not parameter.is_flag:
                    words.append(rng.choice(values_of(parameter)))
    for at, word in enumerate(words):
        if rng.random() < 0.1:
            odd = rng.choice(ODD) if rng.random() < 0.5 else spoil(word, rng)
            words[at] = _as_argument(odd)
    return [verb, *words]


def _as_argument(text: str) -> str:
    """The text as a process gets it: without NUL, its bytes decoded as Python does."""
    raw = text.replace("\0", "").encode(errors="surrogatepass")
    return raw.decode(errors="surrogateescape")
