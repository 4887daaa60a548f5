//! Rooms that follow rooms: what a subscription promises, whatever happens between them.

use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use cidadao_realtime::link::{Call, Reply};
use cidadao_realtime::room::Counts;
use serde_json::{Value, json};

use crate::support::flights::{delivers, follows, step};
use crate::support::rooms::{HOME, ROOM};
use crate::support::world::{Flight, World, name};

fn unfollows(call: &Call) -> bool {
    matches!(call, Call::Unfollow { .. })
}

/// The types of the frames that came since this was last asked.
fn types(world: &mut World, conn: ConnId) -> Vec<String> {
    world.frames(conn).iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect()
}

/// A general connection that follows the room.
fn following() -> (World, ConnId) {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    world.frames(ana);
    (world, ana)
}

#[test]
fn a_subscriber_is_told_only_when_the_room_knows() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.frames(ana);
    world.tell(ROOM, 3);
    world.subscribe(ana, ROOM);
    assert_eq!((world.frames(ana), world.followers(ROOM)), (vec![], 0));
    step(&mut world, |flight| follows(&flight.call));
    assert_eq!((world.frames(ana), world.followers(ROOM)), (vec![], 1));
    world.run_until_idle();
    let data = &world.frames(ana)[0]["data"];
    assert_eq!((&data["investigation_id"], &data["room"], &data["seq"]), (&json!("1"), &json!(ROOM), &json!(3)));
    world.tell(ROOM, 2);
    assert_eq!(world.messages(ana), [(ROOM.to_owned(), 4), (ROOM.to_owned(), 5)]);
}

#[test]
fn many_sockets_of_one_room_follow_once_and_let_go_with_the_last() {
    let mut world = World::default();
    let conns: Vec<ConnId> = (0..5).map(|_| world.connect("ana")).collect();
    for (place, conn) in conns.iter().enumerate() {
        world.subscribe(*conn, ROOM);
        if place % 2 == 0 {
            world.run_until_idle();
        }
    }
    world.tell(ROOM, 1);
    assert!(conns.iter().all(|conn| world.heard(*conn, ROOM) == [1]));
    assert_eq!((world.called(ROOM, follows), world.called(HOME, delivers)), (1, 1));
    assert_eq!(world.counts(HOME), Counts { connections: 5, subscriptions: 5 });
    for conn in &conns {
        assert_eq!(world.called(ROOM, unfollows), 0);
        world.unsubscribe(*conn, ROOM);
        world.run_until_idle();
    }
    assert_eq!((world.called(ROOM, unfollows), world.followers(ROOM)), (1, 0));
    world.tell(ROOM, 1);
    assert!(conns.iter().all(|conn| world.heard(*conn, ROOM) == [1]));
}

#[test]
fn who_closes_its_socket_lets_go() {
    let (mut world, ana) = following();
    world.leave(ana);
    world.run_until_idle();
    assert_eq!((world.followers(ROOM), world.counts(HOME).subscriptions), (0, 0));
    assert!(world.sql(HOME).numbers("SELECT cursor FROM upstreams").is_empty(), "nothing is left behind");
}

#[test]
fn sockets_lost_in_a_crash_lose_their_subscriptions() {
    let (mut world, ana) = following();
    world.crash(HOME);
    let back = world.connect("ana");
    world.run_until_idle();
    assert_eq!((world.followers(ROOM), world.counts(HOME).subscriptions), (0, 0));
    world.tell(ROOM, 1);
    assert!(world.heard(ana, ROOM).is_empty() && world.heard(back, ROOM).is_empty());
}

#[test]
fn a_connection_has_as_many_subscriptions_as_it_may() {
    let mut world = World::new(Limits { subscriptions_per_connection: 2, ..Limits::default() });
    let (ana, other) = (world.connect("ana"), world.connect("ana"));
    for room in ["investigation:1", "analysis:1", "investigation:2", "investigation:1"] {
        world.follow(ana, room);
    }
    let frames = world.frames(ana);
    let wants = ["connection_established", "subscribed", "subscribed", "error", "subscribed"];
    assert!(frames.iter().map(|frame| &frame["type"]).eq(wants));
    assert_eq!(frames[3]["data"]["code"], "TOO_MANY_SUBSCRIPTIONS");
    assert_eq!(frames[3]["data"]["original_type"], "subscribe");
    world.unsubscribe(ana, "analysis:1");
    world.follow(ana, "investigation:2");
    world.follow(other, "analysis:1");
    assert_eq!(types(&mut world, ana), ["unsubscribed", "subscribed"]);
    assert_eq!(world.counts(HOME).subscriptions, 3);
}

