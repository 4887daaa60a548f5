//! How messages get into the log and out to the sockets.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Failure, Room, Taken};
use crate::batch::{Priority, pack};
use crate::code::{Refusal, Reject};
use crate::id::{ConnId, Id, Seq};
use crate::message::Draft;
use crate::sql::{Sql, StoreError};
use crate::turn::Turn;

/// A message that is about to be taken.
struct Placed {
    taken: Taken,
    priority: Priority,
    frame: Rc<str>,
}

impl<S: Sql> Room<S> {
    /// Takes a POST body: logs its messages, then tells everybody.
    pub fn publish(&mut self, turn: &mut Turn, body: &[u8]) -> Result<Vec<Taken>, Failure> {
        let drafts = Draft::parse(body, &self.config.limits)?;
        let placed = self.place(turn, drafts)?;
        let urgent = placed.iter().any(|placed| placed.priority == Priority::Critical);
        let waits = self.batch.is_open(turn.moment.now, placed.len(), self.limits()) && !urgent;
        for Placed { taken, priority, frame } in placed.iter().filter(|placed| !placed.taken.duplicate) {
            self.log.append(&taken.id, frame, waits)?;
            self.batch.push(*priority, frame.clone());
        }
        if !waits {
            self.flush(turn)?;
        }
        self.settle(turn)?;
        Ok(placed.into_iter().map(|placed| placed.taken).collect())
    }

    /// Gives each draft its id, its place and, unless the log has it already, its frame. Nothing is written yet.
    fn place(&self, turn: &mut Turn, drafts: Vec<Draft>) -> Result<Vec<Placed>, Failure> {
        let now = turn.moment.now.to_rfc3339();
        let mut head = self.log.head();
        let mut places: BTreeMap<Id, Seq> = BTreeMap::new();
        let mut placed = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let priority = draft.priority();
            let id = draft.id.clone().unwrap_or_else(|| Id::from(turn.moment.uuid()));
            let known = if draft.id.is_some() { self.log.find(&id)? } else { None };
            if let Some(seq) = known.or_else(|| places.get(&id).copied()) {
                let taken = Taken { id, seq, duplicate: true };
                placed.push(Placed { taken, priority, frame: "".into() });
                continue;
            }
            head = head.next();
            let frame = draft.into_frame(&id, &self.name, head, &now);
            if frame.len() as u64 > self.limits().message_bytes {
                return Err(Refusal::from(Reject::TooLarge).into());
            }
            places.insert(id.clone(), head);
            let taken = Taken { id, seq: head, duplicate: false };
            placed.push(Placed { taken, priority, frame: frame.into() });
        }
        Ok(placed)
    }

    /// The newest message that the room's own sockets have been sent: a newcomer still gets what waits.
    pub(super) fn sent(&self) -> Seq {
        Seq(self.log.head().0.saturating_sub(self.batch.waiting()))
    }

    /// Sends all that waits to everybody, and opens the next window.
    pub(super) fn flush(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let frames = self.batch.take(turn.moment.now, self.peers.len(), &self.config.limits);
        self.spread(turn, self.peers.keys().copied().collect(), &frames);
        self.log.flushed()
    }

    /// Sends messages to these connections: packed to those that take `batch` frames, one by one to the others.
    pub(super) fn spread(&self, turn: &mut Turn, to: Vec<ConnId>, frames: &[Rc<str>]) {
        if let [only] = frames {
            return turn.send(to, only.clone());
        }
        let batches = |conn: &ConnId| self.peers.get(conn).is_some_and(|peer| peer.session.batches);
        let (packed, plain): (Vec<ConnId>, Vec<ConnId>) = to.into_iter().partition(batches);
        let (packed, plain): (Rc<[ConnId]>, Rc<[ConnId]>) = (packed.into(), plain.into());
        if !packed.is_empty() {
            let frames = pack(frames, turn.moment.now, self.limits());
            frames.into_iter().for_each(|frame| turn.send(packed.clone(), frame));
        }
        frames.iter().for_each(|frame| turn.send(plain.clone(), frame.clone()));
    }
}
