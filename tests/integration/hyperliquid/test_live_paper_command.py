"""`genesis paper run --mode testnet` as a person types it: keys, refusals, Ctrl-C, what is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesis.exchange.hyperliquid.keys import AgentKey, write_key_file
from genesis.strategy.text import dump_strategy
from tests.e2e.command_line import Answer
from tests.integration.hyperliquid.live_paper_rig import follower
from tests.integration.hyperliquid.live_rig import KEY, MASTER, LiveRig, live_rig
from tests.unit.cli.command_answers import call

OTHER_KEY = "0x" + "6f" * 31 + "02"
WORDS = "correct horse battery"


class Desk:
    """A workspace, a strategy in a file and a venue in real time."""

    def __init__(self, rig: LiveRig, folder: Path) -> None:
        self.rig, self.folder = rig, folder
        self.home = folder / "home"
        self.strategy = folder / "follower.json"
        self.strategy.write_text(json.dumps(dump_strategy(follower())))

    def line(self, *more: str, url: str = "", account: str = MASTER) -> list[str]:
        market = ("--mode", "testnet", "--symbols", "SOL", "--interval", "1m", "--run", "net")
        where = ("--url", url or self.rig.running.url, "--account", account, "--capital", "1000")
        return ["paper", "run", str(self.strategy), *market, *where, *more]

    def call(self, *words: str, key: str = KEY) -> Answer:
        """Answer of a command line; the key comes through a pipe."""
        return call(self.home, *words, "--key-fd", str(pipe(key)), "--json")


def pipe(secret: str) -> int:
    """Descriptor that a secret can be read from."""
    read, write = os.pipe()
    os.write(write, secret.encode())
    os.close(write)
    return read


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("command")
    with live_rig(folder / "venue", scripted=False) as rig:
        yield Desk(rig, folder)


def refused(desk: Desk, answer: Answer, code: int, *words: str) -> None:
    assert answer.code == code, answer.out + answer.err
    error = answer.error
    assert error["what"]
    assert error["why"] or error["fix"]
    told = " ".join(str(error[k]) for k in ("what", "why", "fix"))
    for word in words:
        assert word in told, told
    assert not (desk.home / "trading" / "net").exists()
    assert "Traceback" not in answer.err


def test_a_wrong_key_is_refused(desk: Desk) -> None:
    answer = desk.call(*desk.line(), key=OTHER_KEY)
    refused(desk, answer, 3, "not registered", "approve an agent")


def test_a_master_key_is_refused(desk: Desk) -> None:
    line = desk.line(account=AgentKey(OTHER_KEY).address)
    refused(desk, desk.call(*line, key=OTHER_KEY), 3, "master key", "approve an agent")


def test_a_wrong_account_is_refused(desk: Desk) -> None:
    unknown = desk.call(*desk.line(account="0x" + "b2" * 20))
    refused(desk, unknown, 3, "knows no account", MASTER)
    other = "0x" + "c3" * 20
    desk.rig.act("fund", other, "1000")
    refused(desk, desk.call(*desk.line(account=other)), 3, "does not act for", MASTER)
    refused(desk, desk.call(*desk.line(account="0x12")), 2, "no address", "40 hexadecimal")


def test_what_is_no_key_is_not_repeated(desk: Desk) -> None:
    answer = desk.call(*desk.line(), key="not-a-key-but-secret")
    refused(desk, answer, 2, "no private key")
    assert "secret" not in answer.out + answer.err


def test_an_unreachable_venue_fails(desk: Desk) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answer = desk.call(*desk.line(url=f"http://127.0.0.1:{port}"))
    refused(desk, answer, 1)


def test_too_much_capital_and_an_unknown_coin_are_refused(desk: Desk) -> None:
    line = desk.line()
    line[line.index("--capital") + 1] = "5000000"
    refused(desk, desk.call(*line), 3, "--capital 1000000")
    line = desk.line()
    line[line.index("SOL")] = "SOLL"
    refused(desk, desk.call(*line), 2, "SOLL", "did you mean")


def test_policies_and_settings_of_the_gateway_are_checked(desk: Desk, tmp_path: Path) -> None:
    refused(desk, desk.call(*desk.line("--foreign", "kept")), 2, "did you mean 'keep'")
    file = tmp_path / "gateway.yaml"
    file.write_text("leverage: {SOL: 3}\n")
    answer = desk.call(*desk.line("--gateway", str(file)))
    refused(desk, answer, 3, "SOL is traded cross with", "isolated with 3 times is configured")
    file.write_text("levrage: {SOL: 3}\n")
    refused(desk, desk.call(*desk.line("--gateway", str(file))), 2, "did you mean 'leverage'")
    words = ("paper", "run", "strat_0", "--mode", "replay", "--foreign", "keep", "--json")
    assert "without a testnet" in call(desk.home, *words).error["what"]


def test_a_key_file_is_made_and_shown_without_its_key(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    made = call(
        tmp_path, "keys", "create", str(file), "--passphrase-fd", str(pipe(WORDS)), "--json"
    )
    assert made.code == 0, made.err
    shown = call(tmp_path, "keys", "show", str(file), "--json")
    assert shown.json["address"] == made.json["address"]
    assert file.stat().st_mode & 0o077 == 0
    again = call(
        tmp_path, "keys", "create", str(file), "--passphrase-fd", str(pipe(WORDS)), "--json"
    )
    assert again.code == 2
    assert call(tmp_path, "keys", "show", str(tmp_path / "none"), "--json").code == 2


def test_ctrl_c_saves_a_resume_goes_on_and_nothing_tells_the_key(
    desk: Desk, tmp_path: Path
) -> None:
    """In a process of its own: its command line and environment are looked at too."""
    file = tmp_path / "agent.json"
    write_key_file(file, KEY, WORDS)
    words = pipe(WORDS)
    line = [sys.executable, "-m", "genesis", "--home", str(desk.home)]
    line += desk.line("--key-file", str(file), "--passphrase-fd", str(words))
    process = subprocess.Popen(
        line, pass_fds=(words,), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said = ""
    for told in process.stdout:
        said += told
        if "trades; Ctrl-C" in told:
            break
    seen = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    seen += Path(f"/proc/{process.pid}/environ").read_bytes()
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    said += rest
    assert process.returncode == 130, said
    assert "genesis --home" in said
    assert "--resume net" in said
    done = call(
        desk.home, "paper", "run", "--resume", "net", "--for", "2s",
        "--key-fd", str(pipe(KEY)), "--json",
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    (strategy,) = done.json["paper"]["strategies"]
    assert strategy["performance"]["trades"] == 0
    report = call(desk.home, "paper", "report", "net", "--json")
    assert report.code == 0
    told = said + done.out + done.err + report.out
    digits = KEY.removeprefix("0x")
    for secret in (digits, WORDS):
        assert secret.encode() not in seen
        assert secret not in told.lower()
    for path in desk.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            for needle in (digits.encode(), bytes.fromhex(digits), WORDS.encode()):
                assert needle not in content, path
