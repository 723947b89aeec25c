"""A trader on the local exchange as a process of its own, with the live gateway.

    python -m benchmarks.crash.venue_trader '{"folder": …, "address": …, "accounts": …}'

It dies where it is told to and goes on from its log, as ``benchmarks.crash.trader`` does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.crash.market import deployments
from benchmarks.crash.trader import Plan, Trader, live
from benchmarks.crash.venue_rig import INSTRUMENTS, KEY, FeedVenue, VenueClient, feed_of
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.exchange.hyperliquid.settings import (
    AccountBinding,
    HyperliquidSettings,
    Network,
    StreamSettings,
)
from genesis.trading.bus import EventBus
from genesis.trading.events import Event
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.lockstep import FeedClock
from genesis.trading.payloads import DeploymentAdded

NEVER_S = 1e9


class VenuePlan(Plan, frozen=True):
    """What a trader is told.

    Attributes
    ----------
    accounts : dict of str to str
        Names of accounts to their addresses.
    """

    accounts: dict[str, str] = msgspec.field(default_factory=dict)


class FeedWaits:
    """The calendar is the feed's, sockets live in real time.

    Parameters
    ----------
    clock : FeedClock
    """

    def __init__(self, clock: FeedClock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        """Return the instant of the latest phase."""
        return self._clock.now_ms()

    def monotonic(self) -> float:
        """Return real seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return when so much real time has passed."""
        await asyncio.sleep(seconds)


class VenueSide:
    """The exchange as the driver sees it: moved by the feed, settled by the gateway.

    Parameters
    ----------
    gateway : HyperliquidGateway
    venue : FeedVenue
    """

    def __init__(self, gateway: HyperliquidGateway, venue: FeedVenue) -> None:
        self._gateway = gateway
        self._venue = venue
        self._told = self._settled = 0
        self._bus: EventBus | None = None

    def connect(self, bus: EventBus) -> None:
        """Begin to deliver to a bus."""
        self._bus = bus
        self._gateway.connect(self._sink)

    def _sink(self, event: Event) -> None:
        assert self._bus is not None
        self._bus.publish(event)
        self._told += 1

    def on_market(self, event: Event) -> None:
        """Let the exchange see an event, and hear what it tells."""
        self._venue.on_market(event)
        self._gateway.settle()

    def settle(self) -> bool:
        """Wait for outstanding answers; whether any came."""
        if not self._gateway.settle():
            raise TimeoutError("the exchange does not come to rest")
        before, self._settled = self._settled, self._told
        return before != self._settled


class VenueTrader(Trader):
    """Everything of one process.

    Parameters
    ----------
    plan : VenuePlan
    """

    def market(self, plan: Plan) -> PanelFeed:
        """Feed of the run, without funding."""
        return feed_of(plan.scenario)

    def open_gateway(self, plan: Plan) -> HyperliquidGateway:
        """Live gateway of this process, not connected yet."""
        assert isinstance(plan, VenuePlan)
        return HyperliquidGateway(_settings(plan), AgentKey(KEY), FeedWaits(self.clock))

    def connect(self, plan: Plan) -> VenueSide:
        """Connect the gateway at the exchange's time, and let the feed move the exchange."""
        client = VenueClient(plan.address)
        self.clock.advance(client.now_ms())
        side = VenueSide(self.gateway, FeedVenue(client))
        side.connect(self.bus)
        return side

    def added(self) -> list[DeploymentAdded]:
        """Deployments of the run."""
        return deployments(self.feed, INSTRUMENTS, "live")


def _settings(plan: VenuePlan) -> HyperliquidSettings:
    return HyperliquidSettings(
        state_dir=str(Path(plan.folder).parent / "gateway"),
        accounts=tuple(AccountBinding(*pair) for pair in plan.accounts.items()),
        network=Network.LOCAL,
        base_url=f"http://{plan.address}",
        mid_age_s=0.0,
        weight_limit=10**9,
        rate_check_s=NEVER_S,
        meta_refresh_s=NEVER_S,
        fill_wait_s=0.2,
        stream=StreamSettings(first_wait_s=0.05, longest_wait_s=0.5),
    )


if __name__ == "__main__":
    sys.exit(live(VenueTrader(msgspec.json.decode(sys.argv[1], type=VenuePlan))))
