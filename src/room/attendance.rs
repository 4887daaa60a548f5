//! Who comes and who goes, and what is written down of it, so that nobody misses anything meanwhile.

use super::{Room, Sweep};
use crate::id::{ConnId, Cursor, Kind, RoomName, Seq};
use crate::limits::DAY;
use crate::members::{Absence, Who};
use crate::moment::Millis;
use crate::peer::{Heard, Peer};
use crate::protocol::Start;
use crate::reach::Reach;
use crate::session::Session;
use crate::sql::{Sql, StoreError};
use crate::subscriptions::{Gone, Want};
use crate::turn::{Farewell, Turn};

impl<S: Sql> Room<S> {
    /// Makes good for what this room did not live to do: some sockets may not have been sent the newest messages, and
    /// others may have vanished with the runtime.
    pub(super) fn wake_up(&mut self, gone: Vec<Gone>, now: Millis) -> Result<(), StoreError> {
        if self.name.kind() == Kind::User {
            self.subscriptions.attend(&RoomName::system(), self.peers.keys().copied())?;
        }
        self.remember_reaches(now)?;
        gone.into_iter().try_for_each(|gone| self.note_vanished(gone, now))?;
        if self.name.kind() == Kind::User {
            self.find_vanished(now)?;
        }
        if self.peers.is_empty() {
            self.find_abandoned(self.log.floor().max(self.marks.noted().sent), now)?;
        } else {
            self.queue_unsent(self.marks.noted().max(self.log.progress()).sent, now)?;
        }
        self.watch_on(now)
    }

    /// Somebody who had subscribed has gone without a farewell. It has got what others here have who subscribed too; if
    /// there are none, the followed room will say what had been confirmed.
    fn note_vanished(&self, Gone { room, who, cursor, acks }: Gone, now: Millis) -> Result<(), StoreError> {
        let others =
            if self.subscriptions.subscribers(&room).is_empty() { None } else { self.subscriptions.cursor(&room) };
        let come = others
            .filter(|come| !acks && come.epoch == cursor.epoch)
            .map_or(cursor.seq, |come| come.seq.max(cursor.seq));
        let from = Cursor { seq: come, ..cursor };
        self.members.vanish(&room, &who, from, !acks && others.is_none(), now)
    }

    /// Of who hears a room without having subscribed, no row says so: whoever has gone without a farewell had got what this
    /// room had confirmed for all.
    fn find_vanished(&self, now: Millis) -> Result<(), StoreError> {
        let system = RoomName::system();
        let Some(Cursor { epoch, .. }) = self.subscriptions.cursor(&system) else { return Ok(()) };
        for who in self.members.here(&self.name)? {
            if self.siblings(&who).next().is_none() {
                let (room, cursor) = (system.clone(), Cursor { epoch, seq: Seq(0) });
                self.note_vanished(Gone { room, who, cursor, acks: false }, now)?;
            }
        }
        Ok(())
    }

    /// What was sent in the last turn may have been on its way to whoever was here when the runtime was killed.
    fn find_abandoned(&mut self, floor: Seq, now: Millis) -> Result<(), StoreError> {
        if !self.marks.is_occupied() {
            return Ok(());
        }
        self.members.abandon(&self.name, floor, now)?;
        self.marks.occupy(false)
    }

    /// Each socket knows how far it is in the rooms that it hears; who was behind goes on reading. One that does not know
    /// had not been told anything.
    fn remember_reaches(&mut self, now: Millis) -> Result<(), StoreError> {
        for conn in self.peers.keys().copied().collect::<Vec<_>>() {
            for room in self.subscriptions.heard_by(conn) {
                self.remember_reach(conn, &room, now)?;
            }
        }
        Ok(())
    }

    fn remember_reach(&mut self, conn: ConnId, room: &RoomName, now: Millis) -> Result<(), StoreError> {
        match self.peers.get(&conn).and_then(|peer| peer.session.reaches.get(room)) {
            Some(reach) => {
                self.subscriptions.reached(room, reach.seq);
                if reach.behind {
                    // Others may be as far as this room had come, or further: no socket may tell.
                    self.subscriptions.follow_again(room);
                    self.subscriptions.read_at(room, conn, now);
                }
            }
            None if self.subscriptions.is_attended(room) => {
                let want = self.want(room, conn, None, now)?;
                self.subscriptions.begin_again(room, conn, want);
            }
            None => drop(self.subscriptions.remove(room, conn)?),
        }
        Ok(())
    }

