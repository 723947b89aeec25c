"""`genesis data`: bring market data into the workspace, look at it, check it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import data_view, render
from genesis.cli.options import Json, home_of
from genesis.domain.counting import several

if TYPE_CHECKING:
    from genesis.domain.errors import DataError
    from genesis.market.sources.files import ImportItem
    from genesis.market.store import BarStore

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
    from genesis.domain.errors import DataError
    from genesis.domain.timeline import interval_ms
    from genesis.market.sources.columns import parse_mapping
    from genesis.market.sources.files import import_item, plan

    if interval:
        interval_ms(interval)
    mapping = parse_mapping(columns)
    todo = plan(
        paths, venue=venue, symbol=symbol, interval=interval, funding=funding, sentiment=sentiment
    )
    store, done, failed = _store(ctx), [], []
    with _progress("importing", len(todo.items), quiet=as_json) as step:
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
                failed.append((item, error))
                step(f"{item.name}: refused")
                continue
            done.append(result)
            step(f"{result.item.name}: {result.written.added:,} new of {result.rows:,} rows")
    if failed:
        raise _refused(failed, len(done))
    if as_json:
        imported = [data_view.imported(result) for result in done]
        render.emit({"imported": imported, "skipped": todo.skipped})
        return
    data_view.show_imports(done, todo.skipped)


@app.command("fetch")
def fetch_data(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(help="venue:SYM[,SYM]:interval[:from..to]")],
    funding: Annotated[
        bool, typer.Option("--funding/--no-funding", help="Fetch funding rates too.")
    ] = True,
    url: Annotated[
        str | None, typer.Option(help="Another server of the venue's protocol (a testnet).")
    ] = None,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Fetch bars and funding from an exchange.

    Hyperliquid is read through its own SDK, other exchanges through ccxt (an extra). Without a
    span a stored series is continued. What was fetched before a failure is kept.

    Examples:

        genesis data fetch hyperliquid:BTC,ETH:4h

        genesis data fetch hyperliquid:SOL:1h:2025-01-01..2025-03-31

        genesis data fetch binance_perp:BTCUSDT:1h:2024-01-01.. --no-funding
    """
    import time

    from genesis.market.dataset_spec import parse
    from genesis.market.sources.fetch import fetch, source_for
    from genesis.system.clock import SystemClock

    spec, clock = parse(dataset), SystemClock()
    source = source_for(spec.venue, clock, time.sleep, url)
    with _progress("fetching", None, quiet=as_json) as step:
        results = fetch(
            _store(ctx),
            source,
            spec,
            clock,
            funding=funding,
            replace=replace,
            on_page=lambda symbol, kind, rows: step(f"{symbol} {kind}: {rows:,} rows"),
        )
    if as_json:
        render.emit({"dataset": spec.text, "fetched": [data_view.fetched(r) for r in results]})
        return
    data_view.show_fetches(results)


