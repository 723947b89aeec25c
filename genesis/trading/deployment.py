"""A deployment: one strategy that owns one symbol of one account, and what it remembers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from genesis.domain.errors import InputError, did_you_mean, refuse_unknown_keys
from genesis.domain.instrument import Instrument
from genesis.domain.timeline import bars_per_year
from genesis.risk.results import TradeResults
from genesis.risk.sizer import SizingMethod
from genesis.strategy.exits import Excursion
from genesis.strategy.node import Node
from genesis.strategy.policy import PolicyState, new_state, policy_numbers
from genesis.strategy.policy_inputs import policy_nodes
from genesis.strategy.strategy import NEVER, Strategy
from genesis.strategy.text import dump_strategy, load_strategy
from genesis.trading.money import exact
from genesis.trading.payloads import DeploymentAdded, Origin, TradeIntent

ALGORITHMS = ("single", "twap", "iceberg")
STOPS = ("venue", "loop")
STRATEGY_SIZE = "strategy"
"""Sizing by the strategy alone: the size that its backtest was judged with."""
SIZINGS = (STRATEGY_SIZE, *(method.value for method in SizingMethod))


class DeploymentOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a deployment trades; part of the log, so that a replay does the same.

    Attributes
    ----------
    algorithm : {"single", "twap", "iceberg"}
        How entries and exits by signal are executed.
    slices : int
        Parts of a TWAP or iceberg order.
    spacing_ms : int
        Time between the slices of a TWAP.
    stops : {"venue", "loop"}
        Whether stop and target rest on the exchange, or the loop watches quotes itself.
    intent_ttl_ms : int
        An intent that was not sent within this time is expired and decided again.
    order_ttl_ms : int
        The exchange must not accept an order later than this after it was made.
    trade_from_ms : int
        Bars that close before this instant only warm the kernels up.
    stop_within_ms : int
        A position without an acknowledged stop at the exchange so long after it was opened is
        closed; 0 where nobody watches that.
    disaster_stop : float
        Distance from the entry, as a fraction of it, of the stop of a strategy whose policy has
        none; 0 for no such stop.
    sizing : str
        One of `SIZINGS`: a method of the position sizer makes entries smaller, none larger.
    win_rate, payoff : float
        Of the strategy before this deployment, for the sizer; a payoff of 0 where not known.
    """

    algorithm: str = "single"
    slices: int = 1
    spacing_ms: int = 0
    stops: str = "venue"
    intent_ttl_ms: int = 60_000
    order_ttl_ms: int = 15_000
    trade_from_ms: int = 0
    stop_within_ms: int = 0
    disaster_stop: float = 0.0
    sizing: str = STRATEGY_SIZE
    win_rate: float = 0.0
    payoff: float = 0.0


def read_options(value: Mapping[str, Any]) -> DeploymentOptions:
    """Options from their plain form.

    Raises
    ------
    InputError
        For an unknown key or a value that is not allowed.
    """
    refuse_unknown_keys("options", value, DeploymentOptions.__struct_fields__)
    try:
        options = msgspec.convert(dict(value), DeploymentOptions)
    except msgspec.ValidationError as error:
        raise InputError("a deployment's options are wrong", why=str(error)) from None
    if options.algorithm not in ALGORITHMS or options.stops not in STOPS:
        raise InputError(
            f"options {options.algorithm!r}, {options.stops!r} are not known",
            fix=f"algorithm: {', '.join(ALGORITHMS)}; stops: {', '.join(STOPS)}",
        )
    if options.sizing not in SIZINGS:
        raise InputError(
            f"sizing {options.sizing!r} is not known{did_you_mean(options.sizing, SIZINGS)}",
            fix=f"use {', '.join(SIZINGS)}",
        )
    if not (0.0 <= options.win_rate <= 1.0 and 0.0 <= options.payoff < math.inf):
        raise InputError(
            f"a win rate of {options.win_rate} with a payoff of {options.payoff} is not possible",
            fix="win_rate: 0 to 1; payoff: mean win over mean loss, 0 where it is not known",
        )
    if not 1 <= options.slices <= 100 or min(options.intent_ttl_ms, options.order_ttl_ms) < 1:
        raise InputError(
            f"{options.slices} slices, lives of {options.intent_ttl_ms} ms for intents and "
            f"{options.order_ttl_ms} ms for orders are not allowed",
            fix="slices: 1 to 100; times to live: at least 1 ms",
        )
    if options.stop_within_ms < 0 or not 0.0 <= options.disaster_stop < 1.0:
        raise InputError(
            f"a stop within {options.stop_within_ms} ms, {options.disaster_stop} from the entry,"
            " is not allowed",
            fix="stop_within_ms: 0 or more; disaster_stop: a fraction of the price, below 1",
        )
    if options.stop_within_ms and options.stops != "venue":
        raise InputError("stop_within_ms watches stops at the exchange", fix="write stops: venue")
    least = 1 if options.algorithm == "twap" else 0
    if options.spacing_ms < least:
        raise InputError(
            f"a spacing of {options.spacing_ms} ms is not allowed",
            fix=f"for algorithm {options.algorithm} it is at least {least} ms",
        )
    return options


