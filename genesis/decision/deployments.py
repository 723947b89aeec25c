"""Deployments: a strategy on an account's symbols, at one target, somewhere in its career.

Their state is a fold of the log of operations, stricter than that log's own: a row that the table
of steps, the gates, the approvals or the capital do not allow is refused when it is read, whoever
wrote it. So a row that was written past the commands leads to no order.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final, Self

import msgspec

from genesis.decision.grounds import Baseline, GatesUsed, Grounds, grounds_of, unmet
from genesis.decision.operations import FOLDER
from genesis.decision.rows import CANARY, ENGINE, REAL, RETIRED
from genesis.decision.stages import CENT, SHARES, Move, Step, Target, stage_capital, step_of
from genesis.decision.state import OperationsState
from genesis.domain.errors import RefusedError, StorageError
from genesis.trading.events import Event
from genesis.trading.payloads import (
    ApprovalGranted,
    ApprovalUsed,
    CapitalAllocated,
    DeploymentChanged,
)
from genesis.trading.store import EventReader, verify
from genesis.trading.store.schema import FILE

HALF: Final = Decimal("0.5")


class History(msgspec.Struct, frozen=True):
    """A step that was taken: when, between which stages, by whom and why."""

    seq: int
    ts_ms: int
    move: str
    from_stage: str
    to_stage: str
    capital: Decimal
    who: str
    reason: str
    approval: str
    grounds: Grounds


class Deployment(msgspec.Struct, frozen=True):
    """A strategy on some symbols of an account.

    Attributes
    ----------
    id, strategy, account : str
    symbols : tuple of str
    target : Target
    stage : str
    capital : Decimal
        What it may trade with now, quote units; paper trades the full capital of no money.
    cap : Decimal
        Full capital, that of ``live_100``; the last approval allowed it.
    canary_cap : Decimal
        Full capital of its canary: no later step may go beyond it.
    scale : Decimal
        1, or 1/2 after an amber alarm.
    dossier_hash, mark : str
        Evidence that it rests on; ``REHEARSAL`` if that is one.
    gates : GatesUsed or None
        Gates that judged its last step up.
    baseline : Baseline or None
    sealed_ms : tuple of int
    since_ms : int
        When it came to this stage.
    live_since_ms : int
        When its canary began, 0 where it sends no orders.
    fresh_from_ms : int
        Bars that close before are no evidence any more.
    seq : int
        Number of its last row.
    history : tuple of History
    allocated : Decimal or None
        Full size that a person divided the account's capital to, where that is less than ``cap``;
        no step up goes beyond its share of it. A step to paper forgets it.
    """

    id: str
    strategy: str
    account: str
    symbols: tuple[str, ...]
    target: Target
    stage: str
    capital: Decimal
    cap: Decimal
    canary_cap: Decimal
    scale: Decimal
    dossier_hash: str
    mark: str
    gates: GatesUsed | None
    baseline: Baseline | None
    sealed_ms: tuple[int, ...]
    since_ms: int
    live_since_ms: int
    fresh_from_ms: int
    seq: int
    history: tuple[History, ...]
    allocated: Decimal | None = None

    @property
    def is_real(self) -> bool:
        """Whether its orders reach an exchange."""
        return self.stage in REAL


def returns_freely(one: Deployment) -> bool:
    """Whether a retired deployment may be registered again on the evidence that it had.

    So it is where it never sent an order to an exchange and no decision of the engine ended it: a
    wrong symbol or account is corrected that way. What was traded on paper still counts.
    """
    return not any(
        step.to_stage in REAL or (step.to_stage == RETIRED and step.who == ENGINE)
        for step in one.history
    )


def deployment_id(strategy: str, account: str, target: str) -> str:
    """Id of a deployment; another target is another deployment, which starts over."""
    return f"{strategy}:{target}:{account}"


class DeploymentBook:
    """Deployments after some events of the log; made by `fold_deployments`."""

    def __init__(self) -> None:
        self.deployments: dict[str, Deployment] = {}
        self._granted: dict[str, ApprovalGranted] = {}
        self._used: dict[str, str] = {}
        self._spent: set[str] = set()
        self._words = False
        """A row was seen that says which decision it rests on: so do all after it."""

    def copy(self) -> Self:
        """Book of its own; rows are frozen and shared."""
        other = type(self)()
        other.deployments, other._granted = dict(self.deployments), dict(self._granted)
        other._used, other._spent = dict(self._used), set(self._spent)
        other._words = self._words
        return other

    def real(self) -> list[Deployment]:
        """Deployments whose orders reach an exchange."""
        return [one for one in self.deployments.values() if one.is_real]

    def apply(self, event: Event) -> None:
        """Take in one event.

        Raises
        ------
        RefusedError
            If it is a step that is not allowed; nothing is changed then.
        """
        data = event.data
        if isinstance(data, ApprovalGranted):
            self._granted[data.approval] = data
        elif isinstance(data, ApprovalUsed):
            self._used[data.approval] = data.deployment
        elif isinstance(data, CapitalAllocated):
            self._allocated(data)
        elif isinstance(data, DeploymentChanged):
            self._moved(event, data)

    def _moved(self, event: Event, data: DeploymentChanged) -> None:
        old = self.deployments.get(data.deployment)
        now = old.stage if old is not None else ""
        if data.from_stage != now:
            raise RefusedError(f"{data.deployment} is {now or 'new'}, not {data.from_stage}")
        grounds = grounds_of(data)
        larger = old is not None and grounds.scale > old.scale
        step = step_of(now, data.to_stage, larger=larger)
        _require_identity(data, grounds, old)
        _require_size(data, grounds, old, step)
        if step.reason and not data.reason.strip():
            raise RefusedError(f"the step of {data.deployment} to {data.to_stage} has no reason")
        if step.gate:
            _require_gates(data, grounds, old, step)
        words = self._words or "decision" in data.evidence
        if words and step.move is Move.PROMOTE and data.to_stage == CANARY and not grounds.decision:
            raise RefusedError(f"no decision of the engine lets {data.strategy} leave paper")
        if step.approval:
            self._spend(data, grounds)
        elif data.approval:
            raise RefusedError(f"the step of {data.deployment} needs no approval, and has one")
        self.deployments[data.deployment] = _after(old, event, data, grounds, step)
        self._words = words

    def _spend(self, data: DeploymentChanged, grounds: Grounds) -> None:
        granted = self._granted.get(data.approval)
        if granted is None or self._used.get(data.approval) != data.deployment:
            raise RefusedError(
                f"the step of {data.deployment} to {data.to_stage} has no approval",
                why="each step that can send more orders to an exchange needs one of its own",
                fix="genesis approve STRATEGY --stage STAGE",
            )
        if data.approval in self._spent:
            raise RefusedError(f"the approval {data.approval} served another step already")
        assert grounds.gates is not None
        wanted = {
            "strategy": data.strategy,
            "account": data.account,
            "symbols": data.symbols,
            "from_stage": data.from_stage,
            "to_stage": data.to_stage,
            "dossier_hash": data.dossier_hash,
            "max_usd": grounds.cap,
            "target": grounds.target,
            "gates_hash": grounds.gates.promotion_hash,
        }
        for name, value in wanted.items():
            allowed = getattr(granted, name)
            if allowed != value:
                raise RefusedError(
                    f"the approval {data.approval} is for {name} {allowed}, not {value}"
                )
        self._spent.add(data.approval)

    def _allocated(self, data: CapitalAllocated) -> None:
        for name, capital in data.capital.items():
            row = self.deployments.get(name)
            if row is None or row.stage == RETIRED:
                raise RefusedError(f"there is no active deployment {name}")
            most = stage_capital(row.cap, row.stage, row.scale)
            if not 0 <= capital <= most:
                raise RefusedError(f"{name} would get {capital:f} USD; {most:f} USD is its most")
        for name, capital in data.capital.items():
            row = self.deployments[name]
            self.deployments[name] = msgspec.structs.replace(
                row, capital=capital, allocated=_full_size(row, capital)
            )


def _full_size(row: Deployment, capital: Decimal) -> Decimal | None:
    """Full size that a capital of the present stage is the share of; None for all of ``cap``."""
    if not row.is_real or capital >= stage_capital(row.cap, row.stage, row.scale):
        return None
    return (capital / (SHARES[row.stage] * row.scale)).quantize(CENT, rounding="ROUND_DOWN")


def step_capital(
    old: Deployment | None, cap: Decimal, to: str, scale: Decimal, *, up: bool
) -> Decimal:
    """What a deployment trades after a step.

    Parameters
    ----------
    old : Deployment or None
        As it is before.
    cap : Decimal
        Full capital after the step.
    to : str
    scale : Decimal
    up : bool
        Whether the step takes it up, or back to its full size.

    Returns
    -------
    Decimal
        The stage's share of the full capital, of less where a person allocated less; a step down
        raises nothing.
    """
    if old is None or not old.is_real or to not in REAL:
        return stage_capital(cap, to, scale)
    most = cap if old.allocated is None else min(cap, old.allocated)
    share = stage_capital(most, to, scale)
    return share if up else min(share, old.capital)


def _require_identity(data: DeploymentChanged, grounds: Grounds, old: Deployment | None) -> None:
    if grounds.target not in list(Target):
        raise RefusedError(f"there is no target {grounds.target!r}")
    if data.deployment != deployment_id(data.strategy, data.account, grounds.target):
        raise RefusedError(f"{data.deployment} is not the deployment that its row describes")
    if old is not None and data.symbols != old.symbols and old.stage != RETIRED:
        raise RefusedError(f"{data.deployment} keeps its symbols")


def _require_size(
    data: DeploymentChanged, grounds: Grounds, old: Deployment | None, step: Step
) -> None:
    """Capital is the stage's share of the full one, which grows by starting over alone."""
    if not grounds.cap.is_finite() or grounds.cap <= 0:
        raise RefusedError(f"a full capital of {grounds.cap:f} USD is not possible")
    if grounds.scale not in (HALF, Decimal(1)):
        raise RefusedError(f"a scale of {grounds.scale} is not possible")
    up = step.move not in (Move.HALVE, Move.DEMOTE)
    whole = step_capital(old, grounds.cap, data.to_stage, grounds.scale, up=up)
    if data.capital != whole:
        bound = old.allocated if old is not None else None
        allocated = "" if bound is None else f", as {bound:f} USD of it are allocated"
        raise RefusedError(
            f"{data.deployment} would trade {data.capital:f} USD as {data.to_stage}",
            why=f"the stage's share of {grounds.cap:f} USD is {whole:f} USD{allocated}",
        )
    if old is None or old.stage not in REAL or data.to_stage not in REAL:
        return
    if step.move is not Move.PROMOTE and grounds.cap > old.cap:
        raise RefusedError(f"{step.move.value} raises no capital")
    if grounds.cap > old.canary_cap:
        raise RefusedError(
            f"{data.deployment} would get a full capital of {grounds.cap:f} USD",
            why=f"its canary proved {old.canary_cap:f} USD",
            fix="roll back to paper, and begin the canary with the larger capital",
        )
    if step.move is not Move.RESTORE and grounds.scale > old.scale:
        raise RefusedError("half a size is restored by a step of its own")
    if step.move is Move.HALVE and grounds.scale >= old.scale:
        raise RefusedError(f"{data.deployment} is at half its size already")


