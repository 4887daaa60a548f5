//! The end of a chat session: nothing of it is left, and nothing of it comes back.

use cidadao_realtime::chat_session::{Act, Done};
use cidadao_realtime::code::{CloseCode, Reject};
use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use cidadao_realtime::link::Call;
use serde_json::json;

use crate::support::heard::refused;
use crate::support::rooms::CHAT;
use crate::support::sessions::{code, invite, owner, rename, service, stored, user, world};
use crate::support::world::World;

const FOLLOWED: &str = "investigation:1";

/// A session in which there is something of everything.
fn busy(limits: Limits) -> (World, Vec<ConnId>) {
    let mut world = World::with_owners(limits);
    let ana = world.open(CHAT, "ana", &json!({"device": "phone", "batches": true}));
    world.obey(CHAT, &user("ana"), invite("bia")).unwrap();
    world.obey(CHAT, &user("ana"), rename("Contratos")).unwrap();
    let bia = world.open(CHAT, "bia", &json!({"acks": true}));
    let gone = world.join(CHAT, "ana");
    world.follow(ana, FOLLOWED);
    world.follow(gone, "analysis:1");
    world.leave(gone);
    world.run_until_idle();
    world.tell(CHAT, 600);
    world.tell(FOLLOWED, 2);
    world.pass(2_000);
    (world, vec![ana, bia])
}

#[test]
fn a_session_that_is_deleted_leaves_nothing() {
    for asker in [user("ana"), service()] {
        let (mut world, conns) = busy(Limits::default());
        let epoch = world.epoch(CHAT);
        let deleted = world.obey(CHAT, &asker, Act::Erase).unwrap();
        assert_eq!(deleted, Done::Deleted { deleted: true });
        for conn in conns {
            assert_eq!(code(&mut world, conn), "SESSION_DELETED");
            assert_eq!(world.closed(conn), Some(CloseCode::Disconnected));
            assert!(!world.is_open(conn));
        }
        world.run_until_idle();
        world.counts("chat:fresh");
        let fresh = stored(&mut world, "chat:fresh");
        assert_eq!(stored(&mut world, CHAT), fresh);
        assert_ne!(world.epoch(CHAT), epoch);
        world.run_until_idle();
        for name in ["ana", "bia"] {
            assert_eq!(world.sql(&format!("user:{name}")).numbers("SELECT count(*) FROM connections"), [0], "{name}");
        }
        for room in [FOLLOWED, "analysis:1"] {
            assert_eq!(world.sql(room).numbers("SELECT count(*) FROM followers"), [0], "{room}");
        }
        assert_eq!(refused(world.obey(CHAT, &user("ana"), Act::Describe)), Reject::NotFound);
        for asker in [user("ana"), service()] {
            world.obey(CHAT, &asker, Act::Erase).unwrap();
        }
        world.drain();
        assert_eq!(stored(&mut world, CHAT), fresh, "and nothing of it comes back");
        let bia = world.join(CHAT, "bia");
        assert!(world.is_open(bia));
        assert_eq!(owner(&mut world), "bia", "the session is whose the next is");
    }
}

#[test]
fn a_cursor_into_a_session_that_was_deleted_is_not_recovered() {
    let (mut world, _) = busy(Limits::default());
    let epoch = world.epoch(CHAT);
    world.obey(CHAT, &user("ana"), Act::Erase).unwrap();
    for sleeps in [false, true] {
        if sleeps {
            world.evict(CHAT);
        }
        for seq in [0, 600] {
            let ana = world.resume(CHAT, "ana", &epoch, seq);
            let welcome = world.frames(ana).remove(0);
            assert_eq!((&welcome["data"]["recovered"], &welcome["data"]["seq"]), (&json!(false), &json!(0)));
            world.leave(ana);
        }
    }
    let ana = world.open(CHAT, "ana", &json!({"device": "phone"}));
    let welcome = world.frames(ana).remove(0);
    assert_eq!(welcome["data"].get("recovered"), None, "a device of before is a newcomer");
    world.tell(CHAT, 1);
    assert_eq!(world.heard(ana, CHAT), [1]);
}

