"""The decision engine's word on a strategy that is to leave paper: on record, or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genesis.domain.errors import RefusedError
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.decision.deployments import Deployment
    from genesis.decision.grounds import RunRef
    from genesis.decision.rows import DecisionRow
    from genesis.decision.rules import DecisionRules
    from genesis.domain.clock import Clock


class EngineApproval:
    """The decision engine's word on a strategy, for the newest paper run as far as it has come.

    It is asked once for each state of that run's log: a run that went on is judged anew, and so is
    a newer run.

    Parameters
    ----------
    workspace : Workspace
    clock : Clock
    """

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock

    def approved(self, deployment: Deployment, runs: Sequence[RunRef]) -> str:
        """Id of the decision that lets a strategy leave paper.

        A decision on the newest run counts if it was taken on the log that was measured; where
        there is none the engine is asked, and its answer and review are on record from then on.

        Parameters
        ----------
        deployment : Deployment
        runs : sequence of RunRef
            Paper runs that the step rests on, as they were measured, the newest first.

        Raises
        ------
        RefusedError
            If the answer is no, or waits for somebody; names it, its reasons and what to do.
        ConfigError
            If the shipped rules, which alone count here, cannot be read or are not valid.
        """
        from genesis.decision.operations import read_operations
        from genesis.decision.rules import load_rules
        from genesis.decision.strategy_approval import decision_on, latest_on, require_standing

        if not runs:
            raise RefusedError(
                f"the decision engine cannot judge {deployment.strategy}",
                why="no paper run counts as evidence",
                fix=f"genesis paper run {deployment.strategy}",
            )
        rules = load_rules()
        state = read_operations(self._workspace.home)
        asked = state, deployment.strategy, runs, rules.hash, deployment.fresh_from_ms
        row, grown = decision_on(*asked), ""
        if row is None:
            grown = _grown(latest_on(*asked), runs[0])
            name = self._ask(deployment.strategy, runs[0].run, rules)
            state = read_operations(self._workspace.home)
        else:
            name = row.decision
        reasons = self._reasons(state.decisions[name].seq)
        reasons += [grown] if grown else []
        require_standing(state, name, self._clock.now_ms(), reasons)
        return name

    def _ask(self, strategy: str, run: str, rules: DecisionRules) -> str:
        """Have it decided on a run's facts, as `genesis decide` does; id on record."""
        from genesis.decision.strategy_approval import KIND
        from genesis.system.decision_facts import facts_of_run
        from genesis.system.decisions import decide_now

        facts = facts_of_run(self._workspace, run, rules, self._clock)
        return decide_now(self._workspace, KIND, facts, rules, strategy, self._clock).id

    def _reasons(self, seq: int) -> list[str]:
        """What speaks against the strategy, and what nobody knew, from the stored decision."""
        from genesis.decision.operations import read_event
        from genesis.trading.payloads import DecisionMade

        event = read_event(self._workspace.home, seq)
        if event is None or not isinstance(event.data, DecisionMade):
            return []
        body = event.data.body
        against = [one["text"] for one in body["reasons"] if one["holds"] is not True]
        missing = [f"{one} is not known" for one in body["missing"] if "data" in one]
        return [one for one in (*against, *missing, body["error"]) if one]


def _grown(before: DecisionRow | None, now: RunRef) -> str:
    """What to know where a run went on after it had been decided on: its next bar ends this too."""
    if before is None or before.log is None or before.log.run != now.run:
        return ""
    return (
        f"{before.decision} was taken on {before.log.events:,} events of {now.run}, which has"
        f" {now.events:,} by now: end the run before its review, or that is asked for again"
    )
