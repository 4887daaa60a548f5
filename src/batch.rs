//! Batches: messages that wait to be sent together.
//!
//! A quiet room sends at once. To send costs time for every socket, and whatever arrives while a room of a thousand is
//! still sending belongs into the next frame: so each flush opens a window as long as the flush costs.

use std::rc::Rc;

use serde::Deserialize;

use crate::id::{ConnId, Seq};
use crate::limits::Limits;
use crate::moment::Millis;

/// How urgent a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Closes the window, and goes first.
    Critical,
    /// Goes in its order.
    #[default]
    Normal,
    /// Goes last of what goes together.
    Low,
}

/// A message on its way to the room's own sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its place, if it is kept.
    pub seq: Option<Seq>,
    /// The frame that clients get.
    pub frame: Rc<str>,
    /// The connection that it came from, which is told otherwise.
    pub from: Option<ConnId>,
}

/// The messages of one window.
#[derive(Debug, Default)]
pub struct Batch {
    waiting: Vec<(Priority, Outgoing)>,
    bytes: u64,
    closes: Millis,
}

impl Batch {
    /// Whether so many messages more have to wait now. The log must not forget what waits, if the batch is lost.
    pub fn is_open(&self, now: Millis, more: usize, limits: &Limits) -> bool {
        let many = self.waiting.len().saturating_add(more) as u64 > limits.log_messages / 2;
        now < self.closes && self.bytes < limits.message_bytes && !many
    }

    /// Adds a message.
    pub fn push(&mut self, priority: Priority, message: Outgoing) {
        self.bytes = self.bytes.saturating_add(message.frame.len() as u64);
        self.waiting.push((priority, message));
    }

    /// How many messages wait that are in the log.
    pub fn waiting(&self) -> u64 {
        self.waiting.iter().filter(|(_, message)| message.seq.is_some()).count() as u64
    }

    /// When what waits has to go.
    pub fn deadline(&self) -> Option<Millis> {
        (!self.waiting.is_empty()).then_some(self.closes)
    }

    /// Takes all that waits, the urgent first, and opens the next window.
    pub fn take(&mut self, now: Millis, sockets: usize, limits: &Limits) -> Vec<Outgoing> {
        self.bytes = 0;
        self.closes = now.plus(window(sockets, limits));
        self.waiting.sort_by_key(|(priority, _)| *priority);
        self.waiting.drain(..).map(|(_, message)| message).collect()
    }
}

/// How long flushing a room takes, in milliseconds: under one, nothing waits.
fn window(sockets: usize, limits: &Limits) -> u64 {
    let micros = (sockets as u64).saturating_mul(limits.send_micros);
    (micros / 1_000).min(limits.batch_window)
}

/// Bytes of a `batch` frame without its messages, at most.
pub const WRAPPER: usize = 100;

