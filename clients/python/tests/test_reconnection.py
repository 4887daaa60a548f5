"""The machine: coming, going, tokens, pings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cidadao_realtime import Connected, Disconnected, steps
from cidadao_realtime.backoff import Backoff
from cidadao_realtime.protocol import Refusal

from .support.driver import TOKEN, Driver, events, frames

CODES = json.loads((Path(__file__).parents[3] / "vectors/codes.json").read_text())["codes"]


def delays(driver: Driver, failures: int) -> list[float]:
    """How long it waits after each of so many failures in a row."""
    found = []
    for _ in range(failures):
        driver.feed(steps.Closed())
        found.append(driver.events(Disconnected)[-1].delay or 0.0)
        driver.pass_time(found[-1])
        driver.feed(steps.TokenGiven(TOKEN))
    return found


def test_the_bound_of_the_wait_doubles_up_to_the_cap_and_is_capped_before_jitter() -> None:
    assert [Backoff(lambda: 0.5, 1, 60).delay() for _ in range(1)] == [0.5]
    backoff = Backoff(lambda: 0.5, 1, 60)
    assert [backoff.delay() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert Backoff(lambda: 0.0, 1, 60).delay() == 0.0


def test_the_first_wait_is_spread_over_what_the_welcome_says() -> None:
    driver = Driver(random=0.5).live(reconnect_within_ms=8000)
    assert delays(driver, 5) == [4, 8, 16, 30, 30]


def test_without_a_welcome_the_first_wait_is_spread_over_a_second() -> None:
    driver = Driver(random=1.0)
    driver.feed(steps.Start(), steps.TokenGiven(TOKEN))
    assert delays(driver, 3) == [1, 2, 4]


def test_waits_begin_anew_after_ten_seconds_of_a_connection_and_not_before() -> None:
    driver = Driver(random=1.0).live()
    assert delays(driver, 3) == [1, 2, 4]
    driver.welcome()
    driver.pass_time(9.9)
    assert delays(driver, 1) == [8]
    driver.welcome()
    driver.pass_time(10)
    assert delays(driver, 2) == [1, 2]


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013, 4008])
def test_it_comes_back_after_any_other_end(code: int) -> None:
    driver = Driver().live()
    driver.feed(steps.Closed(code))
    assert driver.machine.state == "waiting"
    assert isinstance(driver.pass_time(60)[-1], steps.AskToken)


@pytest.mark.parametrize("entry", CODES, ids=lambda entry: str(entry["code"]))
def test_a_refused_socket_means_what_the_table_of_codes_says(entry: dict[str, object]) -> None:
    driver = Driver()
    driver.feed(steps.Start())
    driver.open()
    driver.error(str(entry["code"]), retry=entry["retry"])
    driver.feed(steps.Closed(int(str(entry["close"])), str(entry["code"])))
    if entry["code"] in ("INVALID_TOKEN", "TOKEN_EXPIRED"):
        assert driver.machine.state == "token"
    elif entry["retry"]:
        assert driver.machine.state == "waiting"
    else:
        assert driver.failure() == steps.Fail(str(entry["code"]), "a sentence")
        assert driver.machine.deadline is None
        assert driver.feed(steps.Start(), steps.Woken()) == []


def test_a_close_without_a_reason_is_judged_by_the_error_before_it() -> None:
    driver = Driver().live()
    driver.error("BARRED")
    driver.feed(steps.Closed(1008))
    assert driver.failure().code == "BARRED"


def test_a_code_of_a_later_server_is_judged_by_its_retry() -> None:
    driver = Driver().live()
    driver.error("NEW_RULE")
    driver.feed(steps.Closed(1008, "NEW_RULE"))
    assert driver.failure().code == "NEW_RULE"
    driver = Driver().live()
    driver.error("NEW_PAUSE", retry=True, retry_after_ms=5000)
    driver.feed(steps.Closed(1008, "NEW_PAUSE"))
    assert driver.events(Disconnected)[-1].delay == 5.5


def test_a_close_that_nobody_explains_is_come_back_from() -> None:
    driver = Driver().live()
    driver.feed(steps.Closed(1008))
    assert driver.machine.state == "waiting"


def test_a_frame_that_was_refused_says_nothing_about_the_end_of_the_connection() -> None:
    driver = Driver().live()
    driver.error("FORBIDDEN", original_type="typing")
    driver.feed(steps.Closed(1008))
    assert driver.machine.state == "waiting"


def test_a_frame_whose_refusal_is_the_reason_of_the_close_explains_it() -> None:
    driver = Driver().live()
    driver.error("FORBIDDEN", original_type="refresh")
    driver.feed(steps.Closed(1008, "FORBIDDEN"))
    assert driver.failure() == steps.Fail("FORBIDDEN", "a sentence")


@pytest.mark.parametrize("code", ["DISCONNECTED", "SESSION_DELETED", ""])
def test_an_end_by_a_service_is_final(code: str) -> None:
    driver = Driver().live()
    driver.feed(steps.Closed(4003, code))
    assert driver.failure().code == (code or "DISCONNECTED")


def test_an_answer_to_the_upgrade_that_refuses_is_judged_by_its_code() -> None:
    driver = Driver()
    driver.feed(steps.Start(), steps.TokenGiven(TOKEN), steps.Closed(1006, "HTTP 403", Refusal("FORBIDDEN")))
    assert driver.failure().code == "FORBIDDEN"
    driver = Driver()
    driver.feed(steps.Start(), steps.TokenGiven(TOKEN), steps.Closed(1006, "HTTP 502"))
    assert driver.machine.state == "waiting"


def test_a_token_that_ended_is_replaced_at_once() -> None:
    driver = Driver().live()
    driver.pass_time(11)
    assert driver.feed(steps.Closed(4001))[-1] == steps.AskToken()
    assert driver.events(Disconnected)[-1].reason == "TOKEN_EXPIRED"


def test_tokens_that_are_refused_again_and_again_end_it() -> None:
    driver = Driver(token_attempts=3)
    driver.feed(steps.Start())
    for _ in range(4):
        assert driver.machine.state == "token"
        driver.open()
        driver.error("INVALID_TOKEN")
        driver.feed(steps.Closed(1008, "INVALID_TOKEN"))
        driver.pass_time(60)
    assert driver.failure().code == "INVALID_TOKEN"


def test_tokens_that_end_as_soon_as_they_are_welcomed_are_not_fetched_in_a_hurry() -> None:
    driver = Driver(random=1.0).live()
    waits = []
    for _ in range(4):
        driver.feed(steps.Closed(4001, "TOKEN_EXPIRED"))
        waits.append(driver.events(Disconnected)[-1].delay)
        driver.pass_time(waits[-1] or 0.0)
        driver.open()
        driver.welcome()
    assert waits == [0, 2, 4, 8]


def test_a_token_that_cannot_be_replaced_ends_it() -> None:
    driver = Driver(renewable=False).live()
    driver.feed(steps.Closed(4001, "TOKEN_EXPIRED"))
    assert driver.failure().code == "TOKEN_EXPIRED"


def test_no_token_is_waited_for_like_no_network() -> None:
    driver = Driver(random=1.0)
    driver.feed(steps.Start(), steps.TokenFailed())
    assert driver.events(Disconnected)[-1].delay == 1
    driver.pass_time(1)
    driver.feed(steps.TokenFailed())
    assert driver.events(Disconnected)[-1].delay == 2


def test_a_token_that_ends_soon_is_replaced_in_place() -> None:
    driver = Driver().live()
    assert driver.receive("token_expiring", {"expires_in_ms": 30000}) == [steps.AskToken()]
    assert driver.receive("token_expiring", {"expires_in_ms": 29000}) == []
    (frame,) = frames(driver.feed(steps.TokenGiven("another")))
    assert frame == {"type": "refresh", "data": {"token": "another"}}
    driver.receive("refreshed", {"expires_at": "2025-10-31T20:00:00.000Z"})
    assert driver.receive("token_expiring", {"expires_in_ms": 30000}) == [steps.AskToken()]


def test_a_token_that_is_not_taken_in_place_is_tried_again_a_few_times() -> None:
    driver = Driver().live()
    driver.receive("token_expiring", {"expires_in_ms": 30000})
    asked = 1
    driver.feed(steps.TokenFailed())
    asked += driver.pass_time(5).count(steps.AskToken())
    driver.feed(steps.TokenGiven(TOKEN))  # the same as before
    asked += driver.pass_time(5).count(steps.AskToken())
    driver.feed(steps.TokenGiven("another"))
    driver.error("INVALID_TOKEN", original_type="refresh")
    asked += driver.pass_time(5).count(steps.AskToken())
    driver.feed(steps.TokenFailed())
    asked += driver.pass_time(9).count(steps.AskToken())
    assert asked == 4


def test_a_token_that_cannot_be_replaced_is_left_to_end() -> None:
    assert Driver(renewable=False).live().receive("token_expiring", {"expires_in_ms": 30000}) == []


def test_a_token_that_comes_too_late_is_not_used() -> None:
    driver = Driver().live()
    driver.receive("token_expiring", {"expires_in_ms": 30000})
    driver.feed(steps.Closed())
    assert driver.feed(steps.TokenGiven("late"), steps.TokenFailed()) == []


def test_it_pings_every_25_seconds_with_exactly_these_bytes() -> None:
    driver = Driver().live()
    assert driver.pass_time(24.9) == []
    assert driver.pass_time(0.1) == [steps.Transmit('{"type":"ping"}')]
    driver.receive("pong")
    assert driver.pass_time(25) == [steps.Transmit('{"type":"ping"}')]


def test_a_connection_is_dead_ten_seconds_after_a_ping_without_any_frame() -> None:
    driver = Driver().live()
    driver.pass_time(34.9)
    assert driver.machine.state == "live"
    assert driver.pass_time(0.1)[0] == steps.Drop()
    assert driver.events(Disconnected)[-1].reason == "silence"


def test_any_frame_shows_that_the_server_is_there() -> None:
    driver = Driver().live()
    driver.pass_time(30)
    driver.publish(1)
    driver.pass_time(19)
    assert driver.machine.state == "live"


def test_a_connection_that_is_not_welcomed_is_given_up() -> None:
    driver = Driver(welcome_timeout=10)
    driver.feed(steps.Start(), steps.TokenGiven(TOKEN))
    driver.pass_time(19.9)
    assert driver.machine.state == "opening"
    driver.feed(steps.Opened())
    assert driver.pass_time(10)[0] == steps.Drop()
    assert driver.events(Disconnected)[-1].reason == "no welcome came"


def test_what_a_dead_socket_still_says_is_not_heard() -> None:
    driver = Driver().live()
    driver.pass_time(40)
    state = driver.machine.state
    assert driver.publish(1) == []
    assert driver.feed(steps.Closed(4003), steps.Opened()) == []
    assert driver.machine.state == state


def test_it_says_goodbye_when_it_is_stopped_and_does_nothing_more() -> None:
    driver = Driver().live()
    assert steps.Drop(1000) in driver.feed(steps.Stop())
    assert driver.machine.deadline is None
    assert driver.feed(steps.Stop(), steps.Closed(), steps.Start()) == []
    driver = Driver()
    assert steps.Drop(1000) not in driver.feed(steps.Start(), steps.Stop())


def test_it_starts_once() -> None:
    driver = Driver()
    assert driver.feed(steps.Start(), steps.Start()) == [steps.AskToken()]


def test_a_second_welcome_and_whatever_is_no_frame_are_passed_over() -> None:
    driver = Driver().live()
    for text in ("", "[]", "{}", '{"type":7}', '{"type":"batch"}', '{"type":"batch","messages":[7]}', '{"type":"new"}'):
        assert driver.feed(steps.Received(text)) == []
    assert driver.welcome() == []
    assert driver.machine.state == "live"


def test_nothing_but_a_welcome_or_an_error_is_heard_before_the_welcome() -> None:
    driver = Driver()
    driver.feed(steps.Start())
    driver.open()
    assert driver.publish(1) == []
    assert events(driver.welcome(recovered=True), Connected)[0].recovered is True


def test_the_address_says_who_it_is_and_what_it_wants() -> None:
    driver = Driver("chat:a@b", device="phone", acks=True, presence=True)
    driver.feed(steps.Start())
    assert driver.open().path == "/api/v1/ws/chat/a%40b?device=phone&acks=true&presence=true"
    driver = Driver()
    driver.feed(steps.Start())
    opened = driver.open()
    assert (opened.path, opened.token) == ("/api/v1/ws", TOKEN)
    assert TOKEN not in repr(opened) + repr(steps.TokenGiven(TOKEN)) + repr(steps.Transmit(TOKEN))
