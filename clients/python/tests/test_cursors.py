"""The machine: nothing missed, nothing twice."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cidadao_realtime import Cursor, Lost, Subscribed, Unsubscribed, steps
from cidadao_realtime.cursors import MAX_AHEAD, Place

from .support.driver import EPOCH, OTHER_EPOCH, TOKEN, Driver, delivered, frames

INV = "investigation:1"


def test_it_comes_back_with_the_cursor_of_its_room() -> None:
    driver = Driver().live(seq=7)
    assert driver.publish(8, 9) == [8, 9]
    assert driver.come_back(seq=9, recovered=True).path == f"/api/v1/ws?epoch={EPOCH}&since=9"
    assert driver.publish(9, 10) == [10]


def test_what_is_critical_comes_ahead_of_its_order_and_moves_the_cursor_when_the_hole_is_filled() -> None:
    driver = Driver().live(seq=7)
    assert driver.publish(9) == [9]
    assert driver.come_back(seq=7, recovered=True).path.endswith("since=7")
    assert driver.publish(8, 9) == [8]
    assert driver.come_back(seq=9, recovered=True).path.endswith("since=9")


def test_messages_that_come_again_are_dropped() -> None:
    driver = Driver().live(seq=7)
    assert driver.publish(7, 8, 8, 10, 10, 9, 8, 11) == [8, 10, 9, 11]


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_each_message_is_taken_once_and_the_cursor_never_skips(seed: int) -> None:
    chance = random.Random(seed)
    place, taken = Place(EPOCH, 0), []
    arriving = list(range(1, 40)) * 2
    chance.shuffle(arriving)
    for seq in arriving:
        if place.take(seq, 0.0):
            taken.append(seq)
        assert place.received.seq == next(n for n in range(60) if n + 1 not in taken)
    assert sorted(taken) == list(range(1, 40))


def test_a_batch_is_heard_message_by_message() -> None:
    driver = Driver().live()
    messages: list[dict[str, Any]] = [
        {"type": "news", "data": {}, "room": "user:ana", "seq": seq, "id": str(seq)} for seq in (1, 2)
    ]
    assert [message.seq for message in delivered(driver.receive("batch", messages=messages))] == [1, 2]


def test_what_is_ephemeral_has_no_place() -> None:
    driver = Driver().live(seq=7)
    assert delivered(driver.receive("typing", {}, room="user:ana"))[0].seq is None
    assert driver.come_back(seq=7).path.endswith("since=7")


def test_another_epoch_is_a_loss_and_a_new_beginning() -> None:
    driver = Driver().live(seq=7)
    driver.come_back(epoch=OTHER_EPOCH, seq=2, recovered=False)
    assert driver.events(Lost) == [Lost("user:ana", Cursor(OTHER_EPOCH, 2), "log")]
    assert driver.publish(2, 3) == [3]
    assert driver.come_back(epoch=OTHER_EPOCH, seq=3).path.endswith(f"epoch={OTHER_EPOCH}&since=3")


def test_a_member_whom_the_server_could_not_make_it_up_to_is_told() -> None:
    assert Driver().live(recovered=False).events(Lost) != []
    assert Driver().live(recovered=True).events(Lost) == []


def test_a_loss_may_be_told_unasked_also_of_what_is_for_everybody() -> None:
    driver = Driver().live(seq=3)
    driver.subscribed("user:ana", 9, recovered=False)
    driver.receive("subscribed", {"room": "system:all", "epoch": OTHER_EPOCH, "seq": 5, "recovered": False})
    assert [lost.room for lost in driver.events(Lost)] == ["user:ana", "system:all"]
    assert driver.publish(9, 10) == [10]
    assert driver.publish(5, 6, room="system:all") == [6]


def test_what_is_for_everybody_is_heard_without_a_cursor_each_message_once() -> None:
    driver = Driver().live()
    assert driver.publish(41, 41, 42, 45, 44, room="system:all") == [41, 42, 45]
    assert driver.machine.deadline is not None
    driver.pass_time(20)
    assert driver.machine.state == "live"
    assert Driver("chat:1").live("chat:1").publish(1, room="system:all") == []


def test_subscriptions_are_asked_for_once_and_heard_from_their_cursor_on() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV), steps.Subscribe(INV))
    assert driver.sent == [{"type": "subscribe", "data": {"investigation_id": "1"}}]
    assert driver.publish(41, room=INV) == []
    driver.subscribed(INV, 41)
    assert driver.publish(41, 42, room=INV) == [42]


def test_subscriptions_are_restored_with_their_cursors() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV), steps.Subscribe("analysis:2"))
    driver.subscribed(INV, 41)
    driver.publish(42, room=INV)
    driver.effects.clear()
    driver.come_back()
    assert driver.sent == [
        {"type": "subscribe", "data": {"investigation_id": "1", "epoch": EPOCH, "since": 42}},
        {"type": "subscribe", "data": {"analysis_id": "2"}},
    ]
    driver.subscribed(INV, 42, recovered=True)
    assert driver.events(Subscribed)[-1].recovered is True
    assert driver.events(Lost) == []


def test_a_subscription_that_cannot_be_made_up_for_is_a_loss() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV))
    driver.subscribed(INV, 41)
    driver.come_back()
    driver.subscribed(INV, 90, recovered=False)
    assert driver.events(Lost)[0].room == INV
    assert driver.publish(90, 91, room=INV) == [91]


def test_a_subscription_without_an_answer_is_asked_for_again() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV))
    assert len(frames(driver.pass_time(5), "subscribe")) == 1
    driver.subscribed(INV)
    assert frames(driver.pass_time(20), "subscribe") == []


def test_rooms_are_asked_for_sixteen_at_a_time() -> None:
    driver = Driver().live()
    for n in range(40):
        driver.feed(steps.Subscribe(f"analysis:{n}"))
    assert len(driver.sent) == 16
    driver.subscribed("analysis:3")
    assert len(driver.sent) == 17


def test_a_room_that_does_not_answer_now_is_asked_for_later_and_ever_later() -> None:
    driver = Driver(random=1.0).live()
    driver.feed(steps.Subscribe(INV))
    waits = []
    for _ in range(3):
        driver.error("UNAVAILABLE", retry=True, original_type="subscribe", room=INV)
        before = driver.now
        while not frames(driver.pass_time(0.25), "subscribe"):
            pass
        waits.append(driver.now - before)
    assert waits == [1.5, 2.5, 4.5]


def test_the_room_that_is_refused_is_told_and_no_other() -> None:
    driver = Driver().live()
    driver.feed(*(steps.Subscribe(f"analysis:{n}") for n in range(3)))
    driver.error("FORBIDDEN", original_type="subscribe", room="analysis:1")
    driver.error("FORBIDDEN", original_type="subscribe", room="analysis:9")
    driver.error("INVALID_FRAME", original_type="subscribe")
    assert driver.events(Unsubscribed) == [Unsubscribed("analysis:1", "FORBIDDEN", "a sentence")]
    driver.come_back()
    assert len(frames(driver.effects, "subscribe")) == 3 + 2


def test_a_refusal_of_a_room_that_nobody_wants_any_more_is_passed_over() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe("analysis:no"), steps.Unsubscribe("analysis:no"), steps.Subscribe(INV))
    assert driver.error("FORBIDDEN", original_type="subscribe", room="analysis:no") == []
    driver.receive("unsubscribed", {"room": "analysis:no"})
    driver.subscribed(INV)
    assert [event.code for event in driver.events(Unsubscribed)] == [None]
    assert driver.publish(1, room=INV) == [1]


def test_a_room_that_is_left_is_heard_no_more_and_comes_back_where_it_is_then() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV))
    driver.subscribed(INV, 41)
    driver.feed(steps.Unsubscribe(INV), steps.Unsubscribe(INV))
    assert driver.sent[-1] == {"type": "unsubscribe", "data": {"investigation_id": "1"}}
    assert driver.publish(42, room=INV) == []
    driver.feed(steps.Subscribe(INV))
    driver.receive("unsubscribed", {"room": INV})
    driver.subscribed(INV, 50)
    assert [event.code for event in driver.events(Unsubscribed)] == [None]
    assert driver.publish(50, 51, room=INV) == [51]
    assert driver.sent[-1] == {"type": "subscribe", "data": {"investigation_id": "1"}}


def test_a_room_that_is_left_and_wanted_again_while_asked_for_is_asked_for_again() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV), steps.Unsubscribe(INV), steps.Subscribe(INV))
    assert [frame["type"] for frame in driver.sent] == ["subscribe", "unsubscribe", "subscribe"]
    driver.subscribed(INV)
    driver.receive("unsubscribed", {"room": INV})
    driver.subscribed(INV, 3)
    assert driver.publish(4, room=INV) == [4]


def test_an_answer_about_a_room_that_nobody_wants_is_passed_over() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV), steps.Unsubscribe(INV))
    assert driver.subscribed(INV) == []
    assert driver.subscribed("analysis:9") == []
    assert driver.publish(1, room=INV) == []


def test_a_room_that_was_left_while_offline_is_not_spoken_of() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV), steps.Closed(), steps.Unsubscribe(INV))
    driver.effects.clear()
    driver.pass_time(60)
    driver.open()
    driver.welcome()
    assert driver.sent == []


def test_a_subscription_that_the_server_ends_is_told() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV))
    driver.subscribed(INV)
    driver.receive("unsubscribed", {"room": INV})
    assert driver.events(Unsubscribed)[0].code == "FORBIDDEN"
    assert not driver.machine.is_heard(INV)


def test_a_hole_that_stays_is_asked_for_and_then_given_up() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV))
    driver.subscribed(INV, 1)
    driver.publish(3, room=INV)
    ask = {"type": "subscribe", "data": {"investigation_id": "1", "epoch": EPOCH, "since": 1}}
    for _ in range(2):
        driver.receive("pong")
        assert frames(driver.pass_time(5), "subscribe") == [ask]
        driver.subscribed(INV, 1, recovered=True)
    driver.pass_time(5)
    assert driver.events(Lost) == [Lost(INV, Cursor(EPOCH, 3), "hole")]
    assert driver.publish(3, 4, room=INV) == [4]


def test_a_hole_that_is_filled_is_forgotten() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV))
    driver.subscribed(INV, 1)
    driver.publish(3, room=INV)
    driver.pass_time(5)
    driver.subscribed(INV, 1, recovered=True)
    assert driver.publish(2, 3, room=INV) == [2]
    driver.pass_time(6)
    assert len(frames(driver.effects, "subscribe")) == 2


def test_a_hole_in_the_room_of_the_connection_is_asked_for_with_another_connection() -> None:
    driver = Driver("chat:1").live("chat:1")
    driver.publish(2, room="chat:1")
    assert steps.Drop() in driver.pass_time(5)
    assert driver.machine.state in ("waiting", "token")
    driver.pass_time(5)
    driver.open()
    driver.welcome("chat:1", 0, recovered=True)
    assert driver.publish(1, 2, room="chat:1") == [1]


def test_too_much_ahead_of_its_order_is_not_waited_for() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV))
    driver.subscribed(INV, 0)
    driver.effects.clear()
    driver.publish(*range(2, MAX_AHEAD + 4), room=INV)
    assert frames(driver.effects, "subscribe") != []


def test_a_hole_that_is_given_up_does_not_hold_up_what_is_kept() -> None:
    place = Place(EPOCH, 0)
    for seq in (1, 5, 6):
        place.take(seq, 0.0)
    for seq in (1, 6):
        place.handle(seq)
    place.give_up()
    assert (place.received.seq, place.handled.seq) == (6, 4)
    place.handle(5)
    assert place.kept == Cursor(EPOCH, 6)
    place.take(MAX_AHEAD * 3, 0.0)
    place.give_up()
    assert place.kept == Cursor(EPOCH, MAX_AHEAD * 3)
    place.give_up()
    assert place.received.seq == MAX_AHEAD * 3


def test_what_is_done_with_is_confirmed_together() -> None:
    driver = Driver(acks=True, ack_interval=1.0).live()
    driver.feed(steps.Subscribe(INV))
    driver.subscribed(INV)
    driver.publish(1, 2, 3)
    driver.publish(1, room=INV)
    driver.publish(70, room="system:all")
    driver.feed(*(steps.Handled("user:ana", seq) for seq in (1, 3)), steps.Handled(INV, 1))
    driver.feed(steps.Handled("system:all", 70))
    assert frames(driver.pass_time(1), "ack") == [
        {"type": "ack", "data": {"seq": 1}},
        {"type": "ack", "data": {"seq": 1, "room": INV}},
        {"type": "ack", "data": {"seq": 70, "room": "system:all"}},
    ]
    driver.feed(steps.Handled("user:ana", 2))
    assert frames(driver.pass_time(1), "ack") == [{"type": "ack", "data": {"seq": 3}}]
    assert frames(driver.pass_time(9), "ack") == []


def test_a_hundred_messages_are_confirmed_at_once() -> None:
    driver = Driver(acks=True, ack_every=100).live()
    driver.publish(*range(1, 101))
    driver.feed(*(steps.Handled("user:ana", seq) for seq in range(1, 101)))
    assert frames(driver.effects, "ack") == [{"type": "ack", "data": {"seq": 100}}]


def test_nothing_is_confirmed_unless_it_is_wished() -> None:
    driver = Driver().live()
    driver.publish(1)
    driver.feed(steps.Handled("user:ana", 1), steps.Handled("user:bia", 1))
    driver.pass_time(5)
    assert frames(driver.effects, "ack") == []


def test_a_confirmation_that_was_refused_is_sent_again() -> None:
    driver = Driver(acks=True).live()
    driver.publish(1)
    driver.feed(steps.Handled("user:ana", 1))
    driver.pass_time(1)
    driver.error("RATE_LIMIT", retry=True)
    assert frames(driver.pass_time(3), "ack") == [{"type": "ack", "data": {"seq": 1}}]


def test_what_is_done_with_is_kept_and_nothing_else() -> None:
    driver = Driver().live()
    driver.feed(steps.Subscribe(INV))
    driver.subscribed(INV, 7)
    driver.publish(8, 9, room=INV)
    driver.feed(steps.Handled(INV, 8))
    (saved,) = (effect for effect in driver.pass_time(1) if isinstance(effect, steps.Save))
    assert saved.cursors == {"user:ana": Cursor(EPOCH, 0), INV: Cursor(EPOCH, 8)}
    assert any(isinstance(effect, steps.Save) for effect in driver.feed(steps.Stop()))


def test_cursors_of_an_earlier_life_are_used_once_the_user_is_known() -> None:
    cursors = {"user:ana": Cursor(EPOCH, 5), "user:bia": Cursor(EPOCH, 6), INV: Cursor(EPOCH, 7)}
    driver = Driver(cursors=cursors)
    driver.feed(steps.Start(), steps.Subscribe(INV))
    assert driver.open().path.endswith("since=5")
    driver.welcome(seq=5, recovered=True)
    assert driver.sent == [{"type": "subscribe", "data": {"investigation_id": "1", "epoch": EPOCH, "since": 7}}]
    for token in ("opaque", "a.!.b", f"a.{'bnVsbA'}.c", "a.e30.c"):
        driver = Driver(cursors=cursors)
        driver.feed(steps.Start())
        assert driver.open(token).path == "/api/v1/ws"
    assert TOKEN.count(".") == 2


def test_an_acknowledgement_stands_for_the_message_that_its_sender_is_not_sent() -> None:
    driver = Driver("chat:1").live("chat:1")
    driver.feed(steps.Post("q", '{"type":"chat"}'))
    driver.receive("ack", {"id": "q", "room": "chat:1", "seq": 1})
    assert driver.publish(1, 2, room="chat:1") == [2]
