"""What a step is refused for, and how its row is written; see `StrategyDeploymentManager`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

import msgspec

from genesis.decision.approvals import usd_text
from genesis.decision.consent import Prepared
from genesis.decision.deployments import (
    Deployment,
    DeploymentBook,
    returns_freely,
    step_capital,
)
from genesis.decision.grounds import DOSSIER, Grounds, unmet
from genesis.decision.in_force import Bound, most_deployments
from genesis.decision.operations import Draft, OperationsLog
from genesis.decision.ports import Measured, Standing, Wish
from genesis.decision.retirement import Alarm, Health
from genesis.decision.rows import CANARY, REAL, RETIRED, STAGES
from genesis.decision.stages import TABLE, Move, Step
from genesis.decision.state import OperationsState
from genesis.domain.errors import InputError, RefusedError, did_you_mean
from genesis.domain.instrument import base_asset
from genesis.trading.events import Event
from genesis.trading.payloads import DeploymentChanged


def require_healthy(now: Deployment, step: Step, found: Health) -> None:
    """Refuse more orders to what fails, or what nobody can judge; half a size stays half."""
    if found.alarm is Alarm.GREEN:
        return
    if step.move is Move.RESTORE:
        what = f"{now.strategy} stays at half its size"
    elif found.alarm is Alarm.AMBER:
        return
    else:
        what = f"{now.strategy} stays {now.stage}"
    raise RefusedError(
        f"{what}: its health is {found.alarm.value}",
        why="; ".join(found.reasons),
        fix="genesis live run trades it, and its log says how it fares"
        if found.alarm is Alarm.UNKNOWN
        else f"genesis deployments check {now.strategy}",
    )


def on_dossier(grounds: Grounds, standing: Standing) -> Grounds:
    """Grounds with the dossier and the gates that judged it."""
    return msgspec.structs.replace(
        grounds,
        mark=standing.mark,
        gates=standing.gates,
        results=standing.results,
        sealed_ms=standing.sealed_ms,
    )


def require_passed(
    now: Deployment, grounds: Grounds, step: Step, measured: Measured | None = None
) -> None:
    """Refuse a step whose gate was not passed, by how much it was missed, and what may help."""
    problems = unmet(grounds.results, step.gate) if step.gate else []
    if not problems:
        return
    fix = f"genesis strategies explain {now.strategy}"
    if step.gate == "G4":
        fix = (
            f"trade more days on paper: genesis paper run {now.strategy}; or see what paper did"
            " differently: genesis paper report"
        )
    elif step.gate != DOSSIER:
        fix = (
            f"let more days pass: genesis live run --account {now.account}; or see what the"
            f" exchange did differently: genesis deployments check {now.strategy}"
        )
    if measured is not None and measured.absent:
        problems = [measured.absent, *problems]
        fix = measured.fix
    if measured is not None and measured.aside:
        problems = [*problems, measured.aside]
    raise RefusedError(
        f"{now.strategy} does not pass {step.gate}", why="; ".join(problems), fix=fix
    )


def require_known(symbols: Sequence[str], known: Collection[str]) -> None:
    """Refuse a symbol that nothing here knows: a misspelt one would never trade.

    Parameters
    ----------
    symbols : sequence of str
        Asked for.
    known : collection of str
        By stored bars and runs; where it is empty nothing can be said.
    """
    assets = {base_asset(symbol) for symbol in known}
    for symbol in symbols:
        if assets and base_asset(symbol) not in assets:
            names = sorted({*known, *assets})
            raise InputError(
                f"nothing here knows the symbol {symbol!r}{did_you_mean(symbol.upper(), names)}",
                why=f"stored bars and runs are of {', '.join(sorted(known)[:12])}",
                fix=f"fetch bars of {symbol} (genesis data fetch VENUE:{symbol}:INTERVAL) or trade"
                " it in a paper run first, if it is no misprint",
            )


def require_same_symbols(wish: Wish, now: Deployment) -> None:
    """Refuse other symbols for what is deployed; how they are corrected is said."""
    if not wish.symbols or set(wish.symbols) == set(now.symbols) or now.stage == RETIRED:
        return
    place = f"--account {now.account} --target {now.target}"
    raise RefusedError(
        f"{now.id} trades {', '.join(now.symbols)}, not {', '.join(wish.symbols)}",
        why="a deployment keeps its symbols; " + after_retirement(now),
        fix=f"genesis retire {now.strategy} {place} --reason 'other symbols', then genesis promote"
        f" {now.strategy} --to paper {place} --symbols {','.join(wish.symbols)}"
        f" --cap {usd_text(wish.cap or now.cap)}",
    )


def after_retirement(one: Deployment) -> str:
    """What its retirement means for a deployment."""
    if returns_freely(one):
        return "it never sent an order, so once retired it may be registered again at once"
    return (
        f"once retired it comes back to {one.target} only with a new dossier on sealed bars from"
        " after its retirement"
    )


def require_usable(now: Deployment, step: Step, cap: Decimal) -> None:
    """Refuse to approve a full capital that the step can never have; see the fold's rules."""
    most = now.cap if step.move is Move.RESTORE else now.canary_cap
    if now.is_real and cap > most:
        raise RefusedError(
            f"no step of {now.id} can use a full capital of {usd_text(cap)} USD",
            why=f"its canary began with {usd_text(now.canary_cap)} USD, its full capital is"
            f" {usd_text(now.cap)} USD; this step allows {usd_text(most)} USD",
            fix="approve that or less; more only by going back to paper and a canary with it",
        )


