"""The envelope around every action: construction, signatures, nonces, expiry, errors, limits."""

from __future__ import annotations

import json
import socket
from typing import Any

import ccxt
import pytest
import requests
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.error import ClientError, ServerError
from hyperliquid.utils.signing import recover_agent_or_user_from_l1_action, sign_l1_action

from genesis.exchange.venue.limits import LimitProfile
from tests.integration.venue.rig import Rig, now_ms, rig, statuses

DAY = 86_400_000
NOOP: dict[str, Any] = {"type": "noop"}
OK = {"status": "ok", "response": {"type": "default"}}


def test_check_01_construction_asks_for_two_metas_and_nothing_else(
    venue: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    answer = venue.venue.info.answer
    monkeypatch.setattr(venue.venue.info, "answer", lambda b: (asked.append(b), answer(b))[1])
    Info(venue.url, True, timeout=5)
    Exchange(Account.create(), venue.url, timeout=5)
    meta = {"type": "meta", "dex": ""}
    assert asked == [{"type": "spotMeta"}, meta, {"type": "spotMeta"}, meta]
    asked.clear()
    Info(venue.url, True, perp_dexs=[""], timeout=5)
    assert [body["type"] for body in asked] == ["spotMeta", "perpDexs", "meta"]


def test_check_03_four_hundred_noops_with_short_numbers(venue: Rig) -> None:
    trader = venue.trader()
    start = now_ms() - 1000
    short = 0
    for nonce in range(start, start + 400):
        signature = sign_l1_action(trader.wallet, NOOP, None, nonce, None, False)
        short += min(len(signature["r"]), len(signature["s"])) < 66
        assert trader.noop(nonce) == OK
    assert short > 0


def test_check_04_other_hashes_are_signed_by_somebody_else(venue: Rig) -> None:
    wallet, nonce = venue.wallet(), now_ms()
    answer = venue.act(wallet, NOOP, nonce, mainnet=True)
    signature = sign_l1_action(wallet, NOOP, None, nonce, None, True)
    other = recover_agent_or_user_from_l1_action(NOOP, signature, None, nonce, None, False)
    text = f"User or API Wallet {other.lower()} does not exist."
    assert answer == {"status": "err", "response": text}

    action = {"type": "cancel", "cancels": [{"a": 0, "o": 1}]}
    signature = sign_l1_action(wallet, action, None, nonce, None, False)
    turned = {"cancels": [{"a": 0, "o": 1}], "type": "cancel"}
    body = {"action": turned, "nonce": nonce, "signature": signature}
    answer = venue.post("/exchange", body).json()
    assert answer["response"].startswith("User or API Wallet 0x")
    assert wallet.address.lower() not in answer["response"]


def test_check_04_ccxt_without_its_sandbox_signs_for_the_main_chain(venue: Rig) -> None:
    wallet = venue.wallet()
    client = ccxt.hyperliquid(
        {"walletAddress": wallet.address, "privateKey": wallet.key.hex(), "enableRateLimit": False}
    )
    client.urls["api"] = {"public": venue.url, "private": venue.url}
    with pytest.raises(ccxt.ExchangeError, match=r"User or API Wallet 0x[0-9a-f]{40} does not"):
        client.create_order("BTC/USDC:USDC", "limit", "buy", 0.01, 50_000)


def test_check_05_nonces_have_exact_texts_and_belong_to_the_signer(venue: Rig) -> None:
    trader = venue.trader()
    _, key = trader.approve_agent("second")
    agent = venue.exchange(Account.from_key(key), account_address=trader.wallet.address)
    # The client's own nonces are the time: those of this test lie ahead of it.
    now = now_ms() + 60_000
    assert trader.noop(now) == OK
    duplicate = f"Invalid nonce: duplicate nonce {now}"
    assert trader.noop(now) == {"status": "err", "response": duplicate}
    old = trader.noop(now - 2 * DAY - 120_000)["response"]
    assert old.startswith(f"Invalid nonce: nonce too low {now - 2 * DAY - 120_000} < ")
    ahead = trader.noop(now + DAY + 60_000)["response"]
    assert ahead.startswith(f"Invalid nonce: nonce too high {now + DAY + 60_000} > ")
    for nonce in range(now + 1, now + 101):
        assert trader.noop(nonce) == OK
    low = trader.noop(now - 5)["response"]
    assert low == f"Invalid nonce: nonce too low {now - 5} < {now + 1}"
    assert agent.noop(now) == OK, "the agent has nonces of its own"


def test_check_06_an_expired_action_costs_five_requests(venue: Rig) -> None:
    trader = venue.trader()
    user = trader.wallet.address
    before = venue.info.user_rate_limit(user)["nRequestsUsed"]
    trader.set_expires_after(now_ms() - 1)
    nonce = now_ms() + 60_000
    assert trader.noop(nonce) == {"status": "err", "response": "Action already expired"}
    assert venue.info.user_rate_limit(user)["nRequestsUsed"] == before + 5
    trader.set_expires_after(None)
    assert trader.noop(nonce) == OK, "what expired has used no nonce"
    trader.set_expires_after(now_ms() + 60_000)
    assert trader.noop(nonce + 1) == OK


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"action": {"type": "noop"}, "nonce": "1", "signature": {}}',
        b'{"action": {"type": "whatever"}, "nonce": 1, "signature": {}}',
        b'{"action": {"type": "cancel"}, "nonce": 1, "signature": {}}',
    ],
)
def test_check_29_a_bad_shape_is_422_with_its_text(venue: Rig, body: bytes) -> None:
    answer = venue.post("/exchange", body)
    assert answer.status_code == 422
    assert answer.text == "Failed to deserialize the JSON body into the target type"