#[test]
fn a_socket_that_subscribes_to_the_room_it_sits_in_hears_it_once() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    world.tell(ROOM, 1);
    world.frames(ana);
    world.subscribe(ana, ROOM);
    assert_eq!(world.frames(ana)[0]["data"]["seq"], 1);
    world.tell(ROOM, 1);
    assert_eq!((world.heard(ana, ROOM), world.called(ROOM, |_| true)), (vec![1, 2], 0));
}

#[test]
fn a_socket_in_a_room_can_hear_another_room_too() {
    let mut world = World::default();
    let ana = world.join("chat:s", "ana");
    world.follow(ana, ROOM);
    world.tell(ROOM, 1);
    world.tell("chat:s", 1);
    assert_eq!(world.messages(ana), [(ROOM.to_owned(), 1), ("chat:s".to_owned(), 1)]);
}

#[test]
fn a_room_out_of_reach_is_said_to_be_and_a_later_try_succeeds() {
    let mut world = World::default();
    let ana = world.connect("ana");
    for fault in [World::cut, World::lose_answers] {
        world.frames(ana);
        fault(&mut world, ROOM);
        world.follow(ana, ROOM);
        let frames = world.frames(ana);
        let data = &frames[0]["data"];
        assert_eq!((&data["code"], &data["retry"]), (&json!("UNAVAILABLE"), &json!(true)));
        assert_eq!(world.counts(HOME).subscriptions, 0);
    }
    world.mend(ROOM);
    world.follow(ana, ROOM);
    assert_eq!(types(&mut world, ana), ["subscribed"]);
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [1]);
}

#[test]
fn a_delivery_that_fails_is_tried_again_later_each_time() {
    let (mut world, ana) = following();
    world.cut(HOME);
    world.tell(ROOM, 1);
    for (tries, pause) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        world.pass(pause * 1_000 - 1);
        assert_eq!(world.called(HOME, delivers), tries + 1);
        world.pass(1);
        assert_eq!(world.called(HOME, delivers), tries + 2);
    }
    world.tell(ROOM, 1);
    assert_eq!(world.called(HOME, delivers), 9, "a message does not shorten the pause");
    world.mend(HOME);
    world.pass(60_000);
    assert_eq!((world.heard(ana, ROOM), world.called(HOME, delivers)), (vec![1, 2], 10));
    world.cut(HOME);
    world.tell(ROOM, 1);
    world.mend(HOME);
    world.pass(1_000);
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3], "after a success the pause is short again");
}

#[test]
fn a_delivery_whose_answer_is_lost_comes_again_and_is_applied_once() {
    for sleeps in [false, true] {
        let (mut world, ana) = following();
        world.lose_answers(HOME);
        world.tell(ROOM, 1);
        if sleeps {
            world.evict(HOME);
        }
        world.tell(ROOM, 1);
        world.pass(1_000);
        world.mend(HOME);
        world.drain();
        assert_eq!(world.heard(ana, ROOM), [1, 2], "asleep: {sleeps}");
    }
}

#[test]
fn a_follower_that_nobody_in_wants_is_told_off() {
    let (mut world, ana) = following();
    world.cut(ROOM);
    world.unsubscribe(ana, ROOM);
    world.run_until_idle();
    world.mend(ROOM);
    assert_eq!(world.followers(ROOM), 1, "the room has not heard of it");
    world.tell(ROOM, 1);
    assert_eq!((world.followers(ROOM), world.heard(ana, ROOM)), (0, vec![]));
}

