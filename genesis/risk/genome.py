"""The risk genome: 24 numbers that say how much risk an account takes, each with unit and bounds.

Only the definition lives here; `genesis.evolution.risk` breeds it. Hard limits are not genes: no
search may loosen them. Money is measured in shares of the account's reference capital, so that a
genome means the same for any account.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genesis.domain.canonical import content_hash
from genesis.domain.errors import ConfigError, RefusedError, StorageError, refuse_unknown_keys
from genesis.market.atomic_file import write_atomic

Floats = npt.NDArray[np.float64]

SCHEMA = 1


class RiskGenes(NamedTuple):
    """Values of the genes, in the order of `GENES`; compiled functions take this tuple as it is.

    The defaults are the published ones of the platform's seeds where they have any. Their stop,
    trail and target are fractions of price (0.05, 0.03, 0.10): an hourly bar of a large coin has
    a median true range of 0.7 % to 1.4 % of its price, so one range counts as 1 %.
    """

    stop_atr: float = 5.0
    trail_atr: float = 3.0
    take_profit_atr: float = 10.0
    max_position: float = 0.25
    max_gross: float = 0.80
    max_net: float = 0.80
    cluster_cap: float = 0.60
    correlation_penalty: float = 0.10
    correlation_spike: float = 0.80
    daily_drawdown: float = 0.02
    weekly_drawdown: float = 0.05
    total_drawdown: float = 0.10
    high_volatility: float = 0.95
    volatility_exponent: float = 0.50
    target_volatility: float = 0.60
    max_trades_per_hour: float = 10.0
    cooldown_minutes: float = 60.0
    max_consecutive_losses: float = 5.0
    rapid_loss: float = 0.01
    rapid_loss_minutes: float = 15.0
    bear_cut: float = 0.30
    sentiment_cut: float = 0.25
    min_sharpe: float = -1.0
    liquidity_cap: float = 0.02


@dataclass(frozen=True, slots=True)
class Gene:
    """What a gene means and where it may lie.

    Attributes
    ----------
    name : str
        Field of `RiskGenes`.
    low, high : float
        Bounds, both allowed.
    unit, meaning : str
    looser : int
        +1 if a larger value allows more risk, -1 if a smaller one does.
    log : bool
        The unit cube measures it in logarithms: its bounds are factors apart.
    whole : bool
        Only whole numbers.
    """

    name: str
    low: float
    high: float
    unit: str
    meaning: str
    looser: int = 1
    log: bool = False
    whole: bool = False

    @property
    def default(self) -> float:
        """Value that holds until a search proves a better one."""
        return float(getattr(RiskGenes(), self.name))

    @property
    def loosest(self) -> float:
        """Bound that allows the most risk."""
        return self.high if self.looser > 0 else self.low

    @property
    def tightest(self) -> float:
        """Bound that allows the least risk."""
        return self.low if self.looser > 0 else self.high

    def to_unit(self, value: float) -> float:
        """Place of a value between the bounds, 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, place: float) -> float:
        """Value at a place from 0 to 1; a place outside means the nearer bound."""
        share = min(max(place, 0.0), 1.0)
        if self.log:
            value = self.low * math.pow(self.high / self.low, share)
        else:
            value = self.low + share * (self.high - self.low)
        if self.whole:
            value = float(round(value))
        return min(max(value, self.low), self.high)


