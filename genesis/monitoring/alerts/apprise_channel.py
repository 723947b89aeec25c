"""Any of the services that apprise knows: mail, chat, push, a web hook.

What apprise and the HTTP library below it have to say goes nowhere: their messages hold hosts,
paths and sometimes tokens. The cause of a failure is told by a few fixed phrases instead.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any, Final

from genesis.domain.command_lines import naming
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.secret_urls import ChannelError, UrlSource

if TYPE_CHECKING:
    from apprise import Apprise

_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_CAUSES: Final = (
    ("connect timeout", "the connection is not made in time"),
    ("connection timed out", "the connection is not made in time"),
    ("refused", "the connection was refused"),
    ("certificate", "its certificate is not trusted"),
    ("name or service not known", "its host is not known"),
    ("failed to resolve", "its host is not known"),
    ("temporary failure in name resolution", "its host is not known"),
    ("network is unreachable", "the network is not reachable"),
)
"""Signs that nothing was sent at all."""
_DOUBTS: Final = (
    ("timed out", "no answer in time"),
    ("timeout", "no answer in time"),
    ("reset by peer", "the connection was reset"),
    ("connection aborted", "the connection was broken off"),
    ("remotedisconnected", "the connection was broken off"),
)
"""Signs of an answer that got lost: the alert may have arrived."""


class AppriseChannel:
    """A service behind an apprise URL.

    Parameters
    ----------
    source : UrlSource
        Where the URL is kept; it is fetched for each message.
    timeout_s : float
        For the connection, and for the answer.
    """

    kind = "apprise"

    def __init__(self, source: UrlSource, timeout_s: float, home: str = "") -> None:
        self._source = source
        self._home = home
        self._timeout_s = timeout_s

    def send(self, message: Message) -> None:
        """Send an alert through apprise."""
        url = self._source.resolve()
        with _Silence():
            try:
                told, heard = self._notify(url.reveal(), message)
            except ChannelError:
                raise
            except Exception as error:  # a plugin raises what it likes, secrets included
                raise ChannelError(f"apprise failed: {type(error).__name__}") from None
        if not told:
            raise _failure(heard)

    def _notify(self, url: str, message: Message) -> tuple[bool, list[str]]:
        from apprise import NotifyFormat

        app = self._app(url)
        heard: list[str] = []

        def listen(entry: Any, _: Any) -> None:
            heard.append(entry.message)

        told = app.notify(
            body=naming(self._home, message.body),
            title=message.headline,
            notify_type=_kind(message.level),
            body_format=NotifyFormat.TEXT,
            log_callback=listen,
            log_level=logging.DEBUG,
        )
        return bool(told), heard

    def _app(self, url: str) -> Apprise:
        from apprise import Apprise, AppriseAsset, PersistentStoreMode

        # No redirects: a POST that is sent elsewhere becomes a GET, whose success tells nobody.
        # No store: apprise would keep tokens of some services on disk. No time limit of its own:
        # it would send from a pool whose threads the end of the process waits for; ours are not.
        asset = AppriseAsset(
            app_id="genesis",
            app_desc="genesis alerts",
            async_mode=False,
            http_redirects=False,
            service_timeout=0,
            storage_mode=PersistentStoreMode.MEMORY,
        )
        service = Apprise.instantiate(url, asset=asset)
        if service is None:
            raise ChannelError("apprise does not understand its URL")
        service.socket_connect_timeout = self._timeout_s
        service.socket_read_timeout = self._timeout_s
        app = Apprise(asset=asset)
        app.add(service)
        return app


def _kind(level: AlertLevel) -> Any:
    from apprise import NotifyType

    if level >= AlertLevel.CRITICAL:
        return NotifyType.FAILURE
    return NotifyType.WARNING if level >= AlertLevel.WARNING else NotifyType.INFO


def _failure(heard: list[str]) -> ChannelError:
    text = "\n".join(heard)
    status = _STATUS.search(text)
    if status is not None:
        return ChannelError(f"the service answered {status[1]}")
    text = text.lower()
    for causes, doubtful in ((_CAUSES, False), (_DOUBTS, True)):
        for sign, told in causes:
            if sign in text:
                return ChannelError(told, doubtful=doubtful)
    return ChannelError("the service did not take it")


class _Silence:
    """Keeps records of the libraries away from every log while this thread sends.

    The loggers are shared with the rest of the process, so they are filtered by thread and not
    turned off.
    """

    _loggers: Final = ("apprise", "urllib3.connectionpool", "urllib3.util.retry", "requests")
    _threads: Final[set[int]] = set()
    _lock: Final = threading.Lock()
    _installed = False

    def __enter__(self) -> None:
        with self._lock:
            self._threads.add(threading.get_ident())
            if not _Silence._installed:
                # apprise listens through handlers of its own, which a handler's filter would not
                # reach and a logger's would: so its logger is cut off from the root instead.
                apprise = logging.getLogger("apprise")
                apprise.propagate = False
                apprise.setLevel(logging.DEBUG)  # the cause of a failure is among these
                apprise.addHandler(logging.NullHandler())
                for name in self._loggers[1:]:
                    logging.getLogger(name).addFilter(_is_heard)
                _Silence._installed = True

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._threads.discard(threading.get_ident())


def _is_heard(record: logging.LogRecord) -> bool:
    return record.thread not in _Silence._threads
