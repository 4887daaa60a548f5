"""The machine: what is said, until the server has it."""

from __future__ import annotations

from typing import Any

import pytest

from cidadao_realtime import (
    Dropped,
    InvalidMessageError,
    OutboxFullError,
    PresenceChanged,
    Refused,
    Rejected,
    Sent,
    steps,
)
from cidadao_realtime.events import UploadEnded, UploadMoved
from cidadao_realtime.protocol import Part, encode, typing
from cidadao_realtime.protocol import chat as chat_frame

from .support.driver import Driver, delivered, frames, parts

CHAT = "chat:1"


def chat(**options: Any) -> Driver:
    return Driver(CHAT, **options).live(CHAT)


def post(identifier: str) -> steps.Post:
    return steps.Post(identifier, chat_frame(identifier, f"text of {identifier}"))


def acked(driver: Driver, identifier: str, seq: int = 1, **more: Any) -> list[steps.Effect]:
    return driver.receive("ack", {"id": identifier, "room": CHAT, "seq": seq, **more})


def ids(effects: list[steps.Effect]) -> list[str]:
    return [frame["id"] for frame in frames(effects, "chat")]


def test_what_is_said_offline_is_sent_in_order_once_there_is_a_connection() -> None:
    driver = Driver(CHAT)
    driver.feed(post("a"), post("b"), post("a"))
    assert driver.machine.waiting == 2
    driver.live(CHAT)
    assert ids(driver.effects) == ["a"]
    assert ids(acked(driver, "a", 1)) == ["b"]
    acked(driver, "b", 2)
    assert driver.events(Sent) == [Sent(CHAT, "a", 1), Sent(CHAT, "b", 2)]
    assert driver.machine.waiting == 0


def test_what_is_said_twice_under_one_id_is_said_once() -> None:
    driver = chat(outbox_bytes=100)
    driver.feed(post("a"), post("a"), post("a"), steps.Withdraw("a"))
    assert (ids(driver.effects), driver.machine.waiting) == (["a"], 1)
    assert driver.events(Rejected) == []


def test_what_is_not_acknowledged_is_sent_again_after_a_break_and_not_after_that() -> None:
    driver = chat()
    driver.feed(post("a"))
    driver.come_back(CHAT, 0, recovered=True)
    assert ids(driver.effects) == ["a", "a"]
    acked(driver, "a", 1, duplicate=True)
    driver.come_back(CHAT, 1, recovered=True)
    assert ids(driver.effects) == ["a", "a"]
    assert driver.events(Sent) == [Sent(CHAT, "a", 1, duplicate=True)]


def test_what_is_not_acknowledged_in_time_is_sent_again() -> None:
    driver = chat()
    driver.feed(post("a"))
    assert ids(driver.pass_time(10)) == ["a"]


def test_a_message_of_ones_own_in_the_log_is_an_acknowledgement() -> None:
    driver = chat()
    driver.feed(post("a"), post("b"))
    driver.come_back(CHAT, 0, recovered=True)
    heard = driver.receive("chat", {"role": "user"}, room=CHAT, seq=1, id="a")
    assert delivered(heard)[0].id == "a"
    assert driver.events(Sent) == [Sent(CHAT, "a", 1, duplicate=True)]
    assert acked(driver, "a", 1, duplicate=True) == []


def test_what_is_refused_for_good_is_told_and_the_next_goes() -> None:
    driver = chat()
    driver.feed(post("a"), post("b"))
    assert driver.error("ID_TAKEN", original_type="chat", original_id="unknown") == []
    assert ids(driver.error("ID_TAKEN", original_type="chat", original_id="a")) == ["b"]
    assert driver.events(Rejected) == [Rejected(CHAT, "a", "ID_TAKEN", "a sentence")]
    acked(driver, "b")
    assert driver.error("ID_TAKEN", original_type="chat", original_id="b") == []


