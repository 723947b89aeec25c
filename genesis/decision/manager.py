"""StrategyDeploymentManager: takes deployments through their career, one guarded step at a time.

What a step rests on is measured before, by an `EvidencePort`; then the log of operations is held,
the state is read once more, dossier and gates are looked at once more, and the step, its approval
and the use of that are written in one transaction, or none of them. Of two people who promote at
once the second is told what the first did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from genesis.decision.approvals import (
    LIFE_MS,
    MOST_LIFE_MS,
    Approval,
    Uptime,
    usd_text,
    words_to_type,
)
from genesis.decision.consent import Prepared, Token, consented
from genesis.decision.deployments import (
    HALF,
    Deployment,
    DeploymentBook,
    read_book,
    step_capital,
)
from genesis.decision.grounds import Grounds
from genesis.decision.operations import Draft, OperationsLog
from genesis.decision.ports import Consent, EnginePort, EvidencePort, Standing, Wish
from genesis.decision.rehearsal_time import require_present
from genesis.decision.retirement import Alarm, Health
from genesis.decision.rows import CANARY, CANDIDATE, PAPER, REAL, RETIRED
from genesis.decision.stages import Move, one_back, step_of
from genesis.decision.step_guards import (
    append_allowed,
    change_of,
    needs_word,
    on_dossier,
    require_healthy,
    require_known,
    require_lower,
    require_passed,
    require_room,
    require_same_symbols,
    require_seq,
    require_usable,
    require_word,
)
from genesis.decision.strategy_approval import require_standing
from genesis.domain.clock import Clock
from genesis.domain.errors import GenesisError, InputError, RefusedError
from genesis.trading.payloads import DeploymentChanged

MACHINE = "genesis"
"""Who takes a step that nobody asked for."""


class StrategyDeploymentManager:
    """Steps of deployments in a workspace.

    Parameters
    ----------
    home : Path
        Workspace.
    evidence : EvidencePort
    clock : Clock
    engine : EnginePort
        Has to approve before a strategy leaves paper.
    nonce : callable
        Gives 64 hexadecimal digits that nobody can guess.
    uptime : Uptime
    """

    def __init__(
        self,
        home: Path,
        evidence: EvidencePort,
        clock: Clock,
        *,
        engine: EnginePort,
        nonce: Callable[[], str],
        uptime: Uptime = Uptime(),  # noqa: B008
    ) -> None:
        self._home = home
        self._engine = engine
        self._evidence = evidence
        self._clock = clock
        self._token = Token(nonce, uptime, clock.now_ms)

    # ---- questions -------------------------------------------------------------------------

    def book(self) -> DeploymentBook:
        """Deployments as they stand, the log verified."""
        return read_book(self._home)[1]

    def find(self, wish: Wish) -> Deployment | None:
        """The deployment that is asked for, None if there is none yet."""
        return self.book().deployments.get(wish.id)

    # ---- steps -----------------------------------------------------------------------------

    def register(self, wish: Wish, who: str, reason: str = "") -> Deployment:
        """Take a strategy in as a candidate; one that was retired needs fresh sealed data.

        Raises
        ------
        RefusedError
            If it is there already, or the symbols belong to another deployment.
        """
        prepared = self._registration(wish, self.find(wish), reason)
        return self._write([prepared], who, None)

    def promote(
        self,
        wish: Wish,
        to: str,
        who: str,
        consent: Consent | Callable[[str], Consent],
        reason: str = "",
    ) -> Deployment:
        """Take a deployment one stage up, or from half back to the full size of its stage.

        Parameters
        ----------
        wish : Wish
        to : str
            The next stage, or the present one to restore its size.
        who : str
        consent : Consent or callable
            Asked for only where the step can send more orders to an exchange, after everything
            else was passed; called with the words that are to be typed.
        reason : str

        Raises
        ------
        RefusedError
            Naming the gate and by how much it was missed, or what else forbids the step.
        """
        now = self.find(wish)
        if now is not None:
            require_same_symbols(wish, now)
        prepared = []
        if to == PAPER and (now is None or now.stage == RETIRED):
            prepared.append(self._registration(wish, now, reason))
            now = self._as_candidate(wish, prepared[0], now)
        if now is None:
            raise RefusedError(
                f"{wish.strategy} is not deployed on {wish.account} at {wish.target}",
                why="stages are taken one by one",
                fix=f"genesis promote {wish.strategy} --to paper",
            )
        prepared.append(self._prepare_promotion(wish, now, to, reason))
        needed = prepared[-1].step.approval
        given = None
        if needed:
            cap = prepared[-1].grounds.cap
            given = consent(words_to_type(wish.account, cap)) if callable(consent) else consent
        return self._write(prepared, who, given)

    def approve(
        self, wish: Wish, to: str, who: str, reason: str, *, life_ms: int = LIFE_MS
    ) -> Approval:
        """Grant one use of one step; the caller writes the content into a file.

        Raises
        ------
        RefusedError
            If there is no such step, or it needs no approval.
        InputError
            For a life that is not possible.
        """
        if life_ms <= 0:
            raise InputError(
                "an approval must live for some time",
                fix="10 minutes as a rule, at most 24 hours: --for 10",
            )
        if life_ms > MOST_LIFE_MS:
            raise InputError(
                "an approval cannot live that long", fix="at most 24 hours, 10 minutes as a rule"
            )
        deployment = self._known(wish)
        step = step_of(deployment.stage, to, larger=deployment.scale < 1)
        if not step.approval:
            raise RefusedError(f"the step from {deployment.stage} to {to} needs no approval")
        standing = self._standing(deployment)
        cap = wish.cap if wish.cap is not None else deployment.cap
        require_usable(deployment, step, cap)
        with OperationsLog.open(self._home, self._clock) as log:
            self._require_unmoved(deployment.id, deployment.seq)
            now = log.now_ms()
            require_present(deployment.target, to, now, self._clock.now_ms())
            approval = Approval(
                kind="approval",
                approval=log.new_id("APR"),
                nonce=self._token.nonce(),
                strategy=deployment.strategy,
                account=deployment.account,
                target=deployment.target.value,
                symbols=deployment.symbols,
                from_stage=deployment.stage,
                to_stage=to,
                dossier_hash=standing.dossier_hash,
                gates_hash=standing.gates.promotion_hash,
                max_usd=usd_text(cap),
                issued_ms=now,
                expires_ms=now + life_ms,
                who=who,
                boot=self._token.uptime.boot,
                uptime_s=self._token.uptime.seconds,
            )
            log.append(approval.granted(reason), aggregate=deployment.id)
        return approval

    def obstacle(self, wish: Wish, to: str) -> str:
        """Why the gate of a step, or the health of what trades, forbids it now; empty if not."""
        deployment = self._known(wish)
        step = step_of(deployment.stage, to, larger=deployment.scale < 1)
        try:
            if step.gate:
                found = self._evidence.measure(deployment, step.gate)
                grounds = Grounds(
                    target=deployment.target.value, cap=deployment.cap, results=found.results
                )
                require_passed(deployment, grounds, step, found)
            if deployment.is_real:
                require_healthy(deployment, step, self._evidence.health(deployment))
        except GenesisError as error:
            return f"{error.what}: {error.why}" if error.why else error.what
        return ""

    def demote(self, wish: Wish, to: str | None, who: str, reason: str) -> Deployment:
        """Take a deployment down, one step back where no stage is named; never asks anybody.

        Raises
        ------
        RefusedError
            If it sends no orders, or the stage is not below its own.
        """
        deployment = self._known(wish)
        require_lower(deployment, to)
        lower = to if to is not None else one_back(deployment.stage)
        step = step_of(deployment.stage, lower)
        if step.move is not Move.DEMOTE:
            raise RefusedError(
                f"{lower} is not below {deployment.stage}",
                fix="genesis promote takes up, genesis retire ends",
            )
        return self._down(deployment, lower, deployment.scale, who, reason)

    def retire(self, wish: Wish, who: str, reason: str) -> Deployment:
        """End a deployment; one that ever sent orders comes back only with fresh sealed data."""
        deployment = self._known(wish)
        return self._down(deployment, RETIRED, Decimal(1), who, reason)

    def review(self, wish: Wish) -> tuple[Deployment, Health]:
        """Judge a live deployment, and demote it by what the layers say.

        Amber halves its size, once; red sends it back to paper; what is unknown changes nothing.
        """
        deployment = self._known(wish)
        if not deployment.is_real:
            return deployment, Health(Alarm.UNKNOWN, ("it sends no orders",), {})
        found = self._evidence.health(deployment)
        return self.act_on(deployment, found), found

    def act_on(self, deployment: Deployment, found: Health) -> Deployment:
        """What a verdict on a live deployment leads to."""
        reason = "; ".join(found.reasons)
        if found.alarm is Alarm.RED:
            return self._down(deployment, PAPER, Decimal(1), MACHINE, reason)
        if found.alarm is Alarm.AMBER and deployment.scale == 1:
            return self._down(deployment, deployment.stage, HALF, MACHINE, reason)
        return deployment

    # ---- preparing a step ------------------------------------------------------------------

    def _known(self, wish: Wish) -> Deployment:
        found = self.find(wish)
        if found is None:
            raise RefusedError(
                f"{wish.strategy} is not deployed on {wish.account} at {wish.target}",
                fix="genesis deployments list",
            )
        return found

    def _standing(self, deployment: Deployment) -> Standing:
        standing = self._evidence.standing(deployment.strategy, deployment.target)
        if deployment.dossier_hash not in ("", standing.dossier_hash):
            raise RefusedError(
                f"the dossier of {deployment.strategy} is not the one that it was promoted with",
                why=f"it was {deployment.dossier_hash[:12]} and is {standing.dossier_hash[:12]}",
                fix="restore the dossier, or retire the deployment and begin anew",
            )
        return standing

    def _registration(self, wish: Wish, now: Deployment | None, reason: str) -> Prepared:
        if now is not None and now.stage != RETIRED:
            raise RefusedError(f"{wish.id} is {now.stage} already", fix="genesis deployments show")
        if not wish.symbols or wish.cap is None:
            raise InputError(
                "a deployment needs its symbols and its full capital",
                fix="write --symbols BTC --cap 1000",
            )
        require_known(wish.symbols, self._evidence.symbols())
        grounds = Grounds(target=wish.target.value, cap=wish.cap)
        standing = None
        step = step_of(now.stage if now is not None else "", CANDIDATE)
        if step.gate:  # it was retired before
            standing = self._evidence.standing(wish.strategy, wish.target)
            grounds = on_dossier(grounds, standing)
        seq = now.seq if now is not None else 0
        text = reason or ("registered again" if now is not None else "")
        return Prepared(wish, seq, CANDIDATE, step, standing, grounds, tuple(wish.symbols), text)

    def _as_candidate(self, wish: Wish, prepared: Prepared, old: Deployment | None) -> Deployment:
        """The deployment as it will be once it is registered."""
        grounds = prepared.grounds
        return Deployment(
            id=wish.id,
            strategy=wish.strategy,
            account=wish.account,
            symbols=prepared.symbols,
            target=wish.target,
            stage=CANDIDATE,
            capital=grounds.cap,
            cap=grounds.cap,
            canary_cap=Decimal(0),
            scale=Decimal(1),
            dossier_hash="",
            mark="",
            gates=None,
            baseline=None,
            sealed_ms=(),
            since_ms=self._clock.now_ms(),
            live_since_ms=0,
            fresh_from_ms=old.fresh_from_ms if old is not None else 0,
            seq=prepared.seen_seq,
            history=(),
        )

    def _prepare_promotion(self, wish: Wish, now: Deployment, to: str, reason: str) -> Prepared:
        step = step_of(now.stage, to, larger=now.scale < 1)
        if step.move not in (Move.PROMOTE, Move.RESTORE):
            raise RefusedError(
                f"{to} is not above {now.stage}", fix="genesis demote takes down, with a reason"
            )
        standing = self._standing(now)
        grounds = Grounds(
            target=now.target.value,
            cap=wish.cap if wish.cap is not None else now.cap,
            scale=Decimal(1) if step.move is Move.RESTORE else now.scale,
            mark=standing.mark,
            gates=standing.gates,
            sealed_ms=standing.sealed_ms,
            baseline=now.baseline,
        )
        found = None
        if step.gate == "G3":
            grounds = on_dossier(grounds, standing)
            grounds = msgspec.structs.replace(
                grounds, baseline=self._evidence.baseline(now.strategy, now.target)
            )
        elif step.gate:
            found = self._evidence.measure(now, step.gate)
            grounds = msgspec.structs.replace(grounds, results=found.results, runs=found.runs)
        require_passed(now, grounds, step, found)
        if now.is_real:
            require_healthy(now, step, self._evidence.health(now))
        if to == CANARY:
            others = [one for one in self.book().real() if one.target == now.target]
            refusal = self._evidence.admission(now, others)
            if refusal:
                raise RefusedError(f"{now.strategy} adds nothing to the book", why=refusal)
            if needs_word(step, to):
                decision = self._engine.approved(now, grounds.runs)
                grounds = msgspec.structs.replace(grounds, decision=decision)
        text = reason or f"passed {step.gate}" if step.gate else reason
        return Prepared(wish, now.seq, to, step, standing, grounds, now.symbols, text)

    # ---- writing a step --------------------------------------------------------------------

    def _write(self, prepared: Sequence[Prepared], who: str, consent: Consent | None) -> Deployment:
        wish = prepared[0].wish
        with OperationsLog.open(self._home, self._clock) as log:
            state, book = read_book(self._home)
            now = book.deployments.get(wish.id)
            require_seq(wish.id, now, prepared[0].seen_seq)
            drafts: list[Draft] = []
            stage = now.stage if now is not None else ""
            for one in prepared:
                require_present(wish.target, one.to, log.now_ms(), self._clock.now_ms())
                self._require_same_evidence(one)
                if one.to == CANARY:
                    require_room(state, book, one)
                if needs_word(one.step, one.to):  # somebody may have rejected it meanwhile
                    require_word(one)
                    require_standing(state, one.grounds.decision, log.now_ms())
                approval = ""
                if one.step.approval:
                    assert consent is not None
                    approval = consented(log, state, one, stage, who, consent, drafts, self._token)
                drafts.append(Draft(change_of(one, now, stage, who, approval), wish.id))
                stage = one.to
            return append_allowed(log, book, drafts, wish.id)

    def _down(
        self, deployment: Deployment, to: str, scale: Decimal, who: str, reason: str
    ) -> Deployment:
        if not reason.strip():
            raise InputError("a step down needs a reason", fix="add --reason")
        if to not in REAL:
            scale = Decimal(1)
        grounds = Grounds(
            target=deployment.target.value, cap=deployment.cap, scale=scale, mark=deployment.mark
        )
        capital = step_capital(deployment, deployment.cap, to, scale, up=False)
        data = DeploymentChanged(
            deployment=deployment.id,
            strategy=deployment.strategy,
            account=deployment.account,
            symbols=deployment.symbols,
            from_stage=deployment.stage,
            to_stage=to,
            capital=capital,
            dossier_hash=deployment.dossier_hash,
            approval="",
            who=who,
            reason=reason.strip(),
            evidence=grounds.to_plain(),
        )
        with OperationsLog.open(self._home, self._clock) as log:
            _, book = read_book(self._home)
            require_seq(deployment.id, book.deployments.get(deployment.id), deployment.seq)
            return append_allowed(log, book, [Draft(data, deployment.id)], deployment.id)

    def _require_unmoved(self, name: str, seq: int) -> None:
        _, book = read_book(self._home)
        require_seq(name, book.deployments.get(name), seq)

    def _require_same_evidence(self, one: Prepared) -> None:
        """Look at dossier and gates once more: they may have been swapped since."""
        if one.standing is None:
            return
        again = self._evidence.standing(one.wish.strategy, one.wish.target)
        if (again.dossier_hash, again.gates) != (one.standing.dossier_hash, one.standing.gates):
            raise RefusedError(
                f"the evidence on {one.wish.strategy} changed while it was judged",
                fix="try again, and see who writes to the workspace",
            )