def _require_gates(
    data: DeploymentChanged, grounds: Grounds, old: Deployment | None, step: Step
) -> None:
    if not data.dossier_hash or grounds.gates is None:
        raise RefusedError(f"the step of {data.deployment} to {data.to_stage} rests on no dossier")
    rehearsal = bool(grounds.mark) or grounds.gates.rehearsal
    if rehearsal and grounds.target == Target.MAINNET:
        raise RefusedError(
            f"a rehearsal does not lead to {grounds.target}",
            why="only loopback venues and the testnet accept it",
            fix=f"genesis validate {data.strategy}",
        )
    problems = unmet(grounds.results, step.gate)
    if problems:
        raise RefusedError(f"{data.strategy} does not pass {step.gate}", why="; ".join(problems))
    if step.move is Move.REGISTER:
        assert old is not None
        _require_fresh(data, grounds, old)
    elif old is not None and old.dossier_hash not in ("", data.dossier_hash):
        raise RefusedError(
            f"the evidence on {data.strategy} is not what it was promoted with",
            why=f"its dossier was {old.dossier_hash[:12]} and is {data.dossier_hash[:12]}",
            fix="retire it, or restore the dossier",
        )
    if step.move is Move.PROMOTE and grounds.baseline is None:
        raise RefusedError(f"the step of {data.deployment} to {data.to_stage} has no baseline")


