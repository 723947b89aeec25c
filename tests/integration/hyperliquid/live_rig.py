"""A gateway on a local venue whose clock both share and whose prices the test sets."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.clock import Clock
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.exchange.hyperliquid.settings import (
    AccountBinding,
    HyperliquidSettings,
    Network,
    StreamSettings,
)
from genesis.exchange.hyperliquid.waits import RealWaits
from genesis.exchange.venue.clock import VenueClock
from genesis.exchange.venue.core import VenueCore, VenueMeta, VenueProfile
from genesis.exchange.venue.faults import FaultRule
from genesis.exchange.venue.limits import LimitProfile
from genesis.exchange.venue.threaded import ThreadedVenue
from genesis.exchange.venue.venue import Venue
from genesis.system.clock import SystemClock
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, OrderRequest, Side

START = 1_760_000_000_000
MASTER = "0x" + "a1" * 20
KEY = "0x" + "5e" * 31 + "01"
ACCOUNT, COIN = "live/one", "SOL"
AMPLE = LimitProfile.unlimited()
_NUMBERS = itertools.count(1)


class LiveRig:
    """A venue with one funded master, its agent and a sub-account."""

    def __init__(self, running: ThreadedVenue, folder: Path) -> None:
        self.running = running
        self.venue = running.venue
        self.folder = folder
        self.key = AgentKey(KEY)
        self.gateways: list[HyperliquidGateway] = []
        self.act("fund", MASTER, "1000000")
        agent = {
            "type": "approveAgent",
            "agentAddress": self.key.address,
            "agentName": "genesis",
            "hyperliquidChain": "Testnet",
            "nonce": START,
        }
        self.submit(MASTER, agent)
        made = self.submit(MASTER, {"type": "createSubAccount", "name": "other"})
        self.sub = str(made["response"]["data"])

    # ---- the venue -------------------------------------------------------------------------

    def call(self, act: Callable[[], Any]) -> Any:
        """Do something in the venue's thread and let it tell what came of it."""

        def run() -> Any:
            out = act()
            self.venue.beat(everything=True)
            return out

        return self.running.call(run)

    def act(self, name: str, *args: Any) -> Any:
        return self.call(lambda: getattr(self.venue.core, name)(*args))

    def submit(self, user: str, action: dict[str, Any]) -> Any:
        now = self.venue.clock.now_ms()
        answer = self.call(lambda: self.venue.core.submit(user, action, now))
        assert answer["status"] == "ok", answer
        return answer

    def info(self, kind: str, user: str = MASTER, **more: Any) -> Any:
        body = {"type": kind, "user": user, **more}
        return self.call(lambda: self.venue.info.answer(body))

    def price(self, value: float, coin: str = COIN) -> None:
        text = f"{value:g}"
        self.call(lambda: self.venue.core.knobs.set_price(coin, text))

    def advance(self, ms: int) -> None:
        clock = self.venue.clock
        self.call(lambda: clock.set_ms(clock.now_ms() + ms))

    def fault(self, kind: str, **more: Any) -> str:
        rule = msgspec.convert({"kind": kind, **more}, FaultRule)
        now = self.venue.clock.now_ms()
        return str(self.call(lambda: self.venue.faults.add(rule, now)))

    def heal(self) -> None:
        self.call(self.venue.faults.clear)

    def fills(self, user: str = MASTER) -> list[dict[str, Any]]:
        """Every fill, of pages of two thousand that include both their bounds."""
        found: dict[int, dict[str, Any]] = {}
        start = 0
        while True:
            page = self.info("userFillsByTime", user, startTime=start)
            before = len(found)
            found |= {row["tid"]: row for row in page}
            if len(page) < 2_000 or len(found) == before:
                return list(found.values())
            start = max(row["time"] for row in page)

    def position(self, coin: str = COIN, user: str = MASTER) -> Decimal:
        rows = self.info("clearinghouseState", user)["assetPositions"]
        return next(
            (Decimal(r["position"]["szi"]) for r in rows if r["position"]["coin"] == coin),
            Decimal(0),
        )

    # ---- the gateway -----------------------------------------------------------------------

    def settings(self, **more: Any) -> HyperliquidSettings:
        given: dict[str, Any] = {
            "state_dir": str(self.folder / "state"),
            "accounts": (AccountBinding(ACCOUNT, MASTER),),
            "network": Network.LOCAL,
            "base_url": self.running.url,
            "mid_age_s": 0.0,
            "fill_wait_s": 0.2,
            "stream": StreamSettings(first_wait_s=0.05, longest_wait_s=0.5),
        }
        return HyperliquidSettings(**(given | more))

    def gateway(
        self, sink: Callable[[Event], None], waits: Any = None, **more: Any
    ) -> HyperliquidGateway:
        gateway = HyperliquidGateway(
            self.settings(**more), self.key, waits or RealWaits(self.venue.clock)
        )
        self.gateways.append(gateway)
        gateway.connect(sink)
        return gateway


@contextmanager
def live_rig(
    folder: Path,
    *,
    profile: VenueProfile | None = None,
    limits: LimitProfile = AMPLE,
    scripted: bool = True,
    clock: Clock | None = None,
) -> Iterator[LiveRig]:
    """A running venue; every gateway that it made is closed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    real = clock or SystemClock()
    start = START if scripted else real.now_ms()
    core = VenueCore(VenueMeta.default(), seed=7, profile=profile or VenueProfile(), now_ms=start)
    venue = Venue(core, VenueClock(real, start if scripted else None), limits=limits)
    with ThreadedVenue(venue) as running:
        rig = LiveRig(running, folder)
        try:
            yield rig
        finally:
            for gateway in rig.gateways:
                gateway.close()


def order(
    side: Side,
    size: str,
    kind: OrderKind = OrderKind.MARKET,
    price: str | None = None,
    **more: Any,
) -> OrderRequest:
    """A request with ids of its own."""
    number = next(_NUMBERS)
    given = {"client_id": f"0x{number:032x}", "symbol": COIN, "account": ACCOUNT} | more
    return OrderRequest(
        order_id=f"ORD_{number}",
        side=side,
        kind=kind,
        size=Decimal(size),
        price=None if price is None else Decimal(price),
        **given,
    )


def of(events: list[Event], kind: type[Payload]) -> list[Any]:
    """Payloads of a type."""
    return [event.data for event in list(events) if isinstance(event.data, kind)]


def until(done: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for something that other threads bring about."""
    ends = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.005)