    /// A socket was opened: it is welcomed, from where it wants to go on or from where its user was.
    pub(super) fn opened(&mut self, turn: &mut Turn, mut session: Session) -> Result<(), StoreError> {
        let (conn, who, now) = (session.conn, session.who(), turn.moment.now);
        let start = self.start(session.resume.take(), &who, now)?;
        session.behind = (start.seq < self.sent()).then_some(start.seq);
        (session.sure, session.live_since) = (start.seq, now);
        self.arrive(&session, start, now)?;
        if self.peers.is_empty() {
            self.sweep = Sweep::At(now.plus(self.limits().sweep_interval));
        }
        let crowd = self.appear(&mut session, now)?;
        turn.attach(session.clone());
        self.peers.insert(conn, Peer::new(session));
        self.welcome(turn, conn, start, crowd.as_ref());
        if self.name.kind() == Kind::User {
            self.await_room(turn, conn, &RoomName::system(), None)?;
        }
        Ok(())
    }

    fn arrive(&mut self, session: &Session, Start { epoch, seq, .. }: Start, now: Millis) -> Result<(), StoreError> {
        let (from, behind) = (Cursor { epoch, seq }, session.behind.is_some());
        self.members.arrive(&self.name, &session.who(), from, session.acks, behind)?;
        self.marks.occupy(true)?;
        self.remember_to_clean(now)
    }

    /// Where somebody begins to hear this room: after what it has, or had when it went; a newcomer from now on.
    pub(super) fn start(&self, resume: Option<Cursor>, who: &Who, now: Millis) -> Result<Start, StoreError> {
        let (epoch, sent) = (self.marks.epoch(), self.sent());
        let cursor = match resume {
            Some(cursor) => cursor,
            None => match self.returning(who, now)? {
                Some(seq) => Cursor { epoch, seq },
                None => return Ok(Start { epoch, seq: sent, recovered: None }),
            },
        };
        let recovered = cursor.epoch == epoch && self.log.reaches(cursor.seq);
        let seq = if recovered { cursor.seq } else { sent };
        Ok(Start { epoch, seq, recovered: Some(recovered) })
    }

    /// How far somebody was who was here before; or surely is, by another socket that may be dead without our knowing.
    fn returning(&self, who: &Who, now: Millis) -> Result<Option<Seq>, StoreError> {
        let mut siblings = self.siblings(who).peekable();
        if siblings.peek().is_some() {
            let arrived = |peer: &Peer| {
                let (seq, alive) = self.arrived(peer, peer.heard(self.limits()));
                self.heard_by_then(seq, alive)
            };
            let least = siblings.map(arrived).collect::<Result<Vec<Seq>, _>>()?.into_iter().min();
            return Ok(least.filter(|seq| *seq < self.sent()));
        }
        let Some(Absence { cursor, alive }) = self.members.absence(&self.name, who, now)? else {
            return Ok(None);
        };
        self.heard_by_then(cursor.seq, alive).map(Some)
    }

    /// What of this room has arrived at a socket, or what of it had been taken by then.
    fn arrived(&self, Peer { session, .. }: &Peer, heard: Heard) -> (Seq, Option<Millis>) {
        let Session { behind, sure, acks, .. } = *session;
        let seq = behind.unwrap_or_else(|| self.sent());
        heard.place(Reach { seq, sure, behind: behind.is_some() }, acks)
    }

    /// What has surely arrived of all up to `seq`, from somebody who was last heard then.
    pub(super) fn heard_by_then(&self, seq: Seq, alive: Option<Millis>) -> Result<Seq, StoreError> {
        alive.map_or(Ok(seq), |alive| Ok(self.log.taken_by(alive)?.min(seq)))
    }

    /// The other sockets of the same device.
    pub fn siblings_of(&self, session: &Session) -> Vec<ConnId> {
        let siblings = self.siblings(&session.who()).map(|peer| peer.session.conn).collect::<Vec<_>>();
        siblings.into_iter().filter(|conn| *conn != session.conn).collect()
    }

    /// The sockets of somebody.
    fn siblings<'a>(&'a self, who: &'a Who) -> impl Iterator<Item = &'a Peer> {
        self.peers.values().filter(|peer| peer.session.user == who.user && peer.session.device == who.device)
    }

