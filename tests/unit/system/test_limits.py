"""Hard limits of a workspace: read strictly, tightened freely, loosened word by word."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from genesis.decision.operations import FOLDER, read_event, read_operations
from genesis.domain.errors import ConfigError, RefusedError
from genesis.paper.live_facts import LiveFacts
from genesis.paper.settings import PaperMode, PaperSettings
from genesis.risk.limits import HardLimits
from genesis.system import live
from genesis.system.limits import (
    BUILT_IN,
    LimitsChoice,
    ended_by_limits,
    limits_change,
    live_limits,
    stated_limits,
    take_limits,
)
from genesis.system.live_paper import LiveWay
from genesis.system.workspace import Workspace
from genesis.trading.payloads import LimitsChanged
from tests.conftest import REPOSITORY
from tests.unit.decision.operation_samples import NOW, decided, sitting
from tests.unit.trading.event_samples import HandClock

ACCOUNT = "0x" + "Ab" * 20
CLOCK = HandClock(NOW)


def write(home: Path, **limits: Any) -> Path:
    home.mkdir(exist_ok=True)
    path = home / "limits.yaml"
    lines = "".join(f"  {name}: {value}\n" for name, value in limits.items())
    path.write_text(f"schema: 1\nlimits:\n{lines}" if lines else "schema: 1\nlimits: {}\n")
    return path


def start(home: Path, *, going_on: bool = False, **choice: Any) -> tuple[HardLimits, str]:
    chosen = LimitsChoice(who="ann", reason="seen", **choice)
    return take_limits(home, ACCOUNT, chosen, CLOCK, going_on=going_on)


def on_record(home: Path) -> list[LimitsChanged]:
    found = (read_event(home, n + 1) for n in range(read_operations(home).seq))
    return [one.data for one in found if one is not None and isinstance(one.data, LimitsChanged)]


# ---- the file --------------------------------------------------------------------------------


def test_without_a_file_the_built_in_limits_hold(tmp_path: Path) -> None:
    found = stated_limits(tmp_path)
    assert (found.limits, found.source, found.stated) == (HardLimits(), BUILT_IN, ())


def test_a_file_states_some_and_the_others_are_built_in(tmp_path: Path) -> None:
    path = write(tmp_path, max_gross=2, price_collar=0.1)
    found = stated_limits(tmp_path)
    assert found.limits == HardLimits(max_gross=2.0, price_collar=0.1)
    assert found.source == str(path)
    assert found.stated == ("max_gross", "price_collar")
    other = write(tmp_path / "other", max_gross=1)
    assert stated_limits(tmp_path, other).limits == HardLimits(max_gross=1.0)


def test_the_example_holds_the_built_in_values() -> None:
    found = stated_limits(Path("/nowhere"), REPOSITORY / "configs" / "limits.yaml")
    assert found.limits == HardLimits()
    assert set(found.stated) == set(HardLimits().plain())


@pytest.mark.parametrize(
    "text",
    [
        "schema: 1\nlimits: {max_gros: 2}\n",
        "schema: 1\nlimits: {max_gross: '2'}\n",
        "schema: 1\nlimits: {max_gross: true}\n",
        "schema: 1\nlimits: {max_gross: null}\n",
        "schema: 1\nlimits: {max_gross: .nan}\n",
        "schema: 1\nlimits: {max_gross: .inf}\n",
        "schema: 1\nlimits: {max_gross: 0}\n",
        "schema: 1\nlimits: {max_gross: -1}\n",
        "schema: 1\nlimits: {max_gross: [2]}\n",
        "schema: 1\nlimits: {max_gross: 1, max_gross: 9}\n",
        "schema: 1\nlimits: 5\n",
        "schema: 1\nmax_gross: 2\n",
        "schema: 2\nlimits: {}\n",
        "limits: {}\n",
        "[]\n",
        "",
        "{",
        "\x00",
    ],
)
def test_what_is_no_file_of_limits_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "limits.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        stated_limits(tmp_path)
    assert "limits.yaml" in caught.value.what


@pytest.mark.parametrize(
    ("text", "example"),
    [("max_order: -1", "limits: {max_order: 1.0}"), ("max_gros: 2", "limits: {max_gross: 2}")],
)
def test_limits_that_stand_beside_their_key_are_told_where(
    tmp_path: Path, text: str, example: str
) -> None:
    (tmp_path / "limits.yaml").write_text(f"schema: 1\n{text}\n")
    with pytest.raises(ConfigError, match="beside the key limits") as caught:
        stated_limits(tmp_path)
    assert example in caught.value.fix


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ConfigError, match="holds no limits"):
        stated_limits(tmp_path, tmp_path / "none.yaml")


# ---- a start ---------------------------------------------------------------------------------


def test_a_start_with_the_same_limits_writes_nothing(tmp_path: Path) -> None:
    assert start(tmp_path) == (HardLimits(), "")
    assert read_operations(tmp_path).seq == 0


def test_tightening_is_free_and_on_record(tmp_path: Path) -> None:
    write(tmp_path, max_gross=2)
    limits, note = start(tmp_path)
    assert limits == HardLimits(max_gross=2.0)
    assert note == "hard limits from here on: max_gross 3 to 2"
    (row,) = on_record(tmp_path)
    assert (row.account, row.loosened, row.confirmed) == (ACCOUNT.lower(), (), "")
    assert (row.who, row.reason) == ("ann", "seen")
    assert live_limits(tmp_path, ACCOUNT) == limits
    assert start(tmp_path) == (limits, "")
    assert len(on_record(tmp_path)) == 1


def test_loosening_wants_its_phrase_word_by_word(tmp_path: Path) -> None:
    write(tmp_path, max_gross=5, max_order=0.5, max_daily_loss=0.5)
    phrase = "LOOSEN max_daily_loss=0.5 max_gross=5"
    for typed in ("", "yes", "LOOSEN max_gross=5", phrase.lower(), phrase + " max_order=0.5"):
        with pytest.raises(RefusedError) as caught:
            start(tmp_path, confirmed=typed)
        assert f'--confirm "{phrase}"' in caught.value.fix
        assert "max_gross 3 to 5" in caught.value.why
    assert on_record(tmp_path) == []
    limits, _ = start(tmp_path, confirmed=f"  {phrase} ")
    assert limits.max_gross == 5.0
    (row,) = on_record(tmp_path)
    assert (set(row.loosened), row.confirmed) == ({"max_gross", "max_daily_loss"}, phrase)
    assert start(tmp_path) == (limits, ""), "it is asked for once"


def test_what_counts_is_the_last_start_of_that_account(tmp_path: Path) -> None:
    write(tmp_path, max_gross=1)
    start(tmp_path)
    write(tmp_path)  # back to the built-in ones: looser than the account had
    with pytest.raises(RefusedError, match="max_gross"):
        start(tmp_path)
    other = "0x" + "cd" * 20
    assert limits_change(tmp_path, other).phrase == ""
    assert limits_change(tmp_path, ACCOUNT.upper().replace("0X", "0x")).phrase


def test_a_run_that_goes_on_is_looked_after_without_the_phrase(tmp_path: Path) -> None:
    write(tmp_path, max_gross=5)
    limits, note = start(tmp_path, going_on=True)
    assert limits == HardLimits()
    assert "not confirmed: LOOSEN max_gross=5" in note
    assert on_record(tmp_path) == []


def test_an_edited_record_of_limits_is_refused(tmp_path: Path) -> None:
    write(tmp_path, max_gross=1)
    start(tmp_path)
    with sqlite3.connect(tmp_path / FOLDER / "events.db") as db:
        (body,) = db.execute("SELECT body FROM events WHERE seq = 1").fetchone()
        plain = msgspec.msgpack.decode(body)
        plain["after"]["max_gross"] = 50.0
        changed = msgspec.msgpack.encode(plain)
        assert changed != body
        db.execute("UPDATE events SET body = ? WHERE seq = 1", (changed,))
    with pytest.raises(RefusedError, match="not what was written"):
        start(tmp_path)


def test_other_rows_of_the_log_are_no_limits(tmp_path: Path) -> None:
    with sitting(tmp_path) as log:
        log.append(decided(), aggregate=ACCOUNT.lower())
    assert live_limits(tmp_path, ACCOUNT) == HardLimits()


# ---- live runs -------------------------------------------------------------------------------


def settings(**limits: float) -> PaperSettings:
    return PaperSettings(PaperMode.LIVE, (), facts_on("local"), limits=HardLimits(**limits).plain())


def facts_on(network: str) -> dict[str, Any]:
    facts = LiveFacts("hyperliquid", network, "", ("SOL",), "1h", {"live": ACCOUNT}, 0, 0)
    return dict(msgspec.to_builtins(facts))


def test_a_run_with_other_limits_is_to_end() -> None:
    assert ended_by_limits(settings(max_gross=2.0), HardLimits(max_gross=2.0)) == ""
    why = ended_by_limits(settings(), HardLimits(max_gross=2.0, max_orders_per_minute=5))
    assert "max_gross 3 to 2" in why
    assert "max_orders_per_minute 60 to 5" in why


class Desk:
    """What `run_live` asks of its surroundings, with a run that may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, going_on: PaperSettings | None) -> None:
        self.going_on = going_on
        self.begun: list[HardLimits] = []
        self.sizings: list[str] = []
        self.ended: list[str] = []
        self.told: list[str] = []
        done = SimpleNamespace(run=SimpleNamespace(run_id="r", outcome=SimpleNamespace()))
        done.run.outcome.finished = True

        def resume(*args: Any) -> Any:
            self.ended.append(args[-1].over())
            self.going_on = None
            return done

        def begin(*words: Any) -> Any:
            limits = words[4]
            assert limits is not None
            self.begun.append(limits)
            self.sizings.append(words[5])
            return settings(**limits.plain())

        def unfinished(*_: Any) -> Any:
            return None if self.going_on is None else (Path("live-1"), self.going_on)

        monkeypatch.setattr(live, "unfinished_run", unfinished)
        monkeypatch.setattr(live, "resume_live", resume)
        monkeypatch.setattr(live, "start_live", lambda *_: done)
        monkeypatch.setattr(live, "live_run_settings", begin)
        monkeypatch.setattr(live, "deployments_of", lambda *_: ())
        monkeypatch.setattr(live, "live_deployments", lambda *_: ())
        monkeypatch.setattr(live, "require_healthy", lambda *_, **__: None)
        monkeypatch.setattr(live, "DailyReviews", lambda *_: _Nothing())

    def run(
        self,
        home: Path,
        *,
        live_: bool = False,
        paced: Any = None,
        sizing: str = "",
        **choice: Any,
    ) -> None:
        way = LiveWay(
            paced=paced,
            sizing=sizing,
            stopped=lambda: bool(self.begun),
            told=self.told.append,
            found=lambda _, text: self.told.append(text),
            clock=CLOCK,
        )
        key: Any = None
        live.run_live(Workspace(home), ACCOUNT, key, way, choice=LimitsChoice(**choice), live=live_)


