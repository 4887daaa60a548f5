//! What was missed is made up for: by cursors, in pages, whatever happens meanwhile.

use cidadao_realtime::code::Reject;
use cidadao_realtime::limits::{DAY, Limits};
use cidadao_realtime::link::Call;
use cidadao_realtime::room::Failure;
use cidadao_realtime::sql::Sql;
use serde_json::json;

use crate::support::flights::{delivers, step};
use crate::support::heard::{all, errors, start, told};
use crate::support::rooms::{HOME, ROOM, paged};
use crate::support::world::World;

fn reads(call: &Call) -> bool {
    matches!(call, Call::Read { .. })
}

#[test]
fn who_resumes_gets_exactly_what_it_missed_then_what_is_new_whatever_happens_between_the_pages() {
    for (limits, evicts) in [
        (Limits::default(), false),
        (paged(), false),
        (paged(), true),
        (Limits { page_messages: 1, ..Limits::default() }, true),
        (Limits { page_bytes: 1, ..Limits::default() }, true),
        (Limits { page_bytes: 400, segment_messages: 4, ..Limits::default() }, true),
    ] {
        let mut world = World::new(limits.clone());
        world.tell(ROOM, 20);
        let epoch = world.epoch(ROOM);
        let conns: Vec<_> = (0..20).map(|seq| world.resume(ROOM, &format!("u{seq}"), &epoch, seq)).collect();
        for round in 1..=5 {
            world.tell(ROOM, 2);
            if evicts {
                world.evict(ROOM);
            }
            world.advance(5 * round);
        }
        world.drain();
        for (seq, conn) in (0..).zip(conns) {
            assert_eq!(world.heard(conn, ROOM), all(seq + 1, 30), "after {seq}, {limits:?}, {evicts}");
            let frames = world.frames(conn);
            assert_eq!((start(&frames[0]), &frames[0]["data"]["epoch"]), ((seq, Some(true)), &json!(epoch)));
            assert_eq!(told(&mut world, conn), []);
        }
    }
}

#[test]
fn pages_come_as_batch_frames_within_their_bounds_to_who_takes_them() {
    for bytes in [10, 900, 40_000, 100_000] {
        let mut world = World::default();
        let message = json!({"type": "news", "data": "x".repeat(bytes)});
        (0..250).for_each(|_| world.publish(ROOM, &message).map(drop).unwrap());
        let epoch = world.epoch(ROOM);
        let resume = json!({"epoch": epoch, "seq": 0});
        let ana = world.open(ROOM, "ana", &json!({"batches": true, "resume": resume}));
        world.drain();
        let mut seqs = Vec::new();
        for frame in &world.frames(ana)[1..] {
            let messages = frame["messages"].as_array().cloned().unwrap_or_else(|| vec![frame.clone()]);
            let size = frame.to_string().len();
            assert!(messages.len() <= 100, "{} messages", messages.len());
            assert!(messages.len() == 1 || size <= 64 << 10, "{size} bytes in {} of {bytes}", messages.len());
            seqs.extend(messages.iter().map(|message| message["seq"].as_u64().unwrap()));
        }
        assert_eq!(seqs, all(1, 250), "messages of {bytes} bytes");
    }
}

#[test]
fn who_comes_back_does_not_hold_up_those_who_are_here() {
    let mut world = World::new(Limits { page_messages: 1, pages_per_turn: 2, ..Limits::default() });
    world.tell(ROOM, 50);
    let epoch = world.epoch(ROOM);
    let here = world.join(ROOM, "bia");
    let back: Vec<_> = (0..5).map(|n| world.resume(ROOM, &format!("u{n}"), &epoch, 0)).collect();
    world.tell(ROOM, 1);
    assert_eq!(world.heard(here, ROOM), [51]);
    assert!(back.iter().all(|conn| world.heard(*conn, ROOM).len() < 10));
    world.drain();
    assert!(back.iter().all(|conn| world.heard(*conn, ROOM) == all(1, 51)));
}

