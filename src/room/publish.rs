//! How messages get into the log and out to the sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::Serialize;

use super::{Failure, Room, Taken};
use crate::batch::{Outgoing, Priority, pack};
use crate::code::{Refusal, Reject};
use crate::id::{ConnId, Id, Seq};
use crate::link::{Call, Passing};
use crate::log::{Entry, Noted};
use crate::marks::Progress;
use crate::message::Draft;
use crate::moment::Millis;
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
        let taken = self.take(turn, drafts, None)?;
        self.settle(turn)?;
        Ok(taken)
    }

    /// Takes a message of the room's own, or of one of its sockets.
    pub(super) fn post(&mut self, turn: &mut Turn, draft: Draft, from: Option<ConnId>) -> Result<Taken, Failure> {
        let taken = self.take(turn, vec![draft], from)?;
        taken.into_iter().next().ok_or_else(|| Refusal::from(Reject::Internal).into())
    }

    fn take(&mut self, turn: &mut Turn, drafts: Vec<Draft>, from: Option<ConnId>) -> Result<Vec<Taken>, Failure> {
        let (now, placed) = (turn.moment.now, self.place(turn, drafts)?);
        let news: Vec<&Placed> = placed.iter().filter(|placed| !placed.taken.duplicate).collect();
        let urgent = news.iter().any(|placed| placed.priority == Priority::Critical);
        let waits = self.batch.is_open(now, news.len(), self.limits()) && !urgent;
        for placed in &news {
            self.take_in(turn, placed, waits, from)?;
        }
        if !waits && !news.is_empty() {
            self.flush(turn);
        }
        self.pass_around(turn, &news);
        Ok(placed.into_iter().map(|placed| placed.taken).collect())
    }

    /// Says something to everybody who hears the room now. It is not kept.
    pub(super) fn mention(&self, turn: &mut Turn, kind: &str, data: &impl Serialize) {
        let live = self.peers.values().filter(|peer| peer.is_live()).map(|peer| peer.session.conn);
        let (live, frame) = (live.collect::<Vec<_>>(), self.mentioned(turn, kind, data));
        turn.send(live, frame);
    }

    /// The frame of something that is not kept.
    pub(super) fn mentioned(&self, turn: &mut Turn, kind: &str, data: &impl Serialize) -> String {
        let (id, now) = (Id::from(turn.moment.uuid()), turn.moment.now.to_rfc3339());
        Draft::ephemeral(kind, data).into_frame(&id, &self.name, None, &now)
    }

    /// Gives each draft its id, its place and, unless the log has it already, its frame. Nothing is written yet.
    fn place(&mut self, turn: &mut Turn, drafts: Vec<Draft>) -> Result<Vec<Placed>, Failure> {
        let now = turn.moment.now.to_rfc3339();
        let mut head = self.log.head();
        let mut places: BTreeMap<Id, Seq> = BTreeMap::new();
        let mut placed = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let priority = draft.priority();
            let named = draft.id.clone().filter(|_| !draft.is_ephemeral());
            let id = draft.id.clone().unwrap_or_else(|| Id::from(turn.moment.uuid()));
            let known = named.map_or(Ok(None), |id| self.log.find(&id))?;
            if let Some(seq) = known.or_else(|| places.get(&id).copied()).filter(|_| !draft.is_ephemeral()) {
                let taken = Taken { id, seq: Some(seq), duplicate: true };
                placed.push(Placed { taken, priority, frame: "".into() });
                continue;
            }
            let seq = (!draft.is_ephemeral()).then(|| head.next());
            let frame = draft.into_frame(&id, &self.name, seq, &now);
            if frame.len() as u64 > self.limits().message_bytes {
                return Err(Refusal::from(Reject::TooLarge).into());
            }
            head = seq.unwrap_or(head);
            places.extend(seq.map(|seq| (id.clone(), seq)));
            placed.push(Placed { taken: Taken { id, seq, duplicate: false }, priority, frame: frame.into() });
        }
        Ok(placed)
    }

    /// Logs a message that is kept, and queues it for this room's sockets.
    fn take_in(&mut self, turn: &Turn, placed: &Placed, waits: bool, from: Option<ConnId>) -> Result<(), StoreError> {
        let Placed { taken: Taken { id, seq, .. }, priority, frame } = placed;
        if let Some(seq) = *seq {
            let now = turn.moment.now;
            let noted = Noted { sent: self.sent(), waits, settled: self.followers.settled(seq) };
            self.log.append(now, id, frame, noted)?;
            self.marks.carried(noted.progress(seq), now);
            self.remember_to_clean(now)?;
        }
        self.batch.push(*priority, Outgoing { seq: *seq, frame: frame.clone(), from });
        Ok(())
    }

    /// Hands what is not kept to the rooms that listen.
    fn pass_around(&self, turn: &mut Turn, news: &[&Placed]) {
        let frames = news.iter().filter(|placed| placed.taken.seq.is_none()).map(|placed| &*placed.frame);
        let passing = Rc::new(Passing::new(self.name.clone(), frames));
        if passing.frames().next().is_some() {
            self.followers.listening().for_each(|room| turn.call(room.clone(), Call::Pass(passing.clone())));
        }
    }

    /// The newest message that the room's own sockets have been sent: a newcomer still gets what waits.
    pub(super) fn sent(&self) -> Seq {
        Seq(self.log.head().0.saturating_sub(self.batch.waiting()))
    }

    /// How far everybody is.
    pub(super) fn progress(&self) -> Progress {
        Progress { sent: self.sent(), settled: self.followers.settled(self.log.head()) }
    }

    /// What this room did not live to send goes with the next flush.
    pub(super) fn queue_unsent(&mut self, sent: Seq, now: Millis) -> Result<(), StoreError> {
        let head = self.log.head();
        let count = usize::try_from(head.0.saturating_sub(sent.0)).unwrap_or(usize::MAX);
        let unsent = self.log.after(sent, head, count, usize::MAX)?;
        if let Some(Entry { taken, .. }) = unsent.first() {
            self.peers.values_mut().for_each(|peer| peer.about_to_send(*taken, now, sent, &self.config.limits));
        }
        for Entry { seq, frame, .. } in unsent {
            self.batch.push(Priority::Normal, Outgoing { seq: Some(seq), frame: frame.into(), from: None });
        }
        Ok(())
    }

    /// Sends what waits, if anything does.
    pub(super) fn flush_now(&mut self, turn: &mut Turn) {
        if self.batch.deadline().is_some() {
            self.flush(turn);
        }
    }

    /// Sends all that waits to everybody who has missed nothing before, and opens the next window.
    pub(super) fn flush(&mut self, turn: &mut Turn) {
        let messages = self.batch.take(turn.moment.now, self.peers.len(), &self.config.limits);
        let live = self.peers.values().filter(|peer| peer.is_live()).map(|peer| peer.session.conn);
        let wrote: BTreeSet<ConnId> = messages.iter().filter_map(|message| message.from).collect();
        let (authors, readers): (Vec<ConnId>, Vec<ConnId>) = live.partition(|conn| wrote.contains(conn));
        self.spread(turn, readers, &frames(&messages, None));
        for author in authors {
            self.spread(turn, vec![author], &frames(&messages, Some(author)));
        }
        self.note_flushed(turn, &messages);
    }

    /// Counts what those who confirm have been sent. Who leaves too much unconfirmed is sent no more, and reads it later.
    fn note_flushed(&mut self, turn: &mut Turn, messages: &[Outgoing]) {
        let (sent, config, room) = (self.sent(), self.config.clone(), self.name.clone());
        let sizes = messages.iter().filter_map(|message| Some((message.seq?, message.frame.len())));
        let sizes: Vec<(Seq, usize)> = sizes.collect();
        for peer in self.peers.values_mut().filter(|peer| peer.session.acks && peer.is_live()) {
            peer.note_sent(&room, &sizes, &config.limits);
            peer.stop_if_full(sent);
            if !peer.is_live() {
                turn.attach(peer.session.clone());
            }
        }
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

/// The frames of messages, but for those that came from there.
fn frames(messages: &[Outgoing], from: Option<ConnId>) -> Vec<Rc<str>> {
    let others = messages.iter().filter(|message| from.is_none() || message.from != from);
    others.map(|message| message.frame.clone()).collect()
}
