//! What a socket missed of its own room comes in pages, before anything live: few at a time, so that who comes back
//! holds up nobody else, and no further ahead than the client confirms.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Room;
use crate::batch::WRAPPER;
use crate::id::{ConnId, Cursor, RoomName, Seq};
use crate::log::{Entry, fitting};
use crate::moment::Millis;
use crate::peer::Peer;
use crate::protocol::{Start, whole_chunk};
use crate::sql::{Sql, StoreError};
use crate::turn::Turn;

/// Milliseconds between two rounds of pages.
const PAUSE: u64 = 5;

impl<S: Sql> Room<S> {
    /// Sends a page to some of those who are behind. Those at the same place share the reading of it.
    pub(super) fn replay(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let now = turn.moment.now;
        if self.next_page().is_none_or(|due| now < due) {
            return Ok(());
        }
        self.replayed = now;
        let mut pages: BTreeMap<Seq, Rc<[Entry]>> = BTreeMap::new();
        let behind = self.peers.values().filter_map(|peer| Some((peer.session.conn, waiting_for(peer)?)));
        let (done, behind): (Vec<_>, Vec<_>) = behind.partition(|(_, seq)| self.sent() <= *seq);
        for (conn, seq) in done.into_iter().chain(behind.into_iter().take(self.limits().pages_per_turn)) {
            let page = match pages.get(&seq) {
                Some(page) => page.clone(),
                None => pages.entry(seq).or_insert(self.page(seq, self.sent())?.into()).clone(),
            };
            self.turn_page(turn, conn, seq, &page)?;
        }
        Ok(())
    }

    /// When the next page goes to somebody who is behind.
    pub(super) fn next_page(&self) -> Option<Millis> {
        self.peers.values().any(|peer| waiting_for(peer).is_some()).then(|| self.replayed.plus(PAUSE))
    }

    /// What the log has after `seq`, up to `last`, as much as goes at once.
    pub(super) fn page(&self, seq: Seq, last: Seq) -> Result<Vec<Entry>, StoreError> {
        if !self.log.reaches(seq) {
            return Ok(Vec::new());
        }
        let bytes = self.limits().page_bytes.saturating_sub(WRAPPER).max(1);
        let mut page = self.log.after(seq, last, self.limits().page_messages, bytes)?;
        page.truncate(fitting(page.iter(), bytes));
        Ok(page)
    }

    /// Sends a page. Without one there is a hole: the log has moved on while the client took its time; or nothing is left.
    /// That is written down a round after the last page, which might else have been written down and never sent.
    fn turn_page(&mut self, turn: &mut Turn, conn: ConnId, seq: Seq, page: &[Entry]) -> Result<(), StoreError> {
        self.spread(turn, vec![conn], &self.frames_for(conn, page));
        let sent = self.sent();
        if page.is_empty() && seq < sent {
            let start = Start { epoch: self.marks.epoch(), seq: sent, recovered: Some(false) };
            self.subscribed(turn, conn, &self.name, start);
        }
        let last = page.last().map_or(sent, |entry| entry.seq);
        let sizes: Vec<(Seq, usize)> = page.iter().map(|entry| (entry.seq, entry.frame.len())).collect();
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let (now, limits) = (turn.moment.now, &self.config.limits);
        page.first().into_iter().for_each(|first| peer.about_to_send(first.taken, now, seq, limits));
        peer.note_sent(&self.name, &sizes, limits);
        let unsure = !page.is_empty() && !peer.session.acks;
        peer.session.behind = (last < sent || unsure).then_some(last);
        peer.stop_if_full(last);
        turn.attach(peer.session.clone());
        if peer.session.behind.is_some() {
            return Ok(());
        }
        let who = peer.session.who();
        if peer.session.acks { Ok(()) } else { self.members.caught_up(&self.name, &who) }
    }

    /// A page as a connection gets it. Clients of today take an answer from its chunks: who missed them gets one of all.
    fn frames_for(&self, conn: ConnId, page: &[Entry]) -> Vec<Rc<str>> {
        let modern = self.peers.get(&conn).is_none_or(|peer| peer.session.batches);
        let chunk = |entry: &Entry| if modern { None } else { whole_chunk(&entry.frame) };
        page.iter().flat_map(|entry| chunk(entry).into_iter().chain([entry.frame.clone()])).map(Rc::from).collect()
    }

    /// A client has everything of a room up to that message. Who had been stopped goes on.
    pub(super) fn acknowledge(&mut self, turn: &mut Turn, conn: ConnId, room: Option<RoomName>, seq: Seq) {
        let room = room.unwrap_or_else(|| self.name.clone());
        let (own, sent, config) = (room == self.name, self.sent(), self.config.clone());
        let Some(peer) = self.peers.get_mut(&conn).filter(|peer| peer.session.acks) else { return };
        let stopped = peer.flow.is_stopped();
        peer.flow.confirm(&room, seq, &config.limits);
        if own {
            peer.session.sure = peer.session.sure.max(seq.min(peer.session.behind.unwrap_or(sent)));
        } else if let Some(mut reach) = peer.session.reaches.get(&room) {
            reach.sure = reach.sure.max(seq.min(reach.seq));
            peer.session.reaches.set(&room, reach);
        }
        turn.attach(peer.session.clone());
        if stopped && !peer.flow.is_stopped() {
            self.read_on(conn, turn.moment.now);
        }
    }

    /// Begins to hear this very room anew, after that cursor if there is one.
    pub(super) fn subscribe_own(
        &mut self,
        turn: &mut Turn,
        conn: ConnId,
        cursor: Option<Cursor>,
    ) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get(&conn) else { return Ok(()) };
        let (who, behind) = (peer.session.who(), peer.session.behind);
        let start = match cursor {
            Some(_) => self.start(cursor, &who, turn.moment.now)?,
            None => Start { epoch: self.marks.epoch(), seq: behind.unwrap_or_else(|| self.sent()), recovered: None },
        };
        let sent = self.sent();
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.session.behind = (start.seq < sent).then_some(start.seq);
            turn.attach(peer.session.clone());
        }
        self.subscribed(turn, conn, &self.name, start);
        Ok(())
    }
}

/// Where somebody is who is behind and may be sent more.
fn waiting_for(peer: &Peer) -> Option<Seq> {
    peer.session.behind.filter(|_| !peer.flow.is_stopped())
}
