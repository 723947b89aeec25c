"""Dead man's switch: the exchange cancels resting entries when nobody is there any more.

The exchange cancels *every* order of an account at an instant that has to be moved on in time.
It knows nothing of positions and takes protective stops as well. So it is armed only while resting
entries of ours are all that there is: no position, no order that reduces, nobody else's order. A
protective order waits until the switch is off. It is offered only above a traded volume, and fires
ten times a day at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from genesis.domain.errors import GenesisError
from genesis.domain.timeline import DAY_MS, HOUR_MS, MINUTE_MS
from genesis.exchange.hyperliquid import sdk, shapes
from genesis.exchange.hyperliquid.accounts import AccountReader, BoundAccount
from genesis.exchange.hyperliquid.answers import Reply, Verdict
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.sending import Sender
from genesis.exchange.hyperliquid.settings import LONGEST_DEAD_MAN_S
from genesis.exchange.hyperliquid.shapes import UNREADABLE
from genesis.exchange.hyperliquid.teller import Teller
from genesis.exchange.hyperliquid.tickets import Ticket, Tickets
from genesis.exchange.hyperliquid.waits import Waits, within

_TICK_S = 0.5
_ARM_MS = 3_000
"""Within so long the exchange may accept a request that arms it."""
_SKEW_MS = 3_000
"""More than our clock and the exchange's may differ while anything is traded."""
_STAND_DOWN_S = 1.0
"""How long a protective order waits for the switch to be off; then it goes all the same."""
_CLOSING_S = 3.0
_READ_MS = 5_000
_VOLUME_MS, _AGAIN_MS = 6 * HOUR_MS, 10 * MINUTE_MS
"""How long nothing is asked for after a refusal for volume, and after any other."""
_PASSING = ("rate_limited", "unreachable", "expired", "protected")
"""Refusals that say nothing of the switch."""


