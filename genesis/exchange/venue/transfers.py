"""Money between accounts, and into and out of the venue."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.admission import held
from genesis.exchange.venue.drafts import address, field, flag, integer, text
from genesis.exchange.venue.margin import cross_margin
from genesis.exchange.venue.meta import Token
from genesis.exchange.venue.placement import done, refused
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import (
    MICRO,
    MONEY,
    MONEY_DECIMALS,
    parse_money,
    show,
    show_money,
)

Json = dict[str, Any]
_SHORT = "Insufficient balance for withdrawal."
_WITHDRAWAL_FEE = MONEY


class Transfers:
    """Executes what moves money without a trade."""

    def __init__(self, state: VenueState) -> None:
        self._state = state

    def deposit(self, user: str, amount: int, token: int = 0, *, spot: bool = False) -> None:
        """Bring money or tokens into the venue."""
        state = self._state
        account = state.account(user)
        if spot or token:
            account.spot[token] = account.spot.get(token, 0) + amount
        else:
            account.raw += amount
        state.deposits[token] = state.deposits.get(token, 0) + amount
        if not account.house:
            state.record(user, {"type": "deposit", "usdc": show(amount, MONEY_DECIMALS)})

    def _free(self, account: Account) -> int:
        return cross_margin(account, self._state.markets).withdrawable

    def _free_spot(self, account: Account, token: int) -> int:
        there = account.spot.get(token, 0)
        if account.unified and token == 0:
            there = self._free(account)
        return there - held(account, token, self._state)

    def class_transfer(self, account: Account, action: Json) -> Json:
        """Execute ``usdClassTransfer``: between spot dollars and the perpetual account."""
        if account.unified:
            return refused("Action disabled when unified account is active.")
        amount = parse_money(str(field(action, "amount")).split(" ", maxsplit=1)[0])
        to_perp = flag(field(action, "toPerp"), "toPerp")
        free = self._free_spot(account, 0) if to_perp else self._free(account)
        if amount <= 0 or free < amount:
            return refused("Insufficient balance for transfer.")
        signed = amount if to_perp else -amount
        account.raw += signed
        account.spot[0] = account.spot.get(0, 0) - signed
        delta = {"type": "accountClassTransfer", "usdc": show_money(amount), "toPerp": to_perp}
        self._state.record(account.address, delta)
        return done("default")

    def usd_send(self, account: Account, action: Json) -> Json:
        """Execute ``usdSend``: perpetual dollars to another account."""
        amount = parse_money(field(action, "amount"))
        target = address(field(action, "destination"), "destination")
        if amount <= 0 or self._free(account) < amount:
            return refused(_SHORT)
        self._send(account, self._state.account(target), amount)
        delta = {
            "type": "internalTransfer",
            "usdc": show_money(amount),
            "user": account.address,
            "destination": target,
            "fee": "0.0",
        }
        self._state.record(account.address, delta)
        self._state.record(target, delta)
        return done("default")

    def _send(self, source: Account, target: Account, amount: int) -> None:
        source.raw -= amount
        target.raw += amount

    def spot_send(self, account: Account, action: Json) -> Json:
        """Execute ``spotSend`` and the spot form of ``sendAsset``."""
        token = self._token(text(field(action, "token"), "token"))
        amount = parse_money(field(action, "amount"))
        target = address(field(action, "destination"), "destination")
        if token is None:
            return refused("Unknown token.")
        if amount <= 0 or self._free_spot(account, token.index) < amount:
            return refused("Insufficient spot balance")
        other = self._state.account(target)
        account.spot[token.index] = account.spot.get(token.index, 0) - amount
        other.spot[token.index] = other.spot.get(token.index, 0) + amount
        delta = {
            "type": "spotTransfer",
            "token": token.name,
            "amount": show(amount, MONEY_DECIMALS),
            "user": account.address,
            "destination": target,
            "fee": "0.0",
        }
        self._state.record(account.address, delta)
        self._state.record(target, delta)
        return done("default")

    def _token(self, wanted: str) -> Token | None:
        name = wanted.split(":", maxsplit=1)[0]
        return next((t for t in self._state.meta.tokens if t.name == name), None)

    def send_asset(self, account: Account, action: Json) -> Json:
        """Execute ``sendAsset``: perpetual dollars (dex ``""``) or spot tokens (dex ``spot``)."""
        source = text(field(action, "sourceDex"), "sourceDex")
        target = text(field(action, "destinationDex"), "destinationDex")
        if source == target == "":
            return self.usd_send(account, action)
        if source == target == "spot":
            return self.spot_send(account, action)
        receiver = address(field(action, "destination"), "destination")
        if receiver == account.address and {source, target} == {"", "spot"}:
            amount = field(action, "amount")
            return self.class_transfer(account, {"amount": amount, "toPerp": target == ""})
        return refused("Unsupported transfer.")

    def withdraw(self, account: Account, action: Json) -> Json:
        """Execute ``withdraw3``: one dollar of the amount is the fee."""
        amount = parse_money(field(action, "amount"))
        if amount <= _WITHDRAWAL_FEE or self._free(account) < amount:
            return refused(_SHORT)
        account.raw -= amount
        state = self._state
        state.deposits[0] = state.deposits.get(0, 0) - (amount - _WITHDRAWAL_FEE)
        state.fees[0] = state.fees.get(0, 0) + _WITHDRAWAL_FEE
        net = show_money(amount - _WITHDRAWAL_FEE)
        state.record(account.address, {"type": "withdraw", "usdc": net, "fee": "1.0"})
        return done("default")

    def create_sub_account(self, account: Account, action: Json) -> Json:
        """Execute ``createSubAccount``."""
        name = text(field(action, "name"), "name")
        if account.master:
            return refused("A sub-account cannot have sub-accounts.")
        number = self._state.number("sub")
        seed = f"{self._state.seed}:{account.address}:{number}".encode()
        found = "0x" + blake2b(seed, digest_size=20).hexdigest()
        child = self._state.account(found)
        child.master, child.label = account.address, name
        return done("createSubAccount", found)

    def sub_account_transfer(self, account: Account, action: Json) -> Json:
        """Execute ``subAccountTransfer``: dollars (in millionths) to or from a sub-account."""
        child = self._child(account, action)
        if child is None:
            return refused("Sub-account does not exist.")
        amount = integer(field(action, "usd"), "usd") * MICRO
        into = flag(field(action, "isDeposit"), "isDeposit")
        source, target = (account, child) if into else (child, account)
        if amount <= 0 or self._free(source) < amount:
            return refused(_SHORT)
        self._send(source, target, amount)
        delta = {
            "type": "subAccountTransfer",
            "usdc": show_money(amount),
            "user": source.address,
            "destination": target.address,
        }
        self._state.record(source.address, delta)
        self._state.record(target.address, delta)
        return done("default")

    def _child(self, account: Account, action: Json) -> Account | None:
        wanted = address(field(action, "subAccountUser"), "subAccountUser")
        child = self._state.accounts.get(wanted)
        return child if child is not None and child.master == account.address else None