/// A room that has lost the oldest of its messages.
fn trimmed() -> (World, String) {
    let mut world = World::new(Limits { log_messages: 10, segment_messages: 2, ..paged() });
    world.tell(ROOM, 40);
    let epoch = world.epoch(ROOM);
    (world, epoch)
}

#[test]
fn a_cursor_that_is_too_old_or_of_another_life_begins_anew_and_says_so() {
    begins_anew([(None, 3), (Some("00000000000000ff"), 39)]);
}

#[test]
fn a_cursor_from_the_future_begins_anew_and_says_so() {
    begins_anew([(None, 41), (None, 9_007_199_254_740_991)]);
}

fn begins_anew(cursors: [(Option<&str>, u64); 2]) {
    for (epoch, seq) in cursors {
        let (mut world, real) = trimmed();
        let epoch = epoch.map_or_else(|| real.clone(), str::to_owned);
        let (upgraded, asking) = (world.resume(ROOM, "ana", &epoch, seq), world.join(ROOM, "bia"));
        let (general, again) = (world.connect("ana"), world.connect("bia"));
        world.follow(again, ROOM);
        for conn in [asking, general, again] {
            world.frames(conn);
            world.subscribe_since(conn, ROOM, &epoch, seq);
        }
        world.run_until_idle();
        assert_eq!(start(&world.frames(upgraded)[0]), (40, Some(false)), "{epoch} {seq}");
        for conn in [asking, general, again] {
            let frames = world.frames(conn);
            assert_eq!((frames.len(), start(&frames[0])), (1, (40, Some(false))), "{epoch} {seq}");
            assert_eq!(frames[0]["data"]["epoch"], real);
        }
        world.tell(ROOM, 2);
        for conn in [upgraded, asking, general, again] {
            assert_eq!(world.heard(conn, ROOM), [41, 42], "{epoch} {seq}");
        }
    }
}

#[test]
fn a_client_at_the_head_has_missed_nothing() {
    let mut world = World::default();
    world.tell(ROOM, 3);
    let epoch = world.epoch(ROOM);
    let (direct, general) = (world.resume(ROOM, "ana", &epoch, 3), world.connect("ana"));
    world.subscribe_since(general, ROOM, &epoch, 3);
    world.run_until_idle();
    assert_eq!(start(&world.frames(direct)[0]), (3, Some(true)));
    assert_eq!(told(&mut world, general), [(3, Some(true))]);
    world.tell(ROOM, 1);
    assert_eq!((world.heard(direct, ROOM), world.heard(general, ROOM)), (vec![4], vec![4]));
}

#[test]
fn a_newcomer_is_told_where_it_begins_and_of_no_recovery() {
    let mut world = World::default();
    for room in [ROOM, "analysis:1", "chat:1", HOME] {
        world.tell(room, 2);
        let ana = world.join(room, "ana");
        let welcome = world.frames(ana).remove(0);
        assert_eq!((start(&welcome), welcome["data"]["epoch"].as_str()), ((2, None), Some(&*world.epoch(room))));
        world.follow(ana, "analysis:7");
        assert_eq!(told(&mut world, ana), [(0, None)], "{room}");
        world.leave(ana);
        world.run_until_idle();
    }
}

#[test]
fn a_replay_that_the_log_has_outrun_ends_with_a_word_and_not_with_a_hole() {
    let mut world = World::new(Limits { log_messages: 10, segment_messages: 2, page_messages: 1, ..Limits::default() });
    world.tell(ROOM, 8);
    let epoch = world.epoch(ROOM);
    let ana = world.resume(ROOM, "ana", &epoch, 0);
    world.tell(ROOM, 40);
    world.drain();
    let heard = world.heard(ana, ROOM);
    assert!(heard.len() < 8 && heard == all(1, heard.len() as u64), "{heard:?}");
    assert_eq!(told(&mut world, ana), [(48, Some(false))]);
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM).last(), Some(&49));
}