#[test]
fn a_late_refusal_does_not_lose_a_follower_that_came_back() {
    let (mut world, ana) = following();
    world.publish(ROOM, &json!({"type": "news"})).unwrap();
    world.unsubscribe(ana, ROOM);
    step(&mut world, |flight| delivers(&flight.call));
    let refused = |flight: &Flight| delivers(&flight.call) && flight.is_back(Reply::NotFollowing);
    step(&mut world, |flight| unfollows(&flight.call));
    step(&mut world, |flight| unfollows(&flight.call));
    world.subscribe(ana, ROOM);
    step(&mut world, |flight| follows(&flight.call));
    world.publish(ROOM, &json!({"type": "news"})).unwrap();
    step(&mut world, refused);
    world.run_until_idle();
    assert_eq!((world.followers(ROOM), world.heard(ana, ROOM)), (1, vec![2]));
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [2, 3]);
}

#[test]
fn a_late_refusal_does_not_lose_a_follower_whose_farewell_was_lost() {
    let (mut world, ana) = following();
    world.publish(ROOM, &json!({"type": "news"})).unwrap();
    world.unsubscribe(ana, ROOM);
    step(&mut world, |flight| delivers(&flight.call));
    let farewell = world.flights().position(|flight| unfollows(&flight.call)).unwrap();
    world.fail(farewell);
    world.subscribe(ana, ROOM);
    step(&mut world, |flight| follows(&flight.call));
    step(&mut world, |flight| flight.is_back(Reply::NotFollowing));
    world.run_until_idle();
    world.tell(ROOM, 1);
    assert_eq!((world.followers(ROOM), world.heard(ana, ROOM)), (1, vec![2]));
}

#[test]
fn a_socket_that_wavers_while_the_room_is_asked_does_not_lose_it() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.subscribe(ana, ROOM);
    step(&mut world, |flight| follows(&flight.call));
    world.publish(ROOM, &json!({"type": "news"})).unwrap();
    world.unsubscribe(ana, ROOM);
    step(&mut world, |flight| delivers(&flight.call));
    world.subscribe(ana, ROOM);
    step(&mut world, |flight| follows(&flight.call));
    world.run_until_idle();
    world.tell(ROOM, 1);
    assert_eq!((world.followers(ROOM), world.heard(ana, ROOM)), (1, vec![2]));
}

#[test]
fn nobody_hears_a_room_before_being_told() {
    let (mut world, ana) = following();
    world.publish(ROOM, &json!({"type": "news"})).unwrap();
    let delivery = world.flights().position(|flight| delivers(&flight.call)).unwrap();
    world.lose(delivery);
    world.advance(1_000);
    world.unsubscribe(ana, ROOM);
    step(&mut world, |flight| unfollows(&flight.call));
    step(&mut world, |flight| unfollows(&flight.call));
    world.subscribe(ana, ROOM);
    step(&mut world, |flight| delivers(&flight.call));
    world.run_until_idle();
    world.tell(ROOM, 1);
    assert_eq!(types(&mut world, ana), ["news", "unsubscribed", "subscribed", "news"]);
    assert_eq!(world.heard(ana, ROOM), [1, 2]);
}

#[test]
fn a_message_that_overtakes_the_answer_is_counted_in_it() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.subscribe(ana, ROOM);
    step(&mut world, |flight| follows(&flight.call));
    world.publish(ROOM, &json!({"type": "news"})).unwrap();
    step(&mut world, |flight| delivers(&flight.call));
    world.run_until_idle();
    assert_eq!(world.frames(ana).last().unwrap()["data"]["seq"], 1);
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [2]);
}

#[test]
fn a_slow_follower_does_not_hold_up_another() {
    let (mut world, ana) = following();
    let bia = world.connect("bia");
    world.follow(bia, ROOM);
    world.stall(HOME);
    for seq in 1..=3 {
        world.tell(ROOM, 1);
        assert_eq!((world.heard(ana, ROOM).len(), world.heard(bia, ROOM).len()), (0, seq));
    }
    world.mend(HOME);
    world.run_until_idle();
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3]);
}

#[test]
fn a_delivery_without_any_answer_is_sent_again() {
    let (mut world, ana) = following();
    world.stall(HOME);
    world.tell(ROOM, 1);
    world.pass(29_999);
    assert_eq!(world.called(HOME, delivers), 1);
    world.pass(1);
    assert_eq!(world.called(HOME, delivers), 2);
    world.mend(HOME);
    world.drain();
    assert_eq!(world.heard(ana, ROOM), [1]);
}