class Deployment:
    """Strategy, account and symbol, with the state of its policy.

    Parameters
    ----------
    added : DeploymentAdded
        What the log says about it.

    Attributes
    ----------
    state : PolicyState
    position, entry : float
        Mirror of the ledger for the policy: signed base units and average entry price.
    plan_id : str
        Open trade plan, empty while flat.
    closing : str
        Why the position is being closed, empty if it is not.
    waiting : TradeIntent or None
        Entry of a reversal, sent when the position is flat.
    work : TradeIntent or None
        Directive of which parts are still to be sent; ``sliced`` of them were.
    stop_order, target_order : str
        Ids of the protective orders that rest or are on their way.
    stopped : str
        Why it takes no decisions any more, empty while it does.
    results : TradeResults or None
        Of its closed trades; None where no sizer asks for them.
    """

    __slots__ = (
        "account",
        "added",
        "anchor_ms",
        "asked",
        "capital",
        "closing",
        "entry",
        "excursion",
        "id",
        "initial_stop",
        "instrument",
        "interval_ms",
        "last_reject",
        "options",
        "origin",
        "params",
        "places",
        "plan_id",
        "position",
        "results",
        "signal_id",
        "sliced",
        "state",
        "stop_order",
        "stopped",
        "strategy",
        "strategy_id",
        "symbol",
        "target_order",
        "waiting",
        "work",
    )

    def __init__(self, added: DeploymentAdded) -> None:
        self.added = added
        self.id = added.deployment
        self.strategy: Strategy = load_strategy(added.strategy)
        self.strategy_id = added.strategy_id
        self.account = added.account
        self.symbol = added.symbol
        self.instrument = Instrument(**added.instrument)
        self.capital = exact(added.capital)
        self.interval_ms = added.interval_ms
        self.anchor_ms = added.anchor_ms
        self.options = read_options(added.options)
        self.params = policy_numbers(
            self.strategy.policy, self.instrument, added.capital, bars_per_year(added.interval_ms)
        )
        self.state: PolicyState = new_state()
        self.places: tuple[int | None, ...] = ()
        self.position = self.entry = 0.0
        self.plan_id = self.closing = self.stop_order = self.target_order = self.stopped = ""
        self.last_reject = ""
        self.signal_id = ""
        self.waiting: TradeIntent | None = None
        self.work: TradeIntent | None = None
        self.sliced = self.asked = 0
        self.origin: Origin | None = None
        self.initial_stop = 0.0
        self.excursion: Excursion | None = None
        by_strategy = self.options.sizing == STRATEGY_SIZE
        self.results: TradeResults | None = None if by_strategy else TradeResults()

    def nodes(self) -> tuple[Node | None, ...]:
        """What it reads each bar: the four rules, range and volatility; None where it does not."""
        rules = [None if node == NEVER else node for _, node in self.strategy.rules.named()]
        return (*rules, *policy_nodes(self.strategy.policy))

    def edge(self) -> tuple[float, float]:
        """Win rate and payoff for the sizer, NaN where not known."""
        results = self.results or TradeResults()
        return results.edge((self.options.win_rate, self.options.payoff))

    def bar_of(self, ts_ms: int) -> int:
        """Number of the bar that an instant lies in, counted from the anchor."""
        return (ts_ms - self.anchor_ms) // self.interval_ms

    def plain(self) -> dict[str, Any]:
        """Everything that its next decision depends on."""
        return {
            "added": msgspec.to_builtins(self.added),
            "state": [float(v) for v in self.state],
            "position": self.position,
            "entry": self.entry,
            "plan_id": self.plan_id,
            "closing": self.closing,
            "waiting": None if self.waiting is None else msgspec.to_builtins(self.waiting),
            "work": None if self.work is None else msgspec.to_builtins(self.work),
            "sliced": self.sliced,
            "asked": self.asked,
            "stop_order": self.stop_order,
            "target_order": self.target_order,
            "stopped": self.stopped,
            "last_reject": self.last_reject,
            "signal_id": self.signal_id,
            "origin": None if self.origin is None else msgspec.to_builtins(self.origin),
            "initial_stop": self.initial_stop,
            "excursion": None if self.excursion is None else self.excursion.plain(),
            # Nothing where no sizer asks: states of logs that know no sizing stay what they were.
            **({} if self.results is None else {"results": self.results.plain()}),
        }

    @classmethod
    def restored(cls, value: Mapping[str, Any]) -> Deployment:
        """Deployment as `plain` wrote it."""
        own = cls(msgspec.convert(value["added"], DeploymentAdded))
        own.state = PolicyState(*value["state"])
        own.position, own.entry = value["position"], value["entry"]
        for name in (
            "plan_id",
            "closing",
            "stop_order",
            "target_order",
            "stopped",
            "last_reject",
            "signal_id",
            "initial_stop",
        ):
            setattr(own, name, value[name])
        own.sliced, own.asked = value["sliced"], value["asked"]
        if value["waiting"] is not None:
            own.waiting = msgspec.convert(value["waiting"], TradeIntent)
        if value["work"] is not None:
            own.work = msgspec.convert(value["work"], TradeIntent)
        if value["origin"] is not None:
            own.origin = msgspec.convert(value["origin"], Origin)
        if value["excursion"] is not None:
            own.excursion = Excursion.restored(value["excursion"])
        if "results" in value:
            own.results = TradeResults.restored(value["results"])
        return own


def deployment_added(
    deployment: str,
    strategy: Strategy,
    account: str,
    instrument: Instrument,
    *,
    capital: float,
    interval_ms: int,
    anchor_ms: int,
    options: DeploymentOptions | None = None,
) -> DeploymentAdded:
    """Payload that brings a strategy into a run."""
    return DeploymentAdded(
        deployment=deployment,
        strategy_id=strategy.id,
        strategy=dump_strategy(strategy),
        account=account,
        symbol=instrument.symbol,
        instrument=asdict(instrument),
        capital=capital,
        interval_ms=interval_ms,
        anchor_ms=anchor_ms,
        options=msgspec.to_builtins(options or DeploymentOptions()),
    )