#[test]
fn who_subscribes_with_a_cursor_gets_what_it_missed_then_what_is_new() {
    for (followed, evicted) in [(false, vec![]), (true, vec![]), (false, vec![HOME]), (true, vec![HOME, ROOM])] {
        let mut world = World::new(paged());
        let ana = world.connect("ana");
        if followed {
            let other = world.connect("ana");
            world.follow(other, ROOM);
        }
        world.tell(ROOM, 20);
        let epoch = world.epoch(ROOM);
        world.subscribe_since(ana, ROOM, &epoch, 4);
        if !followed {
            world.step(0);
            world.step(0);
        }
        for _ in 0..4 {
            for _ in 0..2 {
                let read = world.flights().position(|flight| reads(&flight.call));
                read.into_iter().for_each(|place| world.step(place));
                world.publish(ROOM, &json!({"type": "news"})).unwrap();
            }
            evicted.iter().for_each(|room| world.evict(room));
            world.counts(HOME);
        }
        world.drain();
        assert_eq!(told(&mut world, ana), [(4, Some(true))]);
        assert_eq!(world.heard(ana, ROOM), all(5, 28), "followed: {followed}, {evicted:?}");
        world.tell(ROOM, 1);
        assert_eq!(world.heard(ana, ROOM).last(), Some(&29));
    }
}

#[test]
fn one_who_reads_and_one_who_listens_do_not_disturb_each_other() {
    let mut world = World::new(paged());
    let (reader, listener) = (world.connect("ana"), world.connect("ana"));
    world.tell(ROOM, 20);
    let epoch = world.epoch(ROOM);
    world.follow(listener, ROOM);
    world.subscribe_since(reader, ROOM, &epoch, 0);
    world.publish(ROOM, &json!([{"type": "news"}, {"type": "news"}])).unwrap();
    step(&mut world, |flight| delivers(&flight.call));
    assert_eq!((world.heard(listener, ROOM), world.heard(reader, ROOM)), (vec![21, 22], vec![]));
    world.run_until_idle();
    world.tell(ROOM, 1);
    assert_eq!((world.heard(listener, ROOM), world.heard(reader, ROOM)), (vec![21, 22, 23], all(1, 23)));
    assert!(told(&mut world, listener).len() == 1 && told(&mut world, reader).len() == 1);
}

#[test]
fn a_room_that_cannot_be_read_refuses_before_the_first_page_and_is_tried_again_after_it() {
    let mut world = World::new(paged());
    let (ana, other) = (world.connect("ana"), world.connect("ana"));
    world.tell(ROOM, 10);
    let epoch = world.epoch(ROOM);
    world.follow(other, ROOM);
    world.cut(ROOM);
    world.subscribe_since(ana, ROOM, &epoch, 2);
    world.run_until_idle();
    assert_eq!(errors(&mut world, ana), ["UNAVAILABLE"]);
    world.mend(ROOM);
    world.drain();
    world.tell(ROOM, 1);
    assert!(world.heard(ana, ROOM).is_empty(), "it is out");
    world.subscribe_since(ana, ROOM, &epoch, 2);
    step(&mut world, |flight| reads(&flight.call));
    step(&mut world, |flight| reads(&flight.call));
    world.cut(ROOM);
    world.pass(10_000);
    assert_eq!((world.heard(ana, ROOM), errors(&mut world, ana)), (vec![3, 4, 5], vec![]));
    world.mend(ROOM);
    world.drain();
    assert_eq!(world.heard(ana, ROOM), all(3, 11));
}

#[test]
fn a_subscription_that_cannot_be_renewed_goes_on_as_it_was() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    world.tell(ROOM, 2);
    let epoch = world.epoch(ROOM);
    world.cut(ROOM);
    world.subscribe_since(ana, ROOM, &epoch, 0);
    world.run_until_idle();
    assert_eq!(errors(&mut world, ana), ["UNAVAILABLE"]);
    world.mend(ROOM);
    world.tell(ROOM, 1);
    world.drain();
    assert_eq!(world.heard(ana, ROOM), [1, 2, 3]);
}

