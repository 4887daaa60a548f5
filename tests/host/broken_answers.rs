//! What becomes of an answer when something breaks: the agent, the storage, the room, the runtime.

use cidadao_realtime::id::Id;
use serde_json::json;

use crate::support::chats::{ROOM, Screen, answered, ask, asked, cancel, chunks, ends, last_asked, pairs, with, world};
use crate::support::heard::errors;
use crate::support::world::World;

#[test]
fn answers_that_died_with_the_runtime_are_closed_and_what_waited_is_asked() {
    let mut world = with(&[("AGENT_CONCURRENCY", "2")]);
    let ana = world.join(ROOM, "ana");
    for id in ["m1", "m2", "m3"] {
        ask(&mut world, ana, id, id);
    }
    let answers: Vec<Id> = world.asked().iter().map(|(answer, _)| answer.clone()).collect();
    world.agent_adds(&answers[0], "um ");
    world.agent_adds(&answers[1], "dois ");
    world.pass(3_000);
    world.agent_adds(&answers[0], "and more");
    let epoch = world.epoch(ROOM);
    world.crash(ROOM);
    assert!(world.alarm(ROOM).is_some());
    world.pass(60_000);
    assert_eq!(world.asked().len(), 3, "without anybody coming");
    assert_eq!(world.agent_adds(&answers[0], "x"), None);
    let answer = last_asked(&world);
    world.agent_completes(&answer);
    let ana = world.resume(ROOM, "ana", &epoch, 3);
    world.pass(100);
    let all = ends(&mut world, ana);
    assert_eq!(all[..2], pairs(&[("interrupted", "um "), ("interrupted", "dois ")]));
}

#[test]
fn an_answer_is_finished_though_nobody_is_there() {
    let mut world = world();
    let (ana, epoch) = (world.join(ROOM, "ana"), world.epoch(ROOM));
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    world.agent_adds(&answer, "um ");
    world.lose_signal(ana);
    world.pass(20_000);
    world.agent_adds(&answer, "dois");
    world.agent_completes(&answer);
    let ana = world.resume(ROOM, "ana", &epoch, 1);
    world.pass(100);
    assert_eq!(ends(&mut world, ana), pairs(&[("completed", "um dois")]));
}

#[test]
fn an_agent_that_says_nothing_for_too_long_is_given_up() {
    let mut world = with(&[("AGENT_TIMEOUT_MS", "10000")]);
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    world.agent_adds(&answer, "um ");
    for _ in 0..5 {
        world.pass(9_999);
        world.agent_sends(&answer, b": still there\n\n");
    }
    assert_eq!(ends(&mut world, ana), [], "any sign of life will do");
    world.pass(10_000);
    assert!(world.is_hushed(&answer));
    assert_eq!(errors(&mut world, ana), ["AGENT_TIMEOUT"]);
    ask(&mut world, ana, "m2", "Oi?");
    assert_eq!(world.asked().len(), 2);
}

#[test]
fn an_answer_without_end_is_given_up() {
    let (mut world, ana, answer) = asked();
    for n in 0..31 {
        world.evict(ROOM);
        world.agent_adds(&answer, &format!("{n} "));
        world.pass(10_000);
    }
    assert_eq!(errors(&mut world, ana), ["AGENT_TIMEOUT"]);
    assert!(world.is_hushed(&answer));
}

#[test]
fn what_a_failing_storage_did_not_take_is_read_again() {
    for statement in 1..12 {
        let mut world = world();
        let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
        ask(&mut world, ana, "m1", "Oi?");
        let answer = last_asked(&world);
        world.agent_adds(&answer, "um ");
        world.pass(2_500);
        for word in ["dois ", "três"] {
            world.sql(ROOM).fail_after(statement);
            world.agent_adds(&answer, word);
            world.pass(2_500);
        }
        world.sql(ROOM).fail_after(statement);
        world.agent_completes(&answer);
        world.drain();
        for conn in [ana, bia] {
            assert_eq!(Screen::of(world.frames(conn)), answered(&answer, "um dois três"), "{statement}");
        }
        assert_eq!(world.logged(ROOM), [1, 2]);
    }
}

#[test]
fn an_answer_that_is_stopped_in_a_room_just_loaded_keeps_what_was_said() {
    let (mut world, ana, answer) = asked();
    world.agent_adds(&answer, "um ");
    world.evict(ROOM);
    cancel(&mut world, ana, &json!({"message_id": answer}));
    assert_eq!(ends(&mut world, ana), pairs(&[("cancelled", "um ")]));
}

#[test]
fn something_is_armed_for_as_long_as_an_answer_is_under_way() {
    let (mut world, _, answer) = asked();
    for _ in 0..100 {
        let due = world.alarm(ROOM).unwrap();
        assert!(due > world.now && due <= world.now.plus(30_000), "{due:?} at {:?}", world.now);
        world.agent_adds(&answer, "um ");
        world.pass(333);
    }
    world.agent_completes(&answer);
    world.drain();
    assert!(world.alarm(ROOM).is_none_or(|due| due > world.now.plus(3_600_000)), "then the room sleeps");
}

#[test]
fn the_demonstration_goes_on_after_sleep_and_death() {
    for crash in [false, true] {
        let mut world = World::default();
        let (ana, epoch) = (world.join(ROOM, "ana"), world.epoch(ROOM));
        ask(&mut world, ana, "m1", "Oi?");
        let mut length = 0;
        for n in 0..20 {
            if crash {
                world.crash(ROOM)
            } else {
                world.evict(ROOM)
            }
            let bia = world.join(ROOM, &format!("bia-{n}"));
            let (_, text) = chunks(&mut world, bia).pop().unwrap();
            assert!(text.len() > length, "{text}");
            length = text.len();
            world.pass(60);
        }
        world.pass(60_000);
        let ana = world.resume(ROOM, "ana", &epoch, 1);
        world.pass(100);
        let ends = ends(&mut world, ana);
        assert_eq!((ends.len(), &*ends[0].0, ends[0].1.contains("pedaço por pedaço.")), (1, "completed", true));
    }
}

#[test]
fn an_agent_that_is_set_no_more_is_not_gone_on_for_by_another() {
    let mut world = world();
    let (ana, epoch) = (world.join(ROOM, "ana"), world.epoch(ROOM));
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    world.agent_adds(&answer, "um ");
    world.pass(3_000);
    world.crash(ROOM);
    world.set(&[]);
    let bia = world.resume(ROOM, "bia", &epoch, 1);
    world.pass(100);
    assert_eq!(ends(&mut world, bia), pairs(&[("interrupted", "um ")]));
}