def test_a_refusal_without_an_id_is_of_the_one_that_is_on_its_way() -> None:
    driver = chat()
    driver.feed(post("a"), post("b"))
    assert ids(driver.error("INVALID_FRAME", original_type="chat")) == ["b"]
    assert driver.events(Rejected) == [Rejected(CHAT, "a", "INVALID_FRAME", "a sentence")]
    acked(driver, "b")
    assert driver.error("INVALID_FRAME", original_type="chat") == []
    driver.feed(post("c"))
    driver.error("TOO_MANY_QUESTIONS", retry=True, original_type="chat")
    assert ids(driver.pass_time(2)) == ["c"]


@pytest.mark.parametrize("code", ["INVALID_FRAME", "INVALID_JSON", "TOO_LARGE"])
def test_what_cannot_be_read_twice_is_refused_though_nothing_is_named(code: str) -> None:
    driver = chat()
    driver.feed(post("a"), post("b"))
    assert ids(driver.error(code)) == ["a"]
    assert driver.events(Rejected) == []
    assert ids(driver.error(code)) == ["b"]
    assert driver.events(Rejected) == [Rejected(CHAT, "a", code, "a sentence")]


def test_what_cannot_be_read_once_may_have_been_something_else() -> None:
    driver = chat()
    assert driver.error("TOO_LARGE") == []
    driver.feed(post("a"))
    assert ids(driver.error("TOO_LARGE")) == ["a"]
    assert driver.error("DISCONNECTED") == []
    assert ids(acked(driver, "a")) == []
    driver.feed(post("b"))
    assert ids(driver.error("TOO_LARGE")) == ["b"]
    assert driver.events(Rejected) == []


def test_what_cannot_be_read_and_is_too_fast_when_it_comes_again_is_refused_in_the_end() -> None:
    driver = chat()
    driver.feed(post("a"))
    driver.error("TOO_LARGE")
    driver.error("RATE_LIMIT", retry=True, retry_after_ms=1000)
    assert ids(driver.pass_time(2)) == ["a"]
    driver.error("TOO_LARGE")
    assert [event.code for event in driver.events(Rejected)] == ["TOO_LARGE"]


def test_something_else_under_the_id_of_what_waits_is_refused() -> None:
    driver = Driver(CHAT)
    driver.feed(post("a"))
    with pytest.raises(InvalidMessageError, match="ID_TAKEN"):
        driver.feed(steps.Post("a", chat_frame("a", "another text")))
    assert driver.machine.waiting == 1


def test_what_is_refused_for_now_is_sent_again_later_and_ever_later() -> None:
    driver = chat(random=1.0)
    driver.feed(post("a"), post("b"))
    waits = []
    for _ in range(3):
        driver.error("TOO_MANY_QUESTIONS", retry=True, original_type="chat", original_id="a")
        before = driver.now
        while not (sent := ids(driver.pass_time(0.25))):
            pass
        assert sent == ["a"]
        waits.append(driver.now - before)
    assert waits == [1.5, 2.5, 4.5]


def test_too_fast_is_waited_for_and_everything_that_has_no_answer_is_sent_again() -> None:
    driver = chat()
    driver.feed(steps.Subscribe("analysis:1"), post("a"))
    driver.effects.clear()
    driver.error("RATE_LIMIT", retry=True, retry_after_ms=3000)
    driver.pass_time(2.9)
    assert driver.sent == []
    driver.pass_time(0.5)
    assert [frame["type"] for frame in driver.sent] == ["subscribe", "chat"]


def test_it_sends_no_faster_than_the_server_takes_it() -> None:
    driver = chat()
    for n in range(400):
        driver.feed(post(str(n)))
    for n in range(400):
        if ids(driver.effects)[-1] != str(n):
            break
        acked(driver, str(n), n + 1)
    assert len(driver.sent) == 150
    driver.feed(steps.Say(typing(True)))
    driver.pass_time(1)
    assert frames(driver.effects, "typing") == []
    assert len(driver.sent) == 151


def test_a_full_outbox_refuses() -> None:
    driver = Driver(CHAT, outbox_messages=2)
    driver.feed(post("a"), post("b"))
    with pytest.raises(OutboxFullError):
        driver.feed(post("c"))
    assert driver.machine.waiting == 2
    driver = Driver(CHAT, outbox_bytes=60)
    driver.feed(post("a"))
    with pytest.raises(OutboxFullError, match="1 frames of 55 bytes wait for the server"):
        driver.feed(post("b"))


