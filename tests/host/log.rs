//! The log: what it hands out and from where, what it drops, what it remembers.

use cidadao_realtime::id::{Epoch, Id, Kind, Seq};
use cidadao_realtime::limits::{DAY, Limits};
use cidadao_realtime::log::{Log, Noted};
use cidadao_realtime::marks::{Marks, Progress};
use cidadao_realtime::moment::Millis;

use crate::support::sql::Sqlite;

const NOW: Millis = Millis(1_761_937_200_000);

fn limits(messages: u64, segment: u64) -> Limits {
    Limits { log_messages: messages, segment_messages: segment, ..Limits::default() }
}

fn empty(limits: &Limits) -> (Sqlite, Log<Sqlite>) {
    let sql = Sqlite::default();
    Marks::open(sql.clone(), Kind::Chat, Epoch(1)).unwrap();
    let log = Log::open(sql.clone(), limits).unwrap();
    (sql, log)
}

/// A log of `count` messages, `m1`, `m2` and so on, a second apart.
fn filled(count: u64, limits: &Limits) -> (Sqlite, Log<Sqlite>) {
    let (sql, mut log) = empty(limits);
    for n in 1..=count {
        append(&mut log, NOW.plus(n * 1_000), n);
    }
    (sql, log)
}

fn append(log: &mut Log<Sqlite>, now: Millis, n: u64) {
    let id: Id = format!("m{n}").parse().unwrap();
    let seq = log.append(now, &id, &format!("frame {n:04}"), Noted::default()).unwrap();
    assert_eq!(seq, log.head());
}

fn after(log: &Log<Sqlite>, seq: u64, count: usize, bytes: usize) -> Vec<u64> {
    log.after(Seq(seq), log.head(), count, bytes).unwrap().into_iter().map(|entry| entry.seq.0).collect()
}

fn before(log: &Log<Sqlite>, seq: u64, count: usize, bytes: usize) -> Vec<u64> {
    log.before(Seq(seq), count, bytes).unwrap().into_iter().map(|entry| entry.seq.0).collect()
}

fn find(log: &mut Log<Sqlite>, n: u64) -> Option<u64> {
    log.find(&format!("m{n}").parse().unwrap()).unwrap().map(|seq| seq.0)
}

#[test]
fn what_came_after_a_place_is_handed_out_in_order_and_bounded() {
    let size = "frame 0001".len();
    for segment in [1, 3, 4, 100] {
        let (_, log) = filled(9, &limits(100, segment));
        for (seq, count, bytes, want) in [
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
            assert_eq!(after(&log, seq, count, bytes), want, "{count} after {seq} in {bytes}, {segment} a segment");
        }
        let to_five = log.after(Seq(3), Seq(5), 100, 1 << 20).unwrap();
        assert_eq!(to_five.iter().map(|entry| entry.seq.0).collect::<Vec<_>>(), [4, 5]);
    }
}