@app.command("synth")
def synth_data(
    ctx: typer.Context,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another market.")] = 1,
    stream: Annotated[int, typer.Option(min=0, help="Fresh bars of the same seed.")] = 0,
    assets: Annotated[int, typer.Option(help="Number of symbols, SYN1 to SYNn.")] = 4,
    bars: Annotated[int, typer.Option(help="Bars of each symbol.")] = 6_570,
    interval: Annotated[str, typer.Option(help="Bar length.")] = "4h",
    sigma: Annotated[float, typer.Option(help="Standard deviation of a bar's return.")] = 0.01,
    alpha: Annotated[float, typer.Option(help="GARCH reaction to the last shock.")] = 0.08,
    beta: Annotated[float, typer.Option(help="GARCH persistence.")] = 0.90,
    dof: Annotated[float, typer.Option(help="Degrees of freedom of the shocks.")] = 5.0,
    correlation: Annotated[float, typer.Option(help="Of the shocks between assets.")] = 0.0,
    plant: Annotated[
        list[str] | None, typer.Option("--plant", help="KIND:STRENGTH, may be repeated.")
    ] = None,
    plants: Annotated[
        bool, typer.Option("--plants", help="List the kinds of edges and what strength means.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite the synthetic market in the store.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a synthetic market with edges of known size, under venue synth.

    Examples:

        genesis data synth --plant trend:0.001

        genesis data synth --seed 7 --assets 2 --bars 4380 --plant lead_lag:0.001 --replace

        genesis data synth --plants
    """
    from genesis.market.sources.planted import PLANTS

    if plants:
        data_view.show_plants(PLANTS, as_json)
        return
    from genesis.market.sources.synthetic import Plant, SynthSpec, write

    spec = SynthSpec(
        assets=assets,
        bars=bars,
        interval=interval,
        seed=seed,
        stream=stream,
        sigma=sigma,
        alpha=alpha,
        beta=beta,
        dof=dof,
        correlation=correlation,
        plants=tuple(Plant.parse(text) for text in plant or ()),
    )
    dataset = write(_store(ctx), spec, replace=replace)
    if as_json:
        render.emit({"dataset": dataset.text, "symbols": spec.symbols, "bars": bars, "seed": seed})
        return
    render.console().print(f"{bars:,} bars each of {dataset.text}", markup=False)


@app.command("list")
def list_data(
    ctx: typer.Context,
    venue: Annotated[str | None, typer.Option(help="Only this venue.")] = None,
    as_json: Json = False,
) -> None:
    """List what the store holds.

    Examples:

        genesis data list

        genesis data list --venue hyperliquid --json
    """
    from genesis.domain.errors import InputError, did_you_mean

    stored = _store(ctx).list()
    venues = sorted({one.venue for one in stored})
    if venue is not None and stored and venue not in venues:
        raise InputError(
            f"no series of a venue '{venue}' is stored{did_you_mean(venue, venues)}",
            fix=f"use one of {', '.join(venues)}",
        )
    series = [one for one in stored if venue is None or one.venue == venue]
    if as_json:
        render.emit({"series": [data_view.series(one) for one in series]})
        return
    data_view.show_series(series)


@app.command("check")
def check_data(
    ctx: typer.Context,
    targets: Annotated[
        list[str] | None, typer.Argument(help="Datasets or files; the whole store if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check bars: gaps, duplicates, impossible values, spikes, wrong intervals.

    Leaves with exit code 2 if a bar is unusable. Gaps and spikes are only reported.

    Examples:

        genesis data check

        genesis data check binance_perp:BTCUSDT,ETHUSDT:1h

        genesis data check ../shared/data/candles/hyperliquid
    """
    from genesis.market.inspection import check_targets

    reports = list(check_targets(_store(ctx), targets or []))
    ok = all(report.ok for report in reports)
    if as_json:
        render.emit({"checks": [data_view.report(one) for one in reports]}, ok=ok)
    else:
        data_view.show_reports(reports)
    if not ok:
        raise typer.Exit(2)


def _store(ctx: typer.Context) -> BarStore:
    from genesis.market.store import BarStore
    from genesis.system.workspace import Workspace

    return BarStore(Workspace(home_of(ctx)).open().data)


def _refused(failed: Sequence[tuple[ImportItem, DataError]], stored: int) -> DataError:
    from genesis.domain.errors import DataError

    lines = [
        f"{item.path}: {error.what}" + (f" ({error.why})" if error.why else "")
        for item, error in failed
    ]
    return DataError(
        f"{several(len(failed), 'file')} refused, {stored} stored",
        why="\n".join(lines),
        fix="correct those files, or store their good bars with --quarantine",
    )


@contextmanager
def _progress(title: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal and a line a step elsewhere, on stderr."""
    out = render.console(stderr=True)
    if quiet:
        yield lambda _text: None
    elif not out.is_terminal:
        yield lambda text: out.print(text, markup=False)
    else:
        from rich.progress import Progress

        with Progress(console=out, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda text: bar.update(task, advance=1, description=text)
