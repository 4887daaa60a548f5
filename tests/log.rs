//! The log: what it hands out, and from where.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use cidadao_realtime::id::{Id, Seq};
use cidadao_realtime::limits::Limits;
use serde_json::json;
use support::sql::Sqlite;
use support::world::World;

use cidadao_realtime::log::Log;

const ROOM: &str = "investigation:1";

/// A log that a room filled with `count` messages and trimmed to about `keep`.
fn filled(count: usize, keep: u64) -> Log<Sqlite> {
    let mut world = World::new(Limits { log_messages: keep, ..Limits::default() });
    let messages: Vec<_> = (1..=count).map(|place| json!({"type": "news", "id": format!("m{place}")})).collect();
    world.publish(ROOM, &json!(messages)).unwrap();
    Log::open(world.sql(ROOM), keep).unwrap()
}

fn after(log: &Log<Sqlite>, seq: u64, count: usize, chars: usize) -> Vec<u64> {
    log.after(Seq(seq), count, chars).unwrap().into_iter().map(|entry| entry.seq.0).collect()
}

#[test]
fn what_came_after_a_place_is_handed_out_in_order_and_bounded() {
    let log = filled(9, 100);
    let size = log.after(Seq(0), 1, 1).unwrap()[0].frame.len();
    for (seq, count, chars, want) in [
        (0, 100, 1 << 20, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (0, 3, 1 << 20, vec![1, 2, 3]),
        (6, 3, 1 << 20, vec![7, 8, 9]),
        (8, 3, 1 << 20, vec![9]),
        (9, 3, 1 << 20, vec![]),
        (50, 3, 1 << 20, vec![]),
        (0, 0, 1 << 20, vec![]),
        (2, 100, 1, vec![3]),
        (2, 100, size, vec![3]),
        (2, 100, size + 1, vec![3, 4]),
        (2, 100, 3 * size, vec![3, 4, 5]),
    ] {
        assert_eq!(after(&log, seq, count, chars), want, "{count} after {seq} in {chars}");
    }
}

#[test]
fn what_was_trimmed_is_passed_over_and_the_count_is_of_what_is_there() {
    let log = filled(64, 10);
    for (seq, want) in [(0, [55, 56, 57]), (53, [55, 56, 57]), (54, [55, 56, 57]), (55, [56, 57, 58])] {
        assert_eq!(after(&log, seq, 3, 1 << 20), want, "after {seq}");
    }
}

#[test]
fn a_log_that_is_opened_again_goes_on_where_it_was() {
    for (count, keep) in [(1, 10), (63, 10), (64, 10), (200, 10)] {
        let log = filled(count, keep);
        assert_eq!(log.head(), Seq(count as u64));
        let (newest, gone): (Id, Id) = (format!("m{count}").parse().unwrap(), "m0".parse().unwrap());
        assert_eq!(log.find(&newest), Ok(Some(log.head())));
        assert_eq!(log.find(&gone), Ok(None));
    }
}

#[test]
fn a_log_keeps_its_newest_message_whatever_it_is_told() {
    let log = filled(64, 0);
    assert_eq!(after(&log, 0, 100, 1 << 20), [64]);
}
