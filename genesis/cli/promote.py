"""`genesis promote`, `approve`, `demote`, `retire`: steps of a strategy's career."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli.options import Json, home_of, not_empty
from genesis.cli.person import whoami
from genesis.cli.promote_words import same_way, steps_after, tell, tell_approval
from genesis.cli.strategies import complete_strategy

if TYPE_CHECKING:
    from genesis.decision.manager import StrategyDeploymentManager
    from genesis.decision.ports import Consent, Wish
    from genesis.domain.clock import Clock
    from genesis.system.workspace import Workspace

_Strategy = Annotated[
    str,
    typer.Argument(
        help="Id of a strategy, or its unique beginning.",
        autocompletion=complete_strategy,
        callback=not_empty,
    ),
]
Account = Annotated[
    str, typer.Option(help="Address of the account; may be left out where only one fits.")
]
TargetName = Annotated[
    str, typer.Option(help="loopback, testnet or mainnet; may be left out where only one fits.")
]
_Gates = Annotated[
    Path | None, typer.Option(help="Gates of a rehearsal, for loopback and testnet.")
]
_Reason = Annotated[str, typer.Option(help="Why; it is kept for good.")]
Scripted = Annotated[
    str,
    typer.Option(help="Address of a local exchange whose scripted time counts: rehearsals."),
]


def promote(
    ctx: typer.Context,
    strategy: _Strategy,
    to: Annotated[str, typer.Option("--to", help="The next stage; the present one restores half.")],
    account: Account = "",
    target: TargetName = "",
    symbols: Annotated[str, typer.Option(help="Markets, for a new deployment: BTC,ETH")] = "",
    cap: Annotated[str, typer.Option(help="Full capital in USD; a stage trades its share.")] = "",
    approval: Annotated[
        Path | None, typer.Option(help="File of one use, from genesis approve.")
    ] = None,
    gates: _Gates = None,
    reason: _Reason = "",
    scripted: Scripted = "",
    as_json: Json = False,
) -> None:
    """Take a strategy one stage up: paper, canary (5 %), live_25, live_50, live_100.

    Each step is guarded by its gates: the dossier for paper, G4 (paper trading) for the canary, G5
    (the canary) and G6 (the size before) for what follows. A step that can send more orders to an
    exchange needs one approval: typed on a terminal, or --approval FILE. Exit code 3 and the gate
    with its distance when something forbids it.

    Examples:

        genesis promote strat_3fa9 --to paper --account 0x52…c1 --target testnet --symbols BTC --cap
        2000

        genesis promote strat_3fa9 --to canary

        genesis promote strat_3fa9 --to live_25 --approval approval.json --json
    """
    from genesis.decision.approvals import read_approval
    from genesis.decision.ports import Consent
    from genesis.decision.stages import stage_named

    workspace, manager = _open(ctx, gates, scripted)
    wish = wish_of(workspace, manager, strategy, account, target, symbols, cap)
    require_local(manager, wish, scripted)
    _warn_of_symbols(workspace, manager, wish)
    given = Consent(file=read_approval(approval)) if approval is not None else _ask
    with same_way(scripted, gates):
        done = manager.promote(wish, stage_named(to), whoami(), given, reason)
    tell(done, as_json, steps=steps_after(done, scripted))


def approve(
    ctx: typer.Context,
    strategy: _Strategy,
    stage: Annotated[str, typer.Option(help="The step's stage, such as canary.")],
    account: Account = "",
    cap: Annotated[str, typer.Option(help="Full capital in USD that is approved.")] = "",
    target: TargetName = "",
    out: Annotated[Path, typer.Option(help="File to write; it must not exist.")] = Path(
        "approval.json"
    ),
    minutes: Annotated[
        float, typer.Option("--for", help="Minutes until it expires, at most 1440.")
    ] = 10.0,
    gates: _Gates = None,
    reason: _Reason = "",
    scripted: Scripted = "",
    as_json: Json = False,
) -> None:
    """Approve one step of one strategy, once: write a file that `genesis promote` uses up.

    Nothing is typed: who may run this command in the workspace approves by it. The file is bound
    to strategy, account, target, stage, capital, dossier and gates, and worth nothing
    when one of them changes, when it is edited, when others can read it, or after its time.

    Examples:

        genesis approve strat_3fa9 --stage canary --account 0x52…c1 --cap 2000

        genesis approve strat_3fa9 --stage live_25 --cap 2000 --out live25.json --for 30
    """
    from genesis.decision.approvals import write_approval
    from genesis.decision.stages import stage_named
    from genesis.domain.errors import InputError

    if str(out) == "-":
        raise InputError(
            "an approval is not written to standard output",
            why="who reads it can use it: it is a file that its owner alone can read",
            fix="name a file with --out",
        )
    if out.exists():
        raise InputError(f"{out} is there already", fix="name another file with --out")
    workspace, manager = _open(ctx, gates, scripted)
    wish = wish_of(workspace, manager, strategy, account, target, "", cap)
    require_local(manager, wish, scripted)
    life = int(min(minutes, 1e6) * 60_000) if minutes > 0 else 0
    with same_way(scripted, gates):
        given = manager.approve(wish, stage_named(stage), whoami(), reason, life_ms=life)
    write_approval(out, given)
    tell_approval(given, out, manager.obstacle(wish, stage_named(stage)), as_json)


def demote(
    ctx: typer.Context,
    strategy: _Strategy,
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")],
    to: Annotated[str, typer.Option("--to", help="A lower stage; one step back by default.")] = "",
    account: Account = "",
    target: TargetName = "",
    scripted: Scripted = "",
    as_json: Json = False,
) -> None:
    """Take a strategy down at once; this needs no approval.

    Examples:

        genesis demote strat_3fa9 --reason "spread doubled"

        genesis demote strat_3fa9 --to paper --reason "funding regime changed" --json
    """
    from genesis.decision.stages import stage_named

    workspace, manager = _open(ctx, None, scripted, down=True)
    wish = wish_of(workspace, manager, strategy, account, target)
    require_local(manager, wish, scripted)
    with same_way(scripted):
        done = manager.demote(wish, stage_named(to) if to else None, whoami(), reason)
    tell(done, as_json)


def retire(
    ctx: typer.Context,
    strategy: _Strategy,
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")],
    account: Account = "",
    target: TargetName = "",
    scripted: Scripted = "",
    as_json: Json = False,
) -> None:
    """End a strategy's deployment.

    What ever sent orders comes back to that target only with a dossier on sealed bars from after
    its retirement. A candidate or one on paper that never did may be registered again at once,
    also on other symbols: so a misprint is corrected.

    Examples:

        genesis retire strat_3fa9 --reason "edge is gone"
    """
    from genesis.decision.step_guards import after_retirement

    workspace, manager = _open(ctx, None, scripted, down=True)
    wish = wish_of(workspace, manager, strategy, account, target)
    require_local(manager, wish, scripted)
    done = manager.retire(wish, whoami(), reason)
    tell(done, as_json, note=after_retirement(done))


def _open(
    ctx: typer.Context, gates: Path | None, scripted: str, *, down: bool = False
) -> tuple[Workspace, StrategyDeploymentManager]:
    from genesis.decision.deployments import read_book
    from genesis.system.promotion import deployment_manager
    from genesis.system.rehearsal_clock import clock_of_retirements, clock_of_step_down
    from genesis.system.retirements import finish_retirements
    from genesis.system.workspace import Workspace

    workspace, clock = Workspace(home_of(ctx)), clock_at(scripted)
    book = read_book(workspace.home)[1]
    if down and clock is None:
        clock, note = clock_of_step_down(workspace, book)
        if note:
            typer.echo(f"note: {note}", err=True)
    for line in finish_retirements(workspace, clock_of_retirements(workspace, book, clock)):
        typer.echo(f"done       {line}", err=True)
    return workspace, deployment_manager(workspace, gates, clock)


def clock_at(scripted: str) -> Clock | None:
    """Clock of a local exchange whose time is scripted; None for the machine's.

    Raises
    ------
    RefusedError, InfrastructureError
        As `genesis.exchange.hyperliquid.pacing.PacedTime`.
    """
    if not scripted:
        return None
    from genesis.exchange.hyperliquid.pacing import PacedTime

    return PacedTime(scripted)


def require_local(manager: StrategyDeploymentManager, wish: Wish, scripted: str) -> None:
    """Refuse scripted time for what is, and beside what is, not on an exchange of this machine.

    Raises
    ------
    RefusedError
    """
    from genesis.decision.rehearsal_time import require_rehearsal
    from genesis.decision.stages import Target
    from genesis.domain.errors import RefusedError

    if scripted and wish.target is not Target.LOOPBACK:
        raise RefusedError(
            f"the time of {wish.target.value} is no script",
            why="days that a script lets pass are evidence on a local exchange alone",
            fix="leave --scripted out",
        )
    if scripted:
        require_rehearsal(manager.book())


def wish_of(
    workspace: Workspace,
    manager: StrategyDeploymentManager,
    strategy: str,
    account: str,
    target: str,
    symbols: str = "",
    cap: str = "",
) -> Wish:
    """The deployment that a command line means.

    Raises
    ------
    InputError
        If account or target are left out and none or several deployments fit.
    """
    from genesis.decision.approvals import account_named, usd_named
    from genesis.decision.ports import Wish
    from genesis.decision.rows import RETIRED
    from genesis.decision.stages import target_named
    from genesis.domain.errors import InputError
    from genesis.evolution.store import StrategyStore

    name = StrategyStore(workspace.strategies).get(strategy).id
    address = account_named(account) if account else ""
    place = target_named(target) if target else None
    if not address or place is None:
        fitting = [
            one
            for one in manager.book().deployments.values()
            if one.strategy == name
            and one.stage != RETIRED
            and address in ("", one.account)
            and place in (None, one.target)
        ]
        if not fitting:
            where = f" with {address or place}" if address or place is not None else ""
            raise InputError(
                f"{name} is not deployed{where}",
                fix=f"genesis promote {name} --to paper --account 0x… --target loopback"
                " --symbols BTC --cap 1000 registers it; genesis deployments list",
            )
        if len(fitting) != 1:
            found = ", ".join(f"{one.account} at {one.target}" for one in fitting)
            raise InputError(
                f"which deployment of {name} is not clear",
                why=f"those that fit: {found}",
                fix="write --account 0x… and --target loopback, testnet or mainnet",
            )
        address, place = fitting[0].account, fitting[0].target
    names = tuple(dict.fromkeys(s.strip() for s in symbols.split(",") if s.strip()))
    return Wish(name, address, place, names, usd_named(cap) if cap else None)


def _warn_of_symbols(workspace: Workspace, manager: StrategyDeploymentManager, wish: Wish) -> None:
    """Say that nobody can tell whether the symbols of a new deployment exist."""
    from genesis.system.promotion_runs import WorkspaceEvidence

    if wish.symbols and manager.find(wish) is None and not WorkspaceEvidence(workspace).symbols():
        typer.echo(
            f"note: no bars and no runs are here that know {', '.join(wish.symbols)}; a misspelt"
            " symbol never trades, so look at it once more",
            err=True,
        )


def _ask(words: str) -> Consent:
    """Ask a person on a terminal to type the words; nobody there gives no consent."""
    from genesis.decision.ports import Consent

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return Consent()
    typer.echo("This step lets orders out to an exchange.", err=True)
    typer.echo(f"Type exactly: {words}\n> ", err=True, nl=False)
    return Consent(typed=sys.stdin.readline() or " ")  # standard output may be one JSON object