def require_lower(now: Deployment, lower: str | None) -> None:
    """Refuse to take down what sends no orders, or to where it is or above."""
    if now.stage not in REAL:
        end = f"--account {now.account} --target {now.target} --reason … ends it"
        raise RefusedError(
            f"{now.strategy} is {now.stage} and cannot be rolled back: it sends no orders",
            why=after_retirement(now),
            fix=f"genesis retire {now.strategy} {end}" if now.stage != RETIRED else "",
        )
    if lower is not None and (now.stage, lower) not in TABLE:
        raise RefusedError(
            f"{lower} is no stage that {now.stage} is taken down to",
            why=f"there are: {', '.join(STAGES[1 : STAGES.index(now.stage)])}",
            fix="genesis promote takes up, genesis retire ends",
        )


def require_seq(name: str, now: Deployment | None, seen: int) -> None:
    """Refuse a step on a deployment that somebody moved since it was looked at."""
    if (now.seq if now is not None else 0) != seen:
        by = f", by {now.history[-1].who}" if now is not None else ""
        stage = now.stage if now is not None else "gone"
        raise RefusedError(
            f"{name} was moved meanwhile: it is {stage} now{by}",
            fix=f"look at it first: genesis deployments show {name}",
        )


def needs_word(step: Step, to: str) -> bool:
    """Whether the decision engine has to approve a step: the one that leaves paper."""
    return to == CANARY and step.move is Move.PROMOTE


def require_word(one: Prepared) -> None:
    """Refuse a step that leaves paper without a decision of the engine."""
    if not one.grounds.decision:
        raise RefusedError(
            f"no decision of the engine lets {one.wish.strategy} leave paper",
            fix=f"genesis decide new_strategy_approval --strategy {one.wish.strategy}",
        )


def require_room(state: OperationsState, book: DeploymentBook, one: Prepared) -> None:
    """Limits on how many deployments there are, per target, by the gates and by decisions."""
    assert one.standing is not None
    settings, target = one.standing.settings, one.wish.target
    real = [d for d in book.real() if d.target == target]
    canaries = sum(d.stage == CANARY for d in real)
    deployed = most_deployments(state, settings.deployed)
    for found, most, what in (
        (canaries, Bound(settings.concurrent), "canaries"),
        (len(real), deployed, "deployments beyond paper"),
    ):
        if found >= most.value:
            raise RefusedError(
                f"there are {found} {what} at {target} already",
                why=most.text or f"the gates allow {most.value:g}",
                fix="promote, demote or retire one of them first: genesis deployments list",
            )


def change_of(
    one: Prepared, now: Deployment | None, stage: str, who: str, approval: str
) -> DeploymentChanged:
    """The row of a step."""
    grounds = one.grounds
    return DeploymentChanged(
        deployment=one.wish.id,
        strategy=one.wish.strategy,
        account=one.wish.account,
        symbols=one.symbols,
        from_stage=stage,
        to_stage=one.to,
        capital=step_capital(now, grounds.cap, one.to, grounds.scale, up=True),
        dossier_hash=one.standing.dossier_hash if one.standing is not None else "",
        approval=approval,
        who=who,
        reason=one.reason,
        evidence=grounds.to_plain(),
    )


def append_allowed(
    log: OperationsLog, book: DeploymentBook, drafts: Sequence[Draft], name: str
) -> Deployment:
    """Write rows that the book allows; else nothing is written."""
    trial = book.copy()
    now, seq = log.now_ms(), log.state.seq
    for place, draft in enumerate(drafts, start=1):
        trial.apply(Event(draft.data, now, draft.aggregate, seq=seq + place))
    for event in log.append_all(drafts):
        book.apply(event)
    return book.deployments[name]
