"""Keys come from places that nobody else reads, and never leave."""

from __future__ import annotations

import copy
import io
import json
import logging
import multiprocessing.reduction as reduction
import os
import stat
import sys
import traceback
import types
from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError, GenesisError, RefusedError
from genesis.exchange.hyperliquid.keys import (
    AgentKey,
    KeyKind,
    KeySource,
    load_key,
    read_key_file,
    require_new_key_file,
    write_key_file,
)
from genesis.exchange.hyperliquid.sdk import Signer

SECRET = "c0ffee" * 10 + "0a1b"
PASS = "a long passphrase"


def pipe(text: str) -> int:
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


def test_a_key_from_a_descriptor_closes_it() -> None:
    number = pipe(f"0x{SECRET}\n")
    key = load_key(KeySource(KeyKind.DESCRIPTOR, str(number)))
    assert key.address == AgentKey(SECRET).address
    with pytest.raises(OSError):
        os.fstat(number)


def test_a_key_from_an_encrypted_file(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    address = write_key_file(path, SECRET, PASS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["crypto"]["kdf"] == "scrypt"
    assert SECRET not in path.read_text().lower()
    source = KeySource(KeyKind.FILE, str(path), passphrase_fd=pipe(PASS + "\n"))
    assert load_key(source).address == address
    with pytest.raises(ConfigError, match="passphrase is wrong") as wrong:
        read_key_file(path, "another one")
    assert "genesis keys create" in wrong.value.fix
    for text in ("[1", "5", "{}"):
        (tmp_path / "other").write_text(text)
        (tmp_path / "other").chmod(0o600)
        with pytest.raises(ConfigError, match="no encrypted key"):
            read_key_file(tmp_path / "other", PASS)
    with pytest.raises(ConfigError, match="no such file") as absent:
        read_key_file(tmp_path / "absent", PASS)
    assert absent.value.fix
    path.chmod(0o640)
    with pytest.raises(RefusedError, match="others can read"):
        read_key_file(path, PASS)
    for make in (lambda at: write_key_file(at, SECRET, PASS), require_new_key_file):
        with pytest.raises(ConfigError, match="cannot be written") as there:
            make(path)
        assert "there already" in there.value.why
        assert "another name" in there.value.fix
        with pytest.raises(ConfigError, match="no folder") as nowhere:
            make(tmp_path / "a b" / "key")
        assert nowhere.value.fix == f"mkdir -p '{tmp_path}/a b'"


def test_a_key_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    source = KeySource(KeyKind.KEYRING, "genesis/agent")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="no keyring is installed"):
        load_key(source)
    ring = types.ModuleType("keyring")
    entries = {("genesis", "agent"): SECRET}
    ring.get_password = lambda service, user: entries.get((service, user))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert load_key(source).address == AgentKey(SECRET).address
    with pytest.raises(ConfigError, match="no entry"):
        load_key(KeySource(KeyKind.KEYRING, "genesis/other"))


@pytest.mark.parametrize("text", ["", "0x12", SECRET + "00", "zz" * 32, "0" * 64, "f" * 64])
def test_what_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AgentKey(text)
    shown = "".join(traceback.format_exception(caught.value))
    assert len(text) < 8 or text not in shown


def test_a_key_is_not_shown_copied_or_pickled(caplog: pytest.LogCaptureFixture) -> None:
    key = AgentKey(SECRET)
    signer = Signer(key, mainnet=False)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").error("%r %s %r %r", key, key, signer, [key])
    texts = [caplog.text, repr(key), str(key), f"{key}", repr({"key": key}), repr(vars(signer))]
    for value in (key, signer):
        with pytest.raises(TypeError):
            reduction.ForkingPickler(io.BytesIO()).dump(value)
        with pytest.raises(TypeError):
            copy.deepcopy(value)
    assert not any(SECRET in text.lower() for text in texts)
    assert "***" in repr(key)


def test_the_signer_signs_trading_only() -> None:
    signer = Signer(AgentKey(SECRET), mainnet=False)
    for kind in ("usdSend", "withdraw3", "approveAgent", "vaultTransfer", "usdClassTransfer", None):
        with pytest.raises(RefusedError, match="does not sign"):
            signer.body({"type": kind}, 1, None, None)


def test_no_secret_reaches_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    write_key_file(path, SECRET, PASS)
    with pytest.raises(GenesisError) as caught:
        read_key_file(path, SECRET)  # the key where the passphrase belongs
    assert SECRET not in "".join(traceback.format_exception(caught.value))
