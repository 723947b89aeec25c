"""How many days the measures need: told before the search is run again, not after it.

A day is a daily return: a UTC day that has bars, or a bar where bars are a day or longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genesis.backtest.frame import day_stops
from genesis.domain.errors import InputError, RefusedError
from genesis.domain.timeline import DAY_MS
from genesis.evidence.campaign import Campaign, Candidate
from genesis.evidence.gates import GatesFile, Settings
from genesis.strategy.genome import warmup_bars
from genesis.strategy.strategy import Strategy
from genesis.validation.splits import combinatorial_purged

BLOCKS = 16
"""Blocks that CSCV makes of the fixed sample."""
SAMPLE_DAYS = 2 * BLOCKS
"""Days that the measures of the fixed sample need."""
WINDOW_DAYS = 2
"""Days that each window of the walk-forward needs, and what it learns from."""

_MOST_DAYS = 2**20


@dataclass(frozen=True, slots=True)
class Shortage:
    """A measure that cannot be taken; `needed` is None where no length is enough."""

    measure: str
    days: int
    needed: int | None

    @property
    def text(self) -> str:
        """How much there is, how much is needed."""
        if self.needed is None:
            return f"{self.days} days are too few, and no number is enough for these settings"
        return f"{self.days} days are too few, {self.needed} are needed"


def purge_days(strategy: Strategy, hold_bars: int, interval_ms: int) -> int:
    """Days beside a test block that a strategy's history and longest trade reach over."""
    memory = (hold_bars + warmup_bars(strategy)) * interval_ms
    return math.ceil(memory / max(DAY_MS, interval_ms))


def cpcv_shortage(days: int, settings: Settings, purge: int) -> Shortage | None:
    """What combinatorial purged cross-validation lacks; None if nothing."""

    def fits(n: int) -> bool:
        embargo = math.ceil(settings.embargo * n)
        try:
            combinatorial_purged(n, settings.cpcv_groups, settings.cpcv_test_groups, purge, embargo)
        except InputError:
            return False
        return True

    if fits(days):
        return None
    return Shortage("cpcv_p25", days, _least(fits, max(days, settings.cpcv_groups)))


def walk_forward_shortage(days: int, settings: Settings, purge: int) -> Shortage | None:
    """What the walk-forward lacks; None if nothing."""
    windows = settings.walk_forward_windows
    test = days // (windows + 1)
    if test >= WINDOW_DAYS and days - windows * test - purge >= WINDOW_DAYS:
        return None
    needed = (windows + 1) * (WINDOW_DAYS + purge)
    return Shortage("walk_forward_efficiency", days, needed)


def sample_shortage(days: int) -> Shortage | None:
    """What the fixed sample lacks; None if nothing."""
    return Shortage("sample_spa", days, SAMPLE_DAYS) if days < SAMPLE_DAYS else None


def shortages(
    campaign: Campaign, gates: GatesFile, candidates: Sequence[Candidate]
) -> list[Shortage]:
    """Measures with a veto that none of the candidates can have, whatever it does.

    How long a strategy holds is not known yet: only its own history is purged here.
    """
    search = campaign.search
    days = len(day_stops(search.ts_ms))
    own = [purge_days(one.record.strategy, 0, search.interval_ms) for one in candidates]
    purge = min(own, default=0)
    found = [
        sample_shortage(days),
        cpcv_shortage(days, gates.settings, purge),
        walk_forward_shortage(days, gates.settings, purge),
    ]
    asked = {gate.measure for gate in gates.of("G1", "G2") if gate.veto}
    return [one for one in found if one is not None and one.measure in asked]


def refuse_short(campaign: Campaign, gates: GatesFile, only: str | None = None) -> None:
    """Refuse data on which nothing can pass because they are too short to be measured.

    Raises
    ------
    RefusedError
        Before anything is computed, written or opened.
    """
    candidates = campaign.candidates(gates.settings.candidates, only)
    short = shortages(campaign, gates, candidates)
    if not short:
        return
    needs = "; ".join(f"{one.measure}: {one.text}" for one in short)
    raise RefusedError(
        f"the data of {campaign.run_id} are too short for the gates '{gates.name}'",
        why=f"{needs}. What cannot be measured fails, so no strategy could pass, whatever the"
        " reruns of the search say",
        fix=f"{_longer(campaign, short)}judge it by gates of your own that do not ask for"
        f" {'it' if len(short) == 1 else 'them'}: genesis validate {only or campaign.run_id}"
        " --gates FILE",
    )


def _longer(campaign: Campaign, short: Sequence[Shortage]) -> str:
    """How many bars are enough, in words that another way follows."""
    needed = [one.needed for one in short if one.needed is not None]
    if len(needed) < len(short):
        return ""
    panel, sealed = campaign.material.panel, campaign.config.split.sealed
    a_day = max(DAY_MS // panel.interval_ms, 1)
    bars = math.ceil(max(needed) * a_day / (1.0 - sealed)) + 1
    unit = campaign.config.dataset.interval
    longer = ", or on as many of a longer interval" if a_day > 1 else ""
    return (
        f"run the study on at least {bars:,} bars of {unit} ({panel.bars:,} are there;"
        f" {sealed:.0%} of them stay sealed){longer}, and validate that run; or "
    )


def _least(fits: Callable[[int], bool], start: int) -> int | None:
    """Least number that fits, from a start on; None if none does."""
    low, high = start - 1, start
    while not fits(high):
        low, high = high, 2 * high
        if high > _MOST_DAYS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
