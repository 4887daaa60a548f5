//! One room: who hears what, and what its storage holds by then.

use cidadao_realtime::code::Reject;
use cidadao_realtime::id::Seq;
use cidadao_realtime::limits::Limits;
use cidadao_realtime::room::{Counts, Failure, Taken};
use serde_json::{Value, json};

use crate::support::heard::refused;
use crate::support::rooms::ROOM;
use crate::support::world::World;

/// What a program switches on.
fn error(frame: &Value) -> (&str, bool) {
    assert_eq!(frame["type"], "error", "{frame}");
    (frame["data"]["code"].as_str().unwrap(), frame["data"]["retry"].as_bool().unwrap())
}

fn places(taken: &[Taken]) -> Vec<(u64, bool)> {
    taken.iter().map(|taken| (taken.seq.unwrap().0, taken.duplicate)).collect()
}

#[test]
fn everybody_in_the_room_gets_a_message_and_nobody_elsewhere() {
    let mut world = World::default();
    let (ana, bia, caio) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"), world.join("investigation:2", "caio"));
    let taken = world.publish(ROOM, &json!({"type": "news", "data": {"valor": 7}, "id": "n1"})).unwrap();
    assert_eq!(taken, [Taken { id: "n1".parse().unwrap(), seq: Some(Seq(1)), duplicate: false }]);
    world.pass(1_000);
    let want = json!({"type": "news", "data": {"valor": 7}, "id": "n1", "room": ROOM, "seq": 1,
        "timestamp": "2025-10-31T19:00:00.000Z"});
    for conn in [ana, bia] {
        assert_eq!(world.frames(conn).last(), Some(&want));
    }
    assert_eq!(world.messages(caio), []);
}

#[test]
fn a_user_room_reaches_all_devices_of_that_user_alone() {
    let mut world = World::default();
    let (phone, laptop, other) = (world.connect("ana"), world.connect("ana"), world.connect("bia"));
    world.tell("user:ana", 1);
    assert_eq!(world.heard(phone, "user:ana"), [1]);
    assert_eq!(world.heard(laptop, "user:ana"), [1]);
    assert_eq!(world.messages(other), []);
}

#[test]
fn who_left_hears_nothing_more() {
    let mut world = World::default();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    assert_eq!(world.counts(ROOM), Counts { connections: 2, subscriptions: 0 });
    world.leave(ana);
    world.tell(ROOM, 1);
    assert!(world.heard(ana, ROOM).is_empty());
    assert_eq!(world.heard(bia, ROOM), [1]);
    assert_eq!(world.counts(ROOM), Counts { connections: 1, subscriptions: 0 });
}

#[test]
fn a_failing_storage_loses_nothing_and_tells_nobody_what_it_did_not_keep() {
    let message = json!([{"type": "news", "id": "a"}, {"type": "news", "id": "b"}]);
    for n in 1.. {
        let mut world = World::default();
        let (ana, bia) = (world.join(ROOM, "ana"), world.connect("bia"));
        world.follow(bia, ROOM);
        world.tell(ROOM, 1);
        world.sql(ROOM).fail_after(n);
        let first = world.publish(ROOM, &message);
        if first.is_ok() {
            assert!(n > 3, "a publish is more than {n} statements");
            break;
        }
        assert!(matches!(first, Err(Failure::Broken(_))));
        world.run_until_idle();
        assert_eq!((world.heard(ana, ROOM), world.heard(bia, ROOM)), (vec![1], vec![1]), "statement {n}");
        assert_eq!(world.logged(ROOM), [1]);
        assert_eq!(places(&world.publish(ROOM, &message).unwrap()), [(2, false), (3, false)]);
        world.drain();
        assert_eq!((world.heard(ana, ROOM), world.heard(bia, ROOM)), (vec![1, 2, 3], vec![1, 2, 3]), "statement {n}");
    }
}

