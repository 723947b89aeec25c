"""The configuration of a study: typed, strict, and the part of it that decides the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from genesis.domain.canonical import content_hash
from genesis.domain.errors import ConfigError
from genesis.domain.shipped import shipped
from genesis.evolution.configcheck import (
    Problem,
    check_shape,
    raise_problems,
    read_yaml,
    write_yaml,
)

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Rate = Annotated[float, Meta(ge=0.0, le=0.1)]
ObjectiveName = Literal["sharpe", "drawdown", "simplicity", "composite"]


class _Block(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every block: immutable, unknown keys refused."""


class DatasetConfig(_Block, frozen=True):
    """What is searched on.

    ``funding`` is the fallback for symbols without a series of their own: ``required`` (an error),
    ``none``, ``constant:RATE`` (per 8 hours) or ``proxy:SYMBOL``. ``sentiment`` true takes the Fear
    & Greed index when the store has it; a name requires that index.
    """

    venue: Annotated[str, Meta(min_length=1)]
    symbols: Annotated[tuple[str, ...], Meta(min_length=1)]
    interval: str
    start: str | None = field(default=None, name="from")
    end: str | None = field(default=None, name="to")
    funding: str = "required"
    sentiment: bool | str = True


class SplitConfig(_Block, frozen=True):
    """Share of the timeline that stays sealed, and equal consecutive folds of the rest."""

    sealed: Annotated[float, Meta(ge=0.05, le=0.8)] = 0.2
    folds: Annotated[int, Meta(ge=2, le=64)] = 4


class CostsConfig(_Block, frozen=True):
    """Fees and slippage as fractions of notional; capital is shared equally by the symbols."""

    taker: Rate = 4.5e-4
    maker: Rate = 1.5e-4
    slippage: Rate = 2e-4
    capital: Annotated[float, Meta(gt=0.0)] = 100_000.0
    leverage: Annotated[float, Meta(ge=1.0, le=100.0)] = 3.0


class SeedsConfig(_Block, frozen=True):
    """Families to breed (``all`` or a list) and files or folders of user families."""

    families: Literal["all"] | tuple[str, ...] = "all"
    paths: tuple[str, ...] = ()


class MlIslandConfig(_Block, frozen=True):
    """The island of the families that fit models; ``budget`` counts the genomes it may evaluate."""

    enabled: bool = True
    population_size: Annotated[int, Meta(ge=4)] = 6
    budget: Count = 24


class EvolutionConfig(_Block, frozen=True):
    """How the search breeds.

    Attributes
    ----------
    population_size : int
        Total over the islands, without the ML island.
    mutation_rate : float
        Chance of a gene to mutate.
    crossover_rate : float
        Chance that a bred child has two parents.
    elite_ratio : float
        Least share of an island's parents that survive a generation.
    immigrants, library : float
        Shares of a brood drawn at random and from the families' default genomes.
    budget : int or None
        Most genomes the islands may evaluate; the last brood is cut to it.
    work_budget : float or None
        Work per bar above which a genome is invalid as ``over_budget``; None is the evaluator's
        own limit.
    specialise : bool
        Give each island its own subset of the families; immigrants mix them by migration.
    random_arm : bool
        Evaluate as many random genomes beside the islands, for comparison only.
    local_threshold : int
        Below this population a study runs in the driver's process.
    ray_memory_per_worker : int
        Cap of a worker's memory in MiB.
    ray_timeout : float
        Seconds after which a unit of work counts as hung.
    """

    population_size: Annotated[int, Meta(ge=4)] = 256
    generations: Count = 20
    mutation_rate: Share = 0.1
    crossover_rate: Share = 0.8
    elite_ratio: Share = 0.2
    immigrants: Share = 0.1
    library: Share = 0.05
    islands: Annotated[int, Meta(ge=1, le=64)] = 4
    migration_every: Count = 5
    migrants: Annotated[int, Meta(ge=0)] = 2
    specialise: bool = False
    filters: bool = True
    random_arm: bool = True
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    budget: Count | None = None
    work_budget: Annotated[float, Meta(gt=0.0)] | None = None
    local_threshold: Annotated[int, Meta(ge=0)] = 100
    ray_workers: Count | None = None
    ray_memory_per_worker: Annotated[int, Meta(ge=128)] = 1024
    ray_timeout: Annotated[float, Meta(gt=0.0)] = 300.0
    ml_island: MlIslandConfig = MlIslandConfig()