class _Nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("going_on", [False, True])
def test_real_money_needs_the_word_live_also_where_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, going_on: bool
) -> None:
    real = PaperSettings(PaperMode.LIVE, (), facts_on("mainnet"), limits=HardLimits().plain())
    desk = Desk(monkeypatch, real if going_on else None)
    monkeypatch.setattr(live, "live_run_settings", lambda *_: real)
    tmp_path.mkdir(exist_ok=True)
    with pytest.raises(RefusedError, match="real money"):
        desk.run(tmp_path)
    assert desk.ended == []
    desk.going_on = None
    desk.begun.append(HardLimits())  # it stops after one run
    desk.run(tmp_path, live_=True)


def test_a_run_that_ends_goes_on_with_real_money_only_if_somebody_agreed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = PaperSettings(PaperMode.LIVE, (), facts_on("mainnet"), limits=HardLimits().plain())
    desk = Desk(monkeypatch, settings(max_gross=5.0))  # on the local exchange, and to end
    monkeypatch.setattr(live, "live_run_settings", lambda *_: real)
    with pytest.raises(RefusedError, match="real money"):
        desk.run(tmp_path)
    assert len(desk.ended) == 1


def test_time_is_moved_on_a_local_exchange_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = PaperSettings(PaperMode.LIVE, (), facts_on("testnet"), limits=HardLimits().plain())
    desk = Desk(monkeypatch, test)
    with pytest.raises(RefusedError, match="--scripted"):
        desk.run(tmp_path, paced=object())
    assert desk.ended == []


