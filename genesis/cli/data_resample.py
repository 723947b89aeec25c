"""`genesis data resample`: longer bars out of stored ones."""

from __future__ import annotations

from typing import Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of


def resample_data(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(help="venue:SYM[,SYM]:interval[:from..to]")],
    interval: Annotated[str, typer.Argument(help="The longer interval, a multiple of the other.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Let new bars count where they differ from stored.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make longer bars of stored ones, on the UTC grid.

    Only bars whose every part is there are made. Funding belongs to a symbol and needs nothing.

    Examples:

        genesis data resample binance_perp:BTCUSDT,ETHUSDT:1h 4h
    """
    from genesis.market.dataset import require_stored
    from genesis.market.dataset_spec import parse
    from genesis.market.resample import resample
    from genesis.market.store import BarStore
    from genesis.system.workspace import Workspace

    spec = parse(dataset)
    store = BarStore(Workspace(home_of(ctx)).open().data)
    made = {}
    for symbol in require_stored(store, spec):
        bars = store.read_bars(spec.venue, symbol, spec.interval)
        assert bars is not None
        first, last = spec.start_ms or 0, spec.end_ms if spec.end_ms is not None else 2**62
        inside = bars.take((bars.ts_ms >= first) & (bars.ts_ms <= last))
        longer = resample(inside, spec.interval, interval)
        store.write_bars(spec.venue, symbol, interval, longer, replace=replace)
        made[symbol] = len(longer)
    if as_json:
        render.emit({"venue": spec.venue, "interval": interval, "bars": made})
        return
    out = render.console()
    for symbol, count in made.items():
        out.print(f"{spec.venue}:{symbol}:{interval}  {count:,} bars", markup=False)
