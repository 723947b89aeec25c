"""The local exchange that a killed trader trades on: its process, its accounts, its market.

Its clock is scripted and its prices stand still until the trader's feed moves both, so that
nothing happens there while nobody trades, and what it holds is the truth of that instant.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.crash.market import START, Scenario, panel_feed, strategies
from benchmarks.crash.served import Served
from genesis.domain.instrument import Instrument
from genesis.exchange.hyperliquid.keys import AgentKey
from genesis.trading.events import Event
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.payloads import BarClosed, BarOpened, BarRange, Quote

MASTER = "0x" + "a1" * 20
KEY = "0x" + "5e" * 31 + "01"
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
        return int(self.control("time", advance_ms=0)["now_ms"])


class Venue(Served):
    """``genesis venue serve`` as a process whose state survives it.

    Parameters
    ----------
    folder : Path
    scenario : Scenario

    Attributes
    ----------
    accounts : dict of str to str
        Ours to their addresses there.
    """

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        state, profile = folder / "venue", folder / "profile.yaml"
        profile.write_text(_PROFILE)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        words = ["-m", "genesis", "--home", str(folder), "venue", "serve", "--port", str(port)]
        words += ["--state", str(state), "--scripted", str(START), "--profile", str(profile)]
        words += ["--unlimited", "--json", "--seed", str(scenario.seed)]
        super().__init__(words, f"127.0.0.1:{port}", state / "log.jsonl")
        self.accounts = self._open_accounts()

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
    ends = [scenario.bars - 1] * len(INSTRUMENTS)
    return panel_feed(scenario, INSTRUMENTS, ends, funding=False)
