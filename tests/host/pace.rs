//! A client that confirms is sent no more than it takes, and misses nothing for it.

use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use serde_json::json;

use crate::support::heard::{all, errors};
use crate::support::rooms::{HOME, ROOM, paged};
use crate::support::world::World;

/// A general connection of ana's that confirms what it gets.
fn confirming(world: &mut World) -> ConnId {
    let ana = world.open(HOME, "ana", &json!({"acks": true}));
    world.run_until_idle();
    ana
}

#[test]
fn who_leaves_too_much_unconfirmed_gets_no_more_until_it_confirms_and_nobody_else_waits() {
    for (limits, evicts) in [
        (Limits { unacked_messages: 10, ..paged() }, false),
        (Limits { unacked_messages: 10, ..paged() }, true),
        (Limits { unacked_bytes: 1_200, ..paged() }, false),
    ] {
        let mut world = World::new(limits);
        let (slow, other) = (world.open(ROOM, "bia", &json!({"acks": true})), world.join(ROOM, "caio"));
        let (general, fast) = (confirming(&mut world), world.connect("ana"));
        world.follow(general, ROOM);
        world.follow(fast, ROOM);
        world.tell(ROOM, 40);
        world.pass(10_000);
        assert_eq!((world.heard(other, ROOM), world.heard(fast, ROOM)), (all(1, 40), all(1, 40)));
        for conn in [slow, general] {
            let mut known = 0;
            for _ in 0..40 {
                let heard = world.heard(conn, ROOM);
                let open = heard.len() as u64 - known;
                assert!(evicts || heard.len() == 40 || (5..=14).contains(&open), "{open} are unconfirmed");
                known = heard.len() as u64;
                world.ack(conn, ROOM, known);
                if evicts {
                    world.evict(ROOM);
                    world.evict(HOME);
                    world.counts(HOME);
                }
                world.pass(1_000);
            }
            assert_eq!(world.heard(conn, ROOM), all(1, 40), "asleep: {evicts}");
        }
        world.tell(ROOM, 1);
        assert!([slow, other, general, fast].iter().all(|conn| world.heard(*conn, ROOM) == all(1, 41)));
        assert!([slow, general].iter().all(|conn| errors(&mut world, *conn).is_empty()));
    }
}

#[test]
fn who_was_stopped_by_another_room_misses_nothing_of_its_own() {
    let mut world = World::new(Limits { unacked_messages: 10, ..paged() });
    let ana = confirming(&mut world);
    world.follow(ana, ROOM);
    world.tell(ROOM, 11);
    world.tell(HOME, 3);
    assert!(world.heard(ana, HOME).is_empty(), "it is stopped");
    world.ack(ana, ROOM, 11);
    world.drain();
    world.tell(HOME, 1);
    assert_eq!(world.heard(ana, HOME), [1, 2, 3, 4]);
}

#[test]
fn who_was_stopped_by_the_last_page_misses_nothing_after_it() {
    let mut world = World::new(Limits { unacked_messages: 10, ..Limits::default() });
    world.tell(ROOM, 15);
    let epoch = world.epoch(ROOM);
    let ana = world.open(ROOM, "ana", &json!({"acks": true, "resume": {"epoch": epoch, "seq": 0}}));
    world.pass(1_000);
    world.tell(ROOM, 2);
    assert_eq!(world.heard(ana, ROOM), all(1, 15));
    world.ack(ana, ROOM, 15);
    world.drain();
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), all(1, 18));
}

#[test]
fn confirming_what_is_not_there_or_not_heard_or_known_already_harms_nobody() {
    let mut world = World::new(Limits { unacked_messages: 10, ..paged() });
    let ana = confirming(&mut world);
    world.follow(ana, ROOM);
    world.frames(ana);
    world.tell(ROOM, 3);
    world.tell(HOME, 3);
    for (room, seq) in [(ROOM, 3), (ROOM, 1), (ROOM, 9_000), (HOME, 3), (HOME, 1), (HOME, 9_000), ("chat:x", 7)] {
        world.ack(ana, room, seq);
    }
    world.send(ana, &json!({"type": "ack", "data": {"seq": 9_000}}));
    assert_eq!(errors(&mut world, ana), Vec::<String>::new());
    world.leave(ana);
    world.run_until_idle();
    world.tell(ROOM, 2);
    world.tell(HOME, 2);
    let back = confirming(&mut world);
    world.follow(back, ROOM);
    world.drain();
    assert_eq!((world.heard(back, ROOM), world.heard(back, HOME)), (vec![4, 5], vec![4, 5]));
}

#[test]
fn one_who_does_not_confirm_is_never_stopped() {
    let mut world = World::new(Limits { unacked_messages: 10, ..paged() });
    let (direct, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.tell(ROOM, 40);
    assert!([direct, general].iter().all(|conn| world.heard(*conn, ROOM) == all(1, 40)));
}