def test_a_frame_that_is_larger_than_the_outbox_is_told_so() -> None:
    driver = Driver(CHAT, outbox_bytes=60)
    with pytest.raises(OutboxFullError, match="a frame of 61 bytes; the outbox holds 60"):
        driver.feed(steps.Post("a", "x" * 61))


def test_a_full_outbox_drops_the_oldest_that_was_not_sent() -> None:
    driver = chat(outbox_messages=2, on_full="drop_oldest")
    driver.feed(post("a"), post("b"), post("c"))
    assert driver.events(Dropped) == [Dropped(CHAT, "b")]
    assert ids(acked(driver, "a")) == ["c"]
    driver = chat(outbox_messages=1, on_full="drop_oldest")
    driver.feed(post("a"), post("b"))
    assert driver.events(Dropped) == [Dropped(CHAT, "b")]


def test_a_full_outbox_drops_the_newest() -> None:
    driver = chat(outbox_messages=2, on_full="drop_newest")
    driver.feed(post("a"), post("b"), post("c"))
    assert driver.events(Dropped) == [Dropped(CHAT, "c")]
    driver = chat(outbox_bytes=60, on_full="drop_oldest")
    driver.feed(post("a"), steps.Post("b", "x" * 100))
    assert driver.events(Dropped) == [Dropped(CHAT, "b")]


def test_a_question_that_was_not_sent_is_withdrawn() -> None:
    driver = Driver(CHAT)
    driver.feed(post("a"), steps.Withdraw("a"))
    assert driver.events(Rejected)[0].code == "CANCELLED"
    driver.live(CHAT)
    assert driver.sent == []


def test_an_answer_is_cancelled_again_and_again_until_it_has_ended() -> None:
    driver = chat()
    driver.feed(post("a"), steps.Withdraw("a"), steps.Withdraw("a"))
    cancel = {"type": "chat_cancel", "data": {"reply_to": "a"}}
    assert frames(driver.effects, "chat_cancel") == []
    assert frames(acked(driver, "a"), "chat_cancel") == [cancel]
    assert frames(driver.pass_time(5), "chat_cancel") == [cancel]
    driver.effects.clear()
    driver.come_back(CHAT, 1, recovered=True)
    assert driver.sent == [cancel]
    driver.receive("chat_complete", {"reply_to": "a", "status": "cancelled"}, room=CHAT, seq=2, id="answer")
    assert driver.pass_time(20) == []


def test_a_cancellation_of_what_is_not_under_way_is_forgotten() -> None:
    driver = chat()
    driver.feed(steps.Withdraw("a"), steps.Withdraw("b"))
    driver.error("NOT_FOUND", original_type="chat_cancel", reply_to="b")
    driver.error("NOT_FOUND", original_type="chat_cancel", reply_to="b")
    assert frames(driver.pass_time(5), "chat_cancel") == [{"type": "chat_cancel", "data": {"reply_to": "a"}}]
    driver.error("NOT_FOUND", original_type="chat_cancel", reply_to="a")
    driver.error("NOT_FOUND", original_type="chat_cancel")
    assert frames(driver.pass_time(20), "chat_cancel") == []


def test_what_is_worthless_later_is_not_sent_later() -> None:
    driver = Driver(CHAT)
    driver.feed(steps.Say(typing(True)))
    driver.live(CHAT)
    assert driver.sent == []
    driver.feed(steps.Say(typing(True)))
    assert driver.sent == [{"type": "typing", "data": {"isTyping": True}}]


def test_a_refusal_that_nothing_waits_for_is_told() -> None:
    driver = chat()
    driver.error("TOO_LARGE", original_type="presence")
    assert driver.events(Refused) == [Refused(CHAT, "TOO_LARGE", "a sentence", "presence")]


def test_the_state_in_presence_is_shown_on_every_connection() -> None:
    driver = chat()
    driver.feed(steps.Show({"mood": 1}), steps.Show({"mood": 2}))
    driver.effects.clear()
    driver.come_back(CHAT)
    assert driver.sent == [{"type": "presence", "data": {"state": {"mood": 2}}}]


