"""`genesis paper run --mode testnet`: its options, its key, and how it is shown."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from genesis.cli.commands import whole
from genesis.cli.paper_progress import PaperProgress
from genesis.cli.person import whoami

if TYPE_CHECKING:
    from genesis.cli.paper_line import Judged
    from genesis.exchange.hyperliquid.keys import AgentKey
    from genesis.strategy.strategy import Strategy
    from genesis.system.live_paper import LiveRun, LiveWay
    from genesis.system.workspace import Workspace
    from genesis.trading.deployment import DeploymentOptions

OF_A_SITTING = (
    "key_file",
    "passphrase_fd",
    "key_fd",
    "keyring",
    "duration",
    "flatten",
    "gateway",
    "foreign",
)
"""Options that belong to a sitting and not to the run: they are given again with ``--resume``."""

_LIVE_ONLY = ("url", "accounts", *OF_A_SITTING)
_NOT_LIVE = ("dataset", "funding", "leverage", "news", "schedule", "bars", "seed", "open_sealed")
_WORDS = {"accounts": "account", "duration": "for", "flatten": "flatten-on-exit"}
_EVERY_S = 30.0


@dataclass(frozen=True)
class Options:
    """What the command line says of a testnet."""

    accounts: list[str]
    url: str
    key_file: Path | None
    passphrase_fd: int
    key_fd: int
    keyring: str
    duration: str
    flatten: bool = False
    gateway: Path | None = None
    foreign: str = ""
    sentiment: str = ""


class LiveProgress(PaperProgress):
    """Says now and then how a live run stands; Ctrl-C asks it to stop."""

    stopping = "stopping: resting entries are taken back, protective stops stay; Ctrl-C again quits"
    _halted = ""

    def found(self, address: str, text: str) -> None:
        """What is in an account already."""
        self._say(f"account {address}: {text}")

    def begun(self, run_id: str) -> None:
        """The exchange took key and accounts."""
        self._say(f"run {run_id} trades; Ctrl-C stops and saves it")

    def say(self, story: str) -> None:
        """Show how it stands: twice a minute, and at once when new risk is halted or not."""
        now = time.monotonic()
        halted = story.partition("HALTED")[2]
        if story and (now - self._told >= _EVERY_S or halted != self._halted):
            self._told, self._halted = now, halted
            self._say(whole(story))


def given_options(ctx: typer.Context) -> list[str]:
    """Names of the parameters that the command line gives."""
    return [
        name
        for name in ctx.params
        if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]


def refuse_options(ctx: typer.Context, *, on_testnet: bool) -> None:
    """Refuse options that say nothing in this mode.

    Raises
    ------
    InputError
    """
    from genesis.domain.errors import InputError

    wrong = _NOT_LIVE if on_testnet else _LIVE_ONLY
    given = [name for name in given_options(ctx) if name in wrong]
    if given:
        words = ", ".join("--" + _WORDS.get(name, name.replace("_", "-")) for name in given)
        raise InputError(
            f"{words} says nothing {'on a testnet' if on_testnet else 'without a testnet'}",
            fix="leave it out" if on_testnet else "leave it out, or use --mode testnet",
        )
    if on_testnet and ctx.params["resume"] is None and "symbols" not in given_options(ctx):
        raise InputError("no market is named", fix="write --symbols BTC,ETH")


def is_live(workspace: Workspace, name: str) -> bool:
    """Whether a stored run trades on a test network."""
    from genesis.paper.settings import read_settings
    from genesis.system.paper import find_run

    settings, _ = read_settings(find_run(workspace, name))
    return settings.mode == "testnet"


def start(
    workspace: Workspace,
    strategies: Sequence[Strategy],
    options: Options,
    symbols: str,
    interval: str,
    capital: float,
    deployment: DeploymentOptions,
    judged: Judged,
    run_id: str | None,
    out: Console,
) -> LiveRun:
    """Begin a run.

    Raises
    ------
    GenesisError
        As `genesis.system.live_paper.start_live`.
    """
    import msgspec

    from genesis.system.clock import SystemClock
    from genesis.system.live_paper import live_settings, start_live
    from genesis.system.paper import new_run_id

    names = [name.strip() for name in symbols.split(",") if name.strip()]
    settings = live_settings(
        strategies,
        options.accounts,
        names,
        interval,
        options.url,
        capital,
        deployment,
        SystemClock(),
    )
    settings = msgspec.structs.replace(
        settings, limits=judged.limits.plain(), risk=judged.risk, edges=judged.edges
    )
    key = read_key(options)
    workspace.open().require_space()
    name = new_run_id(workspace, "testnet", run_id)
    with LiveProgress(out) as progress, kill_by_signal(workspace):
        return start_live(workspace, settings, name, key, way_of(options, progress))


def resume(workspace: Workspace, name: str, options: Options, out: Console) -> LiveRun:
    """Go on with a run.

    Raises
    ------
    GenesisError
        As `genesis.system.live_paper.resume_live`.
    """
    from genesis.system.live_paper import resume_live

    key = read_key(options)
    with LiveProgress(out) as progress, kill_by_signal(workspace):
        return resume_live(workspace, name, key, way_of(options, progress))


@contextmanager
def kill_by_signal(workspace: Workspace) -> Iterator[None]:
    """SIGUSR1 sets the kill latch; where it cannot be written, an empty file does."""
    from genesis.system.clock import SystemClock
    from genesis.trading.kill_latch import KillLatch, KillOrder

    def latch(_: int, __: FrameType | None) -> None:
        kill = KillLatch(workspace.home)
        try:
            kill.set(KillOrder("signal SIGUSR1", whoami(), SystemClock().now_ms()))
        except Exception:  # whatever it is, the latch must be set
            kill.path.touch()

    before = signal.signal(signal.SIGUSR1, latch)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def way_of(options: Options, progress: LiveProgress) -> LiveWay:
    """How a sitting is taken that the command line describes."""
    from genesis.system.gateway_file import read_gateway
    from genesis.system.live_paper import LiveWay
    from genesis.trading.schedule import parse_length

    return LiveWay(
        stopped=progress.stopped,
        told=progress.say,
        found=progress.found,
        begun=progress.begun,
        gateway=read_gateway(options.gateway, options.foreign),
        duration_ms=parse_length(options.duration) if options.duration else 0,
        flatten=options.flatten,
        sentiment=options.sentiment,
    )


def read_key(options: Options) -> AgentKey:
    """Read the agent's key from where the options say; it is nowhere else.

    Raises
    ------
    InputError
        If none or several places are named.
    ConfigError, RefusedError
        As `genesis.exchange.hyperliquid.keys.load_key`.
    """
    from genesis.cli.keys import passphrase
    from genesis.domain.errors import InputError
    from genesis.exchange.hyperliquid.keys import (
        KeyKind,
        KeySource,
        load_key,
        read_key_file,
        require_key_file,
    )

    places = [options.key_file is not None, options.key_fd >= 0, bool(options.keyring)]
    if sum(places) != 1:
        raise InputError(
            "no key is named" if not any(places) else "several keys are named",
            why="an agent (API wallet) signs the orders",
            fix="write --key-file FILE (genesis keys create FILE makes one), --key-fd N or"
            " --keyring SERVICE/USER",
        )
    if options.key_file is not None:
        require_key_file(options.key_file)
        return read_key_file(options.key_file, passphrase(options.passphrase_fd))
    if options.key_fd >= 0:
        return load_key(KeySource(KeyKind.DESCRIPTOR, str(options.key_fd)))
    return load_key(KeySource(KeyKind.KEYRING, options.keyring))


def say_what_remains(done: LiveRun, out: Console) -> None:
    """Say what a run left at its exchange."""
    if done.note:
        out.print(whole(done.note), markup=False)
