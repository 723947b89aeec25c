"""Shapes of what arrives at ``/exchange``: checked, never converted, since the bytes are signed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from genesis.exchange.venue.signing import USER_SIGNED

UNPROCESSABLE = "Failed to deserialize the JSON body into the target type"

Address = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}$")]
Cloid = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{32}$")]
Decimal = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", max_length=40)]
Natural = Annotated[int, msgspec.Meta(ge=0)]


class BadShape(ValueError):
    """The body is not what the endpoint takes; it is answered with status 422."""


class Envelope(msgspec.Struct):
    """What every action travels in."""

    action: dict[str, Any]
    nonce: Natural
    signature: dict[str, Any]
    vaultAddress: Address | None = None
    expiresAfter: Natural | None = None


class _Limit(msgspec.Struct):
    tif: Literal["Gtc", "Ioc", "Alo", "FrontendMarket", "LiquidationMarket"]


class _Trigger(msgspec.Struct):
    isMarket: bool
    triggerPx: Decimal
    tpsl: Literal["tp", "sl"]


class _Kind(msgspec.Struct):
    limit: _Limit | None = None
    trigger: _Trigger | None = None


class _Order(msgspec.Struct):
    a: Natural
    b: bool
    p: Decimal
    s: Decimal
    r: bool
    t: _Kind
    c: Cloid | None = None


class _Priority(msgspec.Struct):
    p: Natural


class _Builder(msgspec.Struct):
    b: Address
    f: Natural


class _Action(msgspec.Struct, tag_field="type"):
    pass


class _Orders(_Action, tag="order"):
    orders: list[_Order]
    grouping: Literal["na", "normalTpsl", "positionTpsl"] | _Priority
    builder: _Builder | None = None


class _CancelRow(msgspec.Struct):
    a: Natural
    o: Natural


class _Cancel(_Action, tag="cancel"):
    cancels: list[_CancelRow]


class _CloidRow(msgspec.Struct):
    asset: Natural
    cloid: Cloid


class _CancelByCloid(_Action, tag="cancelByCloid"):
    cancels: list[_CloidRow]


class _ModifyRow(msgspec.Struct):
    oid: Natural | Cloid
    order: _Order


class _Modify(_Action, tag="modify"):
    oid: Natural | Cloid
    order: _Order


class _BatchModify(_Action, tag="batchModify"):
    modifies: list[_ModifyRow]


class _ScheduleCancel(_Action, tag="scheduleCancel"):
    time: Natural | None = None


class _UpdateLeverage(_Action, tag="updateLeverage"):
    asset: Natural
    isCross: bool
    leverage: Natural


class _UpdateIsolatedMargin(_Action, tag="updateIsolatedMargin"):
    asset: Natural
    isBuy: bool
    ntli: int


class _Twap(msgspec.Struct):
    a: Natural
    b: bool
    s: Decimal
    r: bool
    m: Natural
    t: bool


class _TwapOrder(_Action, tag="twapOrder"):
    twap: _Twap


class _TwapCancel(_Action, tag="twapCancel"):
    a: Natural
    t: Natural


class _SetReferrer(_Action, tag="setReferrer"):
    code: str


class _CreateSubAccount(_Action, tag="createSubAccount"):
    name: str


class _SubAccountTransfer(_Action, tag="subAccountTransfer"):
    subAccountUser: Address
    isDeposit: bool
    usd: Natural


class _VaultTransfer(_Action, tag="vaultTransfer"):
    vaultAddress: Address
    isDeposit: bool
    usd: Natural


class _Noop(_Action, tag="noop"):
    pass


_L1 = (
    _Orders
    | _Cancel
    | _CancelByCloid
    | _Modify
    | _BatchModify
    | _ScheduleCancel
    | _UpdateLeverage
    | _UpdateIsolatedMargin
    | _TwapOrder
    | _TwapCancel
    | _SetReferrer
    | _CreateSubAccount
    | _SubAccountTransfer
    | _VaultTransfer
    | _Noop
)
UNSUPPORTED = frozenset(
    (
        "subAccountSpotTransfer",
        "spotDeploy",
        "perpDeploy",
        "evmUserModify",
        "multiSig",
        "registerReferrer",
        "reserveRequestWeight",
        "agentEnableDexAbstraction",
        "agentSetAbstraction",
        "claimRewards",
        "CSignerAction",
        "CValidatorAction",
        "createVault",
        "vaultDistribute",
        "vaultModify",
        "cDeposit",
        "cWithdraw",
    )
)
"""Actions of the real exchange that mean nothing here; they are answered, and refused."""


def decode(body: bytes) -> Any:
    """Read JSON, the order of its keys kept.

    Raises
    ------
    BadShape
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadShape(str(error)) from None


def envelope(body: Any) -> Envelope:
    """Check the outer shape of what came to ``/exchange``.

    Raises
    ------
    BadShape
    """
    try:
        return msgspec.convert(body, Envelope)
    except msgspec.ValidationError as error:
        raise BadShape(str(error)) from None


def check_action(action: dict[str, Any]) -> None:
    """Check the shape of an action. User-signed ones are checked where their hash is made.

    Raises
    ------
    BadShape
        For another shape or a type that the exchange does not have.
    """
    kind = action.get("type")
    if isinstance(kind, str) and (kind in USER_SIGNED or kind in UNSUPPORTED):
        return
    try:
        checked = msgspec.convert(action, _L1)
    except msgspec.ValidationError as error:
        raise BadShape(str(error)) from None
    for order in _orders(checked):
        if (order.t.limit is None) == (order.t.trigger is None):
            raise BadShape("an order is either a limit or a trigger order")


def _orders(action: Any) -> list[_Order]:
    if isinstance(action, _Orders):
        return action.orders
    if isinstance(action, _Modify):
        return [action.order]
    if isinstance(action, _BatchModify):
        return [row.order for row in action.modifies]
    return []
