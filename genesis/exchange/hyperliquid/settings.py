"""Settings of the gateway: one validated struct, for a file or another process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from genesis.domain.errors import ConfigError
from genesis.exchange.loopback import LOOPBACK

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
LONGEST_DEAD_MAN_S = 300.0
"""Latest instant, from now, for which the dead man's switch may be set."""


class Network(StrEnum):
    """Which exchange is meant; decides the address and what signatures are good for."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    LOCAL = "local"


ADDRESSES = {
    Network.MAINNET: "https://api.hyperliquid.xyz",
    Network.TESTNET: "https://api.hyperliquid-testnet.xyz",
    Network.LOCAL: "http://127.0.0.1:3001",
}


class ForeignPolicy(StrEnum):
    """What to do at start with resting orders that nobody here sent."""

    REFUSE = "refuse"
    KEEP = "keep"
    CANCEL = "cancel"


class TargetStyle(StrEnum):
    """How a TARGET rests: as a limit in the book (maker), or as a take-profit trigger."""

    LIMIT = "limit"
    TRIGGER = "trigger"


class AccountBinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account of ours and the address that holds it: a master's or a sub-account's.

    Attributes
    ----------
    name : str
        As deployments name it.
    address : str
        Never that of an agent.
    """

    name: str
    address: str


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times of a websocket, in seconds.

    Attributes
    ----------
    silence_s : float
        Without any frame for so long it counts as stalled; without *data* too, if
        ``expect_data``: a connection may answer pings and have lost its subscriptions.
    quiet_s : float
        After so long without a frame a ping asks whether anybody is there.
    ping_s, pong_s : float
        Longest time between pings, and how long the answer may take.
    first_wait_s, longest_wait_s : float
        Waits between attempts to connect, doubled each time and drawn from the upper half.
    steady_s : float
        A connection that lasted so long begins again with the first wait.
    """

    silence_s: float = 15.0
    quiet_s: float = 5.0
    ping_s: float = 20.0
    pong_s: float = 9.0
    ack_s: float = 10.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 15.0
    steady_s: float = 30.0
    expect_data: bool = True


class HyperliquidSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a gateway but its key.

    Attributes
    ----------
    state_dir : str
        Folder of nonces and of what was sent other than it was asked; private to one process.
    accounts : tuple of AccountBinding
    network : Network
    base_url : str
        Another server of the same protocol; it must be a loopback address for ``local``, and
        nothing else may be plain HTTP.
    symbols : tuple of str
        Coins whose leverage is checked at start and whose prices are followed.
    leverage : mapping of str to int, optional
        What they must be traded with; ``set_leverage`` sets it where it differs.
    isolated : bool
        Margin mode that goes with it.
    slippage : Decimal
        Farthest price of a market order from the middle, a fraction.
    stop_slippage : Decimal
        The same for a stop that has been triggered, from its level.
    dead_man_s : float
        Resting entries are cancelled by the exchange so long after nobody moved that on, 10 to
        300; 0 for never. See `genesis.exchange.hyperliquid.dead_man`.
    min_notional : Decimal
        Least value of an order in dollars that may add to a position.
    expiry_ms : int
        Longest time within which the exchange may accept a request.
    weight_limit, cancel_reserve, order_reserve : int
        Weight a minute; what only cancels and reductions may use (a kill reads an account at 22 to
        42 a time); what reads leave to orders.
    address_reserve : int
        Requests of an account's budget that only cancels and reductions may use.
    max_skew_ms : int
        Largest difference of our clock and the exchange's with which new risk is taken.
    breaker_failures : int
    breaker_first_s, breaker_longest_s : float
        Failures in a row that open the breaker, and the waits before it is probed.
    timeout_s : float
        Of a request before latency was measured, and the most afterwards.
    least_timeout_s, least_act_timeout_s : float
        The least, of a read and of what acts: an answer that is late costs a question.
    """

    state_dir: str
    accounts: tuple[AccountBinding, ...]
    network: Network = Network.TESTNET
    base_url: str = ""
    name: str = "hyperliquid"
    symbols: tuple[str, ...] = ()
    leverage: Mapping[str, int] = msgspec.field(default_factory=dict)
    set_leverage: bool = False
    isolated: bool = True
    foreign: ForeignPolicy = ForeignPolicy.REFUSE
    targets: TargetStyle = TargetStyle.LIMIT
    slippage: Decimal = Decimal("0.05")
    stop_slippage: Decimal = Decimal("0.1")
    dead_man_s: float = 0.0
    mid_age_s: float = 3.0
    min_notional: Decimal = Decimal(10)
    expiry_ms: int = 10_000
    weight_limit: int = 1_200
    cancel_reserve: int = 200
    order_reserve: int = 200
    address_reserve: int = 500
    max_skew_ms: int = 2_500
    rate_check_s: float = 60.0
    meta_refresh_s: float = 300.0
    breaker_failures: int = 3
    breaker_first_s: float = 2.0
    breaker_longest_s: float = 60.0
    timeout_s: float = 8.0
    least_timeout_s: float = 1.0
    least_act_timeout_s: float = 3.0
    read_attempts: int = 4
    fill_wait_s: float = 1.0
    overlap_ms: int = 600_000
    stream: StreamSettings = StreamSettings()
    seed: int = 0

    @property
    def url(self) -> str:
        """Base address, without a slash at its end."""
        return (self.base_url or ADDRESSES[self.network]).rstrip("/")

    @property
    def ws_url(self) -> str:
        """Address of the websocket."""
        return "ws" + self.url[4:] + "/ws"

    @property
    def mainnet(self) -> bool:
        """Whether signatures are good for real money."""
        return self.network is Network.MAINNET

    def __post_init__(self) -> None:
        _check_url(self)
        _check_accounts(self)
        _check_numbers(self)


