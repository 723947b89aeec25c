"""A ledger of fills in exact fractions, written without looking at the venue's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

TAKER, MAKER = Fraction(45, 100_000), Fraction(15, 100_000)


@dataclass
class Lot:
    """A position held as the list of its open lots, average cost."""

    size: Fraction = Fraction(0)
    entry: Fraction = Fraction(0)

    def fill(self, delta: Fraction, px: Fraction) -> Fraction:
        """Apply a fill unit by unit of logic: close what is against, open the rest."""
        realised = Fraction(0)
        if self.size * delta < 0:
            closed = min(abs(self.size), abs(delta))
            direction = 1 if self.size > 0 else -1
            realised = (px - self.entry) * closed * direction
            self.size -= closed * direction
            delta += closed * direction
        if delta:
            total = self.size + delta
            self.entry = (self.entry * self.size + px * delta) / total
            self.size = total
        return realised


@dataclass
class Ledger:
    """Cash and lots of one account."""

    cash: Fraction
    lots: dict[str, Lot] = field(default_factory=dict)
    realised: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)

    def take(self, fill: dict) -> dict:
        """Book a fill as the wire tells it; return what the ledger expects it to say."""
        lot = self.lots.setdefault(fill["coin"], Lot())
        px, sz = Fraction(fill["px"]), Fraction(fill["sz"])
        delta = sz if fill["side"] == "B" else -sz
        start = lot.size
        pnl = lot.fill(delta, px)
        fee = px * sz * (TAKER if fill["crossed"] else MAKER)
        self.realised += pnl
        self.fees += fee
        return {"start": start, "pnl": pnl, "fee": fee, "dir": direction(start, delta)}

    def equity(self, marks: dict[str, Fraction]) -> Fraction:
        """Cash paid in plus what was earned, at mark prices."""
        open_pnl = sum(
            (marks[coin] - lot.entry) * lot.size for coin, lot in self.lots.items() if lot.size
        )
        return self.cash + self.realised - self.fees + open_pnl


def direction(start: Fraction, delta: Fraction) -> str:
    """Name of what a fill does to a position."""
    after = start + delta
    if start * delta >= 0:
        return "Open Long" if delta > 0 else "Open Short"
    if start * after >= 0:
        return "Close Long" if start > 0 else "Close Short"
    return "Long > Short" if start > 0 else "Short > Long"


def maintenance(notional: Fraction, tiers: list[tuple[int, int]]) -> Fraction:
    """Integrate the maintenance rate over the tiers: what the deductions abbreviate."""
    total = Fraction(0)
    for place, (lower, leverage) in enumerate(tiers):
        upper = tiers[place + 1][0] if place + 1 < len(tiers) else None
        top = notional if upper is None else min(notional, Fraction(upper))
        if top > lower:
            total += (top - lower) * Fraction(1, 2 * leverage)
    return total


def liquidated_at(
    cash: Fraction, size: Fraction, tiers: list[tuple[int, int]], around: Fraction
) -> Fraction | None:
    """Find by bisection the price at which ``cash + size * p`` is the maintenance margin."""

    def short(p: Fraction) -> bool:
        return cash + size * p < maintenance(abs(size) * p, tiers)

    # A long is short of margin below its price, a short one above.
    low, high = Fraction(0), around * 1000
    bad_end, good_end = (low, high) if size > 0 else (high, low)
    if not short(bad_end) or short(good_end):
        return None
    for _ in range(200):
        middle = (bad_end + good_end) / 2
        if short(middle):
            bad_end = middle
        else:
            good_end = middle
    return bad_end