def test_what_asks_nobody_has_no_answer_to_be_stopped() -> None:
    driver = chat()
    driver.feed(post("a"), post("b"), steps.Withdraw("a", asks=False), steps.Withdraw("b", asks=False))
    assert [event.id for event in driver.events(Rejected)] == ["b"]
    acked(driver, "a")
    assert [frame["type"] for frame in driver.sent] == ["chat"]


def test_presence_is_a_snapshot_and_what_changes() -> None:
    driver = Driver(CHAT)
    driver.live(CHAT, presence={"count": 2, "users": [{"user_id": "ana", "state": {"a": 1}}, {"user_id": "bia"}]})
    assert driver.events(PresenceChanged)[-1] == PresenceChanged(CHAT, 2, {"ana": {"a": 1}, "bia": None})
    driver.receive("presence", {"room": CHAT, "count": 2, "joined": [{"user_id": "caio"}], "left": ["bia"]})
    change = driver.events(PresenceChanged)[-1]
    assert (change.users, change.joined, change.left) == ({"ana": {"a": 1}, "caio": None}, ("caio",), ("bia",))
    driver.receive("presence", {"room": CHAT, "updated": [{"user_id": "caio", "state": {}}, 7]})
    assert driver.machine.presence(CHAT).users == {"ana": {"a": 1}, "caio": {}}
    assert driver.machine.presence(CHAT).count == 2
    driver.receive("presence", {"room": CHAT, "count": 900})
    assert driver.events(PresenceChanged)[-1] == PresenceChanged(CHAT, 900, None)
    driver.receive("presence", {"room": CHAT, "joined": [{"user_id": "eva"}]})
    assert driver.events(PresenceChanged)[-1] == PresenceChanged(CHAT, 900, None, ("eva",))


UPLOAD = encode("upload", {"name": "a.pdf", "size": 1000}, "f")
READY = {"file_id": "f", "handle": 3, "offset": 0, "size": 1000, "window_bytes": 400, "frame_bytes": 300}


def uploading(**more: Any) -> Driver:
    driver = chat(random=1.0)
    driver.feed(steps.Upload("f", 1000, UPLOAD))
    driver.receive("upload_ready", {**READY, **more})
    return driver


def test_a_file_is_sent_in_pieces_no_further_than_the_window() -> None:
    driver = uploading()
    assert frames(driver.effects) == [{"type": "upload", "id": "f", "data": {"name": "a.pdf", "size": 1000}}]
    assert parts(driver.effects) == [(0, 300)]
    assert parts(driver.receive("upload_progress", {"file_id": "f", "offset": 300, "size": 1000})) == [(300, 300)]
    assert parts(driver.receive("upload_progress", {"file_id": "f", "offset": 600, "size": 1000})) == [
        (600, 300),
        (900, 100),
    ]
    assert parts(driver.receive("upload_progress", {"file_id": "f", "offset": 900, "size": 1000})) == []
    driver.receive("upload_complete", {"file_id": "f", "url": "/x"})
    assert [event.offset for event in driver.events(UploadMoved)] == [0, 300, 600, 900]
    assert driver.events(UploadEnded) == [UploadEnded(CHAT, "f", {"file_id": "f", "url": "/x"})]
    assert driver.receive("upload_complete", {"file_id": "f"}) == []


def test_a_piece_begins_with_its_handle_and_its_place() -> None:
    assert Part("f", 3, 2**33 + 1, 5).header.hex() == "000000030000000200000001"


def test_a_file_goes_on_where_it_was_stored_when_the_connection_broke() -> None:
    driver = uploading()
    driver.effects.clear()
    driver.come_back(CHAT)
    assert [frame["type"] for frame in driver.sent] == ["upload"]
    assert parts(driver.receive("upload_ready", {**READY, "offset": 300, "handle": 9})) == [(300, 300)]
    assert [effect.part.handle for effect in driver.effects if isinstance(effect, steps.TransmitPart)] == [9]


