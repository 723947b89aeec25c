"""How a local exchange is put together from a market, a state folder and faults."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import yaml

from genesis.domain.broken_text import broken_text, mend
from genesis.domain.errors import (
    ConfigError,
    InfrastructureError,
    InputError,
    StorageError,
    refuse_unknown_keys,
)
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.exchange.venue.core import VenueCore
    from genesis.exchange.venue.limits import LimitProfile
    from genesis.exchange.venue.meta import VenueMeta
    from genesis.exchange.venue.profile import VenueProfile
    from genesis.exchange.venue.recorded import BarPath
    from genesis.exchange.venue.venue import Venue

MARKETS = ("synthetic", "replay", "still")
REQUESTS = "requests.jsonl"
_REPLAY = "replay-start"


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """What a venue is started with.

    Attributes
    ----------
    seed : int
        Of synthetic prices, of the venue's own traders and of chance in faults.
    dataset : str or None
        Recorded bars that the prices follow; synthetic ones without it.
    faults : Path or None
    state : Path or None
        Folder in which everything survives the process.
    scripted_ms : int or None
        Instant at which scripted time starts; real time without it.
    still : bool
        Nothing happens by itself: prices stay, nobody else trades.
    unlimited : bool
        Without limits of weight and requests, for load tests.
    profile : Path or None
        File with sections ``venue`` and ``limits``: behaviour that is not verified, and figures.
    """

    seed: int = 1
    dataset: str | None = None
    faults: Path | None = None
    state: Path | None = None
    scripted_ms: int | None = None
    still: bool = False
    unlimited: bool = False
    profile: Path | None = None


def open_venue(workspace: Workspace, settings: VenueSettings) -> Venue:
    """Put a venue together, going on from its state folder where there is one.

    Raises
    ------
    InputError
        If the dataset, the file of faults or the folder is none.
    """
    from genesis.exchange.venue.clock import VenueClock
    from genesis.exchange.venue.faults import read_faults
    from genesis.exchange.venue.venue import Venue

    if settings.state is not None:
        _require_folder(settings.state)
    plan = read_faults(settings.faults) if settings.faults is not None else None
    clock = VenueClock(SystemClock(), settings.scripted_ms)
    profile, limits = read_profile(settings)
    core = _core(workspace, settings, profile, clock.now_ms())
    if core.now_ms > clock.now_ms():
        # A folder whose time ran ahead goes on from where it was.
        clock.set_ms(core.now_ms)
    requests = None if settings.state is None else settings.state / REQUESTS
    venue = Venue(core, clock, limits=limits, requests=requests)
    if plan is not None:
        venue.faults.load(plan, clock.now_ms())
    venue.step()
    return venue


def _require_folder(state: Path) -> None:
    """Refuse a state folder that cannot be one, before anything is put into it.

    Raises
    ------
    InputError
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        writable = os.access(state, os.W_OK | os.X_OK)
        why = "it cannot be written to"
    except OSError as error:
        writable, why = False, error.strerror or str(error)
    if not writable:
        raise InputError(
            f"the state cannot be kept in {state}", why=why, fix="give --state another folder"
        )


def read_profile(settings: VenueSettings) -> tuple[VenueProfile, LimitProfile]:
    """Behaviour and limits of a venue: the defaults, changed by a file where there is one.

    Raises
    ------
    ConfigError
        If the file cannot be read or has a key or value that is none.
    """
    from genesis.exchange.venue.limits import LimitProfile
    from genesis.exchange.venue.profile import STILL, VenueProfile

    venue = STILL if settings.still else VenueProfile()
    limits = LimitProfile.unlimited() if settings.unlimited else LimitProfile()
    if settings.profile is None:
        return venue, limits
    try:
        text = settings.profile.read_text(encoding="utf-8")
        given = yaml.safe_load(text) or {}
        refuse_unknown_keys("profile", given, ("venue", "limits"))
        changed = given.get("venue") or {}
        refuse_unknown_keys("venue", changed, VenueProfile.__struct_fields__)
        bounds = given.get("limits") or {}
        refuse_unknown_keys("limits", bounds, LimitProfile.__struct_fields__)
        return (
            msgspec.convert(msgspec.structs.asdict(venue) | changed, VenueProfile),
            msgspec.convert(msgspec.structs.asdict(limits) | bounds, LimitProfile),
        )
    except yaml.YAMLError as error:
        what, why = broken_text(str(settings.profile), text, error)
        raise ConfigError(what, why=why, fix=mend("docs/hyperliquid-conformance.md")) from None
    except (OSError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{settings.profile} is no profile",
            why=str(error),
            fix="write YAML with sections venue and limits; see docs/hyperliquid-conformance.md",
        ) from None
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{settings.profile}: a value is of the wrong kind or out of range", why=str(error)
        ) from None


