"""The decision engine's word on a strategy that is to leave paper: on record, or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genesis.domain.errors import RefusedError
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.decision.deployments import Deployment
    from genesis.decision.grounds import RunRef
    from genesis.decision.rules import DecisionRules
    from genesis.domain.clock import Clock


class EngineApproval:
    """Asks the decision engine whether a strategy may trade, once for each paper run.

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

        The latest decision on one of the runs counts; where there is none the engine is asked about
        the newest of them, and its answer and review are on record from then on.

        Parameters
        ----------
        deployment : Deployment
        runs : sequence of RunRef
            Paper runs that the step rests on, the newest first.

        Raises
        ------
        RefusedError
            If the answer is no, or waits for somebody; names it, its reasons and what to do.
        ConfigError
            If the shipped rules, which alone count here, cannot be read or are not valid.
        """
        from genesis.decision.operations import read_operations
        from genesis.decision.rules import load_rules
        from genesis.decision.strategy_approval import decision_on, require_standing

        if not runs:
            raise RefusedError(
                f"the decision engine cannot judge {deployment.strategy}",
                why="no paper run counts as evidence",
                fix=f"genesis paper run {deployment.strategy}",
            )
        rules = load_rules()
        state = read_operations(self._workspace.home)
        names = [one.run for one in runs]
        row = decision_on(state, deployment.strategy, names, rules.hash, deployment.fresh_from_ms)
        if row is None:
            name = self._ask(deployment.strategy, names[0], rules)
            state = read_operations(self._workspace.home)
        else:
            name = row.decision
        reasons = self._reasons(state.decisions[name].seq)
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