def test_a_file_that_comes_to_a_halt_is_announced_anew() -> None:
    driver = uploading()
    driver.receive("pong")
    assert [frame["type"] for frame in frames(driver.pass_time(17))] == ["upload"]


def test_a_file_that_is_refused_for_now_is_announced_later_and_one_for_good_is_told() -> None:
    driver = uploading()
    driver.error("UNAVAILABLE", retry=True, original_type="upload", file_id="f")
    assert frames(driver.pass_time(1.4), "upload") == []
    assert len(frames(driver.pass_time(0.2), "upload")) == 1
    driver.error("UNAVAILABLE", retry=True, original_type="upload", file_id="unknown")
    driver.error("FILE_TYPE_NOT_ALLOWED", original_type="upload", file_id="f")
    driver.error("INVALID_FILE", original_type="upload", file_id="f")
    assert driver.events(UploadEnded) == [UploadEnded(CHAT, "f", {}, "FILE_TYPE_NOT_ALLOWED", "a sentence")]
    assert driver.error("INVALID_FILE", original_type="upload", file_id="f") == []


def test_a_hole_in_a_file_is_filled_from_where_the_server_says() -> None:
    driver = uploading()
    more = driver.error("INVALID_FILE", original_type="upload", file_id="f", offset=100)
    assert parts(more) == [(100, 300)]
    assert driver.events(UploadEnded) == []
    assert driver.error("INVALID_FILE", original_type="upload", file_id="unknown", offset=100) == []


def test_a_file_that_is_aborted_here_or_there() -> None:
    driver = uploading()
    driver.feed(steps.AbortUpload("f"), steps.AbortUpload("f"))
    assert driver.sent[-1] == {"type": "upload_abort", "data": {"file_id": "f"}}
    assert driver.receive("upload_aborted", {"file_id": "f"}) == []
    driver = uploading()
    driver.receive("upload_aborted", {"file_id": "f"})
    assert driver.events(UploadEnded)[0].code == "ABORTED"


def test_a_file_that_is_sent_again_is_not_ended_by_the_answer_to_its_abortion() -> None:
    driver = uploading()
    driver.feed(steps.AbortUpload("f"), steps.Upload("f", 1000, UPLOAD))
    assert [frame["type"] for frame in driver.sent] == ["upload", "upload_abort", "upload"]
    driver.receive("upload_aborted", {"file_id": "f"})
    assert parts(driver.receive("upload_ready", READY)) == [(0, 300)]
    driver.feed(steps.AbortUpload("f"), steps.Upload("f", 1000, UPLOAD))
    driver.error("NOT_FOUND", original_type="upload_abort", file_id="f")
    driver.error("NOT_FOUND", original_type="upload_abort")
    assert driver.events(UploadEnded) == []
    driver.receive("upload_aborted", {"file_id": "f"})
    assert driver.events(UploadEnded)[0].code == "ABORTED"


def test_an_announcement_that_cannot_be_read_is_the_oldest_without_an_answer() -> None:
    driver = uploading()
    driver.feed(steps.Upload("g", 1, UPLOAD), steps.Upload("h", 1, UPLOAD))
    driver.error("INVALID_FILE", original_type="upload")
    assert driver.events(UploadEnded) == []
    driver.error("INVALID_FRAME", original_type="upload")
    assert driver.events(UploadEnded) == [UploadEnded(CHAT, "g", {}, "INVALID_FRAME", "a sentence")]


def test_what_a_server_says_of_no_file_or_badly_is_passed_over() -> None:
    driver = uploading(window_bytes=0, frame_bytes="x", handle=None, offset=-1)
    assert parts(driver.effects) == [(0, 1)]
    assert driver.receive("upload_progress", {"file_id": "other", "offset": 1}) == []


def test_a_ping_behind_the_bytes_of_a_file_is_waited_for_longer() -> None:
    driver = uploading(window_bytes=1)
    for _ in range(5):
        driver.pass_time(5)
        driver.receive("upload_progress", {"file_id": "f", "offset": 0, "size": 1000})
    assert frames(driver.effects, "ping") != []
    driver.pass_time(0.1)
    driver.machine._liveness.heard()
    driver.pass_time(29)
    assert driver.machine.state == "live"