class ConstraintsConfig(_Block, frozen=True):
    """What a candidate must meet; a feasible one always beats one that is not.

    Trades are pooled over symbols; exposure is the mean share of bars in position;
    ``min_sharpe_2x`` bounds the Sharpe ratio at doubled costs (null switches it off);
    ``max_warmup`` is the most history a strategy may need, as a share of the searched bars.
    """

    min_trades: Annotated[int, Meta(ge=0)] = 100
    min_trades_per_fold: Annotated[int, Meta(ge=0)] = 10
    min_exposure: Share = 0.02
    max_exposure: Share = 0.98
    min_sharpe_2x: float | None = 0.0
    max_warmup: Annotated[float, Meta(gt=0.0, le=0.5)] = 0.1


class ExecutorConfig(_Block, frozen=True):
    """Where units of work run. ``workers`` null means one a core; never part of a result."""

    kind: Literal["auto", "local", "processes", "ray"] = "auto"
    workers: Count | None = None
    address: str | None = None


class TrackingConfig(_Block, frozen=True):
    """MLflow: ``uri`` null is the SQLite file of the workspace."""

    enabled: bool = True
    uri: str | None = None
    experiment: Annotated[str, Meta(min_length=1)] = "genesis"


class StudyConfig(_Block, frozen=True):
    """One study, as its YAML file says."""

    schema: Literal[1]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    dataset: DatasetConfig
    split: SplitConfig = SplitConfig()
    costs: CostsConfig = CostsConfig()
    seeds: SeedsConfig = SeedsConfig()
    evolution: EvolutionConfig = EvolutionConfig()
    objectives: Annotated[tuple[ObjectiveName, ...], Meta(min_length=1, max_length=3)] = (
        "sharpe",
        "drawdown",
        "simplicity",
    )
    constraints: ConstraintsConfig = ConstraintsConfig()
    executor: ExecutorConfig = ExecutorConfig()
    tracking: TrackingConfig = TrackingConfig()
    price_per_core_hour: Annotated[float, Meta(ge=0.0)] = 0.0

    def to_plain(self) -> dict[str, Any]:
        """Plain mapping in the file's key names."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_yaml(self) -> str:
        """YAML that `load_config` reads back as an equal configuration."""
        return write_yaml(self.to_plain())

    def identity(self) -> dict[str, Any]:
        """The part that decides the result: no name, place of execution, tracking or price."""
        plain = self.to_plain()
        for key in ("name", "executor", "tracking", "price_per_core_hour"):
            del plain[key]
        for key in ("local_threshold", "ray_workers", "ray_memory_per_worker", "ray_timeout"):
            del plain["evolution"][key]
        # The content of user families is hashed with the code, wherever the files lie.
        del plain["seeds"]["paths"]
        return plain

    @property
    def config_hash(self) -> str:
        """SHA-256 of `identity`."""
        return content_hash(self.identity())


def load_config(path: Path) -> StudyConfig:
    """Read a study's YAML file.

    Relative ``seeds.paths`` are taken from the file's folder.

    Raises
    ------
    ConfigError
        Listing every problem: file, line, dotted key, value, what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration {path}",
            fix=f"copy {shipped('configs/demo.yaml')} and edit it",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the configuration {path}",
            why=str(error),
            fix="name a YAML file that this user may read",
        ) from None
    return parse_config(text, str(path), path.parent)


def parse_config(text: str, name: str = "configuration", folder: Path | None = None) -> StudyConfig:
    """Read a study's YAML text; see `load_config`."""
    raw, lines = read_yaml(text, name)
    return _config_of(raw, name, folder, lines)


def _config_of(
    raw: dict[str, Any], name: str, folder: Path | None, lines: dict[str, int]
) -> StudyConfig:
    problems: list[Problem] = []
    clean = check_shape(StudyConfig, raw, "", problems)
    if problems:
        raise_problems(name, problems, lines)
    config = msgspec.convert(clean, StudyConfig, strict=True)
    base = folder or Path()
    paths = tuple(str((base / Path(p).expanduser()).resolve()) for p in config.seeds.paths)
    config = msgspec.structs.replace(
        config, seeds=msgspec.structs.replace(config.seeds, paths=paths)
    )
    from genesis.evolution.configrules import check_values

    problems = check_values(config)
    if problems:
        raise_problems(name, problems, lines)
    return config


def with_overrides(config: StudyConfig, **values: Any) -> StudyConfig:
    """A configuration with dotted keys replaced (``evolution__seed=3``), checked like a file.

    Raises
    ------
    ConfigError
        If a key does not exist or a value is not allowed.
    """
    plain = config.to_plain()
    for dotted, value in values.items():
        *blocks, last = dotted.split("__")
        place = plain
        for block in blocks:
            place = place[block]
        place[last] = value
    # The way through YAML makes plain values of whatever was given; its lines mean nothing.
    raw, _ = read_yaml(write_yaml(plain), "command line")
    return _config_of(raw, "command line", None, {})
