"""From the type of an action to what executes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.changes import Changes
from genesis.exchange.venue.delegates import Delegates
from genesis.exchange.venue.matching import Matching
from genesis.exchange.venue.placement import Placement, done, refused
from genesis.exchange.venue.schedule import Schedule
from genesis.exchange.venue.settings import Settings
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.transfers import Transfers
from genesis.exchange.venue.twap import Twaps
from genesis.exchange.venue.units import MalformedAction

Json = dict[str, Any]


class Actions:
    """Every action of the exchange, by its type."""

    def __init__(self, state: VenueState, matching: Matching, schedule: Schedule) -> None:
        self._state = state
        self.placement = Placement(state, matching)
        self.changes = Changes(state, matching, self.placement)
        self.settings = Settings(state, matching, schedule)
        self.transfers = Transfers(state)
        self.delegates = Delegates(state)
        self.twaps = Twaps(state, self.placement, schedule)
        self._by_type: dict[str, Callable[[Account, Json], Json]] = {
            "order": self.placement.order,
            "cancel": self.changes.cancel,
            "cancelByCloid": self.changes.cancel_by_cloid,
            "modify": self.changes.modify,
            "batchModify": self.changes.batch_modify,
            "scheduleCancel": self.settings.schedule_cancel,
            "updateLeverage": self.settings.leverage,
            "updateIsolatedMargin": self.settings.isolated_margin,
            "twapOrder": self.twaps.start,
            "twapCancel": self.twaps.cancel,
            "setReferrer": self.settings.referrer,
            "userSetAbstraction": self.settings.abstraction,
            "agentSetAbstraction": self.settings.abstraction,
            "usdClassTransfer": self.transfers.class_transfer,
            "usdSend": self.transfers.usd_send,
            "spotSend": self.transfers.spot_send,
            "sendAsset": self.transfers.send_asset,
            "withdraw3": self.transfers.withdraw,
            "createSubAccount": self.transfers.create_sub_account,
            "subAccountTransfer": self.transfers.sub_account_transfer,
            "approveAgent": self.delegates.approve_wallet,
            "approveBuilderFee": self.delegates.approve_builder,
            "noop": lambda _account, _action: done("default"),
        }

    @property
    def types(self) -> frozenset[str]:
        """Types of action that are executed."""
        return frozenset(self._by_type)

    def execute(self, user: str, action: Json, vault: str | None) -> Json:
        """Execute an action for an account, or for its sub-account.

        Raises
        ------
        MalformedAction
            For an unknown type or an action that does not have the documented shape.
        """
        run = self._by_type.get(str(action.get("type")))
        if run is None:
            raise MalformedAction(f"unknown action {action.get('type')!r}")
        account = self._state.accounts.get(user)
        if account is None:
            return refused(f"Must deposit before performing actions. User: {user}")
        if vault is not None and vault != user:
            child = self._state.accounts.get(vault)
            if child is None or child.master != user:
                return refused(f"Vault not registered: {vault}")
            account = child
        return run(account, action)
