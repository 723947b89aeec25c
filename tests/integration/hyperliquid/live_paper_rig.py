"""A paper run on a local venue whose clock the test moves: the loop in its thread, real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import InfrastructureError
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.market_feed import MarketFeed
from genesis.exchange.hyperliquid.settings import ForeignPolicy, StreamSettings
from genesis.paper import live
from genesis.paper.settings import PaperSettings
from genesis.strategy.language import Market, sma
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.system.live_paper import LiveRun, LiveWay, live_settings, resume_live, start_live
from genesis.system.workspace import Workspace
from genesis.trading.deployment import DeploymentOptions
from tests.integration.hyperliquid.live_rig import MASTER, LiveRig, until

CAPITAL = 10_000.0
STEP_MS = 5_000


def follower(window: int = 3) -> Strategy:
    """Long above its average of some bars, out below it; the stop is far away."""
    m = Market()
    average = sma(m.close, window)
    return Strategy(
        Rules(long=m.close > average, exit_long=m.close < average),
        PolicyParams(size=0.5, stop_atr=5.0, atr_window=5),
    )


class Sitting:
    """One sitting of a run: begun in a thread, stepped by the test, stopped or left to its end."""

    def __init__(
        self,
        rig: LiveRig,
        take: Callable[[LiveWay], LiveRun],
        foreign: ForeignPolicy = ForeignPolicy.REFUSE,
        **more: Any,
    ) -> None:
        self.rig = rig
        self.engines: list[live.LivePaperEngine] = []
        self.feeds: list[MarketFeed] = []
        self.wanted = threading.Event()
        self.result: LiveRun | None = None
        self.error: BaseException | None = None
        gateway: dict[str, Any] = {
            "fill_wait_s": 0.2,
            "mid_age_s": 0.0,
            "foreign": foreign,
            "weight_limit": 10**7,  # hours of reads come in a minute of the machine
            "stream": StreamSettings(first_wait_s=0.05, longest_wait_s=0.5),
        }
        self.way = LiveWay(
            stopped=self.wanted.is_set,
            told=lambda _: None,
            clock=rig.venue.clock,
            gateway=gateway,
            grace_ms=20_000,
            **more,
        )
        self._take = take
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def engine(self) -> live.LivePaperEngine:
        return self.engines[-1]

    def _run(self) -> None:
        try:
            self.result = self._take(self.way)
        except BaseException as error:
            self.error = error

    def begin(self) -> None:
        """Wait until live bars are let in."""
        self._thread.start()
        # The first start of a process compiles what warms the rules up.
        until(lambda: self.error is not None or bool(self.engines and self.engine._ready), 90.0)
        if self.error is not None:
            raise self.error

    def idle(self) -> None:
        """Wait until nobody has anything left to say at this instant."""
        for _ in range(2):
            until(lambda: not self.feeds[-1]._asking or not self.alive)
            if not self.alive:
                return
            with suppress(InfrastructureError):  # a run that ends closes its gateway
                self.engine._gateway.settle()
            until(lambda: self.engine.session.loop.settled or not self.alive)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def bars(self, count: int, price: float | None = None) -> None:
        """Let some minutes pass, at a price."""
        if price is not None:
            self.rig.price(price)
        for _ in range(count * 60_000 // STEP_MS):
            if not self.alive:
                return
            self.rig.advance(STEP_MS)
            time.sleep(0.01)
            self.idle()

    def stop(self) -> LiveRun:
        """As Ctrl-C; time goes on meanwhile."""
        self.wanted.set()
        return self.end()

    def end(self) -> LiveRun:
        ends = time.monotonic() + 40.0
        while self.alive:
            assert time.monotonic() < ends, "the run did not end"
            self._thread.join(0.05)
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    # ---- what it holds ---------------------------------------------------------------------

    def position(self, coin: str, strategy: Strategy | None = None) -> Decimal:
        account = f"paper/{(strategy or follower()).id}"
        return self.engine.core.desk.ledger.position(account, coin)


class Bench:
    """Workspace, venue, and sittings on them."""

    def __init__(self, rig: LiveRig, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.rig = rig
        self.workspace = Workspace(home)
        self.workspace.home.mkdir(parents=True, exist_ok=True)
        self.sittings: list[Sitting] = []
        engine, follow = live.LivePaperEngine, HyperliquidGateway.follow
        bench = self

        class Seen(engine):  # type: ignore[valid-type, misc]
            def __init__(self, *args: Any, **more: Any) -> None:
                super().__init__(*args, **more)
                bench.sittings[-1].engines.append(self)

        def followed(gateway: HyperliquidGateway, *args: Any, **more: Any) -> MarketFeed:
            feed = follow(gateway, *args, **more)
            bench.sittings[-1].feeds.append(feed)
            return feed

        patch.setattr(live, "LivePaperEngine", Seen)
        patch.setattr(HyperliquidGateway, "follow", followed)

    def settings(self, account: str = MASTER, **more: Any) -> PaperSettings:
        given: dict[str, Any] = {
            "strategies": [follower()],
            "accounts": [account],
            "symbols": ["SOL"],
            "interval": "1m",
            "url": self.rig.running.url,
            "capital": CAPITAL,
            "options": DeploymentOptions(),
            "clock": self.rig.venue.clock,
        }
        return live_settings(**(given | more))

    def start(
        self, run: str = "net", settings: PaperSettings | None = None, **more: Any
    ) -> Sitting:
        settings = settings or self.settings()

        def take(way: LiveWay) -> LiveRun:
            return start_live(self.workspace, settings, run, self.rig.key, way)

        return self._sit(take, **more)

    def resume(self, run: str = "net", **more: Any) -> Sitting:
        def take(way: LiveWay) -> LiveRun:
            return resume_live(self.workspace, run, self.rig.key, way)

        return self._sit(take, **more)

    def _sit(self, take: Callable[[LiveWay], LiveRun], **more: Any) -> Sitting:
        sitting = Sitting(self.rig, take, **more)
        self.sittings.append(sitting)
        sitting.begin()
        return sitting


@contextmanager
def bench(rig: LiveRig, home: Path) -> Iterator[Bench]:
    """A workspace on a venue."""
    with pytest.MonkeyPatch.context() as patch:
        yield Bench(rig, home, patch)
