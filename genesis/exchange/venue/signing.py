"""Who signed an action: EIP-712 hashes as the protocol defines them, and recovery of the signer.

Two schemes exist. An *L1 action* is hashed from its MessagePack bytes, so the order of its keys is
part of the signature; a *user-signed action* is typed data that a wallet shows to a person. A
wrong hash never fails: it recovers another, valid-looking address.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import coincurve
import msgspec
from Crypto.Hash import keccak as _keccak

Fields = tuple[tuple[str, str], ...]

_CHAIN = ("hyperliquidChain", "string")
_NONCE = ("nonce", "uint64")
USER_SIGNED: dict[str, tuple[str, Fields]] = {
    "usdSend": (
        "UsdSend",
        (_CHAIN, ("destination", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "spotSend": (
        "SpotSend",
        (
            _CHAIN,
            ("destination", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("time", "uint64"),
        ),
    ),
    "withdraw3": (
        "Withdraw",
        (_CHAIN, ("destination", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "usdClassTransfer": (
        "UsdClassTransfer",
        (_CHAIN, ("amount", "string"), ("toPerp", "bool"), _NONCE),
    ),
    "sendAsset": (
        "SendAsset",
        (
            _CHAIN,
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            _NONCE,
        ),
    ),
    "userDexAbstraction": (
        "UserDexAbstraction",
        (_CHAIN, ("user", "address"), ("enabled", "bool"), _NONCE),
    ),
    "userSetAbstraction": (
        "UserSetAbstraction",
        (_CHAIN, ("user", "address"), ("abstraction", "string"), _NONCE),
    ),
    "tokenDelegate": (
        "TokenDelegate",
        (_CHAIN, ("validator", "address"), ("wei", "uint64"), ("isUndelegate", "bool"), _NONCE),
    ),
    "convertToMultiSigUser": (
        "ConvertToMultiSigUser",
        (_CHAIN, ("signers", "string"), _NONCE),
    ),
    "approveAgent": (
        "ApproveAgent",
        (_CHAIN, ("agentAddress", "address"), ("agentName", "string"), _NONCE),
    ),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (_CHAIN, ("maxFeeRate", "string"), ("builder", "address"), _NONCE),
    ),
}
"""Primary type and fields of every user-signed action, by the action's ``type``."""


class BadSignature(ValueError):
    """No address can be recovered: the signature or what it signs is malformed."""


def keccak256(data: bytes) -> bytes:
    """Hash with Keccak-256, the padding of Ethereum and not of SHA-3."""
    return _keccak.new(digest_bits=256, data=data).digest()


def action_hash(
    action: Mapping[str, Any], nonce: int, vault: str | None, expires_after: int | None
) -> bytes:
    """Hash of an L1 action as it was received: its keys keep their order.

    Raises
    ------
    BadSignature
        If a number has no MessagePack form or the vault is no address.
    """
    try:
        parts = [msgspec.msgpack.encode(action), nonce.to_bytes(8, "big")]
        parts.append(b"\x00" if vault is None else b"\x01" + address_bytes(vault))
        if expires_after is not None:
            parts.append(b"\x00" + expires_after.to_bytes(8, "big"))
    except (OverflowError, TypeError) as error:
        raise BadSignature(str(error)) from None
    return keccak256(b"".join(parts))


def l1_digest(connection: bytes, *, mainnet: bool) -> bytes:
    """Digest that an L1 action's signer signed: the phantom agent in the Exchange domain."""
    source = _hash_of_text("a" if mainnet else "b")
    struct = keccak256(
        _hash_of_text("Agent(string source,bytes32 connectionId)") + source + connection
    )
    return keccak256(b"\x19\x01" + _domain("Exchange", 1337) + struct)


def user_digest(action: Mapping[str, Any]) -> bytes:
    """Digest of a user-signed action.

    Raises
    ------
    BadSignature
        If the action is not user-signed, lacks a field or has one of another type.
    """
    kind = action.get("type")
    if not isinstance(kind, str) or kind not in USER_SIGNED:
        raise BadSignature(f"{kind!r} is no user-signed action")
    name, fields = USER_SIGNED[kind]
    listed = ",".join(f"{typ} {key}" for key, typ in fields)
    try:
        chain_id = int(str(action["signatureChainId"]), 16)
        encoded = [_encode(typ, _field(action, key)) for key, typ in fields]
        domain = _domain("HyperliquidSignTransaction", chain_id)
    except (KeyError, ValueError, OverflowError) as error:
        raise BadSignature(f"malformed {kind}: {error}") from None
    struct = keccak256(
        b"".join([_hash_of_text(f"HyperliquidTransaction:{name}({listed})"), *encoded])
    )
    return keccak256(b"\x19\x01" + domain + struct)


def recover(digest: bytes, signature: Mapping[str, Any]) -> str:
    """Address, in lower case, whose key made a signature over a digest.

    Raises
    ------
    BadSignature
        If the three numbers are no signature at all.
    """
    try:
        # Clients leave leading zeros of r and s away: they are numbers, not byte strings.
        r, s = (_integer(signature[name]) for name in ("r", "s"))
        v = _integer(signature["v"])
        recid = v - 27 if v >= 27 else v
        if recid not in (0, 1):
            raise BadSignature(f"v is {v}")
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([recid])
        key = coincurve.PublicKey.from_signature_and_message(raw, digest, hasher=None)
    except BadSignature:
        raise
    except Exception as error:  # the library raises bare Exception for a point off the curve
        raise BadSignature(str(error)) from None
    return "0x" + keccak256(key.format(compressed=False)[1:])[12:].hex()


def address_bytes(text: str) -> bytes:
    """Bytes of an address.

    Raises
    ------
    BadSignature
    """
    raw = _hex(text)
    if len(raw) != 20:
        raise BadSignature(f"{text!r} is no address")
    return raw


def _field(action: Mapping[str, Any], key: str) -> Any:
    # The official client signs the empty name of an unnamed agent and then does not send it.
    if key == "agentName":
        name = action.get(key)
        return "" if name is None else name
    return action[key]


def _encode(typ: str, value: Any) -> bytes:
    if typ == "string" and isinstance(value, str):
        return keccak256(value.encode())
    if typ == "bool" and isinstance(value, bool):
        return int(value).to_bytes(32, "big")
    if typ == "uint64" and isinstance(value, int) and not isinstance(value, bool):
        return value.to_bytes(8, "big").rjust(32, b"\0")
    if typ == "address" and isinstance(value, str):
        return address_bytes(value).rjust(32, b"\0")
    raise ValueError(f"{value!r} is no {typ}")


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise BadSignature(f"{value!r} is no number")
    return value if isinstance(value, int) else int(value, 16)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise BadSignature(f"{text!r} is no hexadecimal number") from None


@lru_cache(maxsize=128)
def _hash_of_text(text: str) -> bytes:
    return keccak256(text.encode())


@lru_cache(maxsize=64)
def _domain(name: str, chain_id: int) -> bytes:
    kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    return keccak256(
        _hash_of_text(kind)
        + _hash_of_text(name)
        + _hash_of_text("1")
        + chain_id.to_bytes(32, "big")
        + bytes(32)
    )