    /// A connection is gone. What is written of its user is written now; the user's room is told, which counts it.
    pub(super) fn forget(&mut self, turn: &mut Turn, session: Session, farewell: Farewell) -> Result<(), StoreError> {
        let conn = session.conn;
        self.release(turn, &session);
        let Some(peer) = self.peers.remove(&conn) else { return Ok(()) };
        let now = turn.moment.now;
        let heard = if farewell == Farewell::Said { Heard::Everything } else { peer.heard(self.limits()) };
        self.depart(&peer, heard, now)?;
        self.disappear(turn, &peer.session);
        for room in self.subscriptions.heard_by(conn) {
            self.depart_from(&room, &peer, heard, now)?;
        }
        let mut all = self.subscriptions.of(conn).into_iter().chain([RoomName::system()]);
        all.try_for_each(|room| self.subscriptions.remove(&room, conn).map(drop))
    }

    /// Notes how far somebody is whose last socket here has closed.
    fn depart(&mut self, peer: &Peer, heard: Heard, now: Millis) -> Result<(), StoreError> {
        let who = peer.session.who();
        if self.siblings(&who).next().is_none() {
            let (seq, alive) = self.arrived(peer, heard);
            let cursor = Cursor { epoch: self.marks.epoch(), seq };
            self.members.depart(&self.name, &who, Absence { cursor, alive }, now)?;
        }
        self.marks.occupy(!self.peers.is_empty())?;
        self.remember_to_clean(now)
    }

    /// The same, of a room that it had subscribed to.
    fn depart_from(&self, room: &RoomName, peer: &Peer, heard: Heard, now: Millis) -> Result<(), StoreError> {
        let who = peer.session.who();
        let sibling = self.siblings(&who).any(|peer| self.subscriptions.hears(room, peer.session.conn));
        match self.absence_of(room, &peer.session, heard) {
            Some(absence) if !sibling => self.members.depart(room, &who, absence, now),
            Some(_) | None => Ok(()),
        }
    }

    /// What of a room that it subscribed to has arrived at a socket, for who comes after it.
    fn absence_of(&self, room: &RoomName, session: &Session, heard: Heard) -> Option<Absence> {
        let (reach, Cursor { epoch, .. }) = (session.reaches.get(room)?, self.subscriptions.cursor(room)?);
        let (seq, alive) = heard.place(reach, session.acks);
        Some(Absence { cursor: Cursor { epoch, seq }, alive })
    }

    /// From where on somebody wants to hear a room: after what it has, or had when it went, or from now on.
    pub(super) fn want(
        &self,
        room: &RoomName,
        conn: ConnId,
        cursor: Option<Cursor>,
        now: Millis,
    ) -> Result<Want, StoreError> {
        let Some(peer) = self.peers.get(&conn) else { return Ok(Want::Live) };
        if let Some(cursor) = cursor {
            return Ok(Want::From(cursor));
        }
        let who = peer.session.who();
        let siblings = self.siblings(&who).filter(|sibling| self.subscriptions.hears(room, sibling.session.conn));
        let absence = |peer: &Peer| self.absence_of(room, &peer.session, peer.heard(self.limits()));
        let least = siblings.filter_map(absence).min_by_key(|absence| (absence.alive, absence.cursor.seq));
        let come = self.subscriptions.cursor(room);
        let absence = match least {
            Some(Absence { cursor, alive: None }) if Some(cursor) == come => None,
            Some(absence) => Some(absence),
            None => self.members.absence(room, &who, now)?,
        };
        Ok(absence.map_or(Want::Live, Want::Back))
    }

    /// Sees to it that what becomes too old is looked for, a day from now.
    pub(super) fn remember_to_clean(&mut self, now: Millis) -> Result<(), StoreError> {
        if self.marks.clean().is_none() { self.marks.clean_at(Some(now.plus(DAY))) } else { Ok(()) }
    }

    /// Forgets what is too old, once a day while there is anything to forget.
    pub(super) fn clean(&mut self, now: Millis) -> Result<(), StoreError> {
        if self.marks.clean().is_none_or(|due| now < due) {
            return Ok(());
        }
        let ttl = self.limits().offline_ttl;
        let left = [self.log.clean(now)?, self.members.clean(now)?, self.followers.clean(now, ttl)?];
        self.marks.clean_at(left.contains(&true).then(|| now.plus(DAY)))
    }
}
