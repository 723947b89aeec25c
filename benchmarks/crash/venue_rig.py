"""The local exchange that a killed trader trades on: its process, its accounts, its market.

Its clock is scripted and its prices stand still until the trader's feed moves both, so that
nothing happens there while nobody trades, and what it holds is the truth of that instant.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.crash.market import HOUR, START, Scenario, strategies
from genesis.domain.instrument import Instrument
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.market.panel import Panel, SymbolSeries
from genesis.trading.deployment import DeploymentOptions, deployment_added
from genesis.trading.events import Event
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.payloads import BarClosed, BarOpened, BarRange, DeploymentAdded, Quote

ROOT = Path(__file__).resolve().parents[2]
MASTER = "0x" + "a1" * 20
KEY = "0x" + "5e" * 31 + "01"
CAPITAL = 10_000.0
INSTRUMENTS = (
    Instrument("SOL", "SOL", 0.01, 0.01, 10.0, 0.025),
    Instrument("AVAX", "AVAX", 0.01, 0.01, 10.0, 0.05),
    Instrument("BNB", "BNB", 0.01, 0.001, 10.0, 0.05),
)
_PROFILE = "venue:\n  step_ms: 0\n"


class VenueClient:
    """Asks a venue and moves its clock and prices, over one connection.

    Parameters
    ----------
    address : str
        ``host:port``.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._plug: http.client.HTTPConnection | None = None

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Decoded answer to a call that may be made twice."""
        for last in (False, False, True):
            if self._plug is None:
                self._plug = http.client.HTTPConnection(self._address, timeout=30.0)
            try:
                head = {"Content-Type": "application/json"}
                self._plug.request("POST", path, json.dumps(body), head)
                return json.loads(self._plug.getresponse().read())
            except (OSError, http.client.HTTPException):
                self._plug.close()
                self._plug = None
                if last:
                    raise
        raise AssertionError

    def control(self, call: str, **body: Any) -> Any:
        """Do what no client may.

        Raises
        ------
        ValueError
            If the venue refuses it.
        """
        answer = self.post(f"/control/{call}", body)
        if not answer.get("ok"):
            raise ValueError(f"{call} {body}: {answer}")
        return answer

    def info(self, kind: str, user: str, **more: Any) -> Any:
        """Answer of the exchange about a user."""
        return self.post("/info", {"type": kind, "user": user, **more})

    def now_ms(self) -> int:
        """Time there."""
        return int(self.control("time")["now_ms"])


class Venue:
    """``genesis venue serve`` as a process whose state survives it.

    Parameters
    ----------
    folder : Path
    scenario : Scenario

    Attributes
    ----------
    truth : Path
        Log of everything that it was asked to do.
    accounts : dict of str to str
        Ours to their addresses there.
    """

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self._folder = folder
        self.truth = folder / "venue" / "log.jsonl"
        (folder / "profile.yaml").write_text(_PROFILE)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self.address = f"127.0.0.1:{self._port}"
        self._seed = scenario.seed
        self._process: subprocess.Popen[str] | None = None
        self.start()
        self.accounts = self._open_accounts()

    def start(self) -> None:
        """Start, or go on from the folder; returns when it listens."""
        words = ["--home", str(self._folder), "venue", "serve", "--port", str(self._port)]
        words += ["--state", str(self._folder / "venue"), "--scripted", str(START)]
        words += ["--profile", str(self._folder / "profile.yaml"), "--unlimited", "--json"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "genesis", *words, "--seed", str(self._seed)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("the venue did not start")

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _open_accounts(self) -> dict[str, str]:
        """A master with its agent, and a sub-account for each further strategy."""
        client = VenueClient(self.address)
        client.control("fund", user=MASTER, usd="1000000")
        agent = {
            "type": "approveAgent",
            "agentAddress": AgentKey(KEY).address,
            "agentName": "genesis",
            "hyperliquidChain": "Testnet",
            "nonce": START,
        }
        client.control("order", user=MASTER, action=agent)
        addresses = [MASTER]
        for number in range(1, len(strategies())):
            action = {"type": "createSubAccount", "name": f"sub{number}"}
            made = client.control("order", user=MASTER, action=action)["answer"]
            addresses.append(str(made["response"]["data"]))
            client.control("fund", user=addresses[-1], usd="1000000")
        return {f"live/{number}": address for number, address in enumerate(addresses)}


class FeedVenue:
    """Shows a venue the phases of a feed: its clock, then its prices.

    Parameters
    ----------
    client : VenueClient
    """

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self._now_ms = client.now_ms()

    def on_market(self, event: Event) -> None:
        """Move the venue to an event; one that it has seen changes nothing that it forgets."""
        if event.ts_ms > self._now_ms:
            self._client.control("time", now_ms=event.ts_ms)
            self._now_ms = event.ts_ms
        data = event.data
        if isinstance(data, BarOpened):
            self._price(data.symbol, data.open)
        elif isinstance(data, BarRange):
            self._price(data.symbol, data.high)
            self._price(data.symbol, data.low)
        elif isinstance(data, Quote):
            self._price(data.symbol, data.last)
        elif isinstance(data, BarClosed):
            self._price(data.symbol, data.close)

    def _price(self, symbol: str, value: float) -> None:
        self._client.control("price", coin=symbol, px=f"{value:.5g}")


def feed_of(scenario: Scenario) -> PanelFeed:
    """Market data of a scenario; funding is the venue's own."""
    rng = np.random.default_rng(scenario.seed)
    series = [_series(rng, scenario.bars, instrument) for instrument in INSTRUMENTS]
    stamps = START + HOUR * np.arange(scenario.bars, dtype=np.int64)
    panel = Panel("crash", "test", HOUR, stamps, tuple(series), f"crash-{scenario.seed}")
    return PanelFeed(panel, scenario.quotes)


def _series(rng: np.random.Generator, bars: int, instrument: Instrument) -> SymbolSeries:
    close = 100.0 * np.exp(np.cumsum(0.012 * rng.standard_t(3, bars)))
    opened = np.append(100.0, close[:-1]) * np.exp(0.004 * rng.standard_t(3, bars))
    high = np.maximum(opened, close) * (1 + rng.exponential(0.006, bars))
    low = np.minimum(opened, close) * (1 - rng.exponential(0.006, bars).clip(0, 0.5))
    valid = rng.uniform(size=bars) >= 0.05
    valid[[0, bars - 1]] = True
    none = np.zeros(bars)
    columns = [np.where(valid, x, np.nan) for x in (opened, high, low, close)]
    volume = np.where(valid, rng.uniform(1, 100, bars), np.nan)
    noise = rng.uniform(0, 100, bars)
    last = bars - 1
    return SymbolSeries(instrument, *columns, volume, valid, 0, last, none, none, noise, True)


def deployments(feed: PanelFeed) -> list[DeploymentAdded]:
    """One deployment for each strategy and symbol, an account for each strategy."""
    return [
        deployment_added(
            f"S{number}/{instrument.symbol}",
            strategy,
            f"live/{number}",
            instrument,
            capital=CAPITAL,
            interval_ms=feed.interval_ms,
            anchor_ms=feed.anchor_ms,
            options=DeploymentOptions(**options),
        )
        for number, (strategy, options) in enumerate(strategies())
        for instrument in INSTRUMENTS
    ]