def test_a_live_run_begins_with_the_limits_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, max_gross=2)
    desk = Desk(monkeypatch, None)
    desk.run(tmp_path)
    assert desk.begun == [HardLimits(max_gross=2.0)]
    assert on_record(tmp_path)[0].after["max_gross"] == 2.0
    write(tmp_path, max_gross=4)
    with pytest.raises(RefusedError, match="max_gross"):
        Desk(monkeypatch, None).run(tmp_path)
    desk = Desk(monkeypatch, None)
    desk.run(tmp_path, confirmed="LOOSEN max_gross=4")
    assert desk.begun == [HardLimits(max_gross=4.0)]


def test_a_run_that_goes_on_ends_when_its_limits_are_tightened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, max_gross=2)
    desk = Desk(monkeypatch, settings())
    desk.run(tmp_path)
    assert desk.ended == ["the hard limits are others now: max_gross 3 to 2"]
    assert desk.begun == [HardLimits(max_gross=2.0)]


def test_looser_limits_nobody_confirmed_change_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, max_gross=9)
    desk = Desk(monkeypatch, settings())
    desk.run(tmp_path)
    assert desk.ended == [""], "it goes on with those that it has"
    assert any("not confirmed" in text for text in desk.told)


def test_a_killed_account_is_emptied_whatever_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limits.yaml").write_text("{")
    (tmp_path / "kill").touch()
    desk = Desk(monkeypatch, settings())
    desk.run(tmp_path)
    assert desk.ended == [""]


def test_a_changed_limit_is_one_that_differs() -> None:
    base = HardLimits()
    for name, value in base.plain().items():
        assert ended_by_limits(settings(), replace(base, **{name: value * 1.5}))