def _require_fresh(data: DeploymentChanged, grounds: Grounds, old: Deployment) -> None:
    """A retired strategy comes back on sealed bars that nobody had seen when it was retired.

    One that `returns_freely` comes back as it is.
    """
    if returns_freely(old):
        return
    seen = max((*old.sealed_ms, old.since_ms))
    if (
        data.dossier_hash == old.dossier_hash
        or not grounds.sealed_ms
        or grounds.sealed_ms[0] < seen
    ):
        raise RefusedError(
            f"{data.strategy} was retired, and nothing new speaks for it",
            why="it comes back only with a dossier on sealed bars from after its retirement",
            fix="fetch new data, breed and validate again",
        )


def _after(
    old: Deployment | None, event: Event, data: DeploymentChanged, grounds: Grounds, step: Step
) -> Deployment:
    entry = History(
        seq=event.seq,
        ts_ms=event.ts_ms,
        move=step.move.value,
        from_stage=data.from_stage,
        to_stage=data.to_stage,
        capital=data.capital,
        who=data.who,
        reason=data.reason,
        approval=data.approval,
        grounds=grounds,
    )
    real = data.to_stage in REAL
    was_real = old is not None and old.is_real
    live_since = (old.live_since_ms if old is not None and was_real else event.ts_ms) if real else 0
    canary_cap = grounds.cap if data.to_stage == CANARY and not was_real else Decimal(0)
    if old is not None and was_real and real:
        canary_cap = old.canary_cap
    fresh = max(old.fresh_from_ms if old is not None else 0, grounds.fresh_from_ms)
    if was_real and not real:
        fresh = max(fresh, event.ts_ms)  # what was traded before the fall proves nothing after it
    same_size = data.from_stage == data.to_stage
    return Deployment(
        id=data.deployment,
        strategy=data.strategy,
        account=data.account,
        symbols=data.symbols,
        target=Target(grounds.target),
        stage=data.to_stage,
        capital=data.capital,
        cap=grounds.cap,
        canary_cap=canary_cap,
        scale=grounds.scale,
        dossier_hash=data.dossier_hash or (old.dossier_hash if old is not None else ""),
        mark=grounds.mark or (old.mark if old is not None and not step.gate else ""),
        gates=grounds.gates or (old.gates if old is not None else None),
        baseline=grounds.baseline or (old.baseline if old is not None else None),
        sealed_ms=grounds.sealed_ms or (old.sealed_ms if old is not None else ()),
        since_ms=old.since_ms if old is not None and same_size else event.ts_ms,
        live_since_ms=live_since,
        fresh_from_ms=fresh,
        seq=event.seq,
        history=(*(old.history if old is not None else ()), entry),
        allocated=old.allocated if old is not None and was_real and real else None,
    )