#[test]
fn a_room_that_was_killed_while_it_delivered_wakes_to_deliver() {
    let (mut world, ana) = following();
    world.publish(ROOM, &json!({"type": "news"})).unwrap();
    let delivery = world.flights().position(|flight| delivers(&flight.call)).unwrap();
    world.evict(ROOM);
    world.fail(delivery);
    world.pass(30_000);
    assert_eq!(world.heard(ana, ROOM), [1]);
}

#[test]
fn a_long_absence_is_made_up_for_in_bounded_calls() {
    let mut world = World::new(Limits { messages_per_delivery: 10, log_messages: 100, ..Limits::default() });
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    world.cut(HOME);
    world.tell(ROOM, 95);
    world.mend(HOME);
    let before = world.called(HOME, delivers);
    world.drain();
    assert_eq!(world.heard(ana, ROOM), (1..=95).collect::<Vec<u64>>());
    assert_eq!(world.called(HOME, delivers) - before, 10);
}

#[test]
fn a_message_costs_a_row_and_its_delivery_none() {
    let (mut world, _) = following();
    world.tell(ROOM, 1);
    let rows = |world: &mut World| (world.sql(HOME).changes(), world.sql(ROOM).changes());
    let before = rows(&mut world);
    for _ in 0..10 {
        world.tell(ROOM, 1);
        world.pass(90);
    }
    assert_eq!(rows(&mut world), (before.0, before.1 + 10));
    world.pass(1_000);
    assert_eq!(rows(&mut world), (before.0, before.1 + 11), "how far all followers are, once they rest");
    world.pass(60_000);
    assert_eq!(rows(&mut world), (before.0, before.1 + 11));
}

/// What everybody sees of an ordinary day, with the rooms asleep after every step or not.
fn day(sleeps: bool) -> Vec<Vec<Value>> {
    let rooms = [ROOM, "investigation:2", "user:ana", "user:bia"];
    let steps: [fn(&mut World, &[ConnId]); 12] = [
        |world, conns| world.subscribe(conns[0], ROOM),
        |world, _| world.tell(ROOM, 2),
        |world, conns| world.subscribe(conns[1], ROOM),
        |world, conns| world.subscribe(conns[2], ROOM),
        |world, conns| world.subscribe(conns[2], "investigation:2"),
        |world, _| world.tell("investigation:2", 1),
        |world, _| world.publish(ROOM, &json!([{"type": "a", "id": "a"}, {"type": "b"}])).map(drop).unwrap(),
        |world, conns| world.unsubscribe(conns[0], ROOM),
        |world, _| world.publish(ROOM, &json!([{"type": "a", "id": "a"}, {"type": "c"}])).map(drop).unwrap(),
        |world, conns| world.leave(conns[1]),
        |world, conns| world.subscribe(conns[0], ROOM),
        |world, _| world.tell(ROOM, 1),
    ];
    let mut world = World::default();
    let conns = [world.connect("ana"), world.connect("ana"), world.connect("bia"), world.join(ROOM, "caio")];
    for step in steps {
        step(&mut world, &conns);
        world.pass(1_000);
        rooms.iter().filter(|_| sleeps).for_each(|room| world.evict(room));
    }
    world.drain();
    conns.iter().map(|conn| world.frames(*conn).into_iter().map(bare).collect()).collect()
}

/// A frame without what is drawn or read from a clock.
fn bare(mut frame: Value) -> Value {
    let fields = frame.as_object_mut().unwrap();
    fields.retain(|field, _| field != "id" && field != "timestamp");
    frame
}

#[test]
fn clients_do_not_see_that_rooms_sleep() {
    assert_eq!(day(true), day(false));
}

#[test]
fn a_follower_is_named_in_the_call() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.subscribe(ana, ROOM);
    let flight = world.flights().next().unwrap();
    assert_eq!((&flight.from, &flight.to), (&name(HOME), &name(ROOM)));
    assert!(matches!(&flight.call, Call::Follow { follower, .. } if *follower == name(HOME)));
}