_ATR = "average true ranges"
_CAPITAL = "share of capital"
GENES: tuple[Gene, ...] = (
    Gene("stop_atr", 1.0, 20.0, _ATR, "distance of the stop from the entry", log=True),
    Gene("trail_atr", 1.0, 20.0, _ATR, "distance of the trailing stop from the best", log=True),
    Gene("take_profit_atr", 1.0, 40.0, _ATR, "distance of the target from the entry", log=True),
    Gene("max_position", 0.01, 0.50, _CAPITAL, "notional in one symbol", log=True),
    Gene("max_gross", 0.10, 3.0, _CAPITAL, "sum of the notional of all symbols", log=True),
    Gene("max_net", 0.05, 3.0, _CAPITAL, "longs less shorts, either way", log=True),
    Gene("cluster_cap", 0.05, 3.0, _CAPITAL, "notional one way in a cluster", log=True),
    Gene(
        "correlation_penalty",
        0.0,
        1.0,
        "share per correlation",
        "size taken from an order that moves with what is held",
        -1,
    ),
    Gene("correlation_spike", 0.50, 1.0, "correlation", "mean of all pairs that trips a breaker"),
    Gene("daily_drawdown", 0.001, 0.10, "share of the peak", "fall of the day", log=True),
    Gene("weekly_drawdown", 0.005, 0.20, "share of the peak", "fall of the ISO week", log=True),
    Gene("total_drawdown", 0.01, 0.30, "share of the peak", "fall from the highest", log=True),
    Gene("high_volatility", 0.50, 1.0, "percentile", "volatility in its own history that trips"),
    Gene(
        "volatility_exponent", 0.0, 2.0, "power", "how hard volatility above target cuts size", -1
    ),
    Gene("target_volatility", 0.10, 3.0, "per year", "volatility from which size is cut", log=True),
    Gene("max_trades_per_hour", 1.0, 120.0, "orders", "new risk in an hour", log=True, whole=True),
    Gene("cooldown_minutes", 1.0, 1440.0, "minutes", "pause after a run of losses", -1, log=True),
    Gene("max_consecutive_losses", 2.0, 20.0, "trades", "losses in a row that trip", whole=True),
    Gene("rapid_loss", 0.002, 0.10, "share of the peak", "fall within the window", log=True),
    Gene("rapid_loss_minutes", 1.0, 240.0, "minutes", "window of the rapid loss", -1, log=True),
    Gene("bear_cut", 0.0, 0.95, "share", "size taken from longs in a bear market", -1),
    Gene("sentiment_cut", 0.0, 0.95, "share", "size taken in extreme fear or greed", -1),
    Gene("min_sharpe", -6.0, 2.0, "per year", "Sharpe ratio below which size is halved", -1),
    Gene("liquidity_cap", 0.0005, 0.20, "share of a bar", "order over traded notional", log=True),
)
"""Position and drawdown bounds are the published ones of the seeds; the other bounds are ours."""

NAMES = tuple(gene.name for gene in GENES)
assert RiskGenes._fields == NAMES, "the table of genes and their values disagree"