def fold_deployments(events: Iterable[Event]) -> DeploymentBook:
    """Book after these events of a log, in its order.

    Raises
    ------
    RefusedError
        If a row is not allowed after those before it: no command wrote it.
    """
    book = DeploymentBook()
    for event in events:
        try:
            book.apply(event)
        except RefusedError as error:
            raise RefusedError(
                f"row {event.seq} of the log of operations is not allowed: {error.what}",
                why=error.why or "no command of this platform wrote it",
                fix=f"restore the workspace's {FOLDER} folder from a backup",
            ) from None
    return book


def read_book(home: Path) -> tuple[OperationsState, DeploymentBook]:
    """State of operations and book of a workspace, the whole chain of its log verified.

    Raises
    ------
    RefusedError
        If a row was edited, removed or moved, or is not allowed.
    """
    folder = home / FOLDER
    if not (folder / FILE).is_file():
        return OperationsState(), DeploymentBook()
    damage = verify(folder).damage
    if damage is not None:
        raise RefusedError(
            "the log of operations was changed after it was written",
            why=f"event {damage.seq}: {damage.text}",
            fix=f"restore {folder} from a copy",
        )
    state = OperationsState()
    with EventReader(folder) as reader:
        events = list(reader.events())
    for event in events:
        try:
            state.apply(event)
        except RefusedError as error:
            raise StorageError(
                f"row {event.seq} of the log of operations contradicts those before it",
                why=error.what,
                fix=f"restore {folder} from a copy",
            ) from None
    return state, fold_deployments(events)
