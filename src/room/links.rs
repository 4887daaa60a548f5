//! What rooms ask of each other, and what they do with the replies.

use std::rc::Rc;

use super::Room;
use crate::code::Reject;
use crate::connections::ON_ITS_WAY;
use crate::followers::Return;
use crate::id::{ConnId, Cursor, Kind, RoomName, Seq};
use crate::link::{Call, Delivery, Reply};
use crate::moment::Millis;
use crate::session::Session;
use crate::sql::{Sql, StoreError};
use crate::tickets::Rights;
use crate::turn::Turn;

impl<S: Sql> Room<S> {
    /// Takes another room's call.
    pub fn take_call(&mut self, turn: &mut Turn, call: Call) -> Result<Reply, StoreError> {
        let now = turn.moment.now;
        let reply = match call {
            Call::Alive { conns } => Reply::Alive(self.of(conns)),
            Call::Deliver(delivery) => self.pass_on(turn, &delivery)?,
            Call::Disconnect { bar } => self.disconnect(turn, bar)?,
            Call::Follow { follower, asked } => self.follow(turn, follower, asked)?,
            Call::HangUp { conns } => self.hang_up(turn, conns)?,
            Call::Issue(rights) => self.issue(turn, &rights)?,
            Call::Pass(passing) => self.pass_through(turn, &passing),
            Call::Read { since, alive, .. } => self.read(since, alive)?,
            Call::Redeem { secret } => self.redeem(turn, &secret)?,
            Call::Release { conn } => self.connections.remove(conn).map(|()| Reply::Done)?,
            Call::Reserve { conn, room } => self.reserve(turn, conn, room)?,
            Call::Rest { follower, asked } => {
                self.followers.pause(&follower, asked, now).map(|()| Reply::NotFollowing)?
            }
            Call::Unfollow { follower, asked } => {
                self.followers.leave(&follower, asked).map(|()| Reply::NotFollowing)?
            }
        };
        self.settle(turn)?;
        Ok(reply)
    }

    /// Something came of a call to another room.
    pub(super) fn returned(
        &mut self,
        turn: &mut Turn,
        room: &RoomName,
        call: &Call,
        reply: Option<Reply>,
    ) -> Result<(), StoreError> {
        match call {
            Call::Follow { asked, .. } => self.follow_returned(turn, room, *asked, reply),
            Call::Rest { asked, .. } | Call::Unfollow { asked, .. } => {
                self.subscriptions.let_go(room, *asked);
                Ok(())
            }
            Call::Read { conn, since, alive } if self.place_of(*conn, room) == Some((*since, *alive)) => {
                self.page_returned(turn, *conn, room, reply)
            }
            Call::Deliver(sent) => self.delivered(turn, room, sent, reply),
            Call::Alive { conns } => self.bury(conns, reply),
            // A farewell that got lost is made up for when the user's connections are counted. Nobody waits for the others.
            Call::Read { .. }
            | Call::Pass(_)
            | Call::Disconnect { .. }
            | Call::HangUp { .. }
            | Call::Issue(_)
            | Call::Redeem { .. }
            | Call::Release { .. }
            | Call::Reserve { .. } => Ok(()),
        }
    }

    fn follow_returned(
        &mut self,
        turn: &mut Turn,
        room: &RoomName,
        asked: Millis,
        reply: Option<Reply>,
    ) -> Result<(), StoreError> {
        match reply {
            Some(Reply::Following { head, confirmed }) if self.subscriptions.awaits(room, asked) => {
                self.following(turn, room, head, confirmed)?;
            }
            Some(Reply::Following { .. }) => {}
            _ => {
                for conn in self.subscriptions.refused(room, asked, turn.moment.now) {
                    self.refuse_room(turn, conn, &Reject::Unavailable.into(), room);
                }
            }
        }
        Ok(())
    }

    fn page_returned(
        &mut self,
        turn: &mut Turn,
        conn: ConnId,
        room: &RoomName,
        reply: Option<Reply>,
    ) -> Result<(), StoreError> {
        match reply {
            Some(Reply::Page { after, delivery, head }) => self.page_came(turn, conn, after, &delivery, head),
            Some(Reply::Lost(head)) => self.page_lost(turn, conn, room, head),
            _ => self.page_failed(turn, conn, room),
        }
    }

    fn delivered(
        &mut self,
        turn: &Turn,
        room: &RoomName,
        sent: &Rc<Delivery>,
        reply: Option<Reply>,
    ) -> Result<(), StoreError> {
        let (head, now) = (self.log.head(), turn.moment.now);
        let reply = match reply {
            Some(Reply::Confirmed(seq)) => Return::Confirmed(seq),
            Some(Reply::Taken(seq)) => Return::Taken(seq),
            Some(Reply::NotFollowing) => Return::Unwanted,
            _ => return self.followers.failed(room, sent, now),
        };
        self.followers.returned(room, sent, reply, head, now)
    }

