"""A local exchange in a process of its own, and the smallest client that can load it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hyperliquid.utils.signing import sign_l1_action

_SLOW_DISK = """
import os, runpy, sys, time
sync, seconds = os.fdatasync, float(sys.argv.pop(1)) / 1e3
os.fdatasync = lambda file: (time.sleep(seconds), sync(file))[1]
runpy.run_module("genesis", run_name="__main__", alter_sys=True)
"""


@contextmanager
def serving(home: Path, *options: str, disk_ms: float = 0.0) -> Iterator[str]:
    """Serve a venue, each of whose writes to the disk takes so much longer; its address."""
    command = [sys.executable, "-m", "genesis"]
    if disk_ms:
        command[1:] = ["-c", _SLOW_DISK, str(disk_ms)]
    command += ["--home", str(home), "venue", "serve"]
    command += ["--port", "0", "--unlimited", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            yield str(json.loads(started.stdout.readline())["url"])
        finally:
            try:
                started.send_signal(signal.SIGINT)
                started.wait(30)
            finally:
                started.kill()


def wallet(url: str, usd: str = "100000000") -> LocalAccount:
    """A new, funded account."""
    account: LocalAccount = Account.create()
    body = {"user": account.address, "usd": usd}
    answer = requests.post(f"{url}/control/fund", json=body, timeout=10)
    assert answer.json()["ok"], answer.text
    return account


def order(px: str, sz: str = "0.001", *, buy: bool = True, tif: str = "Gtc") -> dict[str, Any]:
    """One order on BTC."""
    row = {"a": 0, "b": buy, "p": px, "s": sz, "r": False, "t": {"limit": {"tif": tif}}}
    return {"type": "order", "orders": [row], "grouping": "na"}


def signed(account: LocalAccount, action: dict[str, Any], nonce: int) -> bytes:
    """Body of a request."""
    signature = sign_l1_action(account, action, None, nonce, None, False)
    return json.dumps({"action": action, "nonce": nonce, "signature": signature}).encode()


class Connection:
    """One kept-alive connection: a request at a time, the least a client can spend."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def post(self, path: str, body: bytes) -> bytes:
        """Send a body, wait for the answer's."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return await self._reader.readexactly(length)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def timed(port: int, path: str, bodies: Sequence[bytes]) -> tuple[list[float], list[bytes]]:
    """Send bodies one after the other; seconds of each, and the answers."""
    connection = Connection(port)
    await connection.open()
    taken, answers = [], []
    for body in bodies:
        start = time.perf_counter()
        answers.append(await connection.post(path, body))
        taken.append(time.perf_counter() - start)
    connection.close()
    return taken, answers


async def flood(port: int, path: str, bodies: Sequence[bytes], width: int) -> list[bytes]:
    """Send bodies over several connections at once; the answers."""
    parts = [bodies[k::width] for k in range(width)]
    runs = await asyncio.gather(*(timed(port, path, part) for part in parts))
    return [answer for _, answers in runs for answer in answers]


def port_of(url: str) -> int:
    """Port of an address."""
    return int(url.rsplit(":", 1)[1])
