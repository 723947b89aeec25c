"""A perpetuals exchange as a pure state machine: time and actions in, answers and events out."""

from __future__ import annotations

from typing import Any

from genesis.domain.timeline import HOUR_MS
from genesis.exchange.venue import funding, snapshot
from genesis.exchange.venue.actions import Actions
from genesis.exchange.venue.events import VenueEvent
from genesis.exchange.venue.knobs import Knobs
from genesis.exchange.venue.liquidation import Liquidation
from genesis.exchange.venue.market_info import MarketInfo
from genesis.exchange.venue.matching import Matching
from genesis.exchange.venue.meta import VenueMeta
from genesis.exchange.venue.path import FixedPath, PricePath, SyntheticPath
from genesis.exchange.venue.profile import VenueProfile
from genesis.exchange.venue.schedule import Schedule
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.steps import Steps
from genesis.exchange.venue.traders import Traders
from genesis.exchange.venue.triggers import Triggers
from genesis.exchange.venue.units import MalformedAction, parse_money
from genesis.exchange.venue.user_history import UserHistory
from genesis.exchange.venue.user_info import UserInfo

__all__ = ["MalformedAction", "VenueCore", "VenueEvent", "VenueMeta", "VenueProfile"]

Json = dict[str, Any]


class VenueCore:
    """The exchange.

    Single-threaded; reads no clock, does no I/O and draws no global random numbers: the same
    calls give the same answers, events and ``state_hash``. Time only moves forward, with
    ``advance`` and with the time of an action; how often it is moved makes no difference.

    Parameters
    ----------
    meta : VenueMeta
        Markets; ``VenueMeta.default()``.
    seed : int
    profile : VenueProfile
        ``STILL`` for a venue on which nothing happens by itself.
    now_ms : int
    path : PricePath, optional
        Reference prices; synthetic ones by default, the start prices in a venue without steps.

    Attributes
    ----------
    market_info : MarketInfo
        Readers of ``/info`` about markets.
    user_info : UserInfo
        Readers of ``/info`` about an account's present.
    user_history : UserHistory
        Readers of ``/info`` about its past.
    knobs : Knobs
        What only a test may do: prices, forced ends of orders, caps, delisting.
    """

    def __init__(
        self,
        meta: VenueMeta,
        *,
        seed: int,
        profile: VenueProfile,
        now_ms: int,
        path: PricePath | None = None,
    ) -> None:
        state = self._state = VenueState(meta, profile, seed, now_ms)
        state.events.now_ms = now_ms
        if path is None:
            path = SyntheticPath(meta, seed) if profile.step_ms else FixedPath(meta)
        matching = Matching(state)
        self._schedule = Schedule()
        self._actions = Actions(state, matching, self._schedule)
        self._triggers = Triggers(state, matching)
        self._liquidation = Liquidation(state, matching, self._schedule)
        traders = Traders(state, matching) if profile.agents else None
        self._steps = Steps(state, path, traders, self._triggers, self._liquidation)
        self.market_info = MarketInfo(state, path)
        self.user_info = UserInfo(state)
        self.user_history = UserHistory(state)
        self.knobs = Knobs(state, matching, self._steps, self._liquidation, self._actions)
        self._steps.begin()
        if profile.step_ms:
            self._schedule.add(now_ms - now_ms % profile.step_ms + profile.step_ms, "step")
        self._schedule.add(now_ms - now_ms % HOUR_MS + HOUR_MS, "funding")

    @property
    def now_ms(self) -> int:
        """Time of the venue."""
        return self._state.now_ms

    @property
    def seed(self) -> int:
        """Seed of everything that looks like chance."""
        return self._state.seed

    @property
    def meta(self) -> VenueMeta:
        """What is traded."""
        return self._state.meta

    @property
    def profile(self) -> VenueProfile:
        """Behaviour of the venue."""
        return self._state.profile

    @property
    def action_types(self) -> frozenset[str]:
        """Types of action the venue executes."""
        return self._actions.types

    # Time and actions

    def advance(self, now_ms: int, *, coarse_ms: int = 0) -> int:
        """Run everything that is due until an instant, in order of time.

        Parameters
        ----------
        now_ms : int
            Earlier times are ignored.
        coarse_ms : int
            Where positive, prices and traders move only this often: for a venue that was away for
            hours and need not live through each second. Part of the inputs, like the time.

        Returns
        -------
        int
            How many things were due.
        """
        state, schedule = self._state, self._schedule
        ran = 0
        while (due := schedule.next(now_ms)) is not None:
            at_ms, kind, key = due
            ran += 1
            state.now_ms = state.events.now_ms = max(at_ms, state.now_ms)
            if kind == "step":
                self._steps.step()
                schedule.add(self._following(at_ms, now_ms, coarse_ms), "step")
            elif kind == "funding":
                for market in state.markets.values():
                    funding.settle(state, market)
                self._steps.check_all()
                schedule.add(at_ms + HOUR_MS, "funding")
            elif kind == "twap":
                user, number = key.split()
                self._actions.twaps.slice(user, int(number))
            elif kind == "cancel":
                self._actions.settings.fire_cancel(key)
            else:
                self._steps.check_user(key)
        if now_ms > state.now_ms:
            state.now_ms = state.events.now_ms = now_ms
        return ran

    def _following(self, at_ms: int, now_ms: int, coarse_ms: int) -> int:
        step = self._state.profile.step_ms
        if coarse_ms > step and at_ms + coarse_ms <= now_ms:
            return at_ms + coarse_ms - coarse_ms % step
        return at_ms + step

    def submit(self, user: str, action: Json, now_ms: int, *, vault: str | None = None) -> Json:
        """Execute one authenticated action and return the documented answer.

        Parameters
        ----------
        user : str
            Account the signer acts for (the master of an agent), lower case.
        action : dict
            As received.
        now_ms : int
            Time of the block; the venue is advanced to it.
        vault : str, optional
            Sub-account acted for, as in ``vaultAddress``.

        Raises
        ------
        MalformedAction
            Where the action does not have the documented shape; nothing happened.
        """
        self.advance(now_ms)
        counters = self._state.counters
        before = counters["tx"]
        self._state.begin()
        try:
            return self._actions.execute(user, action, vault)
        except MalformedAction:
            counters["tx"] = before
            raise

    def fund(self, user: str, usd: str) -> None:
        """Pay dollars into the perpetual account of a user."""
        amount = parse_money(usd)
        self._state.begin()
        self._actions.transfers.deposit(user, amount)

    def fund_spot(self, user: str, token: str, amount: str) -> None:
        """Pay a token into the spot account of a user.

        Raises
        ------
        MalformedAction
            For a token that does not exist.
        """
        found = [t.index for t in self._state.meta.tokens if t.name == token]
        if not found:
            raise MalformedAction(f"unknown token {token!r}")
        wanted = parse_money(amount)
        self._state.begin()
        self._actions.transfers.deposit(user, wanted, found[0], spot=True)

    def drain(self) -> list[VenueEvent]:
        """Return what happened since the last call, in order."""
        return self._state.events.drain()

    # Who is who

    def exists(self, user: str) -> bool:
        """Whether an address has an account."""
        return user in self._state.accounts

    def users(self) -> list[str]:
        """Addresses of all accounts but the venue's own."""
        return [user for user, account in self._state.accounts.items() if not account.house]

    def owner(self, signer: str, now_ms: int) -> str | None:
        """Return the account a signer acts for: its own, or that it is an API wallet of."""
        self.advance(now_ms)
        if signer in self._state.accounts:
            return signer
        return self._actions.delegates.owner(signer)

    def volume(self, user: str) -> int:
        """Value of an account's trades so far, in steps of 1e-8 dollars."""
        account = self._state.accounts.get(user)
        return account.volume if account is not None else 0

    # State as a whole

    def balance(self) -> int:
        """Money in the venue minus money paid in, in steps of 1e-8 dollars: always 0."""
        return self._state.balance()

    def plain(self) -> Json:
        """Return the whole state as plain JSON values, without events not drained yet."""
        return snapshot.plain(self._state, self._schedule)

    def restore(self, plain: Json) -> None:
        """Replace the state by one that ``plain`` returned on a venue of the same making."""
        snapshot.restore(self._state, self._schedule, plain)

    def state_hash(self) -> str:
        """Hash of the whole state."""
        return snapshot.state_hash(self.plain())
