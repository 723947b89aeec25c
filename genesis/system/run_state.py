"""How a trading run stands, folded from its log by a process that only looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from genesis.paper.settings import PaperSettings
    from genesis.risk.assessment import RiskMetrics
    from genesis.risk.state import Trip
    from genesis.trading.core import TradingCore


@dataclass(frozen=True, slots=True)
class RunState:
    """State of a run after the last event of its log.

    Attributes
    ----------
    run : str
    settings : PaperSettings
    core : TradingCore
    seq, now_ms : int
        Number of that event, and the clock of the run then.
    differs : bool
        This build makes something else of the log: what is shown may not be what the run has.
    """

    run: str
    settings: PaperSettings
    core: TradingCore
    seq: int
    now_ms: int
    differs: bool

    @property
    def accounts(self) -> tuple[str, ...]:
        """Accounts that the run trades."""
        return tuple(sorted(self.core.desk.by_account))

    def account(self, wanted: str) -> str:
        """Account of a name or an address; the only one where nothing is given.

        Raises
        ------
        InputError
            If there is no such account, or several and none is named.
        """
        names = self.accounts
        if not wanted and len(names) == 1:
            return names[0]
        for name in names:
            if wanted in (name, name.partition("/")[2]) or wanted.lower() == name.lower():
                return name
        what = f"no account {wanted!r}{did_you_mean(wanted, names)}" if wanted else "which account"
        raise InputError(
            f"{what} of {self.run}",
            why=f"it has {', '.join(names) or 'none yet'}",
            fix="write --account NAME",
        )

    def held(self, account: str) -> dict[str, Trip]:
        """Breakers of an account that tripped and still hold, by name."""
        state = self.core.guard.book.accounts[account]
        return {trip.breaker: trip for trip in state.trips(self.now_ms)}


def fold_run(folder: Path) -> RunState:
    """Fold the log of a run, from its latest snapshot on; nothing of it is changed.

    Raises
    ------
    InputError
        If it is no run of strategies, or its log is empty.
    StorageError
        If settings or log are damaged.
    HaltedOnEvent
        If an event cannot be handled.
    """
    from genesis.paper.settings import read_settings
    from genesis.trading.quarantine import quarantined
    from genesis.trading.replay import Refold
    from genesis.trading.session import read_state
    from genesis.trading.store import EventReader

    settings, _ = read_settings(folder)
    core = settings.core(folder.name)
    refold = Refold(core, quarantined(folder))
    with EventReader(folder) as reader:
        seq = reader.head.seq
        last = reader.event(seq)
        if last is None:
            raise InputError(f"the run {folder.name} has no event yet", fix="try again in a moment")
        found = reader.latest_snapshot(seq)
        start = 1
        if found is not None:
            core.restore(read_state(found[1])["core"])
            start = found[0] + 1
        for event in reader.events(start, seq):
            refold.handle(event)
    core.desk.begin(last)  # a snapshot holds no clock
    return RunState(
        run=folder.name,
        settings=settings,
        core=core,
        seq=seq,
        now_ms=core.desk.now_ms,
        differs=bool(refold.divergences),
    )


def risk_status(state: RunState) -> dict[str, Any]:
    """How the accounts of a run stand in the eyes of the risk manager, as JSON can hold it."""
    from genesis.risk.genome import RiskGenome

    plain = state.settings.risk.genome
    genome = RiskGenome.from_plain(plain) if plain else RiskGenome()
    return {
        "run": state.run,
        "event": state.seq,
        "ts_ms": state.now_ms,
        "profile": state.settings.risk.profile.value,
        "genome": genome.id,
        "limits": dict(state.settings.limits),
        "halts": dict(state.core.desk.halts),
        "differs": state.differs,
        "accounts": [account_status(state, name) for name in state.accounts],
    }


def account_status(state: RunState, account: str) -> dict[str, Any]:
    """Level, breakers, measures against their limits, and permit of one account."""
    from genesis.risk.breakers import BY_PERSON, CONSEQUENCES

    guard = state.core.guard
    metrics = guard.metrics(account)
    assert metrics is not None  # somebody trades each account that is listed
    held, permit = state.held(account), guard.book.permits.get(account)
    return {
        "account": account,
        "equity": str(guard.equity(account)),
        "level": metrics.level.name,
        "meaning": metrics.level.meaning,
        "cautions": list(metrics.cautions),
        "breakers": [
            {
                "breaker": str(trip.breaker),
                "text": trip.text,
                "value": trip.value,
                "limit": trip.limit,
                "level": CONSEQUENCES[trip.breaker].level.name,
                "since_ms": trip.ts_ms,
                "until_ms": None if trip.until_ms == BY_PERSON else trip.until_ms,
                "rearms": CONSEQUENCES[trip.breaker].rearms,
                "held": trip.breaker in held,
            }
            for trip in metrics.breakers
        ],
        "measures": _measures(state, metrics),
        "permit": None
        if permit is None or not permit.holds(state.now_ms)
        else {"by": permit.by, "until_ms": permit.until_ms, "reason": permit.reason},
    }


def _measures(state: RunState, metrics: RiskMetrics) -> list[dict[str, Any]]:
    """What is measured and the gene that bounds it."""
    genes = state.core.guard.genes
    rows = (
        ("max_position", metrics.largest, genes.max_position),
        ("max_gross", metrics.gross, genes.max_gross),
        ("max_net", max(metrics.net_long, metrics.net_short), genes.max_net),
        ("max_trades_per_hour", metrics.orders_in_hour, genes.max_trades_per_hour),
        ("daily_drawdown", metrics.daily_drawdown, genes.daily_drawdown),
        ("weekly_drawdown", metrics.weekly_drawdown, genes.weekly_drawdown),
        ("total_drawdown", metrics.total_drawdown, genes.total_drawdown),
        ("rapid_loss", metrics.rapid_loss, genes.rapid_loss),
        ("max_consecutive_losses", metrics.losses, genes.max_consecutive_losses),
        ("correlation_spike", metrics.mean_correlation, genes.correlation_spike),
        ("high_volatility", metrics.volatility_percentile, genes.high_volatility),
    )
    return [
        {"name": name, "value": float(value), "limit": float(limit)} for name, value, limit in rows
    ]
