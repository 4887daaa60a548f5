//! What one client that confirms has been sent and has not confirmed.
//!
//! The runtime buffers for a slow client without bound and without a sign, so this is the only measure of it.

use std::collections::VecDeque;

use crate::id::{RoomName, Seq, fingerprint};
use crate::limits::Limits;

/// One message under way.
#[derive(Debug)]
struct Sent {
    room: u64,
    seq: Seq,
    bytes: usize,
}

/// Everything under way to one client.
#[derive(Debug, Default)]
pub struct Flow {
    sent: VecDeque<Sent>,
    bytes: usize,
    /// Whether it is sent nothing until it has confirmed half.
    stopped: bool,
}

impl Flow {
    /// Takes note of a message that is sent.
    pub fn push(&mut self, room: &RoomName, seq: Seq, bytes: usize, limits: &Limits) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.sent.push_back(Sent { room: fingerprint(&room.to_string()), seq, bytes });
        self.stopped |= self.is_over(limits.unacked_messages, limits.unacked_bytes);
    }

    /// The client has everything of that room up to this.
    pub fn confirm(&mut self, room: &RoomName, seq: Seq, limits: &Limits) {
        let room = fingerprint(&room.to_string());
        self.sent.retain(|sent| sent.room != room || sent.seq > seq);
        self.bytes = self.sent.iter().map(|sent| sent.bytes).sum();
        self.stopped &= self.is_over(limits.unacked_messages / 2, limits.unacked_bytes / 2);
    }

    /// Whether nothing more may be sent for now.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn is_over(&self, messages: u64, bytes: u64) -> bool {
        self.sent.len() as u64 > messages || self.bytes as u64 > bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_too_much_unconfirmed_is_stopped_until_half_is_confirmed() {
        let limits = Limits { unacked_messages: 4, unacked_bytes: 1_000, ..Limits::default() };
        let (one, two) = ("chat:1".parse().unwrap(), "chat:2".parse().unwrap());
        let mut flow = Flow::default();
        for (room, seq) in [(&one, 1), (&two, 1), (&one, 2), (&one, 3)] {
            flow.push(room, Seq(seq), 10, &limits);
            assert!(!flow.is_stopped());
        }
        flow.push(&two, Seq(2), 10, &limits);
        assert!(flow.is_stopped());
        flow.confirm(&two, Seq(9), &limits);
        assert!(flow.is_stopped(), "3 of 4 are too many");
        flow.confirm(&one, Seq(1), &limits);
        assert!(!flow.is_stopped());
    }

    #[test]
    fn bytes_count_as_well() {
        let limits = Limits { unacked_messages: 4, unacked_bytes: 1_000, ..Limits::default() };
        let room = "chat:1".parse().unwrap();
        let mut flow = Flow::default();
        flow.push(&room, Seq(1), 1_001, &limits);
        assert!(flow.is_stopped());
        flow.confirm(&room, Seq(1), &limits);
        assert!(!flow.is_stopped());
    }
}