/// Packs messages into as few `batch` frames as their size allows. One message stays as it is.
pub fn pack(frames: &[Rc<str>], now: Millis, limits: &Limits) -> Vec<Rc<str>> {
    let mut packed = Vec::new();
    let mut rest = frames;
    while let Some((first, _)) = rest.split_first() {
        let mut bytes = WRAPPER as u64;
        let fits = |frame: &&Rc<str>| {
            bytes += frame.len() as u64 + 1;
            bytes <= limits.message_bytes
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (together, later) = rest.split_at(count.min(rest.len()));
        packed.push(if count == 1 { first.clone() } else { batch_frame(together, now) });
        rest = later;
    }
    packed
}

fn batch_frame(frames: &[Rc<str>], now: Millis) -> Rc<str> {
    let (timestamp, count, messages) = (now.to_rfc3339(), frames.len(), frames.join(","));
    format!(r#"{{"type":"batch","timestamp":"{timestamp}","count":{count},"messages":[{messages}]}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn message(frame: &str) -> Outgoing {
        Outgoing { seq: Some(Seq(1)), frame: frame.into(), from: None }
    }

    fn frames(count: usize) -> Vec<Rc<str>> {
        (0..count).map(|n| format!(r#"{{"n":{n}}}"#).into()).collect()
    }

    #[test]
    fn a_small_room_never_waits_and_a_large_one_waits_as_long_as_it_sends() {
        let limits = Limits::default();
        for (sockets, millis) in [(0, 0), (5, 0), (49, 0), (50, 1), (1_000, 20), (5_000, 100), (32_768, 100)] {
            assert_eq!(window(sockets, &limits), millis, "{sockets} sockets");
        }
    }

    #[test]
    fn what_waits_goes_together_when_the_window_closes() {
        let (mut batch, limits) = (Batch::default(), Limits::default());
        assert!(!batch.is_open(Millis(1_000), 1, &limits), "a quiet room sends at once");
        batch.push(Priority::Normal, message("1"));
        assert_eq!(batch.take(Millis(1_000), 1_000, &limits).len(), 1);
        assert!(batch.is_open(Millis(1_019), 1, &limits));
        assert_eq!(batch.deadline(), None, "an empty window ends by itself");
        batch.push(Priority::Normal, message("2"));
        assert_eq!(batch.deadline(), Some(Millis(1_020)));
        assert!(!batch.is_open(Millis(1_020), 1, &limits));
    }

    #[test]
    fn urgency_orders_within_a_frame_and_nothing_else() {
        let (mut batch, limits) = (Batch::default(), Limits::default());
        for (priority, name) in [
            (Priority::Low, "l1"),
            (Priority::Normal, "n1"),
            (Priority::Critical, "c1"),
            (Priority::Normal, "n2"),
            (Priority::Critical, "c2"),
        ] {
            batch.push(priority, message(name));
        }
        let order = batch.take(Millis(0), 0, &limits);
        assert_eq!(order.iter().map(|message| &*message.frame).collect::<Vec<_>>(), ["c1", "c2", "n1", "n2", "l1"]);
    }

    #[test]
    fn a_full_batch_waits_no_longer() {
        let (mut batch, limits) = (Batch::default(), Limits { message_bytes: 10, ..Limits::default() });
        batch.take(Millis(0), 1_000, &limits);
        batch.push(Priority::Normal, message("123456789"));
        assert!(batch.is_open(Millis(1), 1, &limits));
        batch.push(Priority::Normal, message("0"));
        assert!(!batch.is_open(Millis(1), 1, &limits));
        let (mut batch, limits) = (Batch::default(), Limits { log_messages: 10, ..Limits::default() });
        batch.take(Millis(0), 1_000, &limits);
        batch.push(Priority::Normal, message("0"));
        assert!(batch.is_open(Millis(1), 4, &limits));
        assert!(!batch.is_open(Millis(1), 5, &limits), "half of the log waits");
    }

    #[test]
    fn messages_are_packed_into_frames_of_bounded_size() {
        let limits = Limits { message_bytes: 126, ..Limits::default() };
        assert_eq!(pack(&frames(1), Millis(0), &limits), frames(1), "one message needs no frame round it");
        let packed = pack(&frames(7), Millis(0), &limits);
        let counts: Vec<Value> = packed.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
        assert_eq!(counts.iter().map(|frame| frame["count"].as_u64()).collect::<Vec<_>>(), [Some(3), Some(3), None]);
        assert_eq!(counts[1]["type"], "batch");
        assert_eq!(counts[1]["messages"], serde_json::json!([{"n": 3}, {"n": 4}, {"n": 5}]));
        assert_eq!(counts[2], serde_json::json!({"n": 6}));
        assert!(packed.iter().all(|frame| frame.len() <= 126));
        assert!(batch_frame(&[], Millis(u64::MAX)).len() + "1000000".len() <= 100);
        let large: Vec<Rc<str>> = vec![format!("\"{}\"", "x".repeat(126)).into(); 2];
        assert_eq!(pack(&large, Millis(0), &limits), large);
    }
}
