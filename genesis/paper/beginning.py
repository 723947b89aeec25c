"""First events of a paper run: what it is, and what trades in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from genesis.domain.instrument import Instrument
from genesis.paper.settings import PaperSettings
from genesis.strategy.text import load_strategy
from genesis.trading.deployment import deployment_added
from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.payloads import RunStarted


def account_of(strategy_id: str) -> str:
    """Account of a strategy in a paper run: its own."""
    return f"paper/{strategy_id}"


def run_started(settings: PaperSettings, run: str, build: str, anchor_ms: int) -> Event:
    """Very first event of a run."""
    plain = {"mode": settings.mode.value, "market": settings.market, "limits": settings.limits}
    plain |= {"costs": settings.costs, "execution": settings.execution}
    return Event(RunStarted(run, build, settings.mode.value, plain), anchor_ms)


def deployments_added(
    settings: PaperSettings,
    desk: Desk,
    symbols: Sequence[str],
    instrument: Callable[[str], Instrument],
    interval_ms: int,
    anchor_ms: int,
) -> Iterator[Event]:
    """Every strategy on every symbol that the log does not have yet.

    Parameters
    ----------
    settings : PaperSettings
    desk : Desk
        What is there already.
    symbols : sequence of str
        The capital of a strategy is shared equally by them.
    instrument : callable
        Trading rules of a symbol.
    interval_ms, anchor_ms : int
        Grid of the bars.
    """
    share = settings.capital / len(symbols)
    for strategy in map(load_strategy, settings.strategies):
        for symbol in symbols:
            name = f"{strategy.id}/{symbol}"
            if name in desk.deployments:
                continue
            added = deployment_added(
                name,
                strategy,
                account_of(strategy.id),
                instrument(symbol),
                capital=share,
                interval_ms=interval_ms,
                anchor_ms=anchor_ms,
                options=settings.options,
            )
            yield Event(added, anchor_ms, name)
