"""`genesis venue`: a local exchange that speaks Hyperliquid's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from genesis.exchange.venue.venue import Venue

app = typer.Typer(no_args_is_help=True, help="A local exchange to try bots on.")


@app.callback()
def _venue() -> None:
    """A local exchange to try bots on."""


@app.command("serve")
def serve(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 3001,
    seed: Annotated[int, typer.Option(min=0, help="Of prices and of the venue's traders.")] = 1,
    market: Annotated[
        str, typer.Option(help="synthetic, replay of a dataset, or still.")
    ] = "synthetic",
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="[DATASET]", help="For replay: venue:SYM[,SYM]:interval[:from..to]"),
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Faults on purpose, YAML.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder in which the exchange survives.")
    ] = None,
    scripted: Annotated[
        int | None,
        typer.Option(metavar="MS", min=0, help="Scripted time from this instant, by control call."),
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Unverified behaviour and limits, YAML.")
    ] = None,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="Without limits of weight and requests.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve a local exchange on the loopback interface; Ctrl-C saves it and ends it.

    The official SDK and ccxt trade on it unchanged. A page at its address says how, and shows
    markets, orders and faults.

    Examples:

        genesis venue serve

        genesis venue serve --state venue --faults faults.yaml

        genesis venue serve --market replay binance_perp:BTCUSDT,ETHUSDT:1h
    """
    import asyncio
    import signal

    from genesis.domain.errors import InputError, did_you_mean
    from genesis.system import venue as venues
    from genesis.system.workspace import Workspace

    if market not in venues.MARKETS:
        raise InputError(
            f"no market {market!r}{did_you_mean(market, venues.MARKETS)}",
            fix=f"use {', '.join(venues.MARKETS)}",
        )
    if market == "replay" and dataset is None:
        raise InputError(
            "a replay needs a dataset",
            fix="genesis venue serve --market replay DATASET, such as binance_perp:BTCUSDT:1h",
        )
    if market != "replay" and dataset is not None:
        raise InputError(
            f"a dataset was given, and only a replay plays one; the market is {market}",
            fix=f"genesis venue serve --market replay {dataset}",
        )
    settings = venues.VenueSettings(
        seed=seed,
        dataset=dataset,
        faults=faults,
        state=state,
        scripted_ms=scripted,
        still=market == "still",
        unlimited=unlimited,
        profile=profile,
    )
    venue = venues.open_venue(Workspace(home_of(ctx)), settings)

    def ready(url: str) -> None:
        _tell(venue, url, as_json=as_json)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        asyncio.run(venues.serve(venue, port, ready))
    except KeyboardInterrupt:
        if not as_json:
            saved = f"saved in {state}" if state is not None else "nothing was to be saved"
            render.console().print(f"venue stopped; {saved}", markup=False)
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(venue: Venue, url: str, *, as_json: bool) -> None:
    import sys

    ws = f"ws{url[4:]}/ws"
    if as_json:
        render.emit(
            {
                "url": url,
                "ws": ws,
                "coins": list(venue.info.coins),
                "now_ms": venue.clock.now_ms(),
                "scripted": venue.clock.scripted,
                "faults": len(venue.faults.listed(venue.clock.now_ms())),
            }
        )
        sys.stdout.flush()
        return
    out = render.console()
    out.print(f"venue on {url}  (Ctrl-C ends it)", markup=False)
    out.print(f"  websocket  {ws}", markup=False)
    out.print(f"  page       {url}/", markup=False)
    out.print(f"  markets    {', '.join(venue.info.coins)}", markup=False)
