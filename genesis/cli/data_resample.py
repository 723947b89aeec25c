"""`genesis data resample`: longer bars out of stored ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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

    Only bars whose every part is there are made; how many were left out is told. Funding belongs
    to a symbol and needs nothing.

    Examples:

        genesis data resample binance_perp:BTCUSDT,ETHUSDT:1h 4h
    """
    from genesis.market.dataset import parse, stored_bars
    from genesis.market.resample import left_out, resample
    from genesis.market.store import BarStore
    from genesis.system.workspace import Workspace

    spec = parse(dataset)
    store = BarStore(Workspace(home_of(ctx)).open().data)
    made = {}
    for symbol, bars in stored_bars(store, spec).items():
        longer = resample(bars, spec.interval, interval)
        written = store.write_bars(spec.venue, symbol, interval, longer, replace=replace)
        missing = left_out(bars, longer, interval)
        made[symbol] = _Made(len(longer), written.added, written.replaced, missing)
    if as_json:
        bars_made = {symbol: one.bars for symbol, one in made.items()}
        details = {symbol: asdict(one) for symbol, one in made.items()}
        render.emit({"venue": spec.venue, "interval": interval, "bars": bars_made, "made": details})
        return
    out = render.console()
    for symbol, one in made.items():
        out.print(f"{spec.venue}:{symbol}:{interval}  {one.text}", markup=False)


@dataclass(frozen=True, slots=True)
class _Made:
    """What came of one symbol: bars made, new and replaced ones in the store, those left out."""

    bars: int
    new: int
    replaced: int
    left_out: int

    @property
    def text(self) -> str:
        parts = [f"{self.bars:,} {'bar' if self.bars == 1 else 'bars'}", f"{self.new:,} new"]
        if self.replaced:
            parts.append(f"{self.replaced:,} replaced")
        if self.left_out:
            parts.append(f"{self.left_out:,} left out, a part of them is missing")
        return ", ".join(parts)
