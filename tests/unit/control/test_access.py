"""Who may change something over HTTP: a token's holder, or this machine; never a stranger's page in its browser."""

from __future__ import annotations

import pytest
from fastapi import HTTPException, Request

from shadow.control.access import check_change, check_read, is_loopback


def request(peer: str | None = "127.0.0.1", **headers: str) -> Request:
    given = {"host": "127.0.0.1:8787", "content_type": "application/json", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items() if value]
    scope = {"type": "http", "headers": raw, "client": None if peer is None else (peer, 1234)}
    return Request(scope)


def refusal(call: object, *args: object) -> int:
    try:
        call(*args)  # type: ignore[operator]
    except HTTPException as error:
        return error.status_code if error.detail else 0
    return 200


def test_this_machine_may_without_a_token() -> None:
    assert refusal(check_change, request(), None) == 200
    assert refusal(check_change, request("::1", host="localhost:8787"), None) == 200
    assert refusal(check_change, request("::ffff:127.0.0.1", host="[::1]:8787"), None) == 200


@pytest.mark.parametrize("peer", ["10.0.0.7", "192.168.1.1", "::ffff:10.0.0.7", "example.org", "", None])
def test_another_machine_may_not_without_a_token(peer: str | None) -> None:
    assert refusal(check_change, request(peer), None) == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "10.0.0.7", ""])
def test_a_rebound_name_is_not_this_machine(host: str) -> None:
    assert refusal(check_change, request(host=host), None) == 403
    assert refusal(check_read, request(host=host), None) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
@pytest.mark.parametrize("token", [None, "secret"])
def test_another_sites_page_may_not_even_with_a_token(headers: dict[str, str], token: str | None) -> None:
    assert refusal(check_change, request(authorization="Bearer secret", **headers), token) == 403


def test_our_own_page_may() -> None:
    own = request(origin="http://127.0.0.1:8787", sec_fetch_site="same-origin")
    assert refusal(check_change, own, None) == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_can_send_is_not_a_change(kind: str) -> None:
    assert refusal(check_change, request(content_type=kind), None) == 415
    assert refusal(check_change, request(content_type=kind, authorization="Bearer t"), "t") == 415


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic secret", "secret", "Bearer secrét"])
def test_a_wrong_token_is_refused_on_this_machine_too(given: str) -> None:
    scope = {
        "type": "http",
        "headers": [
            (b"host", b"x"),
            (b"content-type", b"application/json"),
            (b"authorization", given.encode("latin-1")),
        ],
        "client": ("127.0.0.1", 1),
    }
    assert refusal(check_change, Request(scope), "secret") == 401


def test_the_right_token_may_from_anywhere_by_any_name() -> None:
    far = request("10.0.0.7", host="shadow-agent:8787", authorization="Bearer secret")
    assert refusal(check_change, far, "secret") == 200


def test_reads_are_open_to_who_can_reach_the_port() -> None:
    assert refusal(check_read, request("10.0.0.7", host="shadow-agent:8787"), None) == 200
    assert refusal(check_read, request(host="dash.example"), "secret") == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("LOCALHOST.", True), ("127.8.9.1", True), ("[::1]", True), ("0.0.0.0", False)],
)
def test_what_counts_as_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
