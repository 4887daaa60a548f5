//! A runtime that is killed says goodbye to nobody. Nothing is lost by it, and little comes twice.

use cidadao_realtime::limits::Limits;
use serde_json::json;

use crate::support::heard::{all, told};
use crate::support::rooms::{CHAT, HOME, ROOM};
use crate::support::world::World;

#[test]
fn what_was_kept_when_the_runtime_died_comes_to_who_returns() {
    for room in [ROOM, HOME] {
        let mut world = World::default();
        let ana = world.join(room, "ana");
        world.tell(room, 2);
        world.pass(2_000);
        world.doom(room);
        assert!(world.publish(room, &json!({"type": "news"})).is_err());
        assert_eq!(world.heard(ana, room), [1, 2]);
        let back = world.join(room, "ana");
        world.drain();
        assert_eq!(world.heard(back, room), [3]);
    }
}

/// Lets a socket be killed while it reads 20 messages, and says what it had (or had confirmed), and heard once it is back.
fn killed_while_it_reads(room: &str, acks: bool) -> (u64, Vec<u64>) {
    let mut world = World::new(Limits { page_messages: 2, ..Limits::default() });
    world.tell(ROOM, 20);
    let epoch = world.epoch(ROOM);
    let mut session = json!({"acks": acks});
    if room == ROOM {
        session["resume"] = json!({"epoch": epoch, "seq": 0});
    }
    let ana = world.open(room, "ana", &session);
    if room == HOME {
        world.run_until_idle();
        world.subscribe_since(ana, ROOM, &epoch, 0);
    }
    while world.heard(ana, ROOM).len() < 4 {
        if world.flights().len() > 0 { world.step(0) } else { world.advance(5) }
    }
    let had = if acks { 3 } else { world.heard(ana, ROOM).len() as u64 };
    world.ack(ana, ROOM, 3);
    world.crash(room);
    let back = world.open(room, "ana", &json!({"acks": acks}));
    if room == HOME {
        world.follow(back, ROOM);
    }
    world.drain();
    (had, world.heard(back, ROOM))
}

#[test]
fn a_crash_in_the_middle_of_a_replay_loses_nothing() {
    for acks in [true, false] {
        let (had, heard) = killed_while_it_reads(ROOM, acks);
        assert!(heard.ends_with(&all(had + 1, 20)), "acks: {acks}, it had {had} and heard {heard:?}");
    }
}

#[test]
fn a_crash_in_the_middle_of_a_subscriptions_replay_loses_nothing() {
    for acks in [true, false] {
        let (had, heard) = killed_while_it_reads(HOME, acks);
        assert!(heard.ends_with(&all(had + 1, 20)), "acks: {acks}, it had {had} and heard {heard:?}");
    }
}

#[test]
fn a_crash_loses_nothing_of_what_was_sent_and_not_confirmed() {
    for home in [HOME, CHAT] {
        let mut world = World::default();
        let acks = json!({"acks": true});
        let ana = world.open(home, "ana", &acks);
        world.follow(ana, ROOM);
        world.tell(ROOM, 5);
        world.tell(home, 5);
        world.ack(ana, ROOM, 2);
        world.ack(ana, home, 2);
        world.pass(10_000);
        world.crash(home);
        let back = world.open(home, "ana", &acks);
        world.follow(back, ROOM);
        world.drain();
        assert!(world.heard(back, home).ends_with(&[3, 4, 5]), "{home}: {:?}", world.heard(back, home));
        assert!(world.heard(back, ROOM).ends_with(&[3, 4, 5]), "{home}: {:?}", world.heard(back, ROOM));
    }
}

#[test]
fn who_returns_last_from_a_crash_has_missed_what_others_have_read_meanwhile() {
    let mut world = World::default();
    let open = |world: &mut World, user: &str| {
        let conn = world.join(CHAT, user);
        world.follow(conn, ROOM);
        conn
    };
    open(&mut world, "ana");
    open(&mut world, "bia");
    world.tell(ROOM, 1);
    world.pass(2_000);
    world.crash(CHAT);
    world.tell(ROOM, 2);
    let ana = open(&mut world, "ana");
    assert_eq!(world.heard(ana, ROOM), [2, 3]);
    world.leave(ana);
    world.run_until_idle();
    world.tell(ROOM, 1);
    let bia = open(&mut world, "bia");
    world.drain();
    assert_eq!((told(&mut world, bia), world.heard(bia, ROOM)), (vec![(1, Some(true))], all(2, 4)));
}

#[test]
fn an_answer_that_is_lost_after_a_crash_loses_nothing_of_what_was_missed() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    world.tell(ROOM, 1);
    world.pass(2_000);
    world.crash(HOME);
    world.tell(ROOM, 2);
    let back = world.connect("ana");
    world.lose_answers(ROOM);
    world.follow(back, ROOM);
    assert_eq!(told(&mut world, back), [], "it is refused for now");
    world.mend(ROOM);
    world.follow(back, ROOM);
    world.drain();
    assert_eq!((told(&mut world, back), world.heard(back, ROOM)), (vec![(1, Some(true))], vec![2, 3]));
}

#[test]
fn a_storage_that_fails_in_the_middle_of_a_replay_loses_and_doubles_nothing() {
    for (general, failing, first) in [(false, ROOM, 1), (true, ROOM, 4), (true, HOME, 4)] {
        for n in 1..30 {
            let mut world = World::new(Limits { page_messages: 3, ..Limits::default() });
            world.tell(ROOM, 12);
            let epoch = world.epoch(ROOM);
            let ana = if general { world.connect("ana") } else { world.resume(ROOM, "ana", &epoch, 2) };
            if general {
                world.subscribe_since(ana, ROOM, &epoch, 2);
                (0..first).for_each(|_| world.step(0));
            }
            world.sql(failing).fail_after(n);
            for _ in 0..20 {
                if world.flights().len() > 0 { world.step(0) } else { world.advance(5) }
            }
            world.sql(failing).fail_after(0);
            world.publish(ROOM, &json!({"type": "news"})).unwrap();
            world.drain();
            assert_eq!(world.heard(ana, ROOM), all(3, 13), "subscribed: {general}, statement {n} of {failing}");
        }
    }
}

#[test]
fn a_last_page_that_was_kept_as_sent_and_never_went_out_comes_again() {
    let mut world = World::default();
    let [ana, bia] = ["ana", "bia"].map(|user| world.join(ROOM, user));
    world.leave(ana);
    world.leave(bia);
    world.tell(ROOM, 3);
    world.pass(2_000);
    let [first, second] = ["bia", "ana"].map(|user| world.join(ROOM, user));
    assert_eq!((world.heard(first, ROOM), world.heard(second, ROOM)), (all(1, 3), vec![]), "a round later");
    world.evict(ROOM);
    world.doom(ROOM);
    assert!(world.publish(ROOM, &json!({"type": "news"})).is_err());
    let back = world.join(ROOM, "ana");
    world.drain();
    assert_eq!(world.heard(back, ROOM), all(1, 4));
}