#[test]
fn a_room_that_was_killed_while_it_read_wakes_to_read_on() {
    let mut world = World::new(paged());
    let ana = world.connect("ana");
    world.tell(ROOM, 10);
    let epoch = world.epoch(ROOM);
    world.subscribe_since(ana, ROOM, &epoch, 0);
    while world.heard(ana, ROOM).is_empty() {
        world.step(0);
    }
    world.evict(HOME);
    world.drain();
    assert_eq!(world.heard(ana, ROOM), all(1, 10));
}

#[test]
fn who_subscribes_again_with_a_cursor_goes_on_from_there() {
    let mut world = World::new(paged());
    let (direct, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.tell(ROOM, 8);
    let epoch = world.epoch(ROOM);
    for conn in [direct, general] {
        told(&mut world, conn);
        world.subscribe_since(conn, ROOM, &epoch, 3);
        world.tell(ROOM, 1);
        world.drain();
        assert_eq!(told(&mut world, conn), [(3, Some(true))]);
    }
    assert_eq!(world.heard(direct, ROOM), [all(1, 8), all(4, 10)].concat());
    assert_eq!(world.heard(general, ROOM), [all(1, 9), all(4, 10)].concat());
}

#[test]
fn what_an_earlier_subscription_asked_for_says_nothing_to_a_later_one() {
    let mut world = World::new(paged());
    let (ana, other) = (world.connect("ana"), world.connect("ana"));
    world.follow(other, ROOM);
    world.tell(ROOM, 10);
    let epoch = world.epoch(ROOM);
    world.subscribe_since(ana, ROOM, &epoch, 2);
    world.unsubscribe(ana, ROOM);
    world.subscribe_since(ana, ROOM, &epoch, 6);
    world.drain();
    assert_eq!((told(&mut world, ana), world.heard(ana, ROOM)), (vec![(6, Some(true))], all(7, 10)));
}

#[test]
fn a_follower_whom_the_log_has_left_behind_is_told_and_does_not_skip_in_silence() {
    let mut world = World::new(Limits { log_messages: 10, segment_messages: 2, ..Limits::default() });
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    world.tell(ROOM, 2);
    world.cut(HOME);
    world.tell(ROOM, 40);
    world.mend(HOME);
    world.frames(ana);
    world.drain();
    assert_eq!((told(&mut world, ana), world.heard(ana, ROOM)), (vec![(42, Some(false))], vec![1, 2]));
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [1, 2, 43]);
}

#[test]
fn a_follower_whose_messages_have_all_become_too_old_is_told_once() {
    let mut world = World::new(Limits { log_age: DAY / 24, ..Limits::default() });
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    world.cut(HOME);
    world.tell(ROOM, 2);
    world.pass(2 * DAY);
    world.mend(HOME);
    world.frames(ana);
    world.pass(60_000);
    assert_eq!((told(&mut world, ana), world.heard(ana, ROOM)), (vec![(2, Some(false))], vec![]));
    world.tell(ROOM, 1);
    assert_eq!(world.heard(ana, ROOM), [3]);
}

