"""The local exchange of the chain: started as a command, told by control calls."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shell import Running, Shell

BAR_MS = 4 * 3_600_000
HISTORY = 830
"""Bars before the first day: what risk and strategy remember, and some more."""
ACCOUNT = "0x5200000000000000000000000000000000000c11"
PROFILE = """venue:
  coins: [{coin}]
  maker_levels: 3
"""


class Exchange:
    """`genesis venue serve` on a dataset whose first bars are history by now.

    Parameters
    ----------
    shell : Shell
    dataset : str
    coin : str
        The market that moves.
    """

    def __init__(self, shell: Shell, dataset: str, coin: str) -> None:
        self.coin = coin
        profile = shell.folder / f"profile-{coin}.yaml"
        profile.write_text(PROFILE.format(coin=coin), encoding="utf-8")
        now = int(time.time() * 1000)
        begins = now - now % BAR_MS - HISTORY * BAR_MS
        self._process: Running = shell.begin(
            "venue", "serve", dataset, "--market", "replay", "--scripted", str(begins),
            "--profile", str(profile), "--unlimited", "--port", "0", "--json",
        )  # fmt: skip
        shell.until("the exchange answers", lambda: '"url"' in self._process.said(), 60.0)
        self.url = str(json.loads(self._process.said().splitlines()[0])["url"])
        for _ in range(HISTORY + 1):  # bar by bar, or its candles would be coarse
            self.control("time", {"advance_ms": BAR_MS})
        self.control("fund", {"user": ACCOUNT, "usd": "200000"})

    def control(self, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make a control call."""
        return dict(self._ask(f"/control/{what}", body))

    def info(self, kind: str, **more: Any) -> Any:
        """Ask as any client may."""
        return self._ask("/info", {"type": kind, "user": ACCOUNT, **more})

    def _ask(self, path: str, body: dict[str, Any] | None) -> Any:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=60.0)
        try:
            data = None if body is None else json.dumps(body)
            kind = {"Content-Type": "application/json"}
            connection.request("GET" if data is None else "POST", path, data, kind)
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def approve(self, agent: str) -> None:
        """Let a key sign for the account, for the ninety days that the exchange allows."""
        action = {
            "type": "approveAgent",
            "agentAddress": agent,
            "agentName": "genesis",
            "hyperliquidChain": "Testnet",
            "nonce": self.now_ms(),
        }
        self.control("order", {"user": ACCOUNT, "action": action})

    def now_ms(self) -> int:
        """The exchange's time."""
        return int(self.control("state")["now_ms"])

    def position(self) -> float:
        """Signed size of the account's position."""
        rows = self.info("clearinghouseState")["assetPositions"]
        return sum(float(row["position"]["szi"]) for row in rows)

    def orders(self) -> list[Any]:
        """What rests."""
        return list(self.info("frontendOpenOrders"))

    def crash(self, share: float) -> None:
        """Let the price jump against the position, through its stop, at once."""
        marks = {row["coin"]: float(row["mark"]) for row in self.control("state")["markets"]}
        side = 1.0 if self.position() > 0 else -1.0
        price = marks[self.coin] * (1.0 - side * share)
        text = f"{price:.5g}"
        self.control("price", {"coin": self.coin, "px": text, "oracle": text})


def agent_of(shell: Shell) -> tuple[Path, str]:
    """A fresh key file and its address."""
    path = shell.folder / "agent.json"
    path.unlink(missing_ok=True)
    made = shell.json("keys", "create", str(path), passphrase=True)
    return path, str(made["address"])
