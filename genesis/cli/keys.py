"""`genesis keys`: encrypted files with the keys of agents (API wallets)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Keys of agents: they trade and cannot withdraw.")

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The encrypted key file.")]
_Descriptor = Annotated[
    int, typer.Option(metavar="N", help="Descriptor with the passphrase; else it is asked for.")
]


@app.command("create")
def create(file: _File, passphrase_fd: _Descriptor = -1, as_json: Json = False) -> None:
    """Make a fresh key and write it, encrypted, into a new file; only its address is shown.

    Approve that address as an agent (API wallet) of the account that it is to trade for.

    Examples:

        genesis keys create agent.json

        genesis keys create agent.json --passphrase-fd 3 3< passphrase
    """
    import secrets

    from genesis.exchange.hyperliquid.keys import require_new_key_file, write_key_file

    require_new_key_file(file)
    words = passphrase(passphrase_fd, twice=True)
    address = write_key_file(file, secrets.token_hex(32), words)
    _tell(file, address, as_json=as_json)


@app.command("show")
def show(file: _File, as_json: Json = False) -> None:
    """Show the address of a key file; nothing is decrypted.

    Examples:

        genesis keys show agent.json
    """
    import json

    from genesis.domain.errors import ConfigError
    from genesis.exchange.hyperliquid.keys import require_key_file

    require_key_file(file)
    try:
        address = "0x" + str(json.loads(file.read_text(encoding="utf-8"))["address"])[-40:]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file} is no key file",
            why=f"it has no address: {type(error).__name__}",
            fix="genesis keys create FILE makes one",
        ) from None
    _tell(file, address.lower(), as_json=as_json)


def _tell(file: Path, address: str, *, as_json: bool) -> None:
    if as_json:
        render.emit({"file": str(file), "address": address})
        return
    render.console().print(f"{address}  {file}", markup=False)


def passphrase(descriptor: int, *, twice: bool = False) -> str:
    """Passphrase of a key file, from a descriptor or a person.

    Raises
    ------
    InputError
        If nobody can be asked, or the two that were typed differ.
    ConfigError
        If the descriptor cannot be read.
    """
    import getpass

    from genesis.domain.errors import InputError
    from genesis.exchange.hyperliquid.keys import read_descriptor

    if descriptor >= 0:
        return read_descriptor(descriptor)
    if not sys.stdin.isatty():
        raise InputError(
            "the key file needs its passphrase, and nobody is there to give it",
            why="standard input is no terminal",
            fix="write --passphrase-fd 3, with 3< FILE or a pipe",
        )
    words = getpass.getpass("passphrase: ")
    if twice and getpass.getpass("once more: ") != words:
        raise InputError("the two passphrases differ", fix="try again")
    return words
