"""Approvals: a person allows one step of one deployment, once.

Typed on a terminal, ``LIVE <last 4 of the account> <most USD>``; or a file of one use that
`genesis approve` writes. The file is a bearer token: its grant is a row of the log of operations
that holds the hash of its content, so that an edited, invented or foreign file fits no row. A
nonce keeps anybody who reads the log from writing the file.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from genesis.domain.canonical import content_hash
from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.domain.timeline import format_ts
from genesis.trading.payloads import ApprovalGranted

LIFE_MS: Final = 10 * 60_000
"""How long a file may be used, unless it was written for another time."""
MOST_LIFE_MS: Final = 24 * 3_600_000
TYPED, FILE = "typed", "file"
_LARGEST: Final = 8_192
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HEX = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Uptime:
    """How long the machine is up, which nobody sets back: name of this boot, seconds since it."""

    boot: str = ""
    seconds: float = 0.0


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of an approval file.

    Attributes
    ----------
    kind : str
    approval : str
        Id of its grant.
    nonce : str
        64 hexadecimal digits that nobody can guess.
    strategy, account, target, from_stage, to_stage : str
    symbols : tuple of str
    dossier_hash, gates_hash : str
        Evidence and gates of promotion that the person looked at.
    max_usd : str
        Full capital of the deployment, quote units.
    issued_ms, expires_ms : int
    who : str
    boot : str
    uptime_s : float
        `Uptime` when it was issued.
    schema : int
    """

    kind: Literal["approval"]
    approval: str
    nonce: _HEX
    strategy: str
    account: str
    target: str
    symbols: tuple[str, ...]
    from_stage: str
    to_stage: str
    dossier_hash: str
    gates_hash: str
    max_usd: str
    issued_ms: int
    expires_ms: int
    who: str
    boot: str = ""
    uptime_s: float = 0.0
    schema: Literal[1] = 1

    @property
    def token(self) -> str:
        """Hash of the content; the log holds it, not the content."""
        return content_hash(msgspec.to_builtins(self))

    def granted(self, reason: str) -> ApprovalGranted:
        """Row that grants it."""
        return ApprovalGranted(
            approval=self.approval,
            strategy=self.strategy,
            account=self.account,
            symbols=self.symbols,
            from_stage=self.from_stage,
            to_stage=self.to_stage,
            dossier_hash=self.dossier_hash,
            max_usd=Decimal(self.max_usd),
            expires_ms=self.expires_ms,
            form=FILE,
            token=self.token,
            who=self.who,
            reason=reason,
            target=self.target,
            gates_hash=self.gates_hash,
        )


def account_named(text: str) -> str:
    """An account's address as it is stored, in lower case.

    Raises
    ------
    InputError
        If it is no address.
    """
    if not _ADDRESS.fullmatch(text.strip()):
        raise InputError(
            f"{text!r} is no address of an account",
            fix="write --account 0x and 40 hexadecimal digits",
        )
    return text.strip().lower()


def usd_named(text: str) -> Decimal:
    """An amount of USD as a person writes it.

    Raises
    ------
    InputError
        If it is no positive amount in whole cents.
    """
    try:
        amount = Decimal(text.strip().replace("_", "").replace(",", ""))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0 or amount != round(amount, 2):
        raise InputError(f"{text!r} is no amount of USD", fix="write for example 2500")
    return Decimal(usd_text(amount))  # no exponent: 2000 and never 2E+3


def usd_text(amount: Decimal) -> str:
    """An amount without exponent and trailing zeros: what a person types."""
    return format(amount.normalize(), "f")


def words_to_type(account: str, cap: Decimal) -> str:
    """What a person types to let orders out: ``LIVE <last 4> <most USD>``."""
    return f"LIVE {account[-4:]} {usd_text(cap)}"


def require_typed(typed: str, account: str, cap: Decimal) -> None:
    """Compare what was typed.

    Raises
    ------
    RefusedError
        If it is anything else; there is no shorter form.
    """
    if typed.strip() != words_to_type(account, cap):
        raise RefusedError(
            "the approval was not typed as it must be",
            why=f"it is exactly: {words_to_type(account, cap)}",
            fix="try again, or let somebody else look at it",
        )


def write_approval(path: Path, approval: Approval) -> None:
    """Write a new file that its owner alone can read.

    Raises
    ------
    StorageError
        If it is there already, or cannot be written.
    """
    text = json.dumps(msgspec.to_builtins(approval), indent=1) + "\n"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            f"the approval {path} cannot be written",
            why=error.strerror or str(error),
            fix="name another file with --out",
        ) from None


def read_approval(path: Path) -> Approval:
    """Read a file of one use.

    Raises
    ------
    RefusedError
        If others can read or write it, it is another user's, a link, or no approval.
    InputError
        If there is none.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise InputError(
            f"there is no approval {path}", fix="genesis approve STRATEGY --stage STAGE"
        ) from None
    except OSError as error:
        raise RefusedError(
            f"the approval {path} cannot be read", why=error.strerror or str(error)
        ) from None
    try:
        _require_private(path, os.fstat(handle))
        text = os.read(handle, _LARGEST + 1)
    finally:
        os.close(handle)
    try:
        if len(text) > _LARGEST:
            raise ValueError("it is too long")
        return msgspec.json.decode(text, type=Approval)
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(f"{path} is no approval", why=str(error)) from None


def _require_private(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise RefusedError(f"the approval {path} is no plain file")
    if facts.st_mode & 0o077:
        raise RefusedError(
            f"others can read or write the approval {path}",
            why="whoever can read it could have used it",
            fix="write a new one: genesis approve; its folder should be yours alone too",
        )
    if facts.st_uid != os.geteuid():
        raise RefusedError(f"the approval {path} belongs to another user")


def require_bound(approval: Approval, wanted: Mapping[str, Any]) -> None:
    """Compare what an approval is for with the step that wants to use it.

    Parameters
    ----------
    approval : Approval
    wanted : mapping
        Field to the value that the step has.

    Raises
    ------
    RefusedError
        Naming the first difference.
    """
    for name, value in wanted.items():
        allowed = getattr(approval, name)
        if allowed != value:
            raise RefusedError(
                f"the approval is for {name.replace('_', ' ')} {_short(allowed)}, not"
                f" {_short(value)}",
                why="an approval is bound to what the person looked at",
                fix="write one for this step: genesis approve STRATEGY --stage STAGE",
            )


def require_in_time(approval: Approval, now_ms: int, uptime: Uptime) -> None:
    """Refuse an approval that is over, or whose time was turned.

    Raises
    ------
    RefusedError
    """
    life = approval.expires_ms - approval.issued_ms
    if not 0 < life <= MOST_LIFE_MS:
        raise RefusedError("the approval says no possible time for its use")
    if now_ms < approval.issued_ms:
        raise RefusedError(
            f"the approval is from {format_ts(approval.issued_ms)}, which is still to come",
            why="the clock of this machine was set back",
            fix="set the clock, and write a new approval",
        )
    over = now_ms > approval.expires_ms
    same_boot = bool(uptime.boot) and approval.boot == uptime.boot
    # Setting the clock back gives no time: the machine's uptime goes on.
    if over or (same_boot and (uptime.seconds - approval.uptime_s) * 1000.0 > life):
        raise RefusedError(
            f"the approval expired at {format_ts(approval.expires_ms)}",
            fix="write a new one: genesis approve STRATEGY --stage STAGE",
        )


def _short(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text[:12] if len(text) == 64 else text