def _core(
    workspace: Workspace, settings: VenueSettings, profile: VenueProfile, now_ms: int
) -> VenueCore:
    from genesis.exchange.venue.core import VenueCore, VenueMeta
    from genesis.exchange.venue.durable import DurableCore

    meta = VenueMeta.default()
    path, origin = None, "synthetic"
    if settings.dataset is not None:
        start_ms = _replay_start(settings.state, now_ms)
        meta, path = recorded_path(workspace, settings.dataset, meta, start_ms)
        origin = f"{settings.dataset} from {start_ms}"
    if settings.state is None:
        return VenueCore(meta, seed=settings.seed, profile=profile, now_ms=now_ms, path=path)
    return DurableCore(
        settings.state,
        meta,
        seed=settings.seed,
        profile=profile,
        now_ms=now_ms,
        path=path,
        origin=origin,
    )


def _replay_start(state: Path | None, now_ms: int) -> int:
    """Instant at which the recorded prices began to be played; an old folder remembers it."""
    if state is None:
        return now_ms
    file = state / _REPLAY
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{now_ms}\n", encoding="utf-8")
    try:
        return int(file.read_text(encoding="utf-8"))
    except ValueError:
        raise StorageError(
            f"{file} is damaged", fix="restore the folder from a copy, or use another one"
        ) from None


def recorded_path(
    workspace: Workspace, dataset: str, meta: VenueMeta, now_ms: int
) -> tuple[VenueMeta, BarPath]:
    """Prices of a stored dataset, played from now on; other coins stay synthetic.

    The first bar is the one that is open now, so that the venue's candles are the recorded ones.
    Symbols that are no coin of the venue are listed behind its own.

    Raises
    ------
    InputError
        If the dataset is not there.
    """
    from genesis.domain.instrument import base_asset
    from genesis.domain.timeline import interval_ms
    from genesis.exchange.venue.path import SyntheticPath
    from genesis.exchange.venue.recorded import BarPath, BarSeries
    from genesis.market import dataset as datasets
    from genesis.market.store import BarStore

    spec = datasets.parse(dataset, funding="none", sentiment=False)
    bars = datasets.stored_bars(BarStore(workspace.data), spec)
    coins = {base_asset(perp.coin): perp.coin for perp in meta.perps}
    names = {symbol: base_asset(symbol) for symbol in bars}
    meta = meta.listing(
        {name: float(bars[one].open[0]) for one, name in names.items() if name not in coins}
    )
    series, first = {}, None
    for symbol, rows in bars.items():
        columns = (rows.ts_ms, rows.open, rows.high, rows.low, rows.close)
        coin = coins.get(names[symbol], names[symbol])
        series[coin] = BarSeries(*(column.tolist() for column in columns))
        first = int(rows.ts_ms[0]) if first is None else min(first, int(rows.ts_ms[0]))
    if first is None:
        raise InputError(f"{dataset} has no bars", fix="genesis data list shows what is stored")
    length = interval_ms(spec.interval)
    shift = now_ms - now_ms % length - first
    fallback = SyntheticPath(meta, 0)
    return meta, BarPath(meta, series, interval_ms=length, shift_ms=shift, fallback=fallback)


async def serve(venue: Venue, port: int, ready: Callable[[str], None]) -> None:
    """Serve a venue until it is cancelled.

    Parameters
    ----------
    venue : Venue
    port : int
    ready : callable
        Called with the address once the venue answers.

    Raises
    ------
    InfrastructureError
        If the port is taken.
    """
    from genesis.exchange.venue.server import VenueServer

    server = VenueServer(venue, port)
    try:
        await server.start()
    except OSError as error:
        venue.close()
        raise InfrastructureError(
            f"the venue cannot listen on port {port}",
            why=str(error),
            fix="choose another one with --port, 0 for any",
        ) from None
    try:
        ready(server.url)
        await server.failed()
    finally:
        await server.stop()
