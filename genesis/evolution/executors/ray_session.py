"""A connection to Ray: a local cluster of our own, or a running one by address.

Token authentication is always on: without it, whoever reaches a cluster's ports runs code there.
A local cluster gets a random token that lives in this process's environment only; for a running
cluster Ray finds the token in RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from genesis.domain.errors import ConfigError, InfrastructureError
from genesis.evolution.executors.process_worker import SINGLE_THREAD, import_path

CONNECT_SECONDS = 5.0
CHECK_SECONDS = 40.0

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_TOKEN_VARIABLE = "RAY_AUTH_TOKEN"  # noqa: S105 - a name, not a token
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Ray keeps its object store


class RaySession:
    """A connection that knows what it started, and ends only that.

    Parameters
    ----------
    address : str or None
        ``host:port`` of a running cluster's head, or ``ray://host:port``; None starts one here.
    workers : int
        Cores of a cluster that is started here.
    store_bytes : int
        Object store of a cluster that is started here.
    memory_per_worker : int, optional
        Bytes that each of the workers will reserve of a cluster that is started here.

    Raises
    ------
    ConfigError
        If the address is malformed, nobody listens there, or there is no token.
    InfrastructureError
        If something listens, but no cluster that lets us in.
    """

    def __init__(
        self,
        address: str | None,
        *,
        workers: int,
        store_bytes: int,
        memory_per_worker: int | None = None,
    ) -> None:
        os.environ |= _QUIET | {"RAY_AUTH_MODE": "token"}
        self._own_token = False
        self._connected = False
        if address is not None:
            check_reachable(address)
        if "ray" in sys.modules and sys.modules["ray"].is_initialized():
            # The program's own connection: it is used and left alone.
            self.ray = sys.modules["ray"]
            _check_same_cluster(self.ray, address)
            return
        if address is None and not _has_token():
            os.environ[_TOKEN_VARIABLE] = secrets.token_hex(32)
            self._own_token = True
        self.ray = _import_ray()
        if address is not None:
            _check_cluster(address)
        try:
            if address is None:
                reserved = workers * memory_per_worker if memory_per_worker else None
                self._start_local(workers, store_bytes, reserved)
            else:
                self._attach(address)
            self._connected = True
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End what this session started: the connection, and the cluster if it is ours."""
        if self._connected:
            with _same_signal_handlers():
                self.ray.shutdown()
            self._connected = False
        if self._own_token:
            os.environ.pop(_TOKEN_VARIABLE, None)
            self._own_token = False

    def _start_local(self, workers: int, store_bytes: int, reserved: int | None) -> None:
        if _SHARED_MEMORY.is_dir():
            free = os.statvfs(_SHARED_MEMORY)
            if free.f_bavail * free.f_frsize < store_bytes:
                os.environ["RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE"] = "1"
        try:
            with _same_signal_handlers():
                self.ray.init(
                    address="local",
                    num_cpus=workers,
                    num_gpus=0,
                    object_store_memory=store_bytes,
                    _memory=reserved,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                    runtime_env={"env_vars": SINGLE_THREAD | {"PYTHONPATH": import_path()}},
                )
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            raise InfrastructureError(
                "a local Ray cluster could not be started",
                why=_first_line(error),
                fix="use --executor local, which needs no Ray",
            ) from error

    def _attach(self, address: str) -> None:
        try:
            with _same_signal_handlers():
                self.ray.init(
                    address=address,
                    log_to_driver=False,
                    configure_logging=False,
                    runtime_env={"env_vars": SINGLE_THREAD},
                )
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            raise _no_cluster(address, _first_line(error)) from error


def _import_ray() -> ModuleType:
    try:
        import ray
        from ray import _raylet
    except ImportError as error:
        raise ConfigError(
            "Ray is not installed",
            why=str(error),
            fix="in the repository: .venv/bin/python -m pip install -e '.[research]'",
        ) from error
    # Ray reads mode and token when it is imported; they may have changed since.
    native: Any = _raylet  # an extension without type stubs
    native.Config.initialize("")
    native.AuthenticationTokenLoader.instance().reset_cache()
    module: ModuleType = ray
    return module


def _has_token() -> bool:
    if os.environ.get(_TOKEN_VARIABLE) or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return True
    return (Path.home() / ".ray" / "auth_token").is_file()


def check_reachable(address: str) -> None:
    """Fail within seconds where Ray itself would retry for minutes.

    Raises
    ------
    ConfigError
        If the address is malformed, nobody listens there, or there is no token.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(
            f"'{address}' is not the address of a Ray cluster",
            fix="write host:port, as `ray start --head` prints it (port 6379 by default)",
        )
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"no Ray cluster answers at {address}",
            why=str(error),
            fix="check the address, start the cluster with `ray start --head` or `ray up"
            " ray-cluster.yaml`, or leave the address out to use this machine",
        ) from error
    if not _has_token():
        raise ConfigError(
            f"there is no token for the Ray cluster at {address}",
            why="genesis uses clusters with token authentication only",
            fix="copy the cluster's token to ~/.ray/auth_token or name its file in"
            " RAY_AUTH_TOKEN_PATH",
        )


def _check_same_cluster(ray: ModuleType, address: str | None) -> None:
    """Refuse an address while this process is connected to a cluster at another port."""
    connected = str(ray.get_runtime_context().gcs_address)
    if address is None or address.startswith("ray://"):
        return
    if address.rpartition(":")[2] != connected.rpartition(":")[2]:
        raise ConfigError(
            f"this process is connected to a Ray cluster already, not to {address}",
            why=f"ray.init() was called before, for {connected}",
            fix="call ray.shutdown() first, or leave the address out",
        )


_IMPATIENT = {
    "RAY_gcs_rpc_server_connect_timeout_s": "5",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
    "RAY_gcs_server_request_timeout_seconds": "8",
    "RAY_NUM_REDIS_GET_RETRIES": "2",
}
_LOG_PREFIX = re.compile(r"^\[[^\]]*\] *[\w.]*:?\d*:? *")
_CHECK = (
    "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
)


def _check_cluster(address: str) -> None:
    """Try the connection in a process of its own: where it fails, Ray may abort its process."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CHECK, address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | _IMPATIENT,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _no_cluster(address, f"no answer within {CHECK_SECONDS:g} s") from None
    if done.returncode != 0:
        raise _no_cluster(address, _telling_line(done.stderr.decode(errors="replace")))


def _telling_line(text: str) -> str:
    """Last line of Ray's output that says what failed, without its log prefix."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search("error|failed|auth|version", line, re.I)]
    chosen = (telling or lines or ["it gave no reason"])[-1]
    return _LOG_PREFIX.sub("", chosen)


def _no_cluster(address: str, why: str) -> InfrastructureError:
    return InfrastructureError(
        f"the Ray cluster at {address} does not let us in",
        why=why,
        fix="check that it runs the same Ray version with RAY_AUTH_MODE=token, that the token is"
        " its own, and that this machine is one of its nodes (else use ray://host:10001)",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _same_signal_handlers() -> Iterator[None]:
    """Keep the program's SIGTERM and SIGINT handlers, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            if handler is not None:
                signal.signal(number, handler)