@dataclass(frozen=True, slots=True)
class RiskGenome:
    """A risk genome whose values are known to lie within their bounds.

    Attributes
    ----------
    genes : RiskGenes

    Raises
    ------
    ConfigError
        If a gene is no number, out of its bounds, or a fraction where only whole numbers are.
    """

    genes: RiskGenes = field(default_factory=RiskGenes)

    def __post_init__(self) -> None:
        values = []
        for gene, value in zip(GENES, self.genes, strict=True):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and gene.low <= value <= gene.high):
                raise ConfigError(
                    f"risk gene {gene.name} = {value!r} is not within its bounds",
                    why=f"it is {gene.meaning}, {gene.unit}",
                    fix=f"write a number from {gene.low:g} to {gene.high:g}",
                )
            if gene.whole and value != round(value):
                raise ConfigError(
                    f"risk gene {gene.name} = {value!r} must be a whole number",
                    fix=f"write for example {gene.default:g}",
                )
            values.append(float(value))
        object.__setattr__(self, "genes", RiskGenes(*values))

    @property
    def id(self) -> str:
        """``risk_`` and 12 hex digits of the content hash."""
        return f"risk_{self.content_hash[:12]}"

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of schema and values."""
        return content_hash(self.plain())

    def replace(self, **values: float) -> RiskGenome:
        """The same genome with other values of some genes."""
        refuse_unknown_keys("risk genes", values, NAMES)
        return RiskGenome(self.genes._replace(**values))

    def vector(self) -> Floats:
        """Values in the order of `GENES`, shape (24,)."""
        return np.array(self.genes, dtype=np.float64)

    def unit(self) -> Floats:
        """Places of the genes in the unit cube, shape (24,)."""
        places = [gene.to_unit(v) for gene, v in zip(GENES, self.genes, strict=True)]
        return np.array(places, dtype=np.float64)

    @classmethod
    def from_unit(cls, places: Floats) -> RiskGenome:
        """Genome at a point of the unit cube, shape (24,); outside means the nearer bound."""
        pairs = zip(GENES, places, strict=True)
        return cls(RiskGenes(*(gene.from_unit(float(place)) for gene, place in pairs)))

    def plain(self) -> dict[str, Any]:
        """Schema and values as a mapping that JSON can hold."""
        return {"schema": SCHEMA, "genes": self.genes._asdict()}

    @classmethod
    def from_plain(cls, value: Mapping[str, Any]) -> RiskGenome:
        """Read back what `plain` wrote.

        Raises
        ------
        ConfigError
            For another schema, an unknown or missing gene, or a value out of its bounds.
        """
        refuse_unknown_keys("risk genome", value, ("schema", "genes"))
        if value.get("schema") != SCHEMA:
            raise ConfigError(
                f"a risk genome of schema {value.get('schema')!r} cannot be read",
                fix=f"this version reads schema {SCHEMA}",
            )
        genes = value.get("genes")
        if not isinstance(genes, Mapping):
            raise ConfigError("a risk genome needs a mapping of its genes")
        refuse_unknown_keys("risk genes", genes, NAMES)
        missing = [name for name in NAMES if name not in genes]
        if missing:
            raise ConfigError(f"the risk genome lacks {', '.join(missing)}")
        return cls(RiskGenes(**{name: genes[name] for name in NAMES}))


def save_genome(
    path: Path, genome: RiskGenome, *, unfit: str = "", origin: Mapping[str, Any] | None = None
) -> None:
    """Write a genome to a JSON file that says itself whether it was changed.

    Parameters
    ----------
    path : Path
    genome : RiskGenome
    unfit : str
        Why nobody may trade with it, empty if one may.
    origin : mapping, optional
        Where it comes from (study, evidence), plain JSON.
    """
    body: dict[str, Any] = {**genome.plain(), "unfit": unfit, "origin": dict(origin or {})}
    text = json.dumps({**body, "hash": content_hash(body)}, indent=2, allow_nan=False)
    write_atomic(path, lambda file: file.write(f"{text}\n".encode()))


def load_genome(path: Path, *, even_unfit: bool = False) -> RiskGenome:
    """Read a genome that `save_genome` wrote.

    Parameters
    ----------
    path : Path
    even_unfit : bool
        To look at it; never to trade with it.

    Raises
    ------
    StorageError
        If the file cannot be read.
    ConfigError
        If it is no genome file, was changed after it was written, or has a value out of bounds.
    RefusedError
        If the genome is marked as unfit for use.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"cannot read {path}", why=str(error)) from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON", why=str(error)) from error
    if not isinstance(body, dict):
        raise ConfigError(f"{path} is no risk genome")
    refuse_unknown_keys("risk genome", body, ("schema", "genes", "unfit", "origin", "hash"))
    stated = body.pop("hash", "")
    genome = RiskGenome.from_plain({k: body[k] for k in ("schema", "genes") if k in body})
    if stated != content_hash(body):
        raise ConfigError(
            f"{path} was changed after it was written",
            why="its hash does not match its content",
            fix="write it again with genesis.risk.genome.save_genome",
        )
    if body.get("unfit") and not even_unfit:
        raise RefusedError(
            f"the risk genome in {path} is not for use",
            why=str(body["unfit"]),
            fix="run the full search: genesis risk evolve",
        )
    return genome
