"""A venue on a free port and clients of it: official SDK, bare HTTP, control calls."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import requests
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.signing import sign_l1_action

from genesis.exchange.venue.clock import VenueClock
from genesis.exchange.venue.core import VenueCore, VenueMeta, VenueProfile
from genesis.exchange.venue.limits import LimitProfile
from genesis.exchange.venue.profile import STILL
from genesis.exchange.venue.threaded import ThreadedVenue
from genesis.exchange.venue.venue import Venue
from genesis.system.clock import SystemClock

AMPLE = LimitProfile(ip_weight=10**9, ws_connections=1000, ws_new_a_minute=10**9)
"""The limits of the real exchange, but for those that many clients of one machine would meet."""
GTC: Any = {"limit": {"tif": "Gtc"}}
IOC: Any = {"limit": {"tif": "Ioc"}}
ALO: Any = {"limit": {"tif": "Alo"}}


class Rig:
    """A running venue and its clients."""

    def __init__(self, running: ThreadedVenue) -> None:
        self.running = running
        self.venue = running.venue
        self.url = running.url
        self._meta: Any = None
        self._spot: Any = None

    @property
    def info(self) -> Info:
        """The SDK's reader, without a websocket."""
        return self.info_with(skip_ws=True)

    def info_with(self, *, skip_ws: bool) -> Info:
        self._load()
        return Info(
            self.url,
            skip_ws,
            meta=copy.deepcopy(self._meta),
            spot_meta=copy.deepcopy(self._spot),
            timeout=10,
        )

    def exchange(self, wallet: LocalAccount, **more: Any) -> Exchange:
        """The SDK's trader of a wallet."""
        self._load()
        return Exchange(
            wallet,
            self.url,
            meta=copy.deepcopy(self._meta),
            spot_meta=copy.deepcopy(self._spot),
            timeout=10,
            **more,
        )

    def trader(self, usd: str = "100000") -> Exchange:
        """The SDK's trader of a new, funded wallet."""
        return self.exchange(self.wallet(usd))

    def wallet(self, usd: str = "100000") -> LocalAccount:
        wallet: LocalAccount = Account.create()
        self.control("fund", {"user": wallet.address, "usd": usd})
        return wallet

    def control(self, call: str, body: Any = None, method: str = "POST") -> dict[str, Any]:
        answer: dict[str, Any] = requests.request(
            method, f"{self.url}/control/{call}", json=body or {}, timeout=10
        ).json()
        assert answer["ok"], answer
        return answer

    def fault(self, kind: str, **more: Any) -> str:
        return str(self.control("faults", {"kind": kind, **more})["name"])

    def heal(self) -> None:
        self.control("faults", method="DELETE")

    def post(self, path: str, body: Any) -> requests.Response:
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return requests.post(
            f"{self.url}{path}",
            data=raw,
            headers={"Content-Type": "application/json"},
            timeout=10,
        )

    def act(
        self,
        wallet: LocalAccount,
        action: dict[str, Any],
        nonce: int | None = None,
        *,
        expires_after: int | None = None,
        mainnet: bool = False,
    ) -> Any:
        """Sign an action and send it as it is."""
        stamp = now_ms() if nonce is None else nonce
        signature = sign_l1_action(wallet, action, None, stamp, expires_after, mainnet)
        body = {"action": action, "nonce": stamp, "signature": signature}
        if expires_after is not None:
            body["expiresAfter"] = expires_after
        return self.post("/exchange", body).json()

    def _load(self) -> None:
        if self._meta is None:
            self._meta = self.post("/info", {"type": "meta"}).json()
            self._spot = self.post("/info", {"type": "spotMeta"}).json()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def rig(
    profile: VenueProfile = STILL,
    limits: LimitProfile = AMPLE,
    *,
    scripted_ms: int | None = None,
    requests_file: Path | None = None,
    **changes: Any,
) -> Iterator[Rig]:
    """Run a venue on which nothing happens by itself, unless the profile says otherwise."""
    profile = msgspec.structs.replace(profile, **changes)
    clock = VenueClock(SystemClock(), scripted_ms)
    core = VenueCore(VenueMeta.default(), seed=7, profile=profile, now_ms=clock.now_ms())
    venue = Venue(core, clock, limits=limits, requests=requests_file)
    with ThreadedVenue(venue) as running:
        yield Rig(running)


def statuses(answer: Any) -> list[Any]:
    assert answer["status"] == "ok", answer
    return list(answer["response"]["data"]["statuses"])


def resting(answer: Any) -> int:
    """Number of the order that came to rest."""
    (status,) = statuses(answer)
    assert "resting" in status, status
    return int(status["resting"]["oid"])


def eventually(check: Any, seconds: float = 5.0) -> Any:
    """Wait until something is true, and return it."""
    until = time.monotonic() + seconds
    while True:
        value = check()
        if value or time.monotonic() > until:
            assert value
            return value
        time.sleep(0.02)
