"""Health checks that matter where orders are sent: latch, records, limits, alerts, leases."""

from __future__ import annotations

from collections.abc import Callable

from genesis.decision.rehearsal_time import CLOCK_SLACK_MS
from genesis.domain.counting import several
from genesis.domain.shipped import shipped
from genesis.domain.timeline import format_ts
from genesis.system.check import Check
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace


def trading_checks(*, live: bool) -> tuple[Callable[[Workspace], Check], ...]:
    """Checks in a fixed order.

    Parameters
    ----------
    live : bool
        Whether a set kill latch and a clock that was set back are failures: studies run with
        them, trading does not.
    """

    def kill_latch(workspace: Workspace) -> Check:
        return _kill_latch(workspace, live=live)

    def clock(workspace: Workspace) -> Check:
        return _clock(workspace, live=live)

    return (kill_latch, operations, clock, alerts, leases, hard_limits, risk_genome, reviews)


def _kill_latch(workspace: Workspace, *, live: bool) -> Check:
    """Whether trading of the workspace is stopped."""
    from genesis.trading.kill_latch import KillLatch

    why = KillLatch(workspace.home).closed()
    if not why:
        return Check("kill latch", "ok", "open")
    return Check("kill latch", "fail" if live else "warn", why, 'genesis rearm --reason "…"')


def operations(workspace: Workspace) -> Check:
    """Whether every row of the operations log is the one that was written."""
    from genesis.decision.operations import read_operations

    state = read_operations(workspace.home)  # refuses one whose chain does not hold
    if not state.seq:
        return Check("operations", "ok", "nothing was decided or deployed yet")
    active = several(len(state.active()), "deployment")
    detail = f"{several(state.seq, 'event')} verified, {active}"
    return Check("operations", "ok", detail)


def _clock(workspace: Workspace, *, live: bool) -> Check:
    """Whether the machine's clock goes on from what it said before."""
    from genesis.decision.operations import read_event, read_operations

    last = read_event(workspace.home, read_operations(workspace.home).seq)
    behind = 0 if last is None else last.recorded_ms - SystemClock().now_ms()
    if last is not None and behind > CLOCK_SLACK_MS:
        return Check(
            "clock",
            "fail" if live else "warn",
            f"{behind / 1000:.0f} s behind the last row of the operations log,"
            f" {format_ts(last.recorded_ms)}",
            "set the clock of the machine (NTP); the log may be one of scripted time",
        )
    # Only the exchange knows its own time: the gateway measures the skew, and halts on it.
    return Check("clock", "ok", "not set back; the skew to an exchange is measured by the gateway")


def alerts(workspace: Workspace) -> Check:
    """Whether an alert reaches somebody who is not looking at the terminal."""
    from genesis.monitoring.alerts.settings import load_settings
    from genesis.system.alerts import settings_path

    path = settings_path(workspace.home)
    channels = load_settings(path).channels
    if not channels:
        return Check(
            "alerts",
            "warn",
            "only console and file: nobody is told who does not look",
            f"add a channel to {path} ({shipped('configs/alerts.yaml')} shows how),"
            " then genesis alerts test",
        )
    return Check("alerts", "ok", ", ".join(one.name for one in channels))


def leases(workspace: Workspace) -> Check:
    """Who trades which account, and what dead processes left behind."""
    from genesis.system.live_hold import LEASES
    from genesis.trading.lease import last_holder

    folder = workspace.home / LEASES
    held: list[str] = []
    left: list[str] = []
    for path in sorted(folder.glob("*.lease")) if folder.is_dir() else ():
        found = last_holder(folder, path.stem)
        if found is None:
            continue
        text = f"{path.stem}: process {found.process}"
        (held if found.alive else left).append(text)
    parts = [f"held: {', '.join(held)}"] if held else []
    if left:  # the lock ended with its process, so that the next start takes it
        parts.append(f"left by a process that died, free: {', '.join(left)}")
    return Check("leases", "ok", "; ".join(parts) or "no account is being traded")


def hard_limits(workspace: Workspace) -> Check:
    """Whether the hard limits can be read."""
    from genesis.system.limits import stated_limits

    found = stated_limits(workspace.home)
    return Check("hard limits", "ok", found.source)


def risk_genome(workspace: Workspace) -> Check:
    """Which genome live trading takes risk by."""
    from genesis.evolution.risk.result import accepted_genome

    genome = accepted_genome(workspace.home)
    if genome is None:
        return Check(
            "risk genome",
            "warn",
            "none was accepted: live trading takes the defaults",
            "genesis risk evolve, if the defaults are not what you want",
        )
    return Check("risk genome", "ok", genome.id)


def reviews(workspace: Workspace) -> Check:
    """Whether a decision waits for a person longer than it may."""
    from genesis.decision.operations import read_operations

    now, found = SystemClock().now_ms(), read_operations(workspace.home).open_reviews()
    late = [row.decision for row in found if row.is_late(now)]
    if late:
        return Check(
            "reviews",
            "warn",
            f"{len(late)} of {len(found)} past their deadline: {', '.join(late[:5])}",
            "genesis review list",
        )
    return Check("reviews", "ok", f"{len(found)} open")