#[test]
fn what_waits_to_be_sent_goes_with_the_session() {
    let (mut world, conns) = busy(Limits { send_micros: 1_000_000, ..Limits::default() });
    world.tell(CHAT, 2);
    assert!(conns.iter().any(|conn| world.heard(*conn, CHAT).len() < 602), "something waits");
    let heard = world.heard(conns[0], CHAT);
    world.obey(CHAT, &user("ana"), Act::Erase).unwrap();
    let ana = world.join(CHAT, "ana");
    world.drain();
    assert_eq!(world.heard(conns[0], CHAT), heard);
    assert_eq!(world.heard(ana, CHAT), Vec::<u64>::new());
    world.tell(CHAT, 1);
    world.drain();
    assert_eq!(world.heard(ana, CHAT), [1], "the newest of the new session is not the old one's");
}

#[test]
fn an_answer_to_what_a_deleted_session_asked_is_nobodys() {
    let mut world = world();
    let ana = world.join(CHAT, "ana");
    world.subscribe(ana, FOLLOWED);
    assert!(world.flights().any(|flight| matches!(flight.call, Call::Follow { .. })));
    world.advance(1);
    world.obey(CHAT, &user("ana"), Act::Erase).unwrap();
    world.run_until_idle();
    world.counts("chat:fresh");
    let fresh = stored(&mut world, "chat:fresh");
    assert_eq!(stored(&mut world, CHAT), fresh);
    assert_eq!(world.followers(FOLLOWED), 0);
    assert_eq!(world.counts(CHAT).subscriptions, 0);
}

#[test]
fn who_follows_again_at_once_is_not_let_go_by_a_farewell_that_comes_late() {
    let mut world = world();
    let ana = world.join(CHAT, "ana");
    world.follow(ana, FOLLOWED);
    world.advance(1);
    world.obey(CHAT, &user("ana"), Act::Erase).unwrap();
    let late = world.flights().position(|flight| matches!(flight.call, Call::Unfollow { .. })).unwrap();
    let back = world.join(CHAT, "ana");
    world.subscribe(back, FOLLOWED);
    let ask = world.called(FOLLOWED, |call| matches!(call, Call::Follow { .. }));
    assert_eq!(ask, 2, "it is asked anew");
    let Call::Unfollow { follower, asked } = world.flights().nth(late).unwrap().call.clone() else { panic!() };
    world.run_until_idle();
    world.ask_room(FOLLOWED, Call::Unfollow { follower, asked }).unwrap();
    world.tell(FOLLOWED, 1);
    assert_eq!(world.heard(back, FOLLOWED), [1]);
}

#[test]
fn a_deletion_that_fails_changes_nothing() {
    let (mut world, conns) = busy(Limits::default());
    let before = stored(&mut world, CHAT);
    for statement in 1..1_000 {
        world.sql(CHAT).fail_after(statement);
        let result = world.obey(CHAT, &user("ana"), Act::Erase);
        world.sql(CHAT).fail_after(0);
        if result.is_ok() {
            assert!(statement > 10, "{statement}");
            return;
        }
        assert_eq!(stored(&mut world, CHAT), before, "{statement}");
        assert!(conns.iter().all(|conn| world.is_open(*conn) && world.closed(*conn).is_none()));
    }
    panic!("it never succeeds");
}

#[test]
fn a_connection_that_a_service_has_ended_does_not_come_through_a_deletion() {
    let mut world = world();
    world.join(CHAT, "ana");
    let late = world.next_conn();
    world.ask_room(CHAT, Call::HangUp { conns: vec![late] }).unwrap();
    world.obey(CHAT, &user("ana"), Act::Erase).unwrap();
    assert_eq!(world.join(CHAT, "bia"), late);
    assert_eq!(code(&mut world, late), "DISCONNECTED");
}
