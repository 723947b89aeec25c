"""What the risk manager did in a run: refusals, cuts, breakers, levels, from the run's events."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from genesis.domain.counting import several
from genesis.risk.genome import RiskGenome
from genesis.risk.levels import RiskLevel
from genesis.risk.manager import RiskProfile
from genesis.trading.events import Event, EventType
from genesis.trading.payloads import BreakerTripped, RiskAssessed, RiskLevelChanged, RunStarted
from genesis.trading.store import EventReader

SHOWN_CHANGES = 100
"""Changes of level that a report lists, the latest ones."""
_TYPES = (EventType.RISK_ASSESSED, EventType.BREAKER_TRIPPED, EventType.RISK_LEVEL_CHANGED)


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A cause that takes size: orders that it took part in, and the mean share that it left."""

    orders: int
    left: float


@dataclass(frozen=True, slots=True)
class BreakerRow:
    """A breaker of an account: how often it tripped, when first and last, and at what, at most.

    ``value`` and ``limit`` are those of the trip that was furthest from its limit.
    """

    account: str
    breaker: str
    trips: int
    first_ms: int
    last_ms: int
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class LevelChange:
    """An account that came to another level. A flat one is looked at when it next asks."""

    ts_ms: int
    account: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class RiskImpact:
    """What the risk manager changed, or would have changed.

    Attributes
    ----------
    assessed : int
        Orders that were looked at.
    refused : mapping of str to int
        Orders that were not sent, by rule.
    profile : str
        ``observe`` or ``enforce``.
    genome : str
        Id of the genome.
    would_refuse, would_cut : mapping of str to int
        Orders that profile `enforce` refuses (those in ``refused`` included) or cuts, by rule;
        under ``observe`` most of them went out at full size. Rule ``size`` means the multipliers.
    kept : float
        Mean share of the asked size that `enforce` leaves, over all orders; 1 without any.
    multipliers : mapping of str to Multiplier
    breakers : tuple of BreakerRow
        The most frequent first.
    levels : tuple of LevelChange
        The latest `SHOWN_CHANGES`, in their order.
    level_changes : int
        All of them.
    highest : str
        Gravest level that an account came to.
    """

    assessed: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    profile: str = RiskProfile.OBSERVE.value
    genome: str = ""
    would_refuse: Mapping[str, int] = field(default_factory=dict)
    would_cut: Mapping[str, int] = field(default_factory=dict)
    kept: float = 1.0
    multipliers: Mapping[str, Multiplier] = field(default_factory=dict)
    breakers: tuple[BreakerRow, ...] = ()
    levels: tuple[LevelChange, ...] = ()
    level_changes: int = 0
    highest: str = RiskLevel.LOW.name

    @property
    def total(self) -> int:
        """Orders that were not sent."""
        return sum(self.refused.values())

    @property
    def enforced(self) -> bool:
        """Whether its decisions changed orders."""
        return self.profile == RiskProfile.ENFORCE

    def rows(self) -> list[tuple[str, int, int, int]]:
        """Rule, orders refused, and those that `enforce` refuses and cuts; most frequent first."""
        names = self.refused.keys() | self.would_refuse.keys() | self.would_cut.keys()
        parts = self.refused, self.would_refuse, self.would_cut
        rows = []
        for name in names:
            sent_not, refuses, cuts = (part.get(name, 0) for part in parts)
            rows.append((name, sent_not, refuses, cuts))
        return sorted(rows, key=lambda row: (-max(row[1:]), -sum(row[1:]), row[0]))

    def sentence(self) -> str:
        """The whole of it in one line."""
        refuses, cuts = sum(self.would_refuse.values()), sum(self.would_cut.values())
        text = f"{self.assessed:,} orders assessed, {self.total:,} refused"
        if self.enforced:
            text += f", {cuts:,} cut"
        else:
            text += f"; enforced it had refused {refuses:,} and cut {cuts:,}"
        if self.assessed:
            text += f", {self.kept:.0%} of the size left"
        trips = sum(row.trips for row in self.breakers)
        names = ", ".join(dict.fromkeys(row.breaker for row in self.breakers))
        text += (
            f"; {several(trips, 'breaker')} tripped ({names})" if trips else "; no breaker tripped"
        )
        return f"{text}; highest level {self.highest}"

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "profile": self.profile,
            "genome": self.genome,
            "assessed": self.assessed,
            "refused": dict(self.refused),
            "refused_total": self.total,
            "would_refuse": dict(self.would_refuse),
            "would_cut": dict(self.would_cut),
            "kept": self.kept,
            "multipliers": {name: asdict(one) for name, one in self.multipliers.items()},
            "breakers": [asdict(row) for row in self.breakers],
            "levels": [asdict(change) for change in self.levels],
            "level_changes": self.level_changes,
            "highest_level": self.highest,
        }


