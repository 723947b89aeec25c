"""Settings: what is right, and that no error shows a secret."""

from __future__ import annotations

import os
import pickle
import traceback
from datetime import UTC, time
from pathlib import Path

import pytest
import yaml

from genesis.domain.errors import ConfigError
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.secret_urls import ChannelError, SecretUrl, UrlSource, without_urls
from genesis.monitoring.alerts.settings import AlertSettings, load_settings
from tests.conftest import REPOSITORY

CANARY = "canary7f3a"
URL = f"json://user:{CANARY}@127.0.0.1:9/{CANARY}?-token={CANARY}"


def load(folder: Path, text: str) -> AlertSettings:
    path = folder / "alerts.yaml"
    path.write_text(text)
    return load_settings(path)


def test_without_a_file_there_are_console_and_file_alone(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "alerts.yaml")
    assert settings == AlertSettings()
    assert settings.channels == ()
    assert settings.heartbeat is None


def test_the_example_is_right() -> None:
    settings = load_settings(REPOSITORY / "configs" / "alerts.yaml")
    assert [one.name for one in settings.channels] == ["phone", "mail"]
    assert settings.heartbeat == time(8)
    assert settings.quiet_hours is not None


def test_all_keys(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        schema: 1
        channels:
          - {name: phone, url_env: PHONE, level: high, timeout_s: 2, quiet: false}
          - {name: mail, url_file: mail.url}
          - {name: desk, url_keyring: genesis/desk}
        console: none
        quiet_hours: {from: "22:00", to: "07:30"}
        heartbeat: null
        escalation: false
        """,
    )
    phone, mail, desk = settings.channels
    assert (phone.url, phone.level, phone.quiet) == (
        UrlSource("env", "PHONE"),
        AlertLevel.HIGH,
        False,
    )
    assert mail.url == UrlSource("file", str(tmp_path / "mail.url"))
    assert desk.url.kind == "keyring"
    assert settings.console is None
    assert settings.quiet_hours is not None
    assert (settings.quiet_hours.begin, settings.quiet_hours.end) == (time(22), time(7, 30))
    assert (settings.heartbeat, settings.escalation, settings.zone) == (None, False, UTC)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schema: 2", "schema must be 1"),
        ("schema: 1\nchannels: 5", "channels"),
        ("schema: 1\ncolour: red", "colour"),
        ("schema: 1\nchannels: [{name: Phone, url_env: X}]", "name"),
        ("schema: 1\nchannels: [{name: file, url_env: X}]", "neither"),
        ("schema: 1\nchannels: [{name: a}]", "needs one of"),
        ("schema: 1\nchannels: [{name: a, url_env: X, url_file: y}]", "needs one of"),
        (
            "schema: 1\nchannels: [{name: a, url_env: X}, {name: a, url_env: Y}]",
            "same name",
        ),
        ("schema: 1\nchannels: [{name: a, url_env: X, level: loud}]", "level"),
        ("schema: 1\nchannels: [{name: a, url_env: X, timeout_s: 0}]", "timeout_s"),
        ("schema: 1\nconsole: loud", "console"),
        ("schema: 1\nheartbeat: 8 o'clock", "heartbeat"),
        ("schema: 1\ntimezone: Mars/Olympus", "timezone"),
        ('schema: 1\nquiet_hours: {from: "07:00", to: "07:00"}', "same time"),
        ("- a list", "object"),
        ("schema: [1", "line"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schema: 1\nconsole: loud", "line 2: console must be one of"),
        ("schema: 1\n\nconsol: info", "line 3: there is no key consol - did you mean 'console'?"),
        (
            "schema: 1\nchannels:\n  - {name: a, url_env: X}\n  - {name: b, url_evn: Y}",
            "line 4: there is no key channels.1.url_evn - did you mean 'url_env'?",
        ),
        ("schema: 1\nxyz: 1", "line 2: there is no key xyz; there are schema, channels, console"),
        (
            "schema: 1\nchannels:\n  - {name: a, url_env: X, level: loud}",
            "line 3: channel a: level must be one of",
        ),
        ('schema: 1\nquiet_hours:\n  from: "22:00"\n  till: "07:00"', "line 4: there is no key"),
        ('schema: 1\nquiet_hours:\n  from: "25:00"\n  to: "07:00"', "line 3: quiet_hours.from"),
        ("schema: 1\nconsole: a: b", "line 2: mapping values are not allowed here"),
        ("schema: 1\nconsole: &a [*a, *a]", "Expected"),
        ("schema: 1\n\tconsole: info", "line 2: a tab; indent with spaces"),
    ],
)
def test_file_and_line_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert caught.value.what.startswith(str(tmp_path / "alerts.yaml"))
    assert caught.value.why.startswith(says)


@pytest.mark.parametrize(
    "text",
    [
        f"schema: 1\nchannels: [{{name: a, url: '{URL}'}}]",
        f"schema: 1\nchannels: [{{name: a, url_env: '{URL}'}}]",
        f"schema: 1\nchannels: [{{name: a, url_file: '{URL}'}}]",
        f"schema: 1\nchannels: [{{name: a, '{URL}': 1}}]",
        f"schema: 1\nchannels: ['{URL}']",
        f"schema: 1\nchannels: [{{name: '{URL}', url_env: X}}]",
        f"schema: 1\nchannels: [{{name: a, url_env: X, level: '{URL}'}}]",
        f"schema: 1\nheartbeat: '{URL}'",
        f"schema: 1\ntimezone: '{URL}'",
        f"schema: '{URL}'",
        f"schema: 1\nchannels: [{{name: a, url_file: '{URL}'",
        f"schema: 1\n\turl: '{URL}'",
        f"schema: 1\nconsole: *{CANARY}",
        f"schema: 1\nconsole: !{CANARY} x",
        f"schema: 1\n%{CANARY}",
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    shown = "".join(traceback.format_exception(caught.value))
    lines = [line for line in shown.splitlines() if "test_alert_settings.py" not in line]
    assert CANARY not in "\n".join(lines)


# ---- where URLs are kept -------------------------------------------------------------------


def kept(folder: Path, content: str = URL, mode: int = 0o600) -> UrlSource:
    path = folder / "phone.url"
    path.write_text(content)
    path.chmod(mode)
    return UrlSource("file", str(path))


def test_a_url_comes_from_a_private_file_or_the_environment(tmp_path: Path) -> None:
    assert kept(tmp_path, URL + "\n").resolve().reveal() == URL
    assert UrlSource("env", "PHONE").resolve({"PHONE": URL}).reveal() == URL


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ChannelError, match="others can read"):
        kept(tmp_path, mode=mode).resolve()


def test_neither_links_nor_pipes_nor_rubbish(tmp_path: Path) -> None:
    kept(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "phone.url")
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "binary").chmod(0o600)
    for name in ("link", "pipe", "binary", "absent", "."):
        with pytest.raises(ChannelError) as caught:
            UrlSource("file", str(tmp_path / name)).resolve()
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("content", ["", "  \n", "no url", f"{URL} {URL}"])
def test_what_is_no_url_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    with pytest.raises(ChannelError) as caught:
        kept(tmp_path, content).resolve()
    assert CANARY not in str(caught.value)


def test_a_secret_shows_itself_to_nobody_by_accident() -> None:
    secret = SecretUrl(URL)
    assert CANARY not in f"{secret} {secret!r} {[secret]} {secret!s:>5}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(yaml.YAMLError):
        yaml.safe_dump(secret)
    assert CANARY not in without_urls(f"before {URL} after")
