"""`nas space`: what a space holds and costs, before anything is spent."""

import json
from typing import TYPE_CHECKING, Any

import click

from nas.commands.naming import CONFIG
from nas.commands.options import format_option, set_option
from nas.human_number import human_number
from nas.terminal import say
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.config import SearchConfig
    from nas.study.launch_cost import LaunchCost


@click.command()
@click.argument("config", type=CONFIG, metavar="PRESET|CONFIG.yaml")
@set_option("Change one setting, e.g. space.kind=per_stage_count.")
@click.option(
    "--examples",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="Architectures to draw.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the draw.",
)
@click.option(
    "--measure-latency",
    "table_file",
    metavar="FILE.yaml",
    type=click.Path(dir_okay=False),
    help="Time every block here, for space.latency_table and "
    "space.constraints.max_latency.",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Where --measure-latency computes, e.g. cuda.",
)
@click.option(
    "--time",
    "timed",
    is_flag=True,
    help="Train two placements for a part of an epoch and tell what the search will "
    "take: hours, GPU hours, disk.",
)
@click.option(
    "--plugin",
    "plugins",
    metavar="MODULE",
    multiple=True,
    help="Import this module of yours first, e.g. one that registers the data set.",
)
@format_option()
def command(
    config: str,
    overrides: tuple[str, ...],
    examples: int,
    seed: int,
    table_file: str | None,
    device: str,
    timed: bool,
    plugins: tuple[str, ...],
    output: str,
) -> None:
    r"""Tell size, cost range and examples of a search space.

    Without --time nothing is trained, and of the data only its shape is looked at.

    \b
    nas space quickstart
    nas space images --set data.root=photos --time
    Presets: quickstart, images, cifar10, cifar10-fast, alternet50, rule.
    """
    from nas.commands.paths import check_config

    check_config(config)
    import random

    from nas.commands.design_power import power_of_search, thin_slots
    from nas.config import load_config
    from nas.plugins import import_plugins

    settings = load_config(config, overrides)
    import_plugins(plugins)
    from nas.data.datasets import image_shape
    from nas.scoring.parent_space import space_of

    if table_file is not None:
        settings = _measure(settings, table_file, device)
    try:
        space = space_of(settings, image_shape(settings.data))
    except InputError as error:
        missing = [name for name in settings.plugins if name not in plugins]
        if not missing or error.hint:
            raise
        hint = "the config's own: " + " ".join(f"--plugin {name}" for name in missing)
        raise InputError(str(error), hint=hint) from error
    low, high = space.cost_range()
    times = space.latency_range()
    rng = random.Random(seed)
    count = min(examples, space.size)
    drawn = (
        list(space.enumerate())
        if space.size <= examples
        else [space.sample(rng) for _ in range(count)]
    )
    facts: dict[str, Any] = {
        "kind": settings.space.kind,
        "size": space.size,
        "depths": list(space.backbone.depths),
        "free_slots": sum(
            space.slot_is_free(stage + 1, block + 1)
            for stage, depth in enumerate(space.backbone.depths)
            for block in range(depth)
        ),
        "params": {"min": low.params, "max": high.params},
        "macs": {"min": low.macs, "max": high.macs},
        "latency": None if times is None else {"min": times[0], "max": times[1]},
        "examples": [
            {
                "placement": str(one.placement),
                "params": one.params,
                "macs": one.macs,
                "latency": space.latency(one),
                "id": one.id,
            }
            for one in drawn
        ],
        "trials": settings.search.trials,
        "sampler": settings.search.sampler,
    }
    power = power_of_search(settings)
    facts["power"] = None if power is None else power.to_dict()
    cost = measured_cost(settings) if timed else None
    if cost is not None:
        facts["launch_cost"] = cost.to_dict()
    if output == "json":
        say(json.dumps(facts))
        return
    say(
        f"space        {facts['kind']}: {space.size:,} architectures, "
        f"{facts['free_slots']} of {sum(space.backbone.depths)}"
        " slots may be replaced"
    )
    written = [human_number(n) for n in (low.params, high.params, low.macs, high.macs)]
    say(f"parameters   {written[0]} to {written[1]}")
    say(f"MACs         {written[2]} to {written[3]} an image")
    if space.latency_table is not None and times is not None:
        table = space.latency_table
        say(
            f"latency      {times[0] * 1e3:.3g} to {times[1] * 1e3:.3g} ms a batch of "
            f"{table.batch_size} on {table.device}, estimated block by block"
        )
    say(f"search       {_extent(settings, space.size)}")
    if power is not None:
        say(f"power        {power}")
    if thin := thin_slots(settings):
        say(f"warning      {thin}")
    if cost is not None:
        for line in cost.lines():
            say(line)
    say("examples")
    for one in drawn:
        seconds = space.latency(one)
        say(
            f"  {str(one.placement):<30} {human_number(one.params):>8} params "
            f"{human_number(one.macs):>8} MACs"
            + ("" if seconds is None else f" {seconds * 1e3:>9.3g} ms")
        )


def _extent(settings: "SearchConfig", size: int) -> str:
    """How much of the space a search looks at."""
    from nas.scoring import distilled, supernet

    scored_whole = {"distilled": distilled, "supernet": supernet}
    scorer = scored_whole.get(settings.scoring.kind)
    if scorer is not None and size <= scorer.MAX_WALKED:
        return "the whole space is scored, without training its placements"
    search = settings.search
    share = min(1.0, search.trials / size)
    part = f"{share:.2g} of the space" if share < 1 else "the whole space fits"
    return f"{search.trials} trials by {search.sampler}: {part}"


def measured_cost(settings: "SearchConfig") -> "LaunchCost":
    """What a search will take, measured now; progress goes to stderr."""
    from nas.execution.dry_run import measure_launch

    return measure_launch(settings, lambda line: say(line, err=True))


def _measure(settings: "SearchConfig", table_file: str, device: str) -> "SearchConfig":
    """Time the blocks of the space, write the table and use it from here on."""
    from pathlib import Path

    import yaml

    from evaluators.cost.block_latency import measure_latencies
    from nas.data.datasets import image_shape
    from nas.scoring.from_scratch import find_device
    from search_spaces.errors import InputError

    path = Path(table_file)
    if not path.parent.is_dir():
        raise InputError(
            f"--measure-latency needs a file in an existing directory, got {path}"
        )
    # Bounds may rely on the table that is only now measured.
    free = settings.space.model_copy(update={"constraints": {}, "latency_table": None})
    space = free.make(*image_shape(settings.data))
    contiguous = settings.training.channels_last == "off"
    table = measure_latencies(
        space,
        find_device(device),
        memory_format="contiguous" if contiguous else "channels_last",
    ).to_dict()
    path.write_text(yaml.safe_dump(table, sort_keys=False))
    say(
        f"wrote the times of {len(table['nanoseconds']) - 1} blocks; use them with "
        f"--set space.latency_table={path}",
        err=True,
    )
    measured = settings.space.model_copy(update={"latency_table": table})
    return settings.model_copy(update={"space": measured})