#[test]
fn a_storage_that_fails_while_the_room_loads_is_tried_again() {
    for n in 1..=8 {
        let mut world = World::default();
        let ana = world.join(ROOM, "ana");
        world.tell(ROOM, 1);
        world.evict(ROOM);
        world.sql(ROOM).fail_after(n);
        let first = world.publish(ROOM, &json!({"type": "news"}));
        world.sql(ROOM).fail_after(0);
        if first.is_err() {
            world.publish(ROOM, &json!({"type": "news"})).unwrap();
        }
        world.drain();
        assert_eq!(world.heard(ana, ROOM), [1, 2], "statement {n}");
    }
}

#[test]
fn a_frame_that_meets_a_failing_storage_is_answered_and_can_be_sent_again() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    world.sql("user:ana").fail_after(1);
    world.frames(ana);
    world.unsubscribe(ana, ROOM);
    assert_eq!(error(&world.frames(ana)[0]), ("INTERNAL", true));
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [1], "still subscribed");
    world.unsubscribe(ana, ROOM);
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [1]);
}

#[test]
fn an_id_is_sent_once_also_within_one_array_and_after_a_sleep() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    let message = |id: &str| json!({"type": "news", "id": id});
    assert_eq!(places(&world.publish(ROOM, &message("a")).unwrap()), [(1, false)]);
    assert_eq!(places(&world.publish(ROOM, &message("a")).unwrap()), [(1, true)]);
    let array = json!([message("b"), message("a"), message("b"), message("c")]);
    assert_eq!(places(&world.publish(ROOM, &array).unwrap()), [(2, false), (1, true), (2, true), (3, false)]);
    world.evict(ROOM);
    assert_eq!(places(&world.publish(ROOM, &message("c")).unwrap()), [(3, true)]);
    world.pass(1_000);
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3]);
    assert_eq!(places(&world.publish("investigation:2", &message("a")).unwrap()), [(1, false)]);
}

#[test]
fn one_bad_message_refuses_the_array_and_nothing_is_written() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    let array = json!([{"type": "news"}, {"type": "news", "id": "a"}, {"type": "not a type"}]);
    assert_eq!(refused(world.publish(ROOM, &array)), Reject::InvalidMessage);
    assert!(world.logged(ROOM).is_empty());
    assert_eq!(places(&world.publish(ROOM, &json!({"type": "news", "id": "a"})).unwrap()), [(1, false)]);
    world.pass(1_000);
    assert_eq!(world.heard(ana, ROOM), [1]);
}

#[test]
fn a_message_counts_as_the_frame_that_clients_get() {
    let mut world = World::new(Limits { message_bytes: 300, ..Limits::default() });
    let ana = world.join(ROOM, "ana");
    let message = |bytes: usize| json!({"type": "news", "id": "a", "data": "x".repeat(bytes)});
    world.publish(ROOM, &message(100)).unwrap();
    world.pass(1_000);
    let around = world.frames(ana)[1].to_string().len() - 100;
    let large = json!([{"type": "news"}, {"type": "news", "id": "b", "data": "x".repeat(301 - around)}]);
    assert_eq!(refused(world.publish(ROOM, &large)), Reject::TooLarge);
    assert_eq!(world.logged(ROOM), [1]);
    let largest = json!({"type": "news", "id": "b", "data": "x".repeat(300 - around)});
    assert_eq!(places(&world.publish(ROOM, &largest).unwrap()), [(2, false)]);
}

#[test]
fn a_frame_beyond_the_limit_is_refused_unread() {
    let mut world = World::new(Limits { message_bytes: 100, ..Limits::default() });
    let ana = world.join(ROOM, "ana");
    for (bytes, answer) in [(100, "pong"), (101, "error")] {
        world.frames(ana);
        let ping = r#"{"type":"ping"}"#;
        world.send_text(ana, &format!("{ping}{}", " ".repeat(bytes - ping.len())));
        assert_eq!(world.frames(ana)[0]["type"], answer, "{bytes}");
    }
    world.send_text(ana, &"ã".repeat(51));
    assert_eq!(error(&world.frames(ana)[0]), ("TOO_LARGE", false));
}

