"""A venue whose process ends at any moment continues as if it had not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from genesis.domain.errors import InfrastructureError, RefusedError, StorageError
from genesis.exchange.venue.core import MalformedAction, VenueCore, VenueProfile
from genesis.exchange.venue.durable import DurableCore
from genesis.exchange.venue.profile import STILL
from tests.unit.exchange.venue.venue_rig import ALICE, BOB, CAROL, CLOID, META, T0, limit, trigger


def venue(folder, *, seed=5, profile=STILL, **more):
    return DurableCore(folder, META, seed=seed, profile=profile, now_ms=T0, fsync=False, **more)


def live(core, seed, count, at=T0):
    """Random actions of three users, with time passing."""
    rng = random.Random(seed)
    for user in (ALICE, BOB, CAROL):
        core.fund(user, "50000")
    now = at
    for number in range(count):
        now += rng.choice((0, 1, 700, 20_000))
        user = rng.choice((ALICE, BOB, CAROL))
        side = rng.choice("BA")
        px = 3000 + rng.randint(-30, 30)
        roll = rng.random()
        if roll < 0.7:
            wire = limit("ETH", side, px, f"{rng.randint(1, 30) / 10}", rng.choice(("Gtc", "Ioc")))
            action = {"type": "order", "orders": [wire], "grouping": "na"}
            if number % 7 == 0:
                wire["c"] = CLOID.format(number % 100)
        elif roll < 0.8:
            wire = trigger("ETH", side, px, "1", rng.choice(("tp", "sl")))
            action = {"type": "order", "orders": [wire], "grouping": "positionTpsl"}
        elif roll < 0.9:
            open_orders = core.user_info.open_orders(user)
            oid = open_orders[0]["oid"] if open_orders else 1
            action = {"type": "cancel", "cancels": [{"a": 1, "o": oid}]}
        elif roll < 0.95:
            body = {"a": 1, "b": True, "s": "1", "r": False, "m": 5, "t": True}
            action = {"type": "twapOrder", "twap": body}
        else:
            core.knobs.set_price("ETH", str(3000 + rng.randint(-50, 50)))
            continue
        core.submit(user, action, now)
        core.drain()
    return now


def test_a_reopened_venue_is_the_one_that_was_closed_or_killed(tmp_path):
    first = venue(tmp_path / "a")
    live(first, 1, 300)
    before = first.state_hash()
    # As kill -9 leaves it: nothing closed, nothing saved.
    shutil.copytree(tmp_path / "a", tmp_path / "killed")
    killed = venue(tmp_path / "killed")
    assert killed.state_hash() == before
    assert killed.drain() == []
    first.close()
    again = venue(tmp_path / "a")
    assert again.state_hash() == before
    end = again.now_ms + 100_000
    for core in (killed, again):
        core.advance(end)
    assert killed.state_hash() == again.state_hash()


def test_the_same_inputs_give_a_byte_identical_log(tmp_path):
    logs = []
    for name in ("a", "b"):
        core = venue(tmp_path / name, profile=VenueProfile())
        live(core, 2, 60)
        logs.append((tmp_path / name / "log.jsonl").read_bytes())
        core.close()
    assert logs[0] == logs[1]
    assert len(logs[0].splitlines()) > 60


def test_a_recorded_venue_equals_one_in_memory(tmp_path):
    kept = venue(tmp_path)
    free = VenueCore(META, seed=5, profile=STILL, now_ms=T0)
    live(kept, 3, 200)
    live(free, 3, 200)
    assert kept.state_hash() == free.state_hash()


def test_a_snapshot_shortens_the_replay_and_a_damaged_one_is_not_believed(tmp_path):
    core = venue(tmp_path)
    now = live(core, 4, 50)
    core.save()
    live(core, 5, 50, at=now)
    before = core.state_hash()
    shutil.copytree(tmp_path, tmp_path / "copy")
    log = (tmp_path / "copy/log.jsonl").read_bytes()
    (snapshot,) = (tmp_path / "copy").glob("snapshot-*.json")
    assert venue(tmp_path / "copy").state_hash() == before
    snapshot.write_bytes(snapshot.read_bytes()[:-3] + b"}}}")
    shutil.copytree(tmp_path / "copy", tmp_path / "third")
    assert venue(tmp_path / "third").state_hash() == before
    assert (tmp_path / "third/log.jsonl").read_bytes() == log


def test_a_torn_last_line_is_dropped_and_damage_before_it_refused(tmp_path):
    core = venue(tmp_path / "a")
    live(core, 6, 30)
    core.fund(ALICE, "1")
    log = (tmp_path / "a/log.jsonl").read_bytes()
    for name, data in {
        "torn": log[:-10],
        "empty": b"",
        "flipped": log.replace(b'"usd":"50000"', b'"usd":"50001"', 1),
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.jsonl").write_bytes(data)
    torn = venue(tmp_path / "torn")
    assert torn.user_history.ledger(ALICE, 0)[-1]["delta"]["usdc"] == "50000.0"
    assert venue(tmp_path / "empty").users() == []
    with pytest.raises(StorageError, match="damaged"):
        venue(tmp_path / "flipped")


def test_a_folder_belongs_to_one_venue_and_one_process(tmp_path):
    core = venue(tmp_path)
    with pytest.raises(RefusedError, match="in use"):
        venue(tmp_path)
    core.close()
    with pytest.raises(RefusedError, match="another venue"):
        venue(tmp_path, seed=6)
    with pytest.raises(RefusedError, match="another venue"):
        venue(tmp_path, origin="replay")
    venue(tmp_path).close()


def test_a_malformed_action_leaves_no_trace(tmp_path):
    core = venue(tmp_path)
    core.fund(ALICE, "1000")
    before = core.state_hash(), (tmp_path / "log.jsonl").read_bytes()
    with pytest.raises(MalformedAction):
        core.submit(ALICE, {"type": "order", "orders": [{}]}, T0)
    with pytest.raises(MalformedAction):
        core.knobs.set_price("NOPE", "1")
    with pytest.raises(AttributeError):
        core.knobs.nothing()
    assert (core.state_hash(), (tmp_path / "log.jsonl").read_bytes()) == before


def test_a_venue_that_cannot_write_stops_answering(tmp_path, monkeypatch):
    core = venue(tmp_path)
    core.fund(ALICE, "1000")

    def full(_file, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="cannot write"):
        core.submit(ALICE, {"type": "noop"}, T0)
    monkeypatch.undo()
    with pytest.raises(InfrastructureError, match="stopped answering"):
        core.submit(ALICE, {"type": "noop"}, T0)
    core.close()
    assert venue(tmp_path).users() == [ALICE]


def test_a_log_that_leads_to_other_answers_is_refused(tmp_path):
    core = venue(tmp_path)
    core.fund(ALICE, "1000")
    core.submit(ALICE, {"type": "noop"}, T0)
    core.close()
    for snapshot in tmp_path.glob("snapshot-*"):
        snapshot.unlink()
    from zlib import crc32

    log = tmp_path / "log.jsonl"
    lines = log.read_bytes().splitlines()
    body = json.loads(lines[-1][9:])
    data = json.dumps(body | {"r": 1}).encode()
    lines[-1] = b"%08x " % crc32(data) + data
    log.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(StorageError, match="another answer"):
        venue(tmp_path)


@pytest.mark.slow
def test_kill_minus_nine_at_random_instants_loses_nothing_that_was_answered(tmp_path):
    """Each answer a child printed must be in the state that its successor finds."""
    script = textwrap.dedent(
        """
        import sys, pathlib
        from tests.unit.exchange.venue.test_durable import ALICE, META, T0, limit
        from genesis.exchange.venue.core import VenueProfile
        from genesis.exchange.venue.durable import DurableCore

        core = DurableCore(
            pathlib.Path(sys.argv[1]), META, seed=1, profile=VenueProfile(), now_ms=T0
        )
        if not core.users():
            core.fund(ALICE, "1000000")
        while True:
            now = core.now_ms + 137
            orders = [limit("ETH", "B", "2000", "0.01"), limit("SOL", "B", "300", "0.2", "Ioc")]
            action = {"type": "order", "orders": orders, "grouping": "na"}
            statuses = core.submit(ALICE, action, now)["response"]["data"]["statuses"]
            print(*[next(iter(s.values()))["oid"] for s in statuses], flush=True)
            core.submit(ALICE, {"type": "cancel", "cancels": [
                {"a": 1, "o": statuses[0]["resting"]["oid"]}]}, now)
        """
    )
    rng = random.Random(1)
    told: list[int] = []
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        lines = [child.stdout.readline() for _ in range(rng.randint(3, 40))]
        os.kill(child.pid, signal.SIGKILL)
        lines += child.stdout.read().splitlines()
        child.wait()
        told += [int(oid) for line in lines for oid in line.split()]
    core = DurableCore(tmp_path, META, seed=1, profile=VenueProfile(), now_ms=T0)
    known = {row["order"]["oid"] for row in core.user_info.historical_orders(ALICE)}
    assert set(told[-1500:]) <= known
    assert len(set(told)) == len(told)
    filled = {row["oid"] for row in core.user_history.fills(ALICE)}
    assert set(told[1::2][-500:]) <= filled
    assert core.balance() == 0
