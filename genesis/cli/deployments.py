"""`genesis deployments`: where strategies stand, what they rest on, how capital is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of, not_empty
from genesis.cli.person import whoami
from genesis.cli.promote import (
    Account,
    Scripted,
    TargetName,
    clock_at,
    require_local,
    wish_of,
)
from genesis.cli.promote_words import plain_deployment

if TYPE_CHECKING:
    from genesis.decision.deployments import Deployment

app = typer.Typer(no_args_is_help=True, help="Strategies on accounts: stages, capital, evidence.")

_Name = Annotated[
    str,
    typer.Argument(
        metavar="STRATEGY", help="Id of a strategy, or its beginning.", callback=not_empty
    ),
]


@app.command("list")
def list_deployments(
    ctx: typer.Context,
    account: Annotated[str, typer.Option(help="Of one account alone.")] = "",
    as_json: Json = False,
) -> None:
    """List deployments and where they stand.

    Examples:

        genesis deployments list

        genesis deployments list --account 0x52…c1 --json
    """
    from genesis.decision.approvals import account_named
    from genesis.decision.deployments import read_book
    from genesis.domain.timeline import format_ts

    wanted = account_named(account) if account else ""
    _, book = read_book(home_of(ctx))
    rows = [one for one in book.deployments.values() if wanted in ("", one.account)]
    if as_json:
        render.emit({"deployments": [plain_deployment(one) for one in rows]})
        return
    out = render.console()
    if not rows:
        text = "no strategy is deployed: genesis promote STRATEGY --to paper"
        out.print(whole(text), markup=False)
        return
    left = ("strategy", "stage", "target", "account", "symbols")
    columns = [(word, "left") for word in left]
    columns += [("USD", "right"), ("full", "right"), ("since", "left")]
    cells = [
        (
            one.strategy, f"{one.stage} {one.mark}".strip(), one.target.value, one.account,
            ",".join(one.symbols), f"{one.capital:f}", f"{one.cap:f}", format_ts(one.since_ms),
        )
        for one in rows
    ]  # fmt: skip
    out.print(render.table(columns, cells))


@app.command("show")
def show(
    ctx: typer.Context,
    name: _Name,
    account: Account = "",
    target: TargetName = "",
    as_json: Json = False,
) -> None:
    """Show a deployment: every step with its gates, values, bounds, who, when and why.

    Examples:

        genesis deployments show strat_3fa9
    """
    from genesis.domain.errors import InputError
    from genesis.system.promotion import deployment_manager
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    manager = deployment_manager(workspace)
    by_id = manager.book().deployments.get(name)
    found = by_id or manager.find(wish_of(workspace, manager, name, account, target))
    if found is None:
        raise InputError(f"{name} is not deployed there", fix="genesis deployments list")
    if as_json:
        render.emit({"deployment": plain_deployment(found, history=True)})
        return
    _page(found)


def _page(found: Deployment) -> None:
    from genesis.domain.timeline import format_ts
    from genesis.evidence.report_words import value_text

    out = render.console()
    out.print(f"{found.id}   {found.stage} {found.mark}".rstrip(), markup=False)
    out.print(
        f"symbols {', '.join(found.symbols)}; {found.capital:f} of {found.cap:f} USD;"
        f" dossier {found.dossier_hash[:12] or '-'}",
        markup=False,
    )
    if found.baseline is not None:
        base = found.baseline
        out.print(
            f"expected Sharpe ratio {base.haircut_sharpe:.2f} (sealed {base.sealed_sharpe:.2f}),"
            f" daily sd {base.daily_sd:.4f}",
            markup=False,
        )
    for step in found.history:
        approved = f", approval {step.approval}" if step.approval else ""
        out.print(
            f"\n{format_ts(step.ts_ms)}  {step.move} to {step.to_stage}: {step.capital:f} USD,"
            f" by {step.who}{approved}\n  {step.reason}".rstrip(),
            markup=False,
        )
        rows = [
            (
                result["stage"], result["measure"], value_text(result["value"]),
                f"{result['bound']} {value_text(result['threshold'])}", result["verdict"],
                result["note"],
            )
            for result in step.grounds.results
        ]  # fmt: skip
        if rows:
            columns = (("gate", "left"), ("measure", "left"), ("value", "right"),
                       ("needs", "left"), ("verdict", "left"), ("note", "left"))  # fmt: skip
            out.print(render.table(columns, rows))
        for run in step.grounds.runs:
            out.print(f"  run {run.run}: {run.events} events, head {run.head[:12]}", markup=False)


@app.command("check")
def check(
    ctx: typer.Context,
    name: _Name,
    account: Account = "",
    target: TargetName = "",
    scripted: Scripted = "",
    as_json: Json = False,
) -> None:
    """Judge a live deployment by drawdown, CUSUM and fidelity, and demote it if they say so.

    Examples:

        genesis deployments check strat_3fa9 --json
    """
    from genesis.system.promotion import deployment_manager
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    manager = deployment_manager(workspace, clock=clock_at(scripted))
    wish = wish_of(workspace, manager, name, account, target)
    require_local(manager, wish, scripted)
    done, found = manager.review(wish)
    if as_json:
        render.emit({"deployment": plain_deployment(done), "health": found.to_plain()})
        return
    out = render.console()
    out.print(f"{done.strategy}: {found.alarm.value}, now {done.stage}", markup=False)
    for reason in found.reasons:
        out.print(f"  {reason}", markup=False)


@app.command("allocate")
def allocate_capital(
    ctx: typer.Context,
    total: Annotated[str, typer.Option(help="Whole capital of the account in USD.")],
    account: Account = "",
    target: TargetName = "",
    method: Annotated[str, typer.Option(help="hrp or erc: how risk is divided.")] = "hrp",
    apply: Annotated[
        bool, typer.Option("--apply", help="Write it: lower the capital of deployments.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Divide an account's capital among its deployments beyond paper, with the reasons.

    Risk weights, tilted by the shrunk Sharpe ratio, a quarter of the Kelly size, at most 10 % a
    strategy and 30 % a cluster. It never gives more than a person approved.

    Examples:

        genesis deployments allocate --total 50000 --account 0x52…c1

        genesis deployments allocate --total 50000 --account 0x52…c1 --method erc --apply
    """
    from genesis.decision.approvals import account_named, usd_named
    from genesis.decision.stages import target_named
    from genesis.system.allocation import allocate_account
    from genesis.system.workspace import Workspace

    found = allocate_account(
        Workspace(home_of(ctx)),
        usd_named(total),
        account=account_named(account) if account else "",
        target=target_named(target) if target else None,
        method=method,
        who=whoami() if apply else "",
    )
    if as_json:
        render.emit({**found.to_plain(), "applied": apply})
        return
    out = render.console()
    if not found.shares:
        out.print("no deployment is beyond paper", markup=False)
        return
    columns = (("deployment", "left"), ("cluster", "right"), ("risk", "right"),
               ("tilted", "right"), ("weight", "right"), ("full USD", "right"),
               ("why", "left"))  # fmt: skip
    rows = [
        (
            one.deployment, str(one.cluster), f"{one.risk_weight:.3f}", f"{one.tilted:.3f}",
            f"{one.weight:.3f}", f"{one.capital:f}", "; ".join(one.reasons),
        )
        for one in found.shares
    ]  # fmt: skip
    out.print(render.table(columns, rows, title=f"{found.method}, leverage {found.leverage:.3f}"))
