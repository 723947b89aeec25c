"""What `genesis promote` and its neighbours print: what was done, what comes next, what to type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.cli import render
from genesis.cli.commands import whole

if TYPE_CHECKING:
    from genesis.decision.approvals import Approval
    from genesis.decision.deployments import Deployment, History

_VALUE = r"(?:'[^']*'|[^\s;,]+)"
_MORE = rf"(?: --[a-z]+ {_VALUE})*"
_STEP = re.compile(rf"genesis (approve|promote|demote|retire|deployments check) {_VALUE}{_MORE}")
_RUN = re.compile(rf"genesis live run{_MORE}")


@contextmanager
def same_way(scripted: str, gates: Path | None = None) -> Iterator[None]:
    """Errors name their commands with the clock and gates that the one before was given."""
    from genesis.domain.errors import GenesisError

    def longer(match: re.Match[str]) -> str:
        upward = match[1] in ("approve", "promote")
        more = f" --gates {gates}" if gates is not None and upward else ""
        return match[0] + more + (f" --scripted {scripted}" if scripted else "")

    try:
        yield
    except GenesisError as error:
        error.fix = _STEP.sub(longer, error.fix)
        if scripted:
            error.fix = _RUN.sub(rf"\g<0> --url {scripted} --scripted", error.fix)
        raise


def plain_deployment(one: Deployment, *, history: bool = False) -> dict[str, Any]:
    """JSON form of a deployment."""
    facts: dict[str, Any] = {
        "deployment": one.id,
        "strategy": one.strategy,
        "account": one.account,
        "symbols": list(one.symbols),
        "target": one.target.value,
        "stage": one.stage,
        "capital": f"{one.capital:f}",
        "cap": f"{one.cap:f}",
        "scale": f"{one.scale:f}",
        "allocated": None if one.allocated is None else f"{one.allocated:f}",
        "mark": one.mark,
        "dossier_hash": one.dossier_hash,
        "since_ms": one.since_ms,
        "live_since_ms": one.live_since_ms,
        "seq": one.seq,
    }
    if history:
        import msgspec

        facts["history"] = [_plain_step(step) for step in one.history]
        facts["baseline"] = msgspec.to_builtins(one.baseline)
    return facts


def _plain_step(step: History) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(step)
    plain["capital"] = f"{step.capital:f}"
    grounds = step.grounds
    plain["grounds"] |= {"cap": f"{grounds.cap:f}", "scale": f"{grounds.scale:f}"}
    return plain


def tell(
    done: Deployment,
    as_json: bool,
    *,
    note: str = "",
    steps: tuple[str, ...] = (),
) -> None:
    """Print where a deployment stands now, and the commands that go on."""
    if as_json:
        facts: dict[str, Any] = {"deployment": plain_deployment(done)}
        facts |= {"note": note} if note else {}
        facts |= {"next": [whole(step) for step in steps]} if steps else {}
        render.emit(facts)
        return
    mark = f" {done.mark}" if done.mark else ""
    trades = f", trades {done.capital:f} of {done.cap:f} USD" if done.is_real else ""
    out = render.console()
    out.print(
        f"{done.strategy} is {done.stage}{mark} on {done.account} ({done.target}){trades}",
        markup=False,
    )
    if note:
        out.print(f"note: {note}", markup=False)
    for place, step in enumerate(steps):
        out.print(f"{'' if place else 'next':8} {whole(step)}", markup=False)


def steps_after(done: Deployment, scripted: str) -> tuple[str, ...]:
    """Commands that follow a step up: how it trades now, and its next stage."""
    from genesis.decision.rows import PAPER
    from genesis.decision.stages import TABLE, Move

    timed = f" --scripted {scripted}" if scripted else ""
    place = f"--account {done.account} --target {done.target}{timed}"
    symbols = ",".join(done.symbols)
    if done.stage == PAPER:
        trade = f"genesis paper run {done.strategy} --dataset VENUE:{symbols}:INTERVAL"
    else:
        local = f" --url {scripted} --scripted" if scripted else ""
        trade = f"genesis live run --account {done.account} --key-file FILE{local}"
    onward = [b for (a, b), s in TABLE.items() if a == done.stage and s.move is Move.PROMOTE]
    if not onward:
        return trade, f"genesis deployments check {done.strategy} {place}"
    return trade, f"genesis promote {done.strategy} --to {onward[0]} {place}"


def tell_approval(given: Approval, out: Path, obstacle: str, as_json: bool) -> None:
    """Print what a file allows, and whether gate or health forbid the step now all the same.

    Whether the engine approves, the book admits it and there is room is asked by the step.
    """
    from genesis.domain.timeline import format_ts

    if as_json:
        facts: Mapping[str, Any] = {
            "approval": given.approval,
            "file": str(out),
            "expires_ms": given.expires_ms,
            "strategy": given.strategy,
            "stage": given.to_stage,
            "max_usd": given.max_usd,
            "gate_passes": not obstacle,
            "obstacle": obstacle,
        }
        render.emit(dict(facts))
        return
    page = render.console()
    page.print(
        f"{out}: {given.strategy} to {given.to_stage} on {given.account} ({given.target}),"
        f" {given.max_usd} USD at full size, once, until {format_ts(given.expires_ms)}",
        markup=False,
    )
    if obstacle:
        page.print(f"note: the step would be refused now: {obstacle}", markup=False)
