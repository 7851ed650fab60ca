"""Who chooses the next architecture: a registry of samplers by name.

Two kinds fit in the registry. Optuna's samplers choose the parameters that
``SearchSpace.suggest`` asks for and learn from the results. A
:class:`nas.sampling.design.Design`
names whole architectures itself, as an experimental design or an enumeration does;
Optuna then only keeps the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.ledger.space import Space
from nas.ledger.trial import Objective
from nas.sampling.design import Design, fixed_sequence
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from search_spaces.spaces.space import SearchSpace

MAX_ENUMERATED = 1_000_000  # our choice: larger spaces are not walked through


@dataclass(frozen=True)
class SamplerContext:
    """What a sampler may know.

    Attributes:
        space: The search space.
        objectives: What is optimised; empty for a design that does not care.
        seed: Seed of the search. An Optuna sampler of a resumed search gets another
            one (seed + number of trials), so that it does not repeat its draws; a
            design gets the same one and walks its sequence again, over the
            architectures that are there already.
        num_trials: Trials of the search, replicates included.
        replicates: Seeds with which each architecture is trained.
        options: The sampler's own settings from the config.
    """

    space: Space
    objectives: tuple[Objective, ...]
    seed: int
    num_trials: int
    replicates: int = 1
    options: Mapping[str, Any] | None = None


def _tpe(context: SamplerContext) -> "BaseSampler":
    from nas.sampling.bounded_tpe import BoundedTPESampler

    # multivariate: Optuna 5 leaves it off for several objectives, where it was the
    # sampler with the fewest duplicates (52 asks for 40 distinct points, not 152).
    options = {"multivariate": True, **(context.options or {})}
    return BoundedTPESampler(seed=context.seed, **options)


def _nsga2(context: SamplerContext) -> "BaseSampler":
    from optuna.samplers import NSGAIISampler

    # A population of 50 (Optuna's default) would be all of a typical search.
    population = max(4, min(50, context.num_trials // 8))
    options = {"population_size": population, **(context.options or {})}
    return NSGAIISampler(seed=context.seed, **options)


def _gp(context: SamplerContext) -> "BaseSampler":
    from optuna.samplers import GPSampler

    return GPSampler(seed=context.seed, **(context.options or {}))


def _linear(context: SamplerContext) -> "BaseSampler":
    from nas.sampling.linear_sampler import LinearSampler

    try:
        return LinearSampler(seed=context.seed, **(context.options or {}))
    except ValueError as error:
        raise InputError(f"sampler 'linear': {error}") from error


def _random(context: SamplerContext) -> "BaseSampler":
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=context.seed)


def _exhaustive(context: SamplerContext) -> Design:
    size = context.space.size
    if size > MAX_ENUMERATED:
        raise InputError(
            f"sampler 'exhaustive' walks through at most {MAX_ENUMERATED} "
            f"architectures, but the space holds {size}; constrain it or choose "
            "another sampler"
        )
    return fixed_sequence(context.space.enumerate())


def _uniform(context: SamplerContext) -> Design:
    from nas.sampling.balanced_designs import uniform_design

    return fixed_sequence(uniform_design(_search_space(context), context.seed))


def _factorial(context: SamplerContext) -> Design:
    from nas.sampling.balanced_designs import factorial_architectures

    return fixed_sequence(factorial_architectures(_search_space(context), context.seed))


def _swaps(context: SamplerContext) -> Design:
    from nas.sampling.swaps import SwapDesign

    return SwapDesign(_search_space(context), context.seed)


def _given(context: SamplerContext) -> Design:
    from search_spaces.architecture import Architecture

    options = context.options or {}
    listed = options.get("architectures")
    if not isinstance(listed, list | tuple) or not listed or len(options) > 1:
        raise InputError(
            "sampler 'given' trains a list of architectures: search.options is "
            f"{{architectures: [...]}}, got the keys {', '.join(options) or 'none'}"
        )
    return fixed_sequence([Architecture.from_dict(one) for one in listed])


def _build_up(context: SamplerContext) -> Design:
    from nas.sampling.build_up import BuildUpDesign

    if not context.objectives:
        raise InputError("sampler 'build_up' needs an objective that a step improves")
    return BuildUpDesign(
        _search_space(context), context.objectives[0], **(context.options or {})
    )


def _search_space(context: SamplerContext) -> "SearchSpace":
    """The space, for a design that asks more of it than :class:`Space` promises."""
    from search_spaces.spaces.space import SearchSpace

    if not isinstance(context.space, SearchSpace):
        raise InputError(
            "this sampler needs a SearchSpace, got a "
            f"{type(context.space).__name__}; choose another sampler"
        )
    return context.space


SamplerFactory = Callable[[SamplerContext], "BaseSampler | Design"]

SAMPLERS: dict[str, SamplerFactory] = {
    "tpe": _tpe,
    "nsga2": _nsga2,
    "gp": _gp,
    "linear": _linear,
    "random": _random,
    "exhaustive": _exhaustive,
    "uniform": _uniform,
    "factorial": _factorial,
    "swaps": _swaps,
    "build_up": _build_up,
    "given": _given,
}
"""Every sampler by name; add a line for a new one."""


def create_sampler(name: str, context: SamplerContext) -> "BaseSampler | Design":
    """Make the sampler of that name.

    Args:
        name: A key of :data:`SAMPLERS`.
        context: What it may know.

    Returns:
        An Optuna sampler or a design.

    Raises:
        InputError: There is none of that name, or its options are wrong.
    """
    if name not in SAMPLERS:
        known = ", ".join(sorted(SAMPLERS))
        raise InputError(f"unknown sampler {name!r}; known samplers: {known}")
    try:
        return SAMPLERS[name](context)
    except TypeError as error:
        raise InputError(f"sampler {name!r} refuses its options: {error}") from error
