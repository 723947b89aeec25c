"""`genesis data`: bring market data into the workspace, look at it, check it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from genesis.market.quality import QualityReport
    from genesis.market.sources.files import ImportResult
    from genesis.market.store import BarStore, SeriesInfo

app = typer.Typer(
    no_args_is_help=True, help="Import, fetch, synthesise, list and check market data."
)

Replace = Annotated[
    bool, typer.Option("--replace", help="Let new rows count where they differ from stored ones.")
]


@app.command("import")
def import_data(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders in the layout below.")],
    venue: Annotated[str, typer.Option(help="Venue of a single file.")] = "",
    symbol: Annotated[str, typer.Option(help="Symbol of a single file.")] = "",
    interval: Annotated[str, typer.Option(help="Its interval; inferred when left out.")] = "",
    funding: Annotated[
        bool, typer.Option("--funding", help="The file holds funding rates, not bars.")
    ] = False,
    sentiment: Annotated[
        str, typer.Option(help="The file holds a daily index of this name, not bars.")
    ] = "",
    columns: Annotated[
        str | None, typer.Option("--map", help="Our column names to the file's, NAME=COLUMN,…")
    ] = None,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Set bad bars aside instead of refusing a file.")
    ] = False,
    remove_spikes: Annotated[
        bool, typer.Option("--remove-spikes", help="With --quarantine: reverting spikes too.")
    ] = False,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Import Parquet or CSV files.

    A folder is laid out candles/VENUE/SYMBOL/INTERVAL.parquet, funding/VENUE/SYMBOL.parquet,
    sentiment/NAME.csv. Times may be ISO text or an epoch in s, ms, us or ns.

    Examples:

        genesis data import ../shared/data

        genesis data import btc.csv --venue binance_perp --symbol BTCUSDT

        genesis data import btc.csv --venue mine --symbol BTC --map timestamp=Date,close=Close

        genesis data import rates.csv --venue mine --symbol BTC --funding
    """
    from genesis.domain.errors import DataError, GenesisError
    from genesis.domain.timeline import interval_ms
    from genesis.market.sources.columns import parse_mapping
    from genesis.market.sources.files import import_item, plan

    if interval:
        interval_ms(interval)
    mapping = parse_mapping(columns)
    todo = plan(
        paths,
        venue=venue,
        symbol=symbol,
        interval=interval,
        funding=funding,
        sentiment=sentiment,
    )
    store, done, failed = _store(ctx), [], []
    with _progress("importing", len(todo.items), as_json) as step:
        for item in todo.items:
            try:
                result = import_item(
                    store,
                    item,
                    mapping=mapping,
                    quarantine=quarantine,
                    remove_spikes=remove_spikes,
                    replace=replace,
                )
            except DataError as error:
                if len(todo.items) == 1:
                    raise
                failed.append((item.path, error))
                step(f"{item.name}: refused")
                continue
            done.append(result)
            step(f"{result.item.name}: {result.written.added:,} new of {result.rows:,} rows")
    if not as_json:
        _show_imports(done, todo.skipped)
    if failed:
        raise GenesisErrorOf(failed, len(done)) if as_json else _refused(failed, len(done))
    if as_json:
        render.emit({"imported": [_import_plain(r) for r in done], "skipped": todo.skipped})
    del GenesisError
