"""Rules over several keys of a configuration, and over what the program knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from genesis.domain.errors import GenesisError, InputError, did_you_mean
from genesis.domain.timeline import INTERVALS, parse_ts
from genesis.evolution.configcheck import Problem
from genesis.market.dataset_spec import parse_end

if TYPE_CHECKING:
    from genesis.evolution.config import EvolutionConfig, StudyConfig

_FUNDING = re.compile(
    r"required|none|constant:[-+]?[0-9.]+(e[-+]?[0-9]+)?|proxy:\S+", re.IGNORECASE
)


def check_values(config: StudyConfig) -> list[Problem]:
    """Problems that no single key's type can show."""
    return [
        *_dataset(config),
        *_evolution(config.evolution),
        *_constraints(config),
        *_seeds(config),
        *_executor(config),
    ]


def _dataset(config: StudyConfig) -> Iterator[Problem]:
    data = config.dataset
    if data.interval not in INTERVALS:
        yield Problem(
            "dataset.interval",
            f"cannot be '{data.interval}'{did_you_mean(data.interval, INTERVALS)};"
            f" allowed: {', '.join(INTERVALS)}",
        )
    twice = sorted({s for s in data.symbols if data.symbols.count(s) > 1})
    if twice:
        yield Problem("dataset.symbols", f"names {', '.join(twice)} more than once")
    bounds: dict[str, int] = {}
    for key, text in (("from", data.start), ("to", data.end)):
        if text is None:
            continue
        try:
            bounds[key] = parse_ts(text) if key == "from" else parse_end(text)
        except InputError as error:
            yield Problem(f"dataset.{key}", f"cannot be '{text}'; allowed: {error.fix}")
    if len(bounds) == 2 and bounds["from"] >= bounds["to"]:
        yield Problem("dataset.to", f"is not after dataset.from ({data.start} .. {data.end})")
    if not _FUNDING.fullmatch(data.funding):
        yield Problem(
            "dataset.funding",
            f"cannot be '{data.funding}'; allowed: required, none, constant:RATE (per 8 hours),"
            " proxy:SYMBOL",
        )


def _evolution(evolution: EvolutionConfig) -> Iterator[Problem]:
    smallest = evolution.population_size // evolution.islands
    if smallest < 4:
        yield Problem(
            "evolution.population_size",
            f"of {evolution.population_size} leaves {smallest} to each of {evolution.islands}"
            f" islands; at least {4 * evolution.islands} are needed",
        )
    elif evolution.migrants >= smallest:
        yield Problem(
            "evolution.migrants",
            f"of {evolution.migrants} would replace a whole island of {smallest}",
        )
    if evolution.immigrants + evolution.library > 0.9:
        yield Problem(
            "evolution.immigrants", "and evolution.library leave less than a tenth to breed"
        )


def _constraints(config: StudyConfig) -> Iterator[Problem]:
    limits = config.constraints
    if limits.min_exposure >= limits.max_exposure:
        yield Problem(
            "constraints.min_exposure",
            f"of {limits.min_exposure} is not below max_exposure {limits.max_exposure}",
        )
    if len(set(config.objectives)) != len(config.objectives):
        yield Problem("objectives", "names an objective twice")


def _executor(config: StudyConfig) -> Iterator[Problem]:
    if config.executor.address and config.executor.kind in ("local", "processes"):
        yield Problem(
            "executor.address", f"has no meaning for executor.kind {config.executor.kind}"
        )


def _seeds(config: StudyConfig) -> Iterator[Problem]:
    from genesis.strategy.registry import SeedRegistry

    registry = SeedRegistry()
    for path in config.seeds.paths:
        if not Path(path).exists():
            yield Problem("seeds.paths", f"names {path}, which does not exist")
            return
        try:
            registry.load(Path(path))
        except GenesisError as error:
            yield Problem("seeds.paths", f"cannot be loaded: {error}")
            return
    if config.seeds.families == "all":
        return
    off = not config.evolution.ml_island.enabled
    known = list(registry.names())
    if not config.seeds.families:
        yield Problem("seeds.families", "names no family; write 'all' or a list of names")
    for name in config.seeds.families:
        if name not in known:
            yield Problem(
                "seeds.families",
                f"names '{name}', which is no family{did_you_mean(name, known)};"
                f" known: {', '.join(known)}",
            )
        elif off and registry.get(name).ml:
            yield Problem(
                "seeds.families",
                f"names '{name}', which fits models, but evolution.ml_island.enabled is false",
            )
