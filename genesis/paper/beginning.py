"""First events of a paper run: what it is, and what trades in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from genesis.domain.instrument import Instrument
from genesis.paper.live_facts import LiveFacts
from genesis.paper.settings import PaperSettings
from genesis.strategy.strategy import Strategy
from genesis.strategy.text import load_strategy
from genesis.trading.deployment import deployment_added
from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.payloads import RunStarted


def account_of(strategy_id: str) -> str:
    """Account of a strategy in a paper run: its own."""
    return f"paper/{strategy_id}"


class Share(NamedTuple):
    """A strategy on a symbol: its account, and its capital there in quote units."""

    strategy: Strategy
    account: str
    symbol: str
    capital: float


def shares(settings: PaperSettings, symbols: Sequence[str]) -> Iterator[Share]:
    """What trades what: every strategy every symbol, or as a live run's deployments say.

    Parameters
    ----------
    settings : PaperSettings
    symbols : sequence of str
        Of the run.
    """
    strategies = [load_strategy(plain) for plain in settings.strategies]
    if not settings.assignments:
        for strategy in strategies:
            for symbol in symbols:
                each = settings.capital / len(symbols)
                yield Share(strategy, account_of(strategy.id), symbol, each)
        return
    by_id = {strategy.id: strategy for strategy in strategies}
    (account,) = LiveFacts.of(settings).accounts
    for one in settings.assignments:
        for symbol in one.symbols:
            yield Share(by_id[one.strategy], account, symbol, one.capital / len(one.symbols))


def run_started(settings: PaperSettings, run: str, build: str, anchor_ms: int) -> Event:
    """Very first event of a run."""
    plain = {"mode": settings.mode.value, "market": settings.market, "limits": settings.limits}
    plain |= {"costs": settings.costs, "execution": settings.execution}
    plain["risk"] = msgspec.to_builtins(settings.risk)
    if settings.assignments:
        plain["deployments"] = msgspec.to_builtins(settings.assignments)
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
    instrument : callable
        Trading rules of a symbol.
    interval_ms, anchor_ms : int
        Grid of the bars.
    """
    for share in shares(settings, symbols):
        name = f"{share.strategy.id}/{share.symbol}"
        if name in desk.deployments:
            continue
        win_rate, payoff = settings.edges.get(share.strategy.id, (0.0, 0.0))
        added = deployment_added(
            name,
            share.strategy,
            share.account,
            instrument(share.symbol),
            capital=share.capital,
            interval_ms=interval_ms,
            anchor_ms=anchor_ms,
            options=msgspec.structs.replace(settings.options, win_rate=win_rate, payoff=payoff),
        )
        yield Event(added, anchor_ms, name)
