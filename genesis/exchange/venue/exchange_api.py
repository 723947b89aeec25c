"""``/exchange``: from a signed envelope to an action of an account, or to a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from genesis.domain.clock import Clock
from genesis.exchange.venue import wire
from genesis.exchange.venue.core import MalformedAction, VenueCore
from genesis.exchange.venue.faults import FaultPlan
from genesis.exchange.venue.limits import LimitProfile, batch_size
from genesis.exchange.venue.meta_change import orders_of, outdated
from genesis.exchange.venue.placement import refused
from genesis.exchange.venue.request_ledger import RequestLedger
from genesis.exchange.venue.signing import (
    USER_SIGNED,
    BadSignature,
    action_hash,
    l1_digest,
    recover,
    user_digest,
)

Answer = dict[str, Any]
_CANCELS = frozenset(("cancel", "cancelByCloid"))
_POST_ONLY = "Only post-only orders allowed immediately after a network upgrade"


class _Refused(Exception):
    """Carries the text of a refusal of the whole action."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ExchangeApi:
    """Checks who signed, whether they may, and hands the action to the core.

    Parameters
    ----------
    core : VenueCore
    clock : Clock
    limits : LimitProfile
    requests : RequestLedger
    faults : FaultPlan
    mainnet : bool
        Which of the two chains this exchange claims to be; clients sign for testnet unless their
        address is that of the main one.
    """

    def __init__(
        self,
        core: VenueCore,
        clock: Clock,
        limits: LimitProfile,
        requests: RequestLedger,
        faults: FaultPlan,
        *,
        mainnet: bool = False,
    ) -> None:
        self._core = core
        self._clock = clock
        self._limits = limits
        self._requests = requests
        self._faults = faults
        self._mainnet = mainnet
        self._coins = {spec.asset: spec.coin for spec in core.meta.instruments()}

    def answer(self, body: Any) -> Answer:
        """Answer one request.

        Raises
        ------
        BadShape
            If the body is none the endpoint takes; nothing was done or counted.
        """
        given = wire.envelope(body)
        wire.check_action(given.action)
        now_ms = self._clock.now_ms()
        skewed = self._faults.state("clock_skew", now_ms)
        told_ms = now_ms + (skewed.skew_ms if skewed is not None else 0)
        try:
            signer = self._signer(given)
            account = self._account(signer, given.action, now_ms)
            self._admit(given, signer, account, told_ms)
        except _Refused as error:
            return refused(error.text)
        return self._carry_out(given, account, now_ms)

    def account_of(self, body: Any) -> str:
        """Account that a request would act for, or its signer; empty where that cannot be said."""
        try:
            given = wire.envelope(body)
            signer = self._signer(given)
        except (wire.BadShape, _Refused):
            return ""
        return self._core.owner(signer, self._clock.now_ms()) or signer

    def _signer(self, given: wire.Envelope) -> str:
        action = given.action
        if action.get("type") in USER_SIGNED:
            # What the client says of the chain is not believed: a signature for the other chain
            # is that of another, unknown address.
            chain = "Mainnet" if self._mainnet else "Testnet"
            try:
                digest = user_digest({**action, "hyperliquidChain": chain})
            except BadSignature as error:
                raise wire.BadShape(str(error)) from None
        else:
            hashed = action_hash(action, given.nonce, given.vaultAddress, given.expiresAfter)
            digest = l1_digest(hashed, mainnet=self._mainnet)
        try:
            return recover(digest, given.signature)
        except BadSignature:
            raise _Refused("Unable to recover signer.") from None

    def _account(self, signer: str, action: Mapping[str, Any], now_ms: int) -> str:
        if action["type"] in USER_SIGNED:
            if not self._core.exists(signer):
                raise _Refused(f"Must deposit before performing actions. User: {signer}")
            return signer
        account = self._core.owner(signer, now_ms)
        if account is None:
            raise _Refused(f"User or API Wallet {signer} does not exist.")
        return account

    def _admit(self, given: wire.Envelope, signer: str, account: str, now_ms: int) -> None:
        action = given.action
        stated = action.get("nonce", action.get("time"))
        if action["type"] in USER_SIGNED and stated != given.nonce:
            raise _Refused(f"Invalid nonce: action has {stated}, request has {given.nonce}")
        text = self._requests.nonces.refusal(signer, given.nonce, now_ms)
        if text is not None:
            raise _Refused(text)
        size = batch_size(action)
        if given.expiresAfter is not None and given.expiresAfter < now_ms:
            self._requests.spend(signer, None, account, size * self._limits.expired_cost)
            raise _Refused("Action already expired")
        text = self._requests.budget.refusal(
            account, size, self.volume(account), now_ms, cancels=action["type"] in _CANCELS
        )
        if text is not None:
            raise _Refused(text)
        if self._faults.state("post_only", now_ms) and not _is_post_only(action):
            raise _Refused(_POST_ONLY)
        self._requests.spend(signer, given.nonce, account, size)

    def _carry_out(self, given: wire.Envelope, account: str, now_ms: int) -> Answer:
        action = given.action
        changed = self._faults.states("meta_change", now_ms)
        told = outdated(action, changed, self._coins) if changed else None
        if told is not None:
            return told
        if action["type"] not in self._core.action_types:
            return refused(f"{action['type']} means nothing on this local venue.")
        vault = None if given.vaultAddress is None else given.vaultAddress.lower()
        try:
            return self._core.submit(account, action, now_ms, vault=vault)
        except MalformedAction as error:
            raise wire.BadShape(str(error)) from None

    def volume(self, account: str) -> Decimal:
        """Dollars that an account has traded."""
        return Decimal(self._core.volume(account)).scaleb(-8)


def _is_post_only(action: Mapping[str, Any]) -> bool:
    return all((row["t"].get("limit") or {}).get("tif") == "Alo" for row in orders_of(action))
