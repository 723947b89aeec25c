"""A perpetuals exchange as a pure state machine: time and actions in, answers and events out."""

from __future__ import annotations

from typing import Any

from genesis.exchange.venue.events import VenueEvent
from genesis.exchange.venue.market_info import MarketInfo
from genesis.exchange.venue.meta import VenueMeta
from genesis.exchange.venue.path import FixedPath, PricePath, SyntheticPath
from genesis.exchange.venue.profile import VenueProfile
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MONEY_DECIMALS, MalformedAction, parse

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
        Readers of ``/info`` about users.
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
        self._state = VenueState(meta, profile, seed, now_ms)
        self._state.events.now_ms = now_ms
        if path is None:
            path = SyntheticPath(meta, seed) if profile.step_ms else FixedPath(meta)
        self._path = path
        self.market_info = MarketInfo(self._state, path)

    @property
    def now_ms(self) -> int:
        """Time of the venue."""
        return self._state.now_ms

    @property
    def profile(self) -> VenueProfile:
        """Behaviour of the venue."""
        return self._state.profile

    def advance(self, now_ms: int) -> None:
        """Run everything that is due until an instant, in order of time."""
        if now_ms > self._state.now_ms:
            self._state.now_ms = self._state.events.now_ms = now_ms

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
        del vault
        self.advance(now_ms)
        self._state.begin()
        self._state.account(user)
        if action.get("type") != "noop":
            raise MalformedAction(f"unknown action {action.get('type')!r}")
        return {"status": "ok", "response": {"type": "default"}}

    def fund(self, user: str, usd: str) -> None:
        """Pay dollars into the perpetual account of a user."""
        amount = parse(usd, MONEY_DECIMALS)
        state = self._state
        state.begin()
        state.account(user).raw += amount
        state.deposits[0] = state.deposits.get(0, 0) + amount
        state.record(user, {"type": "deposit", "usdc": usd})

    def drain(self) -> list[VenueEvent]:
        """Return what happened since the last call, in order."""
        return self._state.events.drain()