def _check_url(settings: HyperliquidSettings) -> None:
    parts = urlsplit(settings.url)
    local = parts.hostname in LOOPBACK
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{settings.url!r} is no address of an exchange",
            fix="write it in full, such as http://127.0.0.1:8080",
        )
    if settings.network is Network.LOCAL and not local:
        raise ConfigError(
            f"{settings.url} is not on this machine", fix="use network testnet or mainnet for it"
        )
    if settings.network is Network.MAINNET and local:
        raise ConfigError(
            "a local exchange takes no mainnet signatures", fix="use network local for it"
        )
    if parts.scheme == "http" and not local:
        raise ConfigError(f"{settings.url} is not encrypted", fix="use https")


def _check_accounts(settings: HyperliquidSettings) -> None:
    names = [account.name for account in settings.accounts]
    if not names:
        raise ConfigError("no account is given", fix="bind at least one name to an address")
    for account in settings.accounts:
        if not _ADDRESS.fullmatch(account.address):
            raise ConfigError(
                f"{account.address!r} is no address",
                why=f"of '{account.name}'",
                fix="write the account's own in full: 0x and 40 hexadecimal digits",
            )
    addresses = {account.address.lower() for account in settings.accounts}
    if len(set(names)) < len(names) or len(addresses) < len(names):
        raise ConfigError(
            "two accounts share a name or an address",
            why="the exchange nets positions of an address",
        )


def _check_numbers(settings: HyperliquidSettings) -> None:
    fine = {
        "slippage": 0 < settings.slippage < Decimal("0.5"),
        "stop_slippage": 0 < settings.stop_slippage < Decimal("0.5"),
        "dead_man_s": settings.dead_man_s == 0.0
        or 10.0 <= settings.dead_man_s <= LONGEST_DEAD_MAN_S,
        "expiry_ms": 1_000 <= settings.expiry_ms <= 60_000,
        "cancel_reserve": 0 < settings.cancel_reserve < settings.weight_limit,
        "order_reserve": 0
        <= settings.order_reserve
        < settings.weight_limit - settings.cancel_reserve,
        "breaker_failures": settings.breaker_failures >= 1,
        "breaker_first_s": 0 < settings.breaker_first_s <= settings.breaker_longest_s,
        "least_timeout_s": 0 < settings.least_timeout_s <= settings.timeout_s,
        "least_act_timeout_s": 0 < settings.least_act_timeout_s <= settings.timeout_s,
        "read_attempts": settings.read_attempts >= 1,
        "stream.silence_s": settings.stream.quiet_s + settings.stream.pong_s
        <= settings.stream.silence_s,
        "leverage": all(1 <= value <= 50 for value in settings.leverage.values()),
    }
    for name, good in fine.items():
        if not good:
            raise ConfigError(f"setting {name} of the gateway is out of its range")


def settings_from(plain: Mapping[str, Any]) -> HyperliquidSettings:
    """Build settings from plain values.

    Raises
    ------
    ConfigError
        For an unknown key, or a value that is missing, of the wrong kind or out of range.
    """
    try:
        return msgspec.convert(plain, HyperliquidSettings)
    except msgspec.ValidationError as error:
        raise ConfigError("the settings of the gateway cannot be read", why=str(error)) from None


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can look into.

    Raises
    ------
    ConfigError
        If others can.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"others can look into {path}", fix=f"chmod 700 {path}")
    return path
