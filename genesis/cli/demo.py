"""`genesis demo`: the whole way in under a minute, without network or data."""

from __future__ import annotations

from typing import Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of


def demo(
    ctx: typer.Context,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the market and of the search.")] = 7,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; default one a core.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Breed strategies on a synthetic market with a planted trend.

    Needs neither network nor data. Because the market is made here, its optimum is known: the
    demo says how much of it the best strategy recovers on fresh bars that no search has seen.

    Examples:

        genesis demo

        genesis demo --seed 11 --json
    """
    from genesis.cli.evolve import show_outcome
    from genesis.cli.progress import StudyProgress
    from genesis.evolution.config import with_overrides
    from genesis.evolution.study import evaluation_setup
    from genesis.strategy.text import load_strategy
    from genesis.system import demo as demonstration
    from genesis.system.compose import start_study
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx)).open()
    out = render.console(stderr=as_json)
    spec = demonstration.market(seed)
    out.print(
        f"synthesising {spec.assets} assets, {spec.bars:,} bars of {spec.interval},"
        f" with a trend of {demonstration.TREND:.2%} a bar planted",
        markup=False,
    )
    venue, symbols = demonstration.write_market(workspace.data, spec)
    study = demonstration.study(venue, symbols, seed)
    if workers is not None:
        study = with_overrides(study, executor__workers=workers)
    progress = StudyProgress(out)
    try:
        outcome = start_study(
            study,
            workspace,
            listeners=[progress],
            notify=lambda text: out.print(text, markup=False),
        )
    finally:
        progress.stop()
    found = None
    if outcome.result.leaderboard:
        # From its row: one that misses a constraint is ranked, but not stored.
        best = load_strategy(outcome.result.leaderboard[0]["strategy"])
        found = demonstration.recovery(best, spec, evaluation_setup(study))
    if as_json:
        recovered = found.to_plain() if found is not None else None
        render.emit({**outcome.to_plain(), "recovery": recovered})
        return
    show_outcome(outcome)
    if found is not None:
        out.print(
            f"\nTrue Sharpe ratio an asset, on {found.bars:,} fresh bars that no search has seen:"
            f"\n  {found.strategy_sharpe:5.2f}  the best strategy"
            f"\n  {found.optimum_sharpe:5.2f}  the known optimum for such a trend,"
            f" {found.optimum}: [bold]{found.share:.0%} recovered[/]"
            f"\n  {found.filter_sharpe:5.2f}  a filter that knows the law of the market, the upper"
            f" bound: {found.share_of_filter:.0%} reached",
        )