#[test]
fn what_is_ephemeral_reaches_who_listens_and_is_never_seen_again() {
    let mut world = World::new(paged());
    let (direct, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.tell(ROOM, 1);
    world.pass(2_000);
    let epoch = world.epoch(ROOM);
    let before = (world.sql(ROOM).changes(), world.sql(HOME).changes());
    let typing = json!({"type": "typing", "ephemeral": true, "id": "t"});
    for round in 0..2 {
        let taken = world.publish(ROOM, &typing).unwrap();
        assert_eq!(serde_json::to_value(&taken).unwrap(), json!([{"id": "t"}]), "round {round}: there is no duplicate");
    }
    world.pass(10_000);
    for conn in [direct, general] {
        let typings = world.frames(conn).into_iter().filter(|frame| frame["type"] == "typing");
        let typings: Vec<_> = typings.map(|frame| (frame["id"].clone(), frame.get("seq").cloned())).collect();
        assert_eq!(typings, [(json!("t"), None), (json!("t"), None)]);
    }
    assert_eq!((world.sql(ROOM).changes(), world.sql(HOME).changes()), before, "no row is written");
    assert_eq!(world.publish(ROOM, &json!({"type": "news", "id": "t"})).unwrap()[0].seq.unwrap().0, 2);
    let late = world.resume(ROOM, "caio", &epoch, 0);
    world.drain();
    assert_eq!((world.heard(late, ROOM), world.logged(ROOM)), (vec![1, 2], vec![1, 2]));
    assert_eq!(world.frames(late).len(), 3, "a welcome and two messages");
}

#[test]
fn an_id_is_sent_once_through_segments_sleep_and_retention_for_a_day_at_least() {
    let limits = Limits { log_messages: 10, segment_messages: 4, ..Limits::default() };
    let mut world = World::new(limits);
    let ana = world.join(ROOM, "ana");
    let message = |n: u64| json!({"type": "news", "id": format!("m{n}")});
    let again = |world: &mut World, n: u64| world.publish(ROOM, &message(n)).unwrap()[0].duplicate;
    for n in 1..=60 {
        assert!(!again(&mut world, n));
        world.pass(1_000);
    }
    for hours in [0, 12, 11] {
        world.pass(hours * DAY / 24);
        world.evict(ROOM);
        for n in 1..=60 {
            let taken = world.publish(ROOM, &message(n)).unwrap().remove(0);
            assert_eq!((taken.duplicate, taken.seq.unwrap().0), (true, n), "{hours} hours later");
        }
    }
    assert_eq!(world.heard(ana, ROOM), all(1, 60));
    world.pass(30 * DAY);
    world.tell(ROOM, 20);
    world.pass(2 * DAY);
    world.tell(ROOM, 20);
    assert!(!again(&mut world, 1), "one day it is forgotten");
}

#[test]
fn a_room_that_a_newer_version_has_written_is_not_touched() {
    let mut world = World::default();
    world.tell(ROOM, 1);
    world.evict(ROOM);
    world.sql(ROOM).exec("UPDATE marks SET version = 99", &[]).unwrap();
    let before = world.sql(ROOM).changes();
    match world.publish(ROOM, &json!({"type": "news"})) {
        Err(Failure::Broken(error)) => assert!(error.to_string().contains("version 99"), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.sql(ROOM).changes(), before);
    let general = world.connect("ana");
    world.follow(general, ROOM);
    assert_eq!(errors(&mut world, general), [Reject::Unavailable.code()]);
    world.sql(ROOM).exec("UPDATE marks SET version = 1", &[]).unwrap();
    assert_eq!(world.publish(ROOM, &json!({"type": "news"})).unwrap()[0].seq.unwrap().0, 2);
}

#[test]
fn a_large_room_answers_a_resume_with_few_rows() {
    let mut world = World::default();
    let message = vec![json!({"type": "news"}); 1_000];
    (0..10).for_each(|_| world.publish(ROOM, &json!(message)).map(drop).unwrap());
    for n in 0..1_000 {
        let member = world.join(ROOM, &format!("u{n}"));
        world.leave(member);
    }
    let epoch = world.epoch(ROOM);
    world.evict(ROOM);
    let (read, written) = (world.sql(ROOM).read(), world.sql(ROOM).changes());
    let ana = world.resume(ROOM, "u7", &epoch, 9_000);
    world.pass(0);
    assert_eq!(world.heard(ana, ROOM).len(), 100, "the first page");
    let (read, written) = (world.sql(ROOM).read() - read, world.sql(ROOM).changes() - written);
    assert!(read <= 100 + 40, "{read} rows were returned");
    assert!(written <= 3, "{written} rows were written");
    world.drain();
    assert_eq!(world.heard(ana, ROOM), all(9_001, 10_000));
}
