"""The whole exchange without its port: core, protocol, streams and faults around one clock."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from genesis.exchange.venue.clock import VenueClock
from genesis.exchange.venue.commit import GroupCommit
from genesis.exchange.venue.core import VenueCore
from genesis.exchange.venue.durable import DurableCore
from genesis.exchange.venue.exchange_api import ExchangeApi
from genesis.exchange.venue.faults import FaultPlan
from genesis.exchange.venue.frames import Frames
from genesis.exchange.venue.info import InfoApi
from genesis.exchange.venue.limits import LimitProfile, WeightLimits
from genesis.exchange.venue.request_ledger import RequestLedger
from genesis.exchange.venue.streams import Message, Streams
from genesis.exchange.venue.ws import Hub, Session

_AWAY_MS = 120_000
_MOVES_AWAY = 120


class Venue:
    """Everything that answers, and everything that speaks by itself.

    Parameters
    ----------
    core : VenueCore
    clock : VenueClock
    limits : LimitProfile
    requests : Path, optional
        File of nonces and budgets as they were when it was opened last; those since then are in
        the log of a durable core.
    mainnet : bool
        Which chain clients must sign for.
    """

    def __init__(
        self,
        core: VenueCore,
        clock: VenueClock,
        *,
        limits: LimitProfile | None = None,
        requests: Path | None = None,
        mainnet: bool = False,
    ) -> None:
        self.core = core
        self._commit = GroupCommit(core) if isinstance(core, DurableCore) else None
        self.clock = clock
        self.limits = limits or LimitProfile()
        self.faults = FaultPlan(coins=[spec.coin for spec in core.meta.instruments()])
        kept = core if isinstance(core, DurableCore) and requests is not None else None
        self.requests = RequestLedger(self.limits, requests, kept)
        self.weights = WeightLimits(self.limits)
        self.exchange = ExchangeApi(
            core, clock, self.limits, self.requests, self.faults, mainnet=mainnet
        )
        self.info = InfoApi(core, self.requests.budget, self.exchange.volume, self.faults)
        coins = self.info.coins
        self.hub = Hub(clock, self.limits, coins)
        self.streams = Streams(core.market_info, self.info.answer, clock.now_ms)
        self.frames = Frames(self.faults, clock.now_ms)

    def step(self) -> None:
        """Bring the exchange to the present and tell what happened.

        After a long time away prices and the exchange's own traders move a few hundred times
        only: each second of them costs milliseconds.
        """
        now_ms = self.clock.now_ms()
        away = now_ms - self.core.now_ms
        coarse_ms = away // _MOVES_AWAY // 1000 * 1000 if away > _AWAY_MS else 0
        self.core.advance(now_ms, coarse_ms=coarse_ms)
        self.publish()

    def publish(self) -> None:
        """Send what has happened to those who subscribed to it."""
        events = self.core.drain()
        if events:
            self._send(self.frames.ordered(list(self.streams.messages(events))))

    def beat(self, *, everything: bool) -> None:
        """Step, cut or freeze connections as the faults say, and send states that changed."""
        self.step()
        now_ms = self.clock.now_ms()
        self._cut(now_ms)
        self.freeze()
        self._send(list(self.streams.beat(self.hub.listeners, everything=everything)))

    def _cut(self, now_ms: int) -> None:
        faults = self.faults
        everyone = bool(faults.begun("ws_cut", now_ms)) or faults.state("maintenance", now_ms)
        flapping = faults.state("ws_flap", now_ms)
        for session in list(self.hub.sessions):
            old = flapping is not None and (
                self.clock.monotonic() - session.opened >= flapping.delay_ms / 1000
            )
            if everyone or old:
                session.cut()

    def freeze(self) -> None:
        """Let connections fall silent, or speak again."""
        frozen = self.faults.state("ws_freeze", self.clock.now_ms()) is not None
        for session in self.hub.sessions:
            session.frozen = frozen

    def subscribe(self, session: Session, body: Any) -> None:
        """Carry out a subscription and send its snapshot to the one who asked."""
        wanted = self.hub.subscribe(session, body)
        if wanted is None:
            return
        for channel, data in self.streams.snapshot(wanted):
            for delay_ms, frame in self.frames.of(wanted, channel, data):
                later(session, delay_ms, frame)

    async def settled(self) -> None:
        """Wait until what the venue has done is on the disk; nothing leaves it before.

        Raises
        ------
        StorageError, InfrastructureError
            If it cannot be put there.
        """
        if self._commit is not None:
            await self._commit.settled()

    def close(self) -> None:
        """Save what is kept, and close the files."""
        if self._commit is not None:
            self._commit.close()
        if isinstance(self.core, DurableCore):
            self.core.close()

    def _send(self, messages: list[Message]) -> None:
        for wanted, channel, data in messages:
            listeners = self.hub.listeners.get(wanted)
            if not listeners:
                continue
            for delay_ms, frame in self.frames.of(wanted, channel, data):
                for session in listeners:
                    later(session, delay_ms, frame)


def later(session: Session, delay_ms: int, frame: bytes) -> None:
    """Send a frame now or after a delay."""
    if delay_ms:
        asyncio.get_running_loop().call_later(delay_ms / 1000, session.send, frame)
    else:
        session.send(frame)