class DeadMan:
    """The switch of one account; used on one event loop.

    Parameters
    ----------
    bound : BoundAccount
    seconds : float
        How far ahead it is set, 0 to leave it off.
    sender : Sender
    reader : AccountReader
    tickets : Tickets
    teller : Teller
    waits : Waits
    folder : Path
        Where a file says that it may be armed, for the next process.
    alive : callable
        Whether who decides is still at work; without that it is not moved on.

    Attributes
    ----------
    until_ms : int
        Latest instant at which it may fire, by our clock; 0 where it is off.
    """

    def __init__(
        self,
        bound: BoundAccount,
        seconds: float,
        sender: Sender,
        reader: AccountReader,
        tickets: Tickets,
        teller: Teller,
        waits: Waits,
        folder: Path,
        alive: Callable[[], bool],
    ) -> None:
        self._bound = bound
        self._ahead_ms = int(seconds * 1000.0)
        self._sender = sender
        self._reader = reader
        self._tickets = tickets
        self._teller = teller
        self._waits = waits
        self._marker = folder / f"dead-man-{bound.address}"
        self._alive = alive
        self._turn = asyncio.Lock()
        self._woken = asyncio.Event()
        self._filled = True  # nothing is known of positions before the first look
        self._read_ms = self._quiet_ms = self._settled_ms = self._off_again_ms = self._fired_ms = 0
        self._said: set[str] = set()
        self.until_ms = 0
        if self._marker.exists():  # an earlier process did not live to turn it off
            self.until_ms = self._fired_ms = waits.now_ms() + int(LONGEST_DEAD_MAN_S * 1000.0)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do, now or later."""
        return not self._ahead_ms and not self.until_ms

    def on_fill(self) -> None:
        """Something filled: there may be a position, whose stop it would take away."""
        self._filled = True
        self._woken.set()

    async def run(self) -> None:
        """Arm it, move it on and turn it off, as long as this runs."""
        while not self.idle:
            with suppress(GenesisError):  # without an answer nothing is armed
                await self.look()
            with suppress(TimeoutError):
                await within(self._waits, _TICK_S, self._woken.wait())
            self._woken.clear()

    async def look(self) -> None:
        """Do what is due now.

        Raises
        ------
        InfrastructureError
            If the account cannot be read; then nothing was armed.
        """
        now = self._waits.now_ms()
        if self.until_ms and now >= self.until_ms:
            self._fired(now)
        if self.until_ms and (self._filled or not self._entries()):
            await self.turn_off()
        if not self._entries() or now < self._quiet_ms or not self._alive():
            return
        if self.until_ms - now > self._ahead_ms // 2 or now < self._read_ms:
            return
        self._read_ms = now + min(_READ_MS, self._ahead_ms // 4)
        if await self._bare():
            await self._arm()
        elif self.until_ms:
            await self.turn_off()

    async def stand_down(self) -> None:
        """Be off before a protective order rests, as far as the exchange answers soon."""
        if self.until_ms:
            with suppress(TimeoutError):
                await within(self._waits, _STAND_DOWN_S, self.turn_off())

    async def close(self) -> None:
        """Turn it off, unless entries are left behind: those it is there for."""
        if self.until_ms and not self._entries():
            with suppress(TimeoutError):
                await within(self._waits, _CLOSING_S, self.turn_off())

    # ---- what is there ---------------------------------------------------------------------

    def _entries(self) -> bool:
        """Whether entries of ours rest, and nothing that it must not take."""
        if not self._ahead_ms:
            return False
        live = self._tickets.live(self._bound.name)
        return any(one.accepted for one in live) and all(_adds(one) for one in live)

    async def _bare(self) -> bool:
        """Whether the exchange holds nothing but such entries.

        Raises
        ------
        InfrastructureError
        """
        self._filled = False  # a fill while it is read makes it true again
        held = True
        try:
            state = await self._reader.ask("clearinghouseState", self._bound, Priority.ORDER)
            rows = await self._reader.ask("frontendOpenOrders", self._bound, Priority.ORDER)
            held = bool(shapes.positions(state, self._bound.name))
            ours = [self._tickets.get(shapes.cloid(row)) for row in rows]
        except UNREADABLE:
            return False
        finally:
            self._filled = self._filled or held
        return not self._filled and bool(ours) and all(one and _adds(one) for one in ours)

    # ---- requests --------------------------------------------------------------------------

    async def _arm(self) -> None:
        async with self._turn:
            if self._protected():
                return
            before, now = self.until_ms, self._waits.now_ms()
            at_ms = now + self._ahead_ms
            try:
                self._marker.touch(mode=0o600)
            except OSError:
                return  # the next process could not know of it
            self.until_ms, self._off_again_ms = at_ms, 0
            reply = await self._sender.send(
                sdk.schedule_cancel_action(at_ms),
                self._bound,
                Priority.ORDER,
                asked_ms=now + _ARM_MS,
                closed=self._protected,
            )
            if reply.verdict is Verdict.UNKNOWN:
                self.until_ms = max(before, at_ms)
                self._settled_ms = now + _ARM_MS + _SKEW_MS
            elif reply.verdict is Verdict.REFUSED:
                self.until_ms = before
                self._refused(reply, now)
                if not before:
                    self._off()

    def _protected(self) -> str:
        """Why it must not be armed, though it was to be a moment ago."""
        return "" if self._entries() and not self._filled else "protected: there is a position"

    def _refused(self, reply: Reply, now: int) -> None:
        if reply.reason in _PASSING:
            return
        level, wait_ms = "warning", _AGAIN_MS
        if reply.reason == "volume":
            level, wait_ms = "info", _VOLUME_MS
        elif reply.reason == "too_many_fires":
            wait_ms = DAY_MS - now % DAY_MS
        self._quiet_ms = now + wait_ms
        if reply.reason not in self._said or reply.reason == "too_many_fires":
            self._said.add(reply.reason)
            text = f"'{self._bound.name}': {reply.text}"
            self._teller.alert(level, "no dead man's switch for resting entries", text)

    async def turn_off(self) -> None:
        """Ask the exchange to forget it; it counts as armed until that is certain."""
        async with self._turn:
            now = self._waits.now_ms()
            if not self.until_ms or now < self._off_again_ms:
                return
            action = sdk.schedule_cancel_action(None)
            reply = await self._sender.send(action, self._bound, Priority.CANCEL)
            if reply.verdict is Verdict.DONE and now <= self._settled_ms:
                self._off_again_ms = self._settled_ms + 1  # a late request may arm it once more
            elif reply.verdict is Verdict.DONE or reply.reason == "volume":
                self._off()

    def _fired(self, now: int) -> None:
        """Nobody moved it on: say so once, and count with it as long as clocks may differ."""
        if self._fired_ms != self.until_ms:
            self._fired_ms = self.until_ms
            text = f"'{self._bound.name}': it was not moved on in time, resting orders are gone"
            self._teller.alert("warning", "the dead man's switch fired", text)
        if now > self.until_ms + _SKEW_MS:
            self._off()

    def _off(self) -> None:
        self.until_ms = 0
        self._marker.unlink(missing_ok=True)


def _adds(ticket: Ticket) -> bool:
    """Whether an order is one of this process that may add to a position."""
    return ticket.request is not None and not ticket.request.reduce_only