def test_check_29_the_sdk_meets_errors_as_on_the_real_exchange(venue: Rig) -> None:
    info = venue.info
    with pytest.raises(ClientError) as bad:
        info.post("/info", {"type": "noSuchType"})
    assert bad.value.status_code == 422
    assert bad.value.error_message == "Failed to deserialize the JSON body into the target type"
    venue.fault("too_many", where={"path": "info"}, count=1)
    with pytest.raises(ClientError) as many:
        info.all_mids()
    assert (many.value.status_code, many.value.error_message) == (429, "null")
    venue.fault("server_error", where={"path": "info"}, count=1, status=503)
    with pytest.raises(ServerError) as server:
        info.all_mids()
    assert server.value.status_code == 503
    venue.fault("html", where={"path": "info"}, count=1)
    assert "Could not parse JSON" in info.all_mids()["error"]
    assert "BTC" in info.all_mids()


def test_check_30_the_minute_has_1200_of_weight() -> None:
    with rig(limits=LimitProfile()) as venue:
        for _ in range(600):
            assert venue.post("/info", {"type": "allMids"}).status_code == 200
        late = venue.post("/info", {"type": "allMids"})
        assert (late.status_code, late.text) == (429, "null")
        assert venue.post("/exchange", {"action": NOOP}).status_code == 429


def test_check_30_a_user_without_volume_runs_out_of_requests() -> None:
    limits = LimitProfile(ip_weight=10**9, address_start=20)
    with rig(limits=limits) as venue:
        trader = venue.trader()
        ahead = now_ms() + 60_000
        for nonce in range(ahead, ahead + 20):
            assert trader.noop(nonce) == OK
        assert trader.noop(ahead + 40) == OK, "one request in ten seconds"
        text = trader.noop(ahead + 41)["response"]
        assert text == (
            "Too many cumulative requests sent (22 > 20) for cumulative volume traded $0.00. "
            "Place taker orders to free up 1 request per USDC traded."
        )
        never = "Order was never placed, already canceled, or filled. asset=0"
        assert statuses(trader.cancel("BTC", 1)) == [{"error": never}], "cancels have their own"
        limit = venue.info.user_rate_limit(trader.wallet.address)
        assert limit["nRequestsCap"] == 20
        assert limit["cumVlm"] == "0.0"
        assert limit["nRequestsUsed"] == 22


def test_check_37_only_this_machine_is_served(venue: Rig) -> None:
    assert venue.url.startswith("http://127.0.0.1:")
    port = int(venue.url.rsplit(":", 1)[1])
    outside = {a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in outside - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
            socket.create_connection((address, port), timeout=1)
    foreign = requests.get(f"{venue.url}/", headers={"Host": "evil.example"}, timeout=5)
    assert foreign.status_code == 403
    script = requests.post(
        f"{venue.url}/control/fund", headers={"Origin": "https://evil.example"}, json={}, timeout=5
    )
    assert script.status_code == 403
    simple = requests.post(f"{venue.url}/control/fund", data="{}", timeout=5)
    assert simple.status_code == 415, "what a foreign page can send without asking is refused"


def test_check_37_an_answer_is_one_segment(venue: Rig) -> None:
    port = int(venue.url.rsplit(":", 1)[1])
    body = json.dumps({"type": "allMids"}).encode()
    head = (
        f"POST /info HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        for _ in range(20):
            client.sendall(head.encode() + body)
            first = client.recv(1 << 16)
            assert first.startswith(b"HTTP/1.1 200")
            length = int(first.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert len(first.split(b"\r\n\r\n", 1)[1]) == length
