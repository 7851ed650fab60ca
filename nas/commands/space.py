"""`nas space`: what a space holds and costs, before anything is spent."""

import json
from typing import Any

import click


@click.command()
@click.argument("config", metavar="PRESET|CONFIG.yaml")
@click.option(
    "--set",
    "overrides",
    metavar="KEY.PATH=VALUE",
    multiple=True,
    help="Change one setting, e.g. space.kind=per_stage_count.",
)
@click.option(
    "--examples",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="Architectures to draw.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)
def command(
    config: str, overrides: tuple[str, ...], examples: int, seed: int, output: str
) -> None:
    """Tell size, cost range and examples of a search space.

    Nothing is trained; of the data only its shape is looked at.
    """
    import random

    from nas.config import load_config
    from nas.data.datasets import image_shape

    settings = load_config(config, overrides)
    space = settings.space.make(*image_shape(settings.data))
    low, high = space.cost_range()
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
        "examples": [
            {
                "placement": str(one.placement),
                "params": one.params,
                "macs": one.macs,
                "id": one.id,
            }
            for one in drawn
        ],
        "trials": settings.search.trials,
        "sampler": settings.search.sampler,
    }
    if output == "json":
        click.echo(json.dumps(facts))
        return
    click.echo(
        f"space        {facts['kind']}: {space.size:,} architectures, "
        f"{facts['free_slots']} of {sum(space.backbone.depths)}"
        " slots may be MSA"
    )
    click.echo(f"parameters   {low.params:,} to {high.params:,}")
    click.echo(f"MACs         {low.macs:,} to {high.macs:,} an image")
    share = min(1.0, settings.search.trials / space.size)
    click.echo(
        f"search       {settings.search.trials} trials by {settings.search.sampler}: "
        f"{share:.2g} of the space"
        if share < 1
        else f"search       {settings.search.trials} trials by "
        f"{settings.search.sampler}: the whole space fits"
    )
    click.echo("examples")
    for one in drawn:
        click.echo(
            f"  {str(one.placement):<30} {one.params:>12,} params {one.macs:>15,} MACs"
        )
