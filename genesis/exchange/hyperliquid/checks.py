"""Before anything is sent: whose key this is, whose account, and what is in it already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from genesis.domain.errors import ConfigError, InfrastructureError, RefusedError
from genesis.exchange.hyperliquid import sdk, shapes
from genesis.exchange.hyperliquid.accounts import AccountReader, BoundAccount
from genesis.exchange.hyperliquid.answers import Verdict, statuses
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.rules import MarketRule
from genesis.exchange.hyperliquid.sending import Sender
from genesis.exchange.hyperliquid.settings import ForeignPolicy, HyperliquidSettings
from genesis.exchange.hyperliquid.shapes import UNREADABLE, Json


class AccountReport(msgspec.Struct, frozen=True):
    """What was found in an account at start.

    Attributes
    ----------
    account, mode : str
        Mode is what the exchange says of a unified account.
    positions : tuple of str
        Readable: coin and size.
    foreign : tuple of str
        Numbers of the resting orders that nobody here sent, as they were found.
    canceled : int
        How many of those were canceled.
    leverage : mapping of str to int
        Of the coins that are followed, and of those that the settings name.
    """

    account: str
    mode: str
    positions: tuple[str, ...]
    foreign: tuple[str, ...]
    canceled: int
    leverage: Mapping[str, int]

    @property
    def text(self) -> str:
        """One line on what was found, and what became of it."""
        parts = [f"margin {self.mode}"]
        parts += [f"{coin} at {times} times" for coin, times in self.leverage.items()]
        parts.append(f"positions {', '.join(self.positions)}" if self.positions else "no position")
        if self.foreign:
            left = f"{self.canceled} canceled" if self.canceled else "kept"
            parts.append(f"{len(self.foreign)} resting orders that nobody here sent ({left})")
        return "; ".join(parts)


def refuse_master(agent: str, accounts: Mapping[str, BoundAccount]) -> None:
    """Refuse a key whose address is that of an account.

    Raises
    ------
    RefusedError
    """
    for bound in accounts.values():
        if bound.address == agent:
            raise RefusedError(
                f"the key is the master key of '{bound.name}'",
                why="it could withdraw what is there",
                fix="approve an agent (API wallet) for the account and use its key",
            )


class StartChecks:
    """Checks of key and accounts.

    Parameters
    ----------
    settings : HyperliquidSettings
    reader : AccountReader
    sender : Sender
    rules : callable
        The rules of the markets as they are now.
    ours : callable
        ``ours(client_id)``: whether a resting order was sent by this run.
    """

    def __init__(
        self,
        settings: HyperliquidSettings,
        reader: AccountReader,
        sender: Sender,
        rules: Callable[[], Mapping[str, MarketRule]],
        ours: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._sender = sender
        self._rules = rules
        self._ours = ours

    async def agent(self, address: str, accounts: Mapping[str, BoundAccount]) -> None:
        """Refuse a key that is none of an agent of every account.

        Raises
        ------
        RefusedError
        InfrastructureError
        """
        refuse_master(address, accounts)
        role, data = await self._role(address)
        if role != "agent":
            what = "is not registered" if role == "missing" else f"is the key of a {role}"
            raise RefusedError(
                f"the key {what}",
                why=f"{address} is no agent (API wallet)",
                fix="approve an agent for the account and use its key",
            )
        master = str(data["user"]).lower()
        for bound in accounts.values():
            await self._account(bound, address, master)

    async def _account(self, bound: BoundAccount, agent: str, master: str) -> None:
        role, data = await self._role(bound.address)
        if role == "agent":
            raise RefusedError(
                f"the address of '{bound.name}' is that of an agent",
                why="an agent holds nothing: its account would look empty",
                fix=f"bind it to {data['user']}",
            )
        if role == "missing":
            raise RefusedError(
                f"the exchange knows no account {bound.address}",
                why="nothing was ever paid into it",
                fix=f"check the address; {agent} is an agent of {master}",
            )
        owner = str(data["master"]).lower() if role == "subAccount" else bound.address
        if role != "vault" and owner != master:
            raise RefusedError(
                f"the agent does not act for '{bound.name}'",
                why=f"{agent} was approved by {master}",
                fix="use an agent that this account has approved, or the account of this one",
            )
        bound.vault = bound.address if role in ("subAccount", "vault") else None

    async def _role(self, address: str) -> tuple[str, Json]:
        stranger = BoundAccount("", address, 0)
        answer = await self._reader.ask("userRole", stranger)
        try:
            return str(answer["role"]), answer.get("data") or {}
        except UNREADABLE as error:
            raise InfrastructureError("a role cannot be read", why=str(error)) from None

    async def account(self, bound: BoundAccount) -> AccountReport:
        """Look at what an account holds, and do what the settings say about it.

        Raises
        ------
        RefusedError
            For foreign orders, where they are refused, or another leverage.
        InfrastructureError
        """
        mode = str(await self._reader.ask("userAbstraction", bound))
        state = await self._reader.ask("clearinghouseState", bound)
        orders = await self._reader.ask("frontendOpenOrders", bound)
        await self._reader.refresh_budget(bound)
        try:
            held = shapes.positions(state, bound.name)
            foreign = [row for row in orders if not self._ours(shapes.cloid(row))]
            names = tuple(f"{row['coin']} {shapes.oid(row)}" for row in foreign)
        except UNREADABLE as error:
            raise InfrastructureError(
                f"the account '{bound.name}' cannot be read", why=f"{type(error).__name__}: {error}"
            ) from None
        if foreign and self._settings.foreign is ForeignPolicy.REFUSE:
            raise RefusedError(
                f"{len(foreign)} orders rest in '{bound.name}' that nobody here sent",
                why=", ".join(names[:5]),
                fix="cancel them there, or write --foreign cancel or --foreign keep",
            )
        canceled = 0
        if self._settings.foreign is ForeignPolicy.CANCEL:
            for row in foreign:
                canceled += await self._cancel(row, bound)
        return AccountReport(
            account=bound.name,
            mode=mode,
            positions=tuple(f"{p.symbol} {p.size}" for p in held),
            foreign=names,
            canceled=canceled,
            leverage=await self._leverage(bound),
        )

    async def _cancel(self, row: Json, bound: BoundAccount) -> bool:
        rule = self._rules().get(str(row["coin"]))
        if rule is None:
            return False
        action = sdk.cancel_by_oid_action(rule.asset, int(shapes.oid(row)))
        reply = await self._sender.send(action, bound, Priority.CANCEL)
        done = reply.verdict is Verdict.DONE
        return done and statuses(reply.body)[0].kind == "success"

    async def _leverage(self, bound: BoundAccount) -> dict[str, int]:
        found = {}
        for coin in dict.fromkeys((*self._settings.symbols, *self._settings.leverage)):
            rule, wanted = self._rules().get(coin), self._settings.leverage.get(coin)
            if rule is None:
                if wanted is None:
                    continue  # who follows it is told that there is none
                raise ConfigError(f"the exchange lists no {coin}")
            if wanted is not None and wanted > rule.max_leverage:
                raise RefusedError(f"{coin} is traded with {rule.max_leverage} times at most")
            found[coin] = await self._lever(bound, rule, wanted)
        return found

    async def _lever(self, bound: BoundAccount, rule: MarketRule, wanted: int | None) -> int:
        data = await self._reader.ask("activeAssetData", bound, coin=rule.coin)
        kind = "isolated" if self._settings.isolated else "cross"
        try:
            value, mode = int(data["leverage"]["value"]), str(data["leverage"]["type"])
        except UNREADABLE as error:
            raise InfrastructureError(
                f"leverage of {rule.coin} cannot be read", why=str(error)
            ) from None
        if wanted is None or (value, mode) == (wanted, kind):
            return value
        if not self._settings.set_leverage:
            raise RefusedError(
                f"{rule.coin} is traded {mode} with {value} times in '{bound.name}'",
                why=f"{kind} with {wanted} times is configured",
                fix="change either, or set set_leverage",
            )
        return await self._set(bound, rule, wanted)

    async def _set(self, bound: BoundAccount, rule: MarketRule, wanted: int) -> int:
        action: dict[str, Any] = sdk.leverage_action(
            rule.asset, wanted, cross=not self._settings.isolated
        )
        reply = await self._sender.send(action, bound, Priority.ORDER)
        if reply.verdict is not Verdict.DONE:
            raise RefusedError(f"the leverage of {rule.coin} cannot be set", why=reply.text)
        return wanted
