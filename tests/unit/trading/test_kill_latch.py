"""The kill latch and the lease on an account."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genesis.domain.errors import RefusedError, StorageError
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.kill_latch import KillLatch, KillOrder, SeenLatch
from genesis.trading.lease import AccountLease, Holder, last_holder
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import OrderSubmit
from tests.unit.trading.core_rig import Script

ACCOUNT = "0x" + "Ab" * 20
ORDER = KillOrder("it loses", "ann", 7)


def test_a_latch_holds_until_it_is_lifted_and_says_why(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path)
    assert latch.closed() == ""
    assert latch.set(ORDER) == ORDER
    again = KillLatch(tmp_path)  # another process, or after a restart
    assert again.closed() == "killed by ann: it loses"
    assert again.lift() == ORDER
    assert (latch.closed(), latch.lift()) == ("", None)


def test_a_touched_file_is_a_kill_that_closes_positions(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path)
    latch.path.touch()
    assert latch.closed() == "killed"
    order = latch.read()
    assert order is not None
    assert order.flatten
    assert order.at_ms > 0


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{}", b'{"reason": 3}', b"x" * 10_000])
def test_whatever_is_in_the_file_it_holds(tmp_path: Path, content: bytes) -> None:
    latch = KillLatch(tmp_path)
    latch.path.write_bytes(content)
    assert latch.closed()


def test_a_folder_or_a_dangling_link_holds_too(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path)
    latch.path.symlink_to(tmp_path / "nowhere")
    assert latch.closed()
    latch.path.unlink()
    latch.path.mkdir()
    assert latch.closed()


def test_the_first_order_stays_unless_the_second_asks_for_more(tmp_path: Path) -> None:
    latch = KillLatch(tmp_path)
    mild = KillOrder("look first", "ann", 1, flatten=False)
    latch.set(mild)
    assert latch.set(KillOrder("again", "bob", 2, flatten=False)) == mild
    assert latch.set(ORDER) == ORDER == latch.set(mild)


def request(*, reduce_only: bool) -> OrderSubmit:
    order = OrderRequest(
        "ORD_1", "0x1", "a", "BTC", Side.BUY, OrderKind.MARKET, 1, reduce_only=reduce_only
    )  # type: ignore[arg-type]
    return OrderSubmit("d", "", "entry", order)


def test_a_writer_looks_at_it_before_each_order_that_adds_risk(tmp_path: Path) -> None:
    latch, exchange = KillLatch(tmp_path), Script(accepts=False)
    outlet = Outlet(exchange, None, latch)  # type: ignore[arg-type]
    assert outlet.act(Event(request(reduce_only=False), 1)) == ""
    latch.set(ORDER)
    assert outlet.act(Event(request(reduce_only=False), 1)) == "killed by ann: it loses"
    assert outlet.act(Event(request(reduce_only=True), 1)) == ""
    assert [one.reduce_only for one in exchange.submitted] == [False, True]


def test_who_saw_it_once_never_goes_on(tmp_path: Path) -> None:
    latch, seen = KillLatch(tmp_path), SeenLatch(tmp_path)
    assert (seen.closed(), seen.read()) == ("", None)
    latch.set(ORDER)
    assert seen.closed() == "killed by ann: it loses"
    latch.lift()
    assert seen.closed() == "killed by ann: it loses"
    assert seen.read() == ORDER
    assert latch.closed() == SeenLatch(tmp_path).closed() == "", "who begins now may trade"
    latch.path.touch()
    assert seen.closed() == "killed", "the one that holds now"


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_look_that_failed_once_holds_for_who_saw_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(*_: object, **__: object) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    latch, seen = KillLatch(tmp_path), SeenLatch(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(os, "lstat", fails)
        why = seen.closed()
        assert (
            why == latch.closed() == f"killed: the kill latch cannot be looked at: "
            f"{os.strerror(number)}"
        )
    assert latch.closed() == "", "the next process may trade"
    assert seen.closed() == why
    order = seen.read()
    assert order is not None
    assert order.flatten


# ---- the lease -------------------------------------------------------------------------------


def test_a_second_process_cannot_take_it_and_is_told_who_has_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from genesis.trading.lease import AccountLease\n"
        f"lease = AccountLease(Path(sys.argv[1]), '{ACCOUNT}', 'night')\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RefusedError) as refused:
            AccountLease(tmp_path, ACCOUNT.upper().replace("0X", "0x"), "day")
        assert f"run night, process {other.pid}" in str(refused.value.why)
        assert last_holder(tmp_path, ACCOUNT) == Holder("night", other.pid, alive=True)
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    assert last_holder(tmp_path, ACCOUNT) == Holder("night", other.pid, alive=False)
    with AccountLease(tmp_path, ACCOUNT, "day") as lease:
        assert lease.epoch == 2
        assert lease.closed() == ""
        assert last_holder(tmp_path, ACCOUNT) == Holder("day", os.getpid(), alive=True)
    assert last_holder(tmp_path, ACCOUNT) is None


def test_who_was_replaced_sends_nothing_more(tmp_path: Path) -> None:
    lease = AccountLease(tmp_path, ACCOUNT, "old")
    (tmp_path / f"{ACCOUNT.lower()}.lease").unlink()  # somebody clears up by hand
    with AccountLease(tmp_path, ACCOUNT, "new") as newer:
        assert newer.epoch == 1
        assert lease.closed()
        lease.release()
        assert last_holder(tmp_path, ACCOUNT) == Holder("new", os.getpid(), alive=True)


def test_a_lease_that_is_no_lease_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{ACCOUNT.lower()}.lease"
    path.write_bytes(b"\xff")
    with pytest.raises(StorageError):
        AccountLease(tmp_path, ACCOUNT, "run")
    path.write_bytes(b"{}")
    AccountLease(tmp_path, ACCOUNT, "run").release()