#[test]
fn the_log_keeps_what_it_should_and_little_more() {
    let mut world = World::new(Limits { log_messages: 10, segment_messages: 4, ..Limits::default() });
    for head in 1..=300 {
        world.tell(ROOM, 1);
        let log = world.logged(ROOM);
        assert!((head.min(10)..=10 + 2 * 4).contains(&(log.len() as u64)), "{} at {head}", log.len());
        assert!(log.iter().copied().eq(head + 1 - log.len() as u64..=head), "the newest, without a gap");
    }
}

#[test]
fn a_newcomer_is_welcomed_as_its_room_does() {
    let mut world = World::default();
    for (room, user) in [("investigation:1", "ana"), ("analysis:7", "ana"), ("chat:s", "ana"), ("user:ana", "ana")] {
        world.tell(room, 2);
        let conn = world.join(room, user);
        let frames = world.frames(conn);
        let data = &frames[0]["data"];
        assert_eq!(frames.len(), 1);
        assert_eq!((&data["room"], &data["seq"], &data["connection_id"]), (&json!(room), &json!(2), &json!(conn)));
        if room == "user:ana" {
            assert_eq!(frames[0]["type"], "connection_established");
            assert_eq!((&data["user_id"], &data["connection_type"]), (&json!("ana"), &json!("general")));
        } else {
            assert_eq!((&frames[0]["type"], &data["status"]), (&json!("connection"), &json!("connected")));
            let session = if room == "chat:s" { json!("s") } else { json!(conn) };
            assert_eq!(data["session_id"], session, "{room}");
        }
    }
}

#[test]
fn a_newcomer_gets_what_waits_and_is_told_so() {
    let mut world = World::new(Limits { send_micros: 50_000, ..Limits::default() });
    let ana = world.join(ROOM, "ana");
    world.tell(ROOM, 3);
    assert_eq!(world.heard(ana, ROOM), [1], "the others wait");
    let bia = world.join(ROOM, "bia");
    world.subscribe(bia, ROOM);
    let frames = world.frames(bia);
    assert_eq!((&frames[0]["data"]["seq"], &frames[1]["data"]["seq"]), (&json!(1), &json!(1)));
    world.pass(50);
    assert_eq!((world.heard(ana, ROOM), world.heard(bia, ROOM)), (vec![1, 2, 3], vec![2, 3]));
}

#[test]
fn what_waited_in_a_room_that_was_dropped_is_sent_once() {
    let mut world = World::new(Limits { send_micros: 50_000, ..Limits::default() });
    let ana = world.join(ROOM, "ana");
    world.tell(ROOM, 3);
    world.evict(ROOM);
    world.pass(1_050);
    world.evict(ROOM);
    world.tell(ROOM, 1);
    world.drain();
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3, 4]);
}

#[test]
fn a_ping_is_answered_however_it_is_written_and_a_pong_is_not() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    world.frames(ana);
    for ping in [r#"{"type":"ping"}"#, r#" {"data":{},"type":"ping"}"#, r#"{"type":"ping","data":null,"id":"7"}"#] {
        world.send_text(ana, ping);
        let frames = world.frames(ana);
        assert_eq!(frames.len(), 1, "{ping}");
        assert_eq!((&frames[0]["type"], &frames[0]["data"]), (&json!("pong"), &json!({})), "{ping}");
    }
    world.send(ana, &json!({"type": "pong"}));
    assert_eq!(world.frames(ana), Vec::<Value>::new());
}

#[test]
fn a_bad_frame_is_answered_and_the_socket_goes_on() {
    let mut world = World::default();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    world.frames(ana);
    world.frames(bia);
    world.send_binary(ana);
    for text in ["{", "[]", r#"{"type":"dance"}"#, r#"{"type":"subscribe","data":{"analysis_id":"a b"}}"#] {
        world.send_text(ana, text);
    }
    let frames = world.frames(ana);
    let codes: Vec<_> = frames.iter().map(|frame| error(frame).0).collect();
    assert_eq!(codes, ["BINARY_NOT_SUPPORTED", "INVALID_JSON", "INVALID_FRAME", "UNKNOWN_TYPE", "INVALID_ID"]);
    assert_eq!(frames[3]["data"]["original_type"], "dance");
    assert_eq!(world.frames(bia), Vec::<Value>::new());
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [1]);
}
