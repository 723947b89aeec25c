"""The configuration of a risk campaign: typed, strict, and what of it decides the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from genesis.domain.canonical import content_hash
from genesis.domain.errors import ConfigError
from genesis.domain.shipped import shipped
from genesis.evolution.config import CostsConfig, Count, DatasetConfig, ExecutorConfig, Share
from genesis.evolution.configcheck import (
    Problem,
    check_shape,
    raise_problems,
    read_yaml,
    write_yaml,
)
from genesis.evolution.risk.paths import PATTERN
from genesis.risk.track import Windows

EXAMPLE = "configs/risk_evolution.yaml"
LEAST_STRATEGIES = 60
LEAST_GENOMES = 4_000


class _Block(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every block: immutable, unknown keys refused."""


class ScenariosConfig(_Block, frozen=True):
    """What genomes are tried on.

    Attributes
    ----------
    strategies : int
        Strategies, split 60 / 20 / 20 into those for training, validation and the sealed test.
    most_symbols : int
        Symbols of an account at most.
    exposure : float
        Gross notional over capital when every strategy is in position and nothing is cut.
    warm_up, bars : int
        Bars before the first trade of a path, and traded bars.
    books : int
        Sets of strategies on each path.
    train, validation, sealed : int
        Paths.
    batch : int
        Training paths of one generation.
    """

    strategies: Annotated[int, Meta(ge=15)] = LEAST_STRATEGIES
    most_symbols: Annotated[int, Meta(ge=1, le=32)] = 6
    exposure: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    warm_up: Count = 480
    bars: Annotated[int, Meta(ge=48)] = 1_440
    books: Annotated[int, Meta(ge=1, le=16)] = 3
    train: Count = 200
    validation: Count = 200
    sealed: Count = 400
    batch: Count = 40


class SearchConfig(_Block, frozen=True):
    """How genomes are bred: CMA-ES runs on the scalar first, NSGA-II on three objectives then.

    Attributes
    ----------
    offspring : int
        Genomes of a CMA-ES generation.
    restarts : int
        Runs after the first, which starts at the defaults; the others start at random.
    generations : int
        Of each run.
    step : float
        First standard deviation in unit genes.
    population, rounds : int
        Members and generations of NSGA-II.
    finalists : int
        Genomes that are judged on the validation paths.
    """

    offspring: Annotated[int, Meta(ge=4)] = 32
    restarts: Annotated[int, Meta(ge=0)] = 2
    generations: Count = 30
    step: Annotated[float, Meta(gt=0.0, le=0.5)] = 0.2
    population: Annotated[int, Meta(ge=4)] = 48
    rounds: Count = 30
    finalists: Count = 16


class AcceptanceConfig(_Block, frozen=True):
    """What the winner must show on sealed paths of unseen strategies, against both baselines."""

    cdar_gain: Share = 0.10
    growth_loss: Share = 0.05
    level: Annotated[float, Meta(gt=0.0, lt=0.5)] = 0.05
    draws: Annotated[int, Meta(ge=100)] = 2_000


class RiskConfig(_Block, frozen=True):
    """One campaign, as its YAML file says."""

    schema: Literal[1]
    dataset: DatasetConfig
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = "risk"
    sealed_share: Annotated[float, Meta(ge=0.05, le=0.8)] = 0.2
    costs: CostsConfig = CostsConfig()
    scenarios: ScenariosConfig = ScenariosConfig()
    search: SearchConfig = SearchConfig()
    acceptance: AcceptanceConfig = AcceptanceConfig()
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    executor: ExecutorConfig = ExecutorConfig(kind="processes")

    def to_plain(self) -> dict[str, Any]:
        """Plain mapping in the file's key names."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_yaml(self) -> str:
        """YAML that `load_risk_config` reads back as an equal configuration."""
        return write_yaml(self.to_plain())

    @property
    def config_hash(self) -> str:
        """SHA-256 of what decides the result: neither the name nor where it is computed."""
        plain = self.to_plain()
        for key in ("name", "executor"):
            del plain[key]
        return content_hash(plain)

    @property
    def genomes(self) -> int:
        """Genomes that the search breeds, those of the baselines not counted."""
        search = self.search
        runs = (search.restarts + 1) * search.generations * search.offspring
        return runs + search.population * search.rounds

    def unfit(self) -> list[str]:
        """Why a result of this configuration may not be used, empty if it may."""
        default = ScenariosConfig()
        found = []
        if self.genomes < LEAST_GENOMES:
            found.append(f"{self.genomes:,} genomes were bred, {LEAST_GENOMES:,} are the least")
        for name in ("strategies", "train", "validation", "sealed"):
            value, least = getattr(self.scenarios, name), getattr(default, name)
            if value < least:
                what = name if name == "strategies" else f"{name} paths"
                found.append(f"{value} {what}, {least} are the least")
        return found


def quick(config: RiskConfig) -> RiskConfig:
    """A small campaign of the same data, whose result is unfit for use."""
    replace = msgspec.structs.replace
    return replace(
        config,
        scenarios=replace(
            config.scenarios,
            strategies=min(config.scenarios.strategies, 20),
            bars=min(config.scenarios.bars, 480),
            books=1,
            train=40,
            validation=20,
            sealed=40,
            batch=20,
        ),
        search=replace(
            config.search,
            offspring=8,
            restarts=0,
            generations=6,
            population=12,
            rounds=4,
            finalists=4,
        ),
        acceptance=replace(config.acceptance, draws=min(config.acceptance.draws, 500)),
    )


def load_risk_config(path: Path) -> RiskConfig:
    """Read a campaign's YAML file.

    Raises
    ------
    ConfigError
        Listing every problem: file, line, dotted key, value, what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration {path}", fix=f"copy {shipped(EXAMPLE)} and edit it"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the configuration {path}",
            why=str(error),
            fix="name a YAML file that this user may read",
        ) from None
    return parse_risk_config(text, str(path))


def parse_risk_config(text: str, name: str = "configuration") -> RiskConfig:
    """Read a campaign's YAML text; see `load_risk_config`."""
    raw, lines = read_yaml(text, name, EXAMPLE)
    problems: list[Problem] = []
    clean = check_shape(RiskConfig, raw, "", problems)
    if problems:
        raise_problems(name, problems, lines, EXAMPLE)
    config = msgspec.convert(clean, RiskConfig, strict=True)
    problems = _check_values(config)
    if problems:
        raise_problems(name, problems, lines, EXAMPLE)
    return config


def _check_values(config: RiskConfig) -> list[Problem]:
    """What no type says: paths come in whole patterns, batches divide them, markets warm up."""
    scenarios, problems = config.scenarios, []
    for key in ("train", "validation", "sealed", "batch"):
        value = getattr(scenarios, key)
        if value % len(PATTERN):
            text = f"is {value}; every kind of path has its share in multiples of {len(PATTERN)}"
            problems.append(Problem(f"scenarios.{key}", text))
    if scenarios.train % scenarios.batch:
        text = f"is {scenarios.batch}, which does not divide scenarios.train ({scenarios.train})"
        problems.append(Problem("scenarios.batch", text))
    least = Windows().warm_up
    if scenarios.warm_up < least:
        text = f"is {scenarios.warm_up}; the manager knows no market before {least} bars"
        problems.append(Problem("scenarios.warm_up", text))
    return problems