    /// Counts no longer the connections that their room does not know.
    fn bury(&mut self, conns: &[ConnId], reply: Option<Reply>) -> Result<(), StoreError> {
        let Some(Reply::Alive(alive)) = reply else { return Ok(()) };
        let dead = conns.iter().filter(|conn| !alive.contains(conn));
        dead.copied().try_for_each(|conn| self.connections.remove(conn))
    }

    /// Counts one more connection of the user, unless it may not be opened.
    fn reserve(&mut self, turn: &mut Turn, conn: ConnId, room: RoomName) -> Result<Reply, StoreError> {
        match self.refuse_connection(turn) {
            Some(reject) => Ok(Reply::Refused(reject)),
            None => self.connections.add(conn, room).map(|()| Reply::Done),
        }
    }

    /// Whether the user may open no further connection, and why. At the limit, the other rooms are asked which of those
    /// that are counted are still open: one that crashed did not say goodbye.
    pub(super) fn refuse_connection(&mut self, turn: &mut Turn) -> Option<Reject> {
        if self.connections.is_barred(turn.moment.now) {
            return Some(Reject::Barred);
        }
        if self.peers.len() + self.connections.count() < self.limits().connections_per_user {
            return None;
        }
        for (room, conns) in self.connections.to_be_asked(turn.moment.now) {
            turn.call(room, Call::Alive { conns });
        }
        Some(Reject::TooManyConnections)
    }

    /// Has a connection's user count it no more.
    pub(super) fn release(&self, turn: &mut Turn, session: &Session) {
        if self.name.kind() != Kind::User {
            turn.call(RoomName::new(Kind::User, session.user.clone()), Call::Release { conn: session.conn });
        }
    }

    /// Closes connections, now or when they come.
    fn hang_up(&mut self, turn: &mut Turn, conns: Vec<ConnId>) -> Result<Reply, StoreError> {
        let now = turn.moment.now;
        self.hung_up.retain(|_, until| now < *until);
        self.hung_up.extend(conns.iter().map(|conn| (*conn, now.plus(ON_ITS_WAY))));
        let open = self.of(conns);
        open.iter().try_for_each(|conn| self.end(turn, *conn, Reject::Disconnected))?;
        Ok(Reply::HungUp(open.len()))
    }

    /// Closes all of the user's sockets here, and says where there are more.
    fn disconnect(&mut self, turn: &mut Turn, bar: Option<u64>) -> Result<Reply, StoreError> {
        if self.name.kind() != Kind::User {
            return Ok(Reply::Elsewhere { closed: 0, rooms: Vec::new() });
        }
        if let Some(bar) = bar {
            self.connections.bar(turn.moment.now.plus(bar))?;
        }
        let open: Vec<ConnId> = self.peers.keys().copied().collect();
        open.iter().try_for_each(|conn| self.end(turn, *conn, Reject::Disconnected))?;
        Ok(Reply::Elsewhere { closed: open.len(), rooms: self.connections.by_room().into_iter().collect() })
    }

    /// Gives the user a ticket.
    fn issue(&self, turn: &mut Turn, rights: &Rights) -> Result<Reply, StoreError> {
        let (now, limits, secret) = (turn.moment.now, self.limits(), turn.moment.secret());
        let until = now.plus(limits.ticket_lifetime);
        let issued = self.tickets.issue(now, until, &secret, rights, limits.tickets_per_user)?;
        Ok(if issued { Reply::Issued(secret) } else { Reply::Refused(Reject::RateLimit) })
    }

    /// Uses a ticket up that somebody brings.
    fn redeem(&self, turn: &Turn, secret: &str) -> Result<Reply, StoreError> {
        let rights = self.tickets.redeem(turn.moment.now, secret)?;
        Ok(rights.map_or(Reply::Refused(Reject::InvalidToken), Reply::Redeemed))
    }

    /// Those of these connections that are open here.
    fn of(&self, conns: Vec<ConnId>) -> Vec<ConnId> {
        conns.into_iter().filter(|conn| self.peers.contains_key(conn)).collect()
    }

    /// Takes a follower. What it missed meanwhile its sockets read; it is delivered what comes from now on.
    fn follow(&mut self, turn: &Turn, follower: RoomName, asked: Millis) -> Result<Reply, StoreError> {
        self.remember_to_clean(turn.moment.now)?;
        let (seq, confirmed) = self.followers.add(follower, self.log.head(), asked, turn.moment.now)?;
        Ok(Reply::Following { head: Cursor { epoch: self.marks.epoch(), seq }, confirmed })
    }

    /// Reads to a follower what one of its sockets missed.
    fn read(&self, since: Seq, alive: Option<Millis>) -> Result<Reply, StoreError> {
        let (epoch, head) = (self.marks.epoch(), self.log.head());
        let after = self.heard_by_then(since, alive)?;
        if !self.log.reaches(after) {
            return Ok(Reply::Lost(Cursor { epoch, seq: head }));
        }
        let delivery = Delivery::new(self.name.clone(), epoch, head, self.page(after, head)?);
        Ok(Reply::Page { after, delivery, head })
    }
}
