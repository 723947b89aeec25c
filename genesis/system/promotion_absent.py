"""Why there is nothing to judge a step by: which runs were found, and what each of them lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genesis.domain.counting import several
from genesis.domain.instrument import base_asset
from genesis.domain.timeline import format_ts

if TYPE_CHECKING:
    from genesis.decision.deployments import Deployment
    from genesis.trading.payloads import DeploymentAdded, RunStarted

LISTED = 4
"""Runs that a reason names."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Why nothing was measured, and the command that leads to something."""

    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    started: RunStarted
    added: Sequence[DeploymentAdded]

    @property
    def symbols(self) -> list[str]:
        return sorted({one.symbol for one in self.added})

    @property
    def sizing(self) -> str:
        """What made its entries smaller than the strategy's own; empty if nothing did."""
        from genesis.paper.logged import other_sizing

        return other_sizing(self.added)


def sized_on_paper(home: Path, deployment: Deployment, modes: Collection[str]) -> str:
    """Paper runs of a strategy that do not count because of their sizes; empty if there are none.

    Parameters
    ----------
    home : Path
    deployment : Deployment
    modes : collection of str
        Modes of the runs that count.
    """
    runs = [one for one in _runs_of(home, deployment.strategy) if one.started.mode in modes]
    return _sized([one for one in runs if not missing_symbols(deployment, one.added)])


def sized_live(home: Path, deployment: Deployment, mode: str, network: str) -> str:
    """Live runs of a deployment that do not count for a step up because of their sizes.

    Parameters
    ----------
    home : Path
    deployment : Deployment
    mode, network : str
        Of the runs that count.
    """
    runs = [one for one in _runs_of(home, deployment.strategy) if one.started.mode == mode]
    return _sized(
        [one for one in runs if is_own(one.started, one.added, deployment.account, network)]
    )


def nothing_on_paper(home: Path, deployment: Deployment, modes: Collection[str]) -> Absent:
    """Why no paper run is evidence for a deployment.

    Parameters
    ----------
    home : Path
    deployment : Deployment
    modes : collection of str
        Modes of the runs that count.
    """
    name = deployment.strategy
    found = [one for one in _runs_of(home, name) if one.started.mode in modes]
    runs = [one for one in found if not one.sizing]
    wanted = ",".join(deployment.symbols)
    again = (
        f"genesis paper run {name} --dataset VENUE:{wanted}:INTERVAL, or"
        f" genesis paper run {name} -m testnet --symbols {wanted}"
    )
    if found and not runs:
        return Absent(f"no paper run of {name} has its own sizes", again)
    if not runs:
        return Absent(
            f"no paper run trades {name} in a mode that counts: {', '.join(modes)}", again
        )
    lacking = _lacking(deployment, runs)
    if lacking:
        traded = ", ".join(sorted({symbol for one in runs for symbol in one.symbols}))
        why = f"no paper run trades {lacking} (the runs of this strategy trade {traded})"
        return Absent(f"{why}; one run must trade every symbol of the deployment", again)
    fitting = [one for one in runs if not missing_symbols(deployment, one.added)]
    if deployment.fresh_from_ms:
        fall = format_ts(deployment.fresh_from_ms)
        why = f"bars before the fall at {fall} do not count, and {_named(fitting)} end before"
        fix = f"fetch or trade bars from after it: genesis data fetch DATASET, then {again}"
        return Absent(f"{why}, or before a whole day had passed", fix)
    return Absent(f"no whole day to compare is in {_named(fitting)}", again)


def nothing_live(home: Path, deployment: Deployment, mode: str, network: str) -> Absent:
    """Why no live run is evidence for a deployment.

    Parameters
    ----------
    home : Path
    deployment : Deployment
    mode, network : str
        Of the runs that count.
    """
    account = deployment.account
    go_on = f"genesis live run --account {account}, and let days pass"
    since = format_ts(deployment.live_since_ms)
    runs = [one for one in _runs_of(home, deployment.strategy) if one.started.mode == mode]
    found = [one for one in runs if is_own(one.started, one.added, account, network)]
    own = [one for one in found if not one.sizing]
    if found and not own:
        fix = f"genesis live run --account {account} --sizing strategy, and let days pass"
        return Absent("0 days: no live run has the strategy's own sizes", fix)
    if own:
        why = f"0 days: no whole day since its canary began at {since} is in {_named(own)}"
        return Absent(why, go_on)
    why = "0 days: no live run yet"
    if runs:
        why += f" on {network} from {account}, {_named(runs)} are others"
    return Absent(why, go_on)


def is_own(
    started: RunStarted, added: Sequence[DeploymentAdded], account: str, network: str
) -> bool:
    """Whether a strategy traded an account, and no other, on a network in a run."""
    from genesis.paper.logged import market_of

    market = market_of(started)
    accounts = market.get("accounts", {})
    addresses = {str(accounts.get(one.account, "")).lower() for one in added}
    return bool(market.get("network") == network and addresses == {account})


def missing_symbols(deployment: Deployment, added: Sequence[DeploymentAdded]) -> list[str]:
    """Symbols of a deployment that are not traded in a run."""
    traded = {base_asset(one.symbol) for one in added}
    return [symbol for symbol in deployment.symbols if base_asset(symbol) not in traded]


def _runs_of(home: Path, strategy: str) -> Iterator[_Found]:
    from genesis.paper.logged import started_of
    from genesis.trading.run_folders import list_runs

    for folder in list_runs(home):
        started, added = started_of(folder)
        own = [one for one in added if one.strategy_id == strategy]
        if started is not None and own:
            yield _Found(folder.name, started, own)


def _lacking(deployment: Deployment, runs: Sequence[_Found]) -> str:
    """Symbols that the run nearest to the deployment's does not trade; empty if one has all."""
    missing = [missing_symbols(deployment, one.added) for one in runs]
    return ", ".join(min((len(names), names) for names in missing)[1])


def _named(runs: Sequence[_Found]) -> str:
    """``those of the 2 runs found (a, b)``."""
    names = [one.name for one in runs]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    count = several(len(names), "run")
    return f"those of the {count} found ({', '.join(names[-LISTED:])}{more})"


def _sized(runs: Sequence[_Found]) -> str:
    """What says that entries of other sizes are no evidence; empty where there are none."""
    sized = [one for one in runs if one.sizing]
    if not sized:
        return ""
    named = ", ".join(f"{one.name} by {one.sizing}" for one in sized[-LISTED:])
    more = f" and {len(sized) - LISTED} more" if len(sized) > LISTED else ""
    return f"entries that are sized by anything but the strategy do not count: {named}{more}"
