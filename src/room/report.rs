//! What the room says of its messages to who asks over HTTP.

use super::{Failure, Room};
use crate::code::Reject;
use crate::history::{Anchor, DeliveryStatus, History, Range};
use crate::id::{Id, Seq};
use crate::log::fitting;
use crate::members::Member;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError};

/// What became of a message for one member.
enum Fate {
    Queued,
    Delivered,
    Confirmed,
}

impl<S: Sql> Room<S> {
    /// A page of the log.
    pub fn history(&self, range: Range) -> Result<History, Failure> {
        let (first, head, bytes) = (self.log.first(), self.log.head(), self.limits().message_bytes);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut entries = match range.from {
            Anchor::Newest => self.log.before(head.next(), range.limit, bytes)?,
            Anchor::Before(seq) => self.log.before(seq.min(head.next()), range.limit, bytes)?,
            Anchor::Since(seq) => self.log.after(seq, head, range.limit, bytes)?,
        };
        if let Anchor::Since(_) = range.from {
            entries.truncate(fitting(entries.iter(), bytes));
        } else {
            entries.drain(..entries.len() - fitting(entries.iter().rev(), bytes));
        }
        let more = match (range.from, entries.as_slice()) {
            (_, []) => false,
            (Anchor::Since(_), [.., last]) => last.seq < head,
            (Anchor::Newest | Anchor::Before(_), [oldest, ..]) => first < oldest.seq,
        };
        let (room, epoch) = (self.name.clone(), self.marks.epoch());
        let messages = entries.into_iter().map(|entry| entry.frame).collect();
        Ok(History { room, epoch, first, seq: head, messages, more })
    }

    /// What became of the message of that id.
    pub fn status(&mut self, id: &Id, now: Millis) -> Result<DeliveryStatus, Failure> {
        let seq = self.log.find(id)?.ok_or_else(|| Reject::NotFound.because("There is no message of that id."))?;
        let followers = self.followers.tally(seq);
        let (queued, delivered) = (followers.queued, followers.delivered);
        let mut status = DeliveryStatus { id: id.clone(), seq, queued, delivered, confirmed: 0 };
        for fate in self.fates(seq, now)? {
            match fate {
                Fate::Queued => status.queued += 1,
                Fate::Delivered => status.delivered += 1,
                Fate::Confirmed => status.confirmed += 1,
            }
        }
        Ok(status)
    }

    fn fates(&self, seq: Seq, now: Millis) -> Result<Vec<Fate>, StoreError> {
        let owed = self.members.of(&self.name, now)?.into_iter().filter(|member| member.first < seq);
        Ok(owed.map(|member| self.fate(&member, seq)).collect())
    }

    /// What became of a message for a member: what its furthest socket has, or what is written of it.
    fn fate(&self, member: &Member, seq: Seq) -> Fate {
        let sockets = self.peers.values().map(|peer| &peer.session);
        let sockets = sockets.filter(|session| session.user == member.who.user && session.device == member.who.device);
        let (mut sent, mut acked) = (None, None);
        for session in sockets {
            sent = sent.max(Some(session.behind.unwrap_or_else(|| self.sent())));
            acked = acked.max(session.acks.then_some(session.sure));
        }
        let confirmed = acked.or_else(|| member.acks.then_some(member.cursor));
        if confirmed.is_some_and(|confirmed| seq <= confirmed) {
            Fate::Confirmed
        } else if seq <= sent.unwrap_or(member.cursor) {
            Fate::Delivered
        } else {
            Fate::Queued
        }
    }
}