#[test]
fn what_came_before_a_place_is_handed_out_from_its_end() {
    let size = "frame 0001".len();
    for segment in [1, 3, 4, 100] {
        let (_, log) = filled(9, &limits(100, segment));
        for (seq, count, bytes, want) in [
            (10, 3, 1 << 20, vec![7, 8, 9]),
            (10, 100, 1 << 20, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (4, 100, 1 << 20, vec![1, 2, 3]),
            (1, 100, 1 << 20, vec![]),
            (9, 0, 1 << 20, vec![]),
            (9, 100, 1, vec![7, 8]),
            (9, 100, size + 1, vec![6, 7, 8]),
        ] {
            let got = before(&log, seq, count, bytes);
            let (got, want) = if bytes < 1 << 20 { (bounded(&got), bounded(&want)) } else { (got, want) };
            assert_eq!(got, want, "{count} before {seq} in {bytes}, {segment} a segment");
        }
    }
}

/// Where bytes are the bound, a segment's edge may move it by a message: the newest is there, and it is no more than asked.
fn bounded(messages: &[u64]) -> Vec<u64> {
    assert!(messages.len() <= 3);
    messages.last().copied().into_iter().collect()
}

#[test]
fn the_log_keeps_the_newest_and_never_much_more() {
    for (count, keep, segment) in [(63_u64, 10, 4), (200, 10, 4), (1_000, 100, 25), (7, 100, 25), (64, 1, 1)] {
        let (sql, log) = filled(count, &limits(keep, segment));
        assert_eq!(log.head(), Seq(count));
        let kept = after(&log, 0, usize::MAX, usize::MAX);
        assert_eq!(kept, (log.first().0..=count).collect::<Vec<_>>());
        let bounds = keep.min(count)..=keep + 2 * segment;
        assert!(bounds.contains(&(kept.len() as u64)), "{} of {count}, {keep} wanted", kept.len());
        let tables = sql.numbers("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'log_%'");
        assert!(tables[0] <= keep / segment + 2, "{tables:?} tables");
    }
}

#[test]
fn a_log_reaches_back_to_its_oldest_message_and_not_beyond() {
    let (_, log) = filled(64, &limits(10, 4));
    let first = log.first().0;
    assert!(log.reaches(Seq(first - 1)), "everything after that is there");
    assert!(!log.reaches(Seq(first - 2)));
    assert!(log.reaches(Seq(64)));
    assert!(!log.reaches(Seq(65)), "there is no such message yet");
    let (_, log) = empty(&Limits::default());
    assert!(log.reaches(Seq(0)));
    assert!(!log.reaches(Seq(1)));
}

#[test]
fn a_log_that_is_too_large_drops_its_oldest() {
    let limits = Limits { log_bytes: 100, segment_messages: 2, ..Limits::default() };
    let (_, log) = filled(50, &limits);
    let kept = after(&log, 0, 100, 1 << 20);
    assert!(kept.len() * 10 <= 100 + 20, "{} messages of 10 bytes", kept.len());
    assert_eq!(kept.last(), Some(&50));
}

#[test]
fn a_log_that_is_too_old_drops_its_oldest_and_keeps_counting() {
    let limits = Limits { log_age: 7 * DAY, ..Limits::default() };
    let (sql, mut log) = filled(5, &limits);
    assert!(log.clean(NOW.plus(6 * DAY)).unwrap());
    assert_eq!(after(&log, 0, 100, 1 << 20), [1, 2, 3, 4, 5]);
    assert!(!log.clean(NOW.plus(8 * DAY)).unwrap(), "nothing is left");
    assert!(after(&log, 0, 100, 1 << 20).is_empty());
    assert_eq!((log.head(), log.first()), (Seq(5), Seq(6)));
    assert!(!log.reaches(Seq(4)));
    let mut log = Log::open(sql, &limits).unwrap();
    append(&mut log, NOW.plus(9 * DAY), 6);
    assert_eq!(after(&log, 0, 100, 1 << 20), [6]);
}

#[test]
fn a_day_begins_a_new_segment_so_that_days_can_go_one_by_one() {
    let (_, mut log) = empty(&Limits { log_age: 2 * DAY, ..Limits::default() });
    for day in 0..6 {
        append(&mut log, NOW.plus(day * DAY), day);
    }
    assert!(log.clean(NOW.plus(5 * DAY)).unwrap());
    assert_eq!(after(&log, 0, 100, 1 << 20), [5, 6]);
}

#[test]
fn an_id_is_remembered_as_long_as_its_message_and_for_a_day() {
    let limits = Limits { log_messages: 10, segment_messages: 4, id_memory: DAY, ..Limits::default() };
    let (sql, mut log) = filled(100, &limits);
    for n in 1..=100 {
        assert_eq!(find(&mut log, n), Some(n), "{n}, of a log that begins at {:?}", log.first());
    }
    assert_eq!(find(&mut log, 101), None);
    let mut reopened = Log::open(sql, &limits).unwrap();
    assert_eq!(
        (find(&mut reopened, 1), find(&mut reopened, 100), find(&mut reopened, 101)),
        (Some(1), Some(100), None)
    );
    for n in 101..=110 {
        append(&mut reopened, NOW.plus(2 * DAY), n);
    }
    assert_eq!(find(&mut reopened, 1), None, "it is a day later");
    assert_eq!((find(&mut reopened, 100), find(&mut reopened, 110)), (Some(100), Some(110)));
}

#[test]
fn a_log_that_is_opened_again_goes_on_where_it_was() {
    for (count, segment) in [(1_u64, 4), (3, 4), (4, 4), (5, 4), (200, 7)] {
        let limits = limits(50, segment);
        let (sql, log) = filled(count, &limits);
        let mut again = Log::open(sql, &limits).unwrap();
        assert_eq!((again.head(), again.first()), (log.head(), log.first()));
        append(&mut again, NOW.plus(DAY / 2), count + 1);
        assert_eq!(find(&mut again, count + 1), Some(count + 1));
        assert_eq!(after(&again, count - 1, 100, 1 << 20), [count, count + 1]);
    }
}

#[test]
fn to_open_a_log_and_read_a_page_reads_little_of_it() {
    let limits = Limits::default();
    let (sql, _) = filled(5_000, &limits);
    let before = sql.read();
    let log = Log::open(sql.clone(), &limits).unwrap();
    assert_eq!(after(&log, 2_500, 100, 1 << 20).len(), 100);
    assert!(sql.read() - before <= 10 + 1 + 100, "{} rows were returned", sql.read() - before);
}

#[test]
fn progress_travels_with_the_newest_message() {
    let limits = Limits::default();
    let (sql, mut log) = filled(3, &limits);
    for (waits, sent) in [(true, 2), (false, 5)] {
        let noted = Noted { sent: Seq(2), waits, settled: Seq(1) };
        log.append(NOW, &format!("waits {waits}").replace(' ', "-").parse().unwrap(), "frame", noted).unwrap();
        let log = Log::open(sql.clone(), &limits).unwrap();
        assert_eq!(log.progress(), Progress { sent: Seq(sent), settled: Seq(1) });
        assert_eq!(log.floor(), Seq(2), "the newest may not have left the machine");
    }
}

#[test]
fn who_was_last_heard_then_has_what_was_taken_by_then() {
    let (_, log) = filled(20, &limits(10, 4));
    for (seconds, want) in [(20, 20), (25, 20), (15, 15), (19, 19)] {
        assert_eq!(log.taken_by(NOW.plus(seconds * 1_000 + 1)).unwrap(), Seq(want));
    }
    assert_eq!(log.taken_by(Millis(0)).unwrap(), Seq(0), "nothing is left of it");
}
