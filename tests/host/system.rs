//! What is for everybody, and what waits to be sent together.

use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use serde_json::json;

use crate::support::flights::follows;
use crate::support::rooms::{ROOM, SYSTEM};
use crate::support::world::World;

/// A window of 20 ms even for two sockets.
fn slow() -> Limits {
    Limits { send_micros: 10_000, ..Limits::default() }
}

#[test]
fn a_system_notification_reaches_every_general_connection_and_no_other() {
    let mut world = World::default();
    let (phone, laptop, bea) = (world.connect("ana"), world.connect("ana"), world.connect("bea"));
    let direct = world.join(ROOM, "cai");
    world.tell(SYSTEM, 1);
    for conn in [phone, laptop, bea] {
        assert_eq!(world.messages(conn), [(SYSTEM.to_owned(), 1)]);
    }
    assert_eq!(world.messages(direct), []);
    assert_eq!(world.called(SYSTEM, follows), 2, "each user follows once");
    assert_eq!(world.counts("user:ana").subscriptions, 0, "nobody subscribed to it");
}

#[test]
fn a_user_without_connections_is_let_go_and_comes_back() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.leave(ana);
    world.run_until_idle();
    assert_eq!(world.followers(SYSTEM), 0);
    world.tell(SYSTEM, 1);
    let again = world.connect("ana");
    world.tell(SYSTEM, 1);
    assert_eq!(world.heard(again, SYSTEM), [1, 2], "what was missed comes first");
}

#[test]
fn following_the_system_survives_sleep_and_crash() {
    let mut world = World::default();
    let ana = world.connect("ana");
    for round in 1..=3 {
        world.evict("user:ana");
        world.evict(SYSTEM);
        world.tell(SYSTEM, 1);
        assert_eq!(world.heard(ana, SYSTEM).len(), round);
    }
    assert_eq!(world.called(SYSTEM, follows), 1, "a room that wakes is still followed");
    world.crash("user:ana");
    world.tell(SYSTEM, 1);
    assert_eq!(world.followers(SYSTEM), 0, "the crash is found out at the next message");
    let back = world.connect("ana");
    world.tell(SYSTEM, 1);
    assert_eq!(world.heard(back, SYSTEM), [4, 5], "what was said while the room was dead comes first");
}

#[test]
fn a_system_room_that_cannot_be_reached_is_asked_again_in_peace() {
    let mut world = World::default();
    world.cut(SYSTEM);
    let ana = world.connect("ana");
    world.pass(4_999);
    assert_eq!(world.called(SYSTEM, follows), 1);
    world.pass(1);
    assert_eq!(world.called(SYSTEM, follows), 2);
    world.mend(SYSTEM);
    world.pass(5_000);
    world.tell(SYSTEM, 1);
    assert_eq!(world.heard(ana, SYSTEM), [1]);
    let errors = world.frames(ana).into_iter().filter(|frame| frame["type"] == "error").count();
    assert_eq!(errors, 0, "the client asked for nothing");
}

#[test]
fn what_comes_while_the_room_sends_goes_together_when_the_window_closes() {
    let mut world = World::new(slow());
    let (ana, bea) = (world.join(ROOM, "ana"), world.join(ROOM, "bea"));
    world.tell(ROOM, 3);
    assert_eq!(world.heard(ana, ROOM), [1], "the first goes at once");
    world.advance(19);
    assert_eq!(world.heard(ana, ROOM), [1]);
    world.advance(1);
    for conn in [ana, bea] {
        assert_eq!(world.heard(conn, ROOM), [1, 2, 3]);
    }
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3], "the flush opened the next window");
    world.advance(20);
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3, 4]);
    world.advance(1_000);
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3, 4, 5], "a quiet room sends at once");
}

#[test]
fn a_critical_message_closes_the_window_and_goes_first() {
    let mut world = World::new(slow());
    let ana = world.join(ROOM, "ana");
    world.tell(ROOM, 3);
    world.publish(ROOM, &json!({"type": "error", "data": {}})).unwrap();
    assert_eq!(world.heard(ana, ROOM), [1, 4, 2, 3], "urgent, and no hole behind it");
}

#[test]
fn what_waits_survives_the_loss_of_the_room_and_comes_once() {
    let mut world = World::new(slow());
    let ana = world.join(ROOM, "ana");
    let joins = |world: &mut World| -> ConnId { world.join(ROOM, "bea") };
    world.tell(ROOM, 3);
    world.evict(ROOM);
    world.advance(2_000);
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3]);
    for lost_after in 4..=6 {
        world.tell(ROOM, 2);
        let late = joins(&mut world);
        world.evict(ROOM);
        world.advance(2_000);
        world.evict(ROOM);
        world.tell(ROOM, 1);
        world.advance(2_000);
        let heard = world.heard(ana, ROOM);
        assert!(heard.is_sorted_by(|a, b| a + 1 == *b), "round {lost_after}: {heard:?}");
        let heard = world.heard(late, ROOM);
        assert!(heard.is_sorted_by(|a, b| a + 1 == *b), "round {lost_after}: {heard:?}");
        world.leave(late);
        world.run_until_idle();
    }
    assert_eq!(world.heard(ana, ROOM).len(), 12);
}

#[test]
fn what_waits_goes_as_soon_as_anything_wakes_the_room_even_a_newcomer() {
    let mut world = World::new(slow());
    let ana = world.join(ROOM, "ana");
    world.tell(ROOM, 3);
    world.evict(ROOM);
    let bea = world.join(ROOM, "bea");
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3]);
    assert!(world.heard(bea, ROOM).is_empty());
    world.tell(ROOM, 1);
    world.evict(ROOM);
    assert_eq!(world.counts(ROOM).connections, 2);
    assert_eq!(world.heard(bea, ROOM), [4]);
}

#[test]
fn a_quiet_room_writes_one_message_and_nothing_else() {
    let mut world = World::default();
    world.join(ROOM, "ana");
    world.tell(ROOM, 1);
    let before = world.sql(ROOM).changes();
    world.tell(ROOM, 10);
    assert_eq!(world.sql(ROOM).changes() - before, 10);
}
