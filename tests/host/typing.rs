//! Who is typing in a chat: told to the others, not too often, and ended in time.

use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use serde_json::{Value, json};

use crate::support::rooms::CHAT;
use crate::support::world::World;

/// A chat with these users.
fn chat(world: &mut World, users: &[&str]) -> Vec<ConnId> {
    let conns: Vec<ConnId> = users.iter().map(|user| world.join(CHAT, user)).collect();
    world.pass(1_000);
    conns.iter().for_each(|conn| drop(world.frames(*conn)));
    conns
}

fn types(world: &mut World, conn: ConnId, data: &Value) {
    world.send(conn, &json!({"type": "typing", "data": data}));
}

/// What somebody heard of who is typing, and of nothing else.
fn heard(world: &mut World, conn: ConnId) -> Vec<Value> {
    let frames = world.frames(conn).into_iter();
    frames
        .map(|frame| {
            assert_eq!((&frame["type"], &frame["room"]), (&json!("typing"), &json!(CHAT)), "{frame}");
            assert_eq!(frame.get("seq"), None, "it is not kept");
            frame["data"].clone()
        })
        .collect()
}

fn begins(user: &str) -> Value {
    json!({"user_id": user, "isTyping": true, "expires_in_ms": 6000})
}

fn ends(user: &str) -> Value {
    json!({"user_id": user, "isTyping": false})
}

#[test]
fn the_others_hear_that_somebody_types_and_stops() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia", "caio", "ana"]);
    types(&mut world, conns[0], &json!({"isTyping": true}));
    for other in [conns[1], conns[2]] {
        assert_eq!(heard(&mut world, other), [begins("ana")]);
    }
    types(&mut world, conns[3], &json!({"isTyping": false}));
    for other in [conns[1], conns[2]] {
        assert_eq!(heard(&mut world, other), [ends("ana")]);
    }
    world.pass(60_000);
    for conn in conns {
        assert_eq!(heard(&mut world, conn), Vec::<Value>::new());
    }
}

#[test]
fn what_is_said_again_soon_is_not_sent_on() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia"]);
    for _ in 0..7 {
        types(&mut world, conns[0], &Value::Null);
        world.pass(1_000);
    }
    assert_eq!(heard(&mut world, conns[1]), [begins("ana"), begins("ana"), begins("ana")]);
    world.pass(4_999);
    assert_eq!(heard(&mut world, conns[1]), Vec::<Value>::new());
    world.pass(1);
    assert_eq!(heard(&mut world, conns[1]), [ends("ana")], "6 s after it last said so");
}

#[test]
fn who_has_not_begun_does_not_stop() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia"]);
    types(&mut world, conns[0], &json!({"isTyping": false}));
    world.leave(conns[0]);
    assert_eq!(heard(&mut world, conns[1]), Vec::<Value>::new());
}

#[test]
fn who_leaves_types_no_more() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia", "ana"]);
    types(&mut world, conns[0], &json!({"isTyping": true}));
    world.leave(conns[2]);
    assert_eq!(heard(&mut world, conns[1]), [begins("ana")], "that was another window");
    world.lose_signal(conns[0]);
    assert_eq!(heard(&mut world, conns[1]), [ends("ana")]);
    world.pass(60_000);
    assert_eq!(heard(&mut world, conns[1]), Vec::<Value>::new());
}

#[test]
fn the_end_is_told_after_a_sleep_and_once() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia", "caio"]);
    types(&mut world, conns[0], &json!({"isTyping": true}));
    world.evict(CHAT);
    world.pass(2_000);
    types(&mut world, conns[0], &json!({"isTyping": true}));
    assert_eq!(heard(&mut world, conns[1]), [begins("ana")], "the room knows that it has said so");
    world.evict(CHAT);
    world.pass(3_999);
    assert_eq!(heard(&mut world, conns[1]), Vec::<Value>::new());
    world.pass(1);
    world.evict(CHAT);
    world.pass(60_000);
    assert_eq!(heard(&mut world, conns[1]), [ends("ana")]);
    types(&mut world, conns[2], &json!({"isTyping": true}));
    world.evict(CHAT);
    types(&mut world, conns[2], &json!({"isTyping": false}));
    assert_eq!(heard(&mut world, conns[0]), [begins("caio"), ends("caio")]);
}

#[test]
fn who_still_reads_what_it_missed_does_without() {
    let mut world = World::new(Limits { unacked_messages: 1, ..Limits::default() });
    let ana = world.join(CHAT, "ana");
    let bia = world.open(CHAT, "bia", &json!({"acks": true}));
    world.tell(CHAT, 3);
    world.frames(bia);
    types(&mut world, ana, &json!({"isTyping": true}));
    assert_eq!(world.frames(bia), Vec::<Value>::new(), "it may be far behind");
    world.ack(bia, CHAT, 2);
    world.pass(1_000);
    world.ack(bia, CHAT, 3);
    world.pass(2_000);
    world.frames(bia);
    types(&mut world, ana, &json!({"isTyping": true}));
    assert_eq!(heard(&mut world, bia), [begins("ana")]);
}

#[test]
fn who_is_alone_types_for_nobody() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "ana"]);
    let idle = world.alarm(CHAT);
    types(&mut world, conns[0], &json!({"isTyping": true}));
    assert_eq!(world.alarm(CHAT), idle);
    let bia = chat(&mut world, &["bia"])[0];
    types(&mut world, conns[0], &json!({"isTyping": true}));
    assert_eq!(heard(&mut world, bia), [begins("ana")], "nobody had been told");
}

#[test]
fn typing_is_for_chats_and_writes_nothing() {
    let mut world = World::default();
    for room in ["investigation:1", "user:ana"] {
        let conn = world.join(room, "ana");
        world.frames(conn);
        types(&mut world, conn, &json!({"isTyping": true}));
        let data = &world.frames(conn)[0]["data"];
        assert_eq!((&data["code"], &data["original_type"]), (&json!("UNKNOWN_TYPE"), &json!("typing")), "{room}");
    }
    let conns = chat(&mut world, &["ana", "bia"]);
    let before = world.sql(CHAT).changes();
    types(&mut world, conns[0], &json!({"isTyping": true}));
    world.pass(10_000);
    assert_eq!(heard(&mut world, conns[1]), [begins("ana"), ends("ana")]);
    assert_eq!((world.sql(CHAT).changes(), world.logged(CHAT)), (before, vec![]));
}
