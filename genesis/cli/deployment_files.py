"""`genesis deployments save|validate|activate`: strategies and their deployments in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of
from genesis.cli.person import whoami
from genesis.cli.promote_words import plain_deployment
from genesis.domain.counting import several

if TYPE_CHECKING:
    from genesis.decision.strategy_files import ConfigStrategyLoader, StrategyFile

_File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON.")]


def save(
    ctx: typer.Context,
    strategy: Annotated[str, typer.Argument(help="Id of a strategy, or its beginning.")],
    file: _File,
    as_json: Json = False,
) -> None:
    """Write a stored strategy with its policy and its deployments into a file.

    Examples:

        genesis deployments save strat_3fa9 breakout.yaml
    """
    from genesis.decision.deployments import read_book
    from genesis.decision.ports import Wish
    from genesis.decision.rows import RETIRED
    from genesis.decision.strategy_files import ConfigStrategyLoader, StrategyFile
    from genesis.evolution.store import StrategyStore

    home = home_of(ctx)
    record = StrategyStore(home / "strategies").get(strategy)
    _, book = read_book(home)
    wishes = tuple(
        Wish(one.strategy, one.account, one.target, one.symbols, one.cap)
        for one in book.deployments.values()
        if one.strategy == record.id and one.stage != RETIRED
    )
    ConfigStrategyLoader.save(file, StrategyFile(record.strategy, wishes))
    _tell(file, StrategyFile(record.strategy, wishes), as_json)


def validate(ctx: typer.Context, file: _File, as_json: Json = False) -> None:
    """Check a strategy file: schema, rules, policy, id, deployments, and that it can be activated.

    Examples:

        genesis deployments validate breakout.yaml
    """
    _tell(file, _loader(ctx).validate(file), as_json)


def activate(ctx: typer.Context, file: _File, as_json: Json = False) -> None:
    """Register the deployments of a file as candidates; every gate is still to come.

    Examples:

        genesis deployments activate breakout.yaml
    """
    done = _loader(ctx).activate(file, whoami())
    if as_json:
        render.emit({"deployments": [plain_deployment(one) for one in done]})
        return
    for one in done:
        render.console().print(
            f"{one.strategy} is {one.stage} on {one.account} ({one.target})", markup=False
        )


def _loader(ctx: typer.Context) -> ConfigStrategyLoader:
    from genesis.decision.strategy_files import ConfigStrategyLoader
    from genesis.evolution.store import StrategyStore
    from genesis.system.promotion import deployment_manager
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    store, manager = StrategyStore(workspace.strategies), deployment_manager(workspace)
    return ConfigStrategyLoader(lambda name: name in store.ids(), manager.register)


def _tell(path: Path, file: StrategyFile, as_json: bool) -> None:
    if as_json:
        render.emit({"file": str(path), **file.to_plain()})
        return
    render.console().print(
        f"{path}: {file.strategy.id}, {several(len(file.wishes), 'deployment')}", markup=False
    )
