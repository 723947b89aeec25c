"""Orders that are executed in slices over time."""

from __future__ import annotations

from typing import Any

from genesis.exchange.venue import admission
from genesis.exchange.venue.accounts import Account, Twap
from genesis.exchange.venue.drafts import Draft, field, flag, integer
from genesis.exchange.venue.path import mixed
from genesis.exchange.venue.placement import Placement, done
from genesis.exchange.venue.schedule import Schedule
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MONEY, TOO_FINE, parse, show, show_money, within_percent

Json = dict[str, Any]
SLICE_MS = 30_000
_SLICES_PER_MINUTE = 2
_SHORTEST, _LONGEST = 5, 1440
_SLIPPAGE = 3
_CATCH_UP = 3
_MIN_PER_MINUTE = 10


class Twaps:
    """Starts, slices and ends TWAP orders.

    A slice is due every thirty seconds; it brings the executed size to the elapsed share of the
    whole, but is at most three times a regular slice, and may cost at most 3 % slippage.
    """

    def __init__(self, state: VenueState, placement: Placement, schedule: Schedule) -> None:
        self._state = state
        self._placement = placement
        self._schedule = schedule

    def start(self, account: Account, action: Json) -> Json:
        """Execute ``twapOrder``."""
        wire = field(action, "twap")
        asset = integer(field(wire, "a"), "a")
        buy, reduce_only = flag(field(wire, "b"), "b"), flag(field(wire, "r"), "r")
        minutes, random = integer(field(wire, "m"), "m"), flag(field(wire, "t"), "t")
        market = self._state.markets.get(asset)
        if market is None or market.delisted:
            return _answer("twapOrder", {"error": f"Trading is halted. asset={asset}"})
        size = parse(field(wire, "s"), market.spec.sz_decimals)
        if size in (0, TOO_FINE):
            return _answer("twapOrder", {"error": f"Order has invalid size. asset={asset}"})
        if not _SHORTEST <= minutes <= _LONGEST:
            return _answer("twapOrder", {"error": f"Invalid TWAP duration: {minutes} min(s)"})
        if size * market.mark < minutes * _MIN_PER_MINUTE * MONEY:
            least = minutes * _MIN_PER_MINUTE
            text = f"TWAP order value too small. Min is ${least}, which is $10 per minute."
            return _answer("twapOrder", {"error": text})
        held = account.size(asset)
        if reduce_only and (not held or buy == (held > 0)):
            text = f"{admission.REDUCE_ONLY[1]} asset={asset}"
            return _answer("twapOrder", {"error": text})
        twap = Twap(
            number=self._state.number("twap"),
            user=account.address,
            asset=asset,
            buy=buy,
            size=size,
            reduce_only=reduce_only,
            minutes=minutes,
            randomize=random,
            started_ms=self._state.now_ms,
            slices=minutes * _SLICES_PER_MINUTE,
        )
        account.twaps.append(twap)
        self._tell(twap)
        self._plan(twap)
        return _answer("twapOrder", {"running": {"twapId": twap.number}})

    def cancel(self, account: Account, action: Json) -> Json:
        """Execute ``twapCancel``."""
        asset, number = integer(field(action, "a"), "a"), integer(field(action, "t"), "t")
        for twap in account.twaps:
            if twap.number == number and twap.asset == asset and twap.status == "activated":
                self._end(twap, "terminated")
                return _answer("twapCancel", "success")
        text = "TWAP was never placed, already canceled, or filled."
        return _answer("twapCancel", {"error": text})

    def slice(self, user: str, number: int) -> None:
        """Execute the slice that is due."""
        twap = next((t for t in self._state.accounts[user].twaps if t.number == number), None)
        if twap is None or twap.status != "activated":
            return
        twap.done += 1
        size = self._size(twap)
        if size > 0:
            self._trade(twap, size)
        if twap.status != "activated":
            return
        if twap.executed >= twap.size or twap.done >= twap.slices:
            self._end(twap, "finished")
        else:
            self._plan(twap)

    def _plan(self, twap: Twap) -> None:
        due = twap.started_ms + (twap.done + 1) * SLICE_MS
        self._schedule.add(due, "twap", f"{twap.user} {twap.number}")

    def _size(self, twap: Twap) -> int:
        target = twap.size * twap.done // twap.slices
        wanted = target - twap.executed
        if twap.randomize and twap.done < twap.slices:
            # Up to a fifth more or less; the next slice makes up for it.
            wanted = wanted * (80 + mixed(self._state.seed, twap.number, twap.done) % 41) // 100
        regular = -(-twap.size // twap.slices)
        return min(wanted, _CATCH_UP * regular, twap.size - twap.executed)

    def _trade(self, twap: Twap, size: int) -> None:
        market = self._state.markets[twap.asset]
        px = within_percent(market.mark, _SLIPPAGE, market.spec.coarsest, buy=twap.buy)
        draft = Draft(
            market.spec,
            twap.buy,
            px,
            size,
            twap.reduce_only,
            "Ioc",
            0,
            False,
            "",
            None,
            exempt=True,
        )
        account = self._state.accounts[twap.user]
        self._state.begin()
        result = self._placement.place(account, draft, twap=twap.number)
        if isinstance(result, tuple):
            if result not in (admission.NO_MATCH,):
                twap.error = result[1]
                self._end(twap, "error")
            return
        twap.executed += result.filled
        twap.value += result.value

    def _end(self, twap: Twap, status: str) -> None:
        twap.status, twap.ended_ms = status, self._state.now_ms
        self._tell(twap)

    def _tell(self, twap: Twap) -> None:
        self._state.events.user("twapHistory", twap.user, shown_twap(self._state, twap))


def shown_twap(state: VenueState, twap: Twap) -> Json:
    """Return an entry of ``twapHistory``."""
    spec = state.markets[twap.asset].spec
    status: Json = {"status": twap.status}
    if twap.error:
        status["description"] = twap.error
    return {
        "time": (twap.ended_ms or twap.started_ms) // 1000,
        "state": {
            "coin": spec.coin,
            "user": twap.user,
            "side": "B" if twap.buy else "A",
            "sz": show(twap.size, spec.sz_decimals),
            "executedSz": show(twap.executed, spec.sz_decimals),
            "executedNtl": show_money(twap.value),
            "minutes": twap.minutes,
            "reduceOnly": twap.reduce_only,
            "randomize": twap.randomize,
            "timestamp": twap.started_ms,
        },
        "status": status,
        "twapId": twap.number,
    }


def _answer(kind: str, status: Any) -> Json:
    return done(kind, {"status": status})