def risk_impact(reader: EventReader) -> RiskImpact:
    """What risk did in a run, from the events of its log."""
    tally = _Tally()
    for event in reader.events(types=_TYPES):
        tally.take(event)
    risk: Mapping[str, Any] = {}
    for event in reader.events(types=(EventType.RUN_STARTED,), limit=1):
        assert isinstance(event.data, RunStarted)
        risk = event.data.settings.get("risk", risk)
    genes = risk.get("genome")
    genome = RiskGenome.from_plain(genes) if genes else RiskGenome()
    return tally.impact(str(risk.get("profile", RiskProfile.OBSERVE.value)), genome.id)


class _Tally:
    """Counts events of risk."""

    def __init__(self) -> None:
        self.assessed, self.changes = 0, 0
        self.refused, self.would_refuse = Counter[str](), Counter[str]()
        self.would_cut = Counter[str]()
        self.kept = 0.0
        self.multipliers: dict[str, tuple[int, float]] = {}
        self.breakers: dict[tuple[str, str], BreakerRow] = {}
        self.levels: deque[LevelChange] = deque(maxlen=SHOWN_CHANGES)
        self.highest = RiskLevel.LOW

    def take(self, event: Event) -> None:
        """Count one event."""
        data = event.data
        if isinstance(data, RiskAssessed):
            self._assessed(data)
        elif isinstance(data, BreakerTripped):
            self._tripped(event.recorded_ms, data)
        elif isinstance(data, RiskLevelChanged):
            self.changes += 1
            self.highest = max(self.highest, RiskLevel[data.after])
            change = LevelChange(event.recorded_ms, data.account, data.before, data.after, data.why)
            self.levels.append(change)

    def _assessed(self, data: RiskAssessed) -> None:
        self.assessed += 1
        share = float(data.would / data.asked) if data.asked else 0.0
        self.kept += share
        if not data.approved:
            self.refused[data.rule] += 1
        if not data.would:
            self.would_refuse[data.would_rule or data.rule] += 1
        elif data.would != data.asked:
            self.would_cut[data.would_rule] += 1
        for name, left in data.multipliers.items():
            orders, total = self.multipliers.get(name, (0, 0.0))
            self.multipliers[name] = (orders + 1, total + left)

    def _tripped(self, ts_ms: int, data: BreakerTripped) -> None:
        key = data.account, data.breaker
        row = self.breakers.get(key)
        value, limit, first, trips = data.value, data.limit, ts_ms, 0
        if row is not None:
            first, trips = row.first_ms, row.trips
            if abs(row.value - row.limit) > abs(value - limit):
                value, limit = row.value, row.limit
        self.breakers[key] = BreakerRow(*key, trips + 1, first, ts_ms, value, limit)

    def impact(self, profile: str, genome: str) -> RiskImpact:
        """What was counted."""
        breakers = self.breakers.values()
        return RiskImpact(
            assessed=self.assessed,
            refused=dict(self.refused),
            profile=profile,
            genome=genome,
            would_refuse=dict(self.would_refuse),
            would_cut=dict(self.would_cut),
            kept=self.kept / self.assessed if self.assessed else 1.0,
            multipliers={
                name: Multiplier(orders, total / orders)
                for name, (orders, total) in sorted(self.multipliers.items())
            },
            breakers=tuple(sorted(breakers, key=lambda b: (-b.trips, b.account, b.breaker))),
            levels=tuple(self.levels),
            level_changes=self.changes,
            highest=self.highest.name,
        )
