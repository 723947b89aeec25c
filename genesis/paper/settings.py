"""How a paper run is set up: written to its folder before the first event, read to go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.errors import InputError, StorageError
from genesis.evolution.files import read_json, write_json
from genesis.risk.genome import RiskGenome
from genesis.risk.limits import HardLimits
from genesis.risk.manager import GeneticRiskManager, RiskProfile
from genesis.trading.core import TradingCore
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.fills import TradeRecorder
from genesis.trading.order_manager import OrderSettings

FILE = "run.json"
SCHEMA = 1


class PaperMode(StrEnum):
    """What a paper run trades on.

    REPLAY: stored bars, with slippage and latency by the execution model. SIMULATION: a synthetic
    market. TESTNET: an exchange's test network. BACKTEST_VALIDATION: stored bars with the plain
    costs of the backtest, which it must reproduce fill for fill. LIVE: promoted deployments on
    the exchange of their target; no mode of paper trading, `genesis live run` begins it.
    """

    REPLAY = "replay"
    SIMULATION = "simulation"
    TESTNET = "testnet"
    BACKTEST_VALIDATION = "backtest-validation"
    LIVE = "live"

    @property
    def over_network(self) -> bool:
        """Whether its orders go to an exchange over a network."""
        return self in (PaperMode.TESTNET, PaperMode.LIVE)


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A deployment of a live run: what it trades, and how much of it.

    Attributes
    ----------
    deployment, strategy : str
        Ids.
    symbols : tuple of str
        They share the capital equally.
    capital : float
        Quote units.
    stage, dossier_hash : str
        What it rests on.
    """

    deployment: str
    strategy: str
    symbols: tuple[str, ...]
    capital: float
    stage: str
    dossier_hash: str


class RiskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the risk manager acts in a run.

    Attributes
    ----------
    profile : RiskProfile
        Whether its decisions change orders, or are only put on record.
    genome : mapping
        Plain form of a `RiskGenome`, empty for the defaults.
    flatten : bool
        Whether level EMERGENCY closes positions.
    """

    profile: RiskProfile = RiskProfile.OBSERVE
    genome: dict[str, Any] = {}
    flatten: bool = True


class PaperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything besides the market that a paper run depends on.

    Attributes
    ----------
    mode : PaperMode
    strategies : tuple of mapping
        Plain forms, see `genesis.strategy.text.dump_strategy`.
    market : mapping
        What the feed is made from: a dataset and its funding rule, or a simulated market.
    costs, limits, execution : mapping
        `CostModel`, `HardLimits`, `ExecutionModel` (empty for the plain costs).
    risk : RiskSettings
    capital : float
        Reference capital of each strategy, quote units, shared equally by its symbols.
    leverage : float
    options : DeploymentOptions
    news, schedule : str
        Files of these origins, empty for none.
    edges : mapping of str to (float, float)
        Win rate and payoff of strategies by their ids, for the position sizer.
    assignments : tuple of Assignment
        Deployments of a live run, which all trade one account; empty for paper trading, where
        each strategy has an account of its own and trades every symbol.
    """

    mode: PaperMode
    strategies: tuple[dict[str, Any], ...]
    market: dict[str, Any]
    costs: dict[str, Any] = msgspec.field(default_factory=lambda: CostModel().plain())
    limits: dict[str, Any] = msgspec.field(default_factory=lambda: HardLimits().plain())
    risk: RiskSettings = RiskSettings()
    execution: dict[str, Any] = msgspec.field(default_factory=dict)
    capital: float = 100_000.0
    leverage: float = 3.0
    options: DeploymentOptions = DeploymentOptions()
    news: str = ""
    schedule: str = ""
    assignments: tuple[Assignment, ...] = ()
    edges: dict[str, tuple[float, float]] = msgspec.field(default_factory=dict)

    def cost_model(self) -> CostModel:
        """Fees and slippage."""
        return CostModel.from_plain(self.costs)

    def execution_model(self) -> ExecutionModel | None:
        """Slippage and latency of the execution model, None for the plain costs."""
        return ExecutionModel.from_plain(self.execution) if self.execution else None

    def core(self, run: str, recorders: Sequence[TradeRecorder] = ()) -> TradingCore:
        """Fresh core of such a run."""
        orders = LIVE_ORDERS if self.mode.over_network else ORDERS
        return TradingCore(run, self.risk_manager(), orders=orders, recorders=recorders)

    def risk_manager(self) -> GeneticRiskManager:
        """Judge of every order of such a run."""
        genome = RiskGenome.from_plain(self.risk.genome) if self.risk.genome else RiskGenome()
        return GeneticRiskManager(
            genome,
            HardLimits.from_plain(dict(self.limits)),
            self.risk.profile,
            flatten=self.risk.flatten,
        )


ORDERS = OrderSettings(ack_ms=0)
"""The paper exchange answers within the call: no order waits for an answer that may be lost."""

LIVE_ORDERS = OrderSettings()
"""Over a network answers are lost: after ten seconds the exchange is asked."""


def write_settings(folder: Path, settings: PaperSettings, facts: Mapping[str, Any]) -> None:
    """Write what a run is, before its first event.

    Raises
    ------
    StorageError
    """
    write_json(
        folder / FILE,
        {"schema": SCHEMA, "settings": msgspec.to_builtins(settings), "facts": dict(facts)},
    )


def read_settings(folder: Path) -> tuple[PaperSettings, dict[str, Any]]:
    """Settings of a run and the facts beside them.

    Raises
    ------
    InputError
        If there is no such run, or it is of another version.
    StorageError
        If its file is damaged.
    """
    if not (folder / FILE).is_file():
        raise InputError(f"{folder.name} is no paper run", fix="see genesis paper list")
    value = read_json(folder / FILE)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise InputError(
            f"{folder / FILE} is of another version", fix=f"this version reads schema {SCHEMA}"
        )
    try:
        return msgspec.convert(value["settings"], PaperSettings), dict(value["facts"])
    except (msgspec.ValidationError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise StorageError(
            f"{folder / FILE} is damaged", why=str(error), fix="restore it, or begin another run"
        ) from None
