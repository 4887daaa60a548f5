//! What this room's sockets hear of other rooms: from `subscribe` to the last message.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Room;
use crate::code::Reject;
use crate::grants;
use crate::id::{ConnId, Cursor, RoomName, Seq};
use crate::link::{Call, Delivery, Passing, Reply};
use crate::members::{Absence, Who};
use crate::moment::Millis;
use crate::protocol::{ServerFrame, Start, Topic};
use crate::reach::Reach;
use crate::sql::{Sql, StoreError};
use crate::subscriptions::{Arrival, Begin, Wish};
use crate::turn::Turn;

/// How long, in milliseconds, a room is left alone that could not be read.
const PAUSE: u64 = 2_000;

impl<S: Sql> Room<S> {
    pub(super) fn subscribe(
        &mut self,
        turn: &mut Turn,
        conn: ConnId,
        room: &RoomName,
        cursor: Option<Cursor>,
    ) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get(&conn) else { return Ok(()) };
        if let Err(refusal) = grants::check(peer.session.rooms.as_ref(), room) {
            self.refuse_room(turn, conn, &refusal, room);
            return Ok(());
        }
        if *room == self.name {
            return self.subscribe_own(turn, conn, cursor);
        }
        let (reach, head) = (peer.session.reaches.get(room), self.subscriptions.cursor(room));
        match (reach, head, cursor) {
            (Some(Reach { seq, .. }), Some(Cursor { epoch, .. }), None) if self.subscriptions.hears(room, conn) => {
                self.subscribed(turn, conn, room, Start { epoch, seq, recovered: None });
                Ok(())
            }
            _ => self.await_room(turn, conn, room, cursor),
        }
    }

    /// Somebody wants to hear a room; it does as soon as that is followed.
    pub(super) fn await_room(
        &mut self,
        turn: &mut Turn,
        conn: ConnId,
        room: &RoomName,
        cursor: Option<Cursor>,
    ) -> Result<(), StoreError> {
        let want = self.want(room, conn, cursor, turn.moment.now)?;
        match self.subscriptions.add(room, conn, want) {
            Ok(()) => self.begin(turn, conn, room),
            Err(reject) => {
                self.refuse_room(turn, conn, &reject.into(), room);
                Ok(())
            }
        }
    }

    /// Lets somebody who waits begin, if the room is followed by now.
    fn begin(&mut self, turn: &mut Turn, conn: ConnId, room: &RoomName) -> Result<(), StoreError> {
        match self.subscriptions.begin(room, conn) {
            None => Ok(()),
            Some(Begin::Live(seq, recovered)) => self.begun(turn, conn, room, seq, recovered, false),
            Some(Begin::Read(..)) => {
                self.subscriptions.read_at(room, conn, turn.moment.now);
                Ok(())
            }
        }
    }

    /// Somebody hears a room from here on, and is told so; unless nobody asked, and nothing is lost.
    fn begun(
        &mut self,
        turn: &mut Turn,
        conn: ConnId,
        room: &RoomName,
        seq: Seq,
        recovered: Option<bool>,
        behind: bool,
    ) -> Result<(), StoreError> {
        let Some(Cursor { epoch, .. }) = self.subscriptions.cursor(room) else { return Ok(()) };
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        peer.session.reaches.set(room, Reach { seq, sure: seq, behind });
        turn.attach(peer.session.clone());
        self.subscriptions.told(room, &peer.session, seq)?;
        let (who, acks) = (peer.session.who(), peer.session.acks);
        self.note_begun(room, &who, acks, Cursor { epoch, seq }, behind, turn.moment.now)?;
        if !self.subscriptions.is_attended(room) || recovered == Some(false) {
            self.subscribed(turn, conn, room, Start { epoch, seq, recovered });
        }
        Ok(())
    }

    /// What is written of somebody's absence goes once nothing of it is needed: a subscription has a row of its own, which
    /// says where it began. Who is behind is not where the room as a whole is; and of a room that is only attended nothing
    /// else would say what somebody confirmed.
    fn note_begun(
        &self,
        room: &RoomName,
        who: &Who,
        acks: bool,
        cursor: Cursor,
        behind: bool,
        now: Millis,
    ) -> Result<(), StoreError> {
        if (acks && self.subscriptions.is_attended(room)) || (behind && !acks) {
            return self.members.depart(room, who, Absence { cursor, alive: None }, now);
        }
        if behind { Ok(()) } else { self.members.remove(room, who) }
    }

    pub(super) fn unsubscribe(&mut self, turn: &mut Turn, conn: ConnId, room: &RoomName) -> Result<(), StoreError> {
        self.subscriptions.remove(room, conn)?;
        if let Some(peer) = self.peers.get_mut(&conn) {
            let who = peer.session.who();
            peer.session.reaches.remove(room);
            turn.attach(peer.session.clone());
            if *room != self.name {
                self.members.remove(room, &who)?;
            }
        }
        self.tell(turn, [conn], &ServerFrame::Unsubscribed { topic: Topic::from(room), room });
        Ok(())
    }

    /// Says to other rooms what has to be said: whom to follow, what was missed, what they are owed.
    pub(super) fn call_rooms(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let (now, epoch) = (turn.moment.now, self.marks.epoch());
        for (room, wish) in self.subscriptions.wishes(now, |room| self.members.has_any(room, now))? {
            let (follower, asked) = (self.name.clone(), now);
            let call = match wish {
                Wish::Follow => Call::Follow { follower, asked },
                Wish::Rest => Call::Rest { follower, asked },
                Wish::Unfollow => Call::Unfollow { follower, asked },
            };
            turn.call(room, call);
        }
        for (room, conn) in self.subscriptions.reads(now) {
            match self.place_of(conn, &room) {
                Some((since, alive)) => turn.call(room, Call::Read { conn, since, alive }),
                None => self.subscriptions.read_done(&room, conn),
            }
        }
        let due = self.followers.deliveries(&self.name, epoch, &self.log, &self.config.limits, now)?;
        due.into_iter().for_each(|(room, call)| turn.call(room, call));
        Ok(())
    }

    /// After which message somebody goes on reading a room.
    pub(super) fn place_of(&mut self, conn: ConnId, room: &RoomName) -> Option<(Seq, Option<Millis>)> {
        if let Some(Begin::Read(seq, alive)) = self.subscriptions.begin(room, conn) {
            return Some((seq, alive));
        }
        let reach = self.peers.get(&conn)?.session.reaches.get(room).filter(|reach| reach.behind)?;
        Some((reach.seq, None))
    }

    /// The room is followed now: those who waited begin.
    pub(super) fn following(
        &mut self,
        turn: &mut Turn,
        room: &RoomName,
        head: Cursor,
        confirmed: Option<Seq>,
    ) -> Result<(), StoreError> {
        if let Some(seq) = confirmed {
            self.members.confirmed(room, Cursor { seq, ..head })?;
        }
        for conn in self.subscriptions.subscribers(room) {
            self.fall_behind(turn, conn, room, head)?;
        }
        for conn in self.subscriptions.following(room, head)? {
            let want = self.want(room, conn, None, turn.moment.now)?;
            self.subscriptions.rethink(room, conn, want);
            self.begin(turn, conn, room)?;
        }
        Ok(())
    }

    /// What somebody missed has come, or the first part of it.
    pub(super) fn page_came(
        &mut self,
        turn: &mut Turn,
        conn: ConnId,
        after: Seq,
        delivery: &Delivery,
        head: Seq,
    ) -> Result<(), StoreError> {
        let room = &delivery.from;
        self.subscriptions.read_done(room, conn);
        if self.subscriptions.waits(room, conn) {
            self.begun(turn, conn, room, after, Some(true), true)?;
        }
        let reach = self.peers.get(&conn).and_then(|peer| peer.session.reaches.get(room));
        let Some(reach) = reach.filter(|_| self.subscriptions.hears(room, conn)) else { return Ok(()) };
        if reach.seq == after {
            self.hand_on(turn, vec![conn], delivery, after);
        }
        let come = self.subscriptions.cursor(room).map_or(head, |cursor| cursor.seq.max(head));
        self.caught_up(turn, conn, room, come)
    }

    /// Somebody has read on: it is live if it has everything that has come so far, and else goes on reading.
    fn caught_up(&mut self, turn: &mut Turn, conn: ConnId, room: &RoomName, come: Seq) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let Some(mut reach) = peer.session.reaches.get(room) else { return Ok(()) };
        reach.behind = reach.seq < come;
        peer.session.reaches.set(room, reach);
        let noted = peer.session.acks && self.subscriptions.is_attended(room);
        if !reach.behind && !noted {
            self.members.remove(room, &peer.session.who())?;
        }
        turn.attach(peer.session.clone());
        if reach.behind && !peer.flow.is_stopped() {
            self.subscriptions.read_at(room, conn, turn.moment.now);
        }
        Ok(())
    }

    /// What somebody missed is lost for good: it hears what comes from now on.
    pub(super) fn page_lost(
        &mut self,
        turn: &mut Turn,
        conn: ConnId,
        room: &RoomName,
        head: Cursor,
    ) -> Result<(), StoreError> {
        self.subscriptions.read_done(room, conn);
        let come = self.subscriptions.cursor(room).filter(|come| come.epoch == head.epoch);
        let seq = come.map_or(head.seq, |come| come.seq.max(head.seq));
        self.begun(turn, conn, room, seq, Some(false), false)
    }

    /// The room could not be read. Who waited for the first page is told so; who is behind tries again.
    pub(super) fn page_failed(&mut self, turn: &mut Turn, conn: ConnId, room: &RoomName) -> Result<(), StoreError> {
        self.subscriptions.read_done(room, conn);
        if !self.subscriptions.waits(room, conn) || self.subscriptions.is_attended(room) {
            self.subscriptions.read_at(room, conn, turn.moment.now.plus(PAUSE));
            return Ok(());
        }
        self.refuse_room(turn, conn, &Reject::Unavailable.into(), room);
        self.fall_back(turn, conn, room)
    }

    /// Somebody who wanted to hear a room from another place cannot. If it heard it before, it goes on where it was.
    fn fall_back(&mut self, turn: &mut Turn, conn: ConnId, room: &RoomName) -> Result<(), StoreError> {
        let known = self.peers.get_mut(&conn).and_then(|peer| Some((peer.session.reaches.get(room)?, peer)));
        let Some((reach, peer)) = known else { return self.subscriptions.remove(room, conn).map(drop) };
        peer.session.reaches.set(room, Reach { behind: true, ..reach });
        turn.attach(peer.session.clone());
        self.subscriptions.told(room, &peer.session, reach.seq)?;
        self.subscriptions.read_at(room, conn, turn.moment.now.plus(PAUSE));
        Ok(())
    }

    /// Passes a followed room's messages on to those who subscribed to it.
    pub(super) fn pass_on(&mut self, turn: &mut Turn, delivery: &Delivery) -> Result<Reply, StoreError> {
        let (room, last) = (&delivery.from, delivery.last);
        let arrival = self.subscriptions.arrived(room, Cursor { epoch: delivery.epoch, seq: last });
        match arrival {
            Arrival::Unwanted => return Ok(Reply::NotFollowing),
            Arrival::Anew => self.start_anew(turn, delivery)?,
            Arrival::Early | Arrival::Wanted => {}
        }
        let mut groups: BTreeMap<Seq, Vec<ConnId>> = BTreeMap::new();
        for conn in self.subscriptions.subscribers(room) {
            if let Some(after) = self.ready_for(turn, conn, delivery)? {
                groups.entry(after).or_default().push(conn);
            }
        }
        groups.into_iter().for_each(|(after, conns)| self.hand_on(turn, conns, delivery, after));
        Ok(if arrival == Arrival::Early { Reply::Taken(last) } else { Reply::Confirmed(last) })
    }

    /// After which message somebody takes these, if it takes them as they come. Who is stopped, or has missed something
    /// before them, will read them.
    fn ready_for(&mut self, turn: &mut Turn, conn: ConnId, delivery: &Delivery) -> Result<Option<Seq>, StoreError> {
        let (room, last) = (&delivery.from, delivery.last);
        let Some(peer) = self.peers.get(&conn) else { return Ok(None) };
        let reach = peer.session.reaches.get(room).filter(|reach| !reach.behind && reach.seq < last);
        let Some(reach) = reach else { return Ok(None) };
        if !peer.flow.is_stopped() && delivery.first() <= reach.seq.next() {
            return Ok(Some(reach.seq));
        }
        self.fall_behind(turn, conn, room, Cursor { epoch: delivery.epoch, seq: last })?;
        Ok(None)
    }

    /// Somebody has not got everything up to `come`, and will read it, unless it does so already. That is written down,
    /// since the room as a whole has got it.
    fn fall_behind(&mut self, turn: &mut Turn, conn: ConnId, room: &RoomName, come: Cursor) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let reach = peer.session.reaches.get(room).filter(|reach| !reach.behind && reach.seq < come.seq);
        let Some(reach) = reach else { return Ok(()) };
        peer.session.reaches.set(room, Reach { behind: true, ..reach });
        turn.attach(peer.session.clone());
        if !peer.flow.is_stopped() {
            self.subscriptions.read_at(room, conn, turn.moment.now);
        }
        let absence = Absence { cursor: Cursor { seq: reach.seq, ..come }, alive: None };
        let (who, acks) = (peer.session.who(), peer.session.acks);
        if acks { Ok(()) } else { self.members.depart(room, &who, absence, turn.moment.now) }
    }

    /// The followed room's log was wiped: everybody is told, and hears what comes from here on.
    fn start_anew(&mut self, turn: &mut Turn, delivery: &Delivery) -> Result<(), StoreError> {
        let seq = Seq(delivery.first().0.saturating_sub(1));
        let conns = self.subscriptions.subscribers(&delivery.from);
        conns.into_iter().try_for_each(|conn| self.begun(turn, conn, &delivery.from, seq, Some(false), false))
    }

    /// Sends what comes after a message to those who have everything up to it.
    fn hand_on(&mut self, turn: &mut Turn, conns: Vec<ConnId>, delivery: &Delivery, after: Seq) {
        let news: Vec<(Seq, &str)> = delivery.frames().filter(|(seq, _)| after < *seq).collect();
        let frames: Vec<Rc<str>> = news.iter().map(|(_, frame)| (*frame).into()).collect();
        let sizes: Vec<(Seq, usize)> = news.iter().map(|(seq, frame)| (*seq, frame.len())).collect();
        self.spread(turn, conns.clone(), &frames);
        let (config, last, sent, now) = (self.config.clone(), delivery.last.max(after), self.sent(), turn.moment.now);
        for conn in conns {
            let Some(peer) = self.peers.get_mut(&conn) else { continue };
            peer.about_to_send(delivery.taken, now, sent, &config.limits);
            let Some(reach) = peer.session.reaches.get(&delivery.from) else { continue };
            peer.session.reaches.set(&delivery.from, Reach { seq: last, ..reach });
            peer.note_sent(&delivery.from, &sizes, &config.limits);
            peer.stop_if_full(sent);
            turn.attach(peer.session.clone());
        }
    }

    /// Passes on what is not kept, to whoever hears that room as it speaks.
    pub(super) fn pass_through(&self, turn: &mut Turn, passing: &Passing) -> Reply {
        let live = |conn: &ConnId| {
            let peer = self.peers.get(conn).filter(|peer| !peer.flow.is_stopped());
            peer.and_then(|peer| peer.session.reaches.get(&passing.from)).is_some_and(|reach| !reach.behind)
        };
        let conns = self.subscriptions.subscribers(&passing.from).into_iter().filter(live).collect();
        let frames: Vec<Rc<str>> = passing.frames().map(Rc::from).collect();
        self.spread(turn, conns, &frames);
        Reply::Done
    }

    /// Somebody who was stopped may be sent more, of every room that it hears.
    pub(super) fn read_on(&mut self, conn: ConnId, now: Millis) {
        let Some(peer) = self.peers.get(&conn) else { return };
        for room in self.subscriptions.heard_by(conn) {
            if peer.session.reaches.get(&room).is_some_and(|reach| reach.behind) {
                self.subscriptions.read_at(&room, conn, now);
            }
        }
    }
}
