//! The rooms that this room's sockets want to hear: each is followed once, however many sockets subscribed.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Reject;
use crate::id::{ConnId, Cursor, Epoch, RoomName, Seq};
use crate::members::{Absence, Who};
use crate::moment::Millis;
use crate::session::Session;
use crate::sql::{Sql, StoreError, Value, one};

/// One room that is followed, or about to be, or about to be let go.
#[derive(Debug)]
struct Upstream {
    /// Those who have been told that they are subscribed.
    subscribers: BTreeSet<ConnId>,
    /// Those who have not, and from where on they want to hear.
    waiting: BTreeMap<ConnId, Want>,
    /// What of its log has come so far, by whichever socket. The epoch is known once it is followed.
    epoch: Option<Epoch>,
    cursor: Seq,
    link: Link,
}

/// Where the following stands. Only one call is under way at a time, so that calls cannot overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Following,
    NotFollowing,
    /// If nothing is heard of it until then, it is asked again.
    AskedToFollow(Millis),
    /// The same.
    AskedToLetGo(Millis),
    /// It could not be reached, and is asked again at this time.
    Pausing(Millis),
}

/// How long a room that could not be reached is left alone, in milliseconds.
const PAUSE: u64 = 5_000;

/// When a question without a reply counts as lost, in milliseconds. It also wakes a room that was lost while it asked.
const PATIENCE: u64 = 30_000;

/// What has to be said to another room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Follow it.
    Follow,
    /// Let it go; somebody may come back for what is missed.
    Rest,
    /// Let it go.
    Unfollow,
}

/// From where on somebody wants to hear a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// From now on.
    Live,
    /// After what it has.
    From(Cursor),
    /// After what it had when it went.
    Back(Absence),
}

/// How somebody begins to hear a room that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At once, after that message; whether what it wanted beside could be had.
    Live(Seq, Option<bool>),
    /// With what it missed after that message, or after what it had heard by then.
    Read(Seq, Option<Millis>),
}

/// What becomes of messages that came from another room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// They go on to those who subscribed.
    Wanted,
    /// They do, to those who hear that room already; whoever waits for it has still to begin.
    Early,
    /// They do, and the room has begun a new life since the last.
    Anew,
    /// Nobody here wants that room.
    Unwanted,
}

/// A question for what a socket missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// If nothing is heard of it until then, it is asked again.
    Asked(Millis),
    Due(Millis),
}

/// A connection that was subscribed when the runtime was killed.
#[derive(Debug)]
pub struct Gone {
    /// To which room.
    pub room: RoomName,
    /// Whose it was.
    pub who: Who,
    /// From where on it had subscribed.
    pub cursor: Cursor,
    /// Whether it confirmed what it got.
    pub acks: bool,
}

/// All subscriptions of one room's sockets.
#[derive(Debug)]
pub struct Subscriptions<S> {
    sql: S,
    upstreams: BTreeMap<RoomName, Upstream>,
    reads: BTreeMap<(ConnId, RoomName), Read>,
    limit: usize,
    /// The room that all sockets attend without having subscribed.
    attended: Option<RoomName>,
}

impl<S: Sql> Subscriptions<S> {
    /// Loads the subscriptions of the sockets that are open, and says whose are gone. Each connection may have `limit`.
    pub fn open(sql: S, limit: usize, open: impl Fn(ConnId) -> bool) -> Result<(Self, Vec<Gone>), StoreError> {
        let mut this = Self { sql, upstreams: BTreeMap::new(), reads: BTreeMap::new(), limit, attended: None };
        let (mut gone, mut dead) = (Vec::new(), Vec::new());
        let statement =
            "SELECT room, conn, user, device, seq, acks, epoch FROM subscriptions JOIN upstreams USING (room)";
        for row in this.sql.exec(statement, &[])? {
            let Some((conn, it)) = subscription(row) else { continue };
            let known = || Upstream::new(Some(it.cursor.epoch));
            let upstream = this.upstreams.entry(it.room.clone()).or_insert_with(known);
            if open(conn) {
                upstream.subscribers.insert(conn);
            } else {
                dead.push((it.room.clone(), conn));
                gone.push(it);
            }
        }
        for (room, conn) in &dead {
            this.remove(room, *conn)?;
        }
        Ok((this, gone))
    }

    /// How many subscriptions there are, counted by connection.
    pub fn count(&self) -> usize {
        self.chosen().map(|(_, upstream)| upstream.subscribers.len() + upstream.waiting.len()).sum()
    }

    /// What a connection has subscribed to.
    pub fn of(&self, conn: ConnId) -> Vec<RoomName> {
        self.chosen().filter(|(_, upstream)| upstream.has(conn)).map(|(room, _)| room.clone()).collect()
    }

    /// What a connection hears from elsewhere, with or without having subscribed.
    pub fn heard_by(&self, conn: ConnId) -> Vec<RoomName> {
        let heard = self.upstreams.iter().filter(|(_, upstream)| upstream.has(conn));
        heard.map(|(room, _)| room.clone()).collect()
    }

    fn chosen(&self) -> impl Iterator<Item = (&RoomName, &Upstream)> {
        self.upstreams.iter().filter(|(room, _)| !self.is_attended(room))
    }

    /// The rooms that are followed, or are being asked.
    pub fn followed(&self) -> impl Iterator<Item = RoomName> {
        self.upstreams.keys().cloned()
    }

    /// Whether all sockets hear that room without having subscribed.
    pub fn is_attended(&self, room: &RoomName) -> bool {
        self.attended.as_ref() == Some(room)
    }

    /// Lets all sockets hear a room that they need not subscribe to. There is one such room; no row is written for a
    /// connection that hears it. These are open already.
    pub fn attend(&mut self, room: &RoomName, conns: impl IntoIterator<Item = ConnId>) -> Result<(), StoreError> {
        let rows = self.sql.exec("SELECT epoch FROM upstreams WHERE room = ?", &[room.into()])?;
        let epoch = one(rows).text().and_then(|epoch| epoch.parse().ok());
        let upstream = Upstream { subscribers: conns.into_iter().collect(), ..Upstream::new(epoch) };
        self.upstreams.insert(room.clone(), upstream);
        self.attended = Some(room.clone());
        Ok(())
    }

    /// A socket wants that room, from there on. It waits until it is [`Self::told`].
    pub fn add(&mut self, room: &RoomName, conn: ConnId, want: Want) -> Result<(), Reject> {
        let taken = self.of(conn).len();
        let known = self.upstreams.get(room).is_some_and(|upstream| upstream.has(conn));
        if taken >= self.limit && !known && !self.is_attended(room) {
            return Err(Reject::TooManySubscriptions);
        }
        let upstream = self.upstreams.entry(room.clone()).or_insert_with(|| Upstream::new(None));
        upstream.subscribers.remove(&conn);
        upstream.waiting.insert(conn, want);
        self.reads.remove(&(conn, room.clone()));
        Ok(())
    }

    /// How somebody who waits can begin, if the room is followed by now.
    pub fn begin(&mut self, room: &RoomName, conn: ConnId) -> Option<Begin> {
        let upstream = self.upstreams.get_mut(room).filter(|upstream| upstream.link == Link::Following)?;
        let now = Cursor { epoch: upstream.epoch?, seq: upstream.cursor };
        let want = upstream.waiting.get_mut(&conn)?;
        let begin = want.begin(now);
        if let Begin::Read(seq, alive) = begin {
            *want = Want::Back(Absence { cursor: Cursor { seq, ..now }, alive });
        }
        Some(begin)
    }

    /// What somebody who waits wants is known better now.
    pub fn rethink(&mut self, room: &RoomName, conn: ConnId, want: Want) {
        let waiting = self.upstreams.get_mut(room).and_then(|upstream| upstream.waiting.get_mut(&conn));
        if let Some(Want::Back(_)) = waiting.as_deref() {
            waiting.into_iter().for_each(|waiting| *waiting = want);
        }
    }

    /// Whether somebody has not been told yet that it is subscribed.
    pub fn waits(&self, room: &RoomName, conn: ConnId) -> bool {
        self.upstreams.get(room).is_some_and(|upstream| upstream.waiting.contains_key(&conn))
    }

    /// What has come of that room, if it is followed.
    pub fn cursor(&self, room: &RoomName) -> Option<Cursor> {
        let upstream = self.upstreams.get(room)?;
        Some(Cursor { epoch: upstream.epoch?, seq: upstream.cursor })
    }

    /// Whether somebody has been told that it is subscribed.
    pub fn hears(&self, room: &RoomName, conn: ConnId) -> bool {
        self.upstreams.get(room).is_some_and(|upstream| upstream.subscribers.contains(&conn))
    }

    /// Somebody who waited is told that it is subscribed, from there on: that survives the room's sleep.
    pub fn told(&mut self, room: &RoomName, session: &Session, from: Seq) -> Result<(), StoreError> {
        let conn = session.conn;
        let Some(upstream) = self.upstreams.get_mut(room) else { return Ok(()) };
        upstream.waiting.remove(&conn);
        if !upstream.subscribers.insert(conn) || self.is_attended(room) {
            return Ok(());
        }
        let statement = "INSERT OR REPLACE INTO subscriptions (room, conn, user, device, seq, acks)
            VALUES (?, ?, ?, ?, ?, ?)";
        let device = session.device.as_ref().map_or("", |device| device.as_str());
        let (user, acks) = ((&session.user).into(), u64::from(session.acks).into());
        self.sql.exec(statement, &[room.into(), (&conn).into(), user, device.into(), from.0.into(), acks]).map(drop)
    }

    /// Who hears that room.
    pub fn subscribers(&self, room: &RoomName) -> Vec<ConnId> {
        self.upstreams.get(room).map(|upstream| upstream.subscribers.iter().copied().collect()).unwrap_or_default()
    }

    /// A connection no longer wants that room. Says whether it had been told.
    pub fn remove(&mut self, room: &RoomName, conn: ConnId) -> Result<bool, StoreError> {
        self.reads.remove(&(conn, room.clone()));
        let told = self.upstreams.get_mut(room).is_some_and(|upstream| {
            upstream.waiting.remove(&conn);
            upstream.subscribers.remove(&conn)
        });
        if !self.is_attended(room) {
            let statement = "DELETE FROM subscriptions WHERE room = ? AND conn = ?";
            self.sql.exec(statement, &[room.into(), (&conn).into()])?;
        }
        Ok(told)
    }

    /// What has to be said to other rooms now, so that exactly the wanted ones are followed. `owes` says whether anybody
    /// may come back for what a room says meanwhile.
    pub fn wishes(
        &mut self,
        now: Millis,
        owes: impl Fn(&RoomName) -> Result<bool, StoreError>,
    ) -> Result<Vec<(RoomName, Wish)>, StoreError> {
        let idle = |link| matches!(link, Link::NotFollowing | Link::Pausing(_));
        self.upstreams.retain(|_, upstream| !idle(upstream.link) || upstream.has_any());
        let mut wishes = Vec::new();
        for (room, upstream) in &mut self.upstreams {
            match upstream.wish(now) {
                Some(Wish::Follow) => wishes.push((room.clone(), Wish::Follow)),
                Some(_) => {
                    self.sql.exec("DELETE FROM upstreams WHERE room = ?", &[room.into()])?;
                    wishes.push((room.clone(), if owes(room)? { Wish::Rest } else { Wish::Unfollow }));
                }
                None => {}
            }
        }
        Ok(wishes)
    }

    /// The room is followed from there on. Returns who waited for that.
    pub fn following(&mut self, room: &RoomName, head: Cursor) -> Result<Vec<ConnId>, StoreError> {
        let Some(upstream) = self.upstreams.get_mut(room) else { return Ok(Vec::new()) };
        let changed = upstream.epoch.replace(head.epoch).is_some_and(|epoch| epoch != head.epoch);
        upstream.cursor = if changed { head.seq } else { upstream.cursor.max(head.seq) };
        upstream.link = Link::Following;
        let statement = "INSERT INTO upstreams (room, epoch) VALUES (?, ?)
            ON CONFLICT (room) DO UPDATE SET epoch = excluded.epoch";
        self.sql.exec(statement, &[room.into(), (&head.epoch).into()])?;
        Ok(upstream.waiting.keys().copied().collect())
    }

    /// Whether a room is being asked to be followed since then. Replies to what was asked before are nobody's.
    pub fn awaits(&self, room: &RoomName, asked: Millis) -> bool {
        let asked = Link::AskedToFollow(asked.plus(PATIENCE));
        self.upstreams.get(room).is_some_and(|upstream| upstream.link == asked)
    }

    /// The room could not be asked to be followed. Returns who waited in vain; they are out.
    pub fn refused(&mut self, room: &RoomName, asked: Millis, now: Millis) -> Vec<ConnId> {
        let asked = Link::AskedToFollow(asked.plus(PATIENCE));
        let upstream = self.upstreams.get_mut(room).filter(|upstream| upstream.link == asked);
        let Some(upstream) = upstream else { return Vec::new() };
        upstream.link = Link::Pausing(now.plus(PAUSE));
        if self.attended.as_ref() == Some(room) {
            return Vec::new();
        }
        std::mem::take(&mut upstream.waiting).into_keys().collect()
    }

    /// The room is not followed any more, or will find out that it is not wanted.
    pub fn let_go(&mut self, room: &RoomName, asked: Millis) {
        let asked = Link::AskedToLetGo(asked.plus(PATIENCE));
        let upstream = self.upstreams.get_mut(room).filter(|upstream| upstream.link == asked);
        upstream.into_iter().for_each(|upstream| upstream.link = Link::NotFollowing);
    }

    /// Messages up to that one came from there. While a room is being asked it is wanted: somebody may want it yet, and a
    /// refusal would reach it after the asking.
    pub fn arrived(&mut self, room: &RoomName, last: Cursor) -> Arrival {
        let Some(upstream) = self.upstreams.get_mut(room).filter(|upstream| upstream.is_wanted()) else {
            return Arrival::Unwanted;
        };
        let anew = upstream.epoch.is_some_and(|epoch| epoch != last.epoch);
        if anew {
            upstream.epoch = Some(last.epoch);
        }
        upstream.cursor = if anew { last.seq } else { upstream.cursor.max(last.seq) };
        match upstream.link {
            _ if anew => Arrival::Anew,
            Link::Following => Arrival::Wanted,
            Link::NotFollowing | Link::AskedToFollow(_) | Link::AskedToLetGo(_) | Link::Pausing(_) => Arrival::Early,
        }
    }

    /// A socket was lost from memory before it began to hear a room: that is asked again, and the socket begins then.
    pub fn begin_again(&mut self, room: &RoomName, conn: ConnId, want: Want) {
        self.follow_again(room);
        if let Some(upstream) = self.upstreams.get_mut(room) {
            upstream.subscribers.remove(&conn);
            upstream.waiting.insert(conn, want);
        }
    }

    /// How far a room has come is not known: it is asked again.
    pub fn follow_again(&mut self, room: &RoomName) {
        self.upstreams.get_mut(room).into_iter().for_each(|upstream| upstream.link = Link::NotFollowing);
    }

    /// A socket that was asleep with the room had come this far.
    pub fn reached(&mut self, room: &RoomName, seq: Seq) {
        if let Some(upstream) = self.upstreams.get_mut(room) {
            upstream.cursor = upstream.cursor.max(seq);
        }
    }

    /// A socket has missed something, and wants to read it at that time.
    pub fn read_at(&mut self, room: &RoomName, conn: ConnId, due: Millis) {
        self.reads.insert((conn, room.clone()), Read::Due(due));
    }

    /// A socket has got what it asked for, or never will.
    pub fn read_done(&mut self, room: &RoomName, conn: ConnId) {
        self.reads.remove(&(conn, room.clone()));
    }

    /// What is to be asked for now. A room is asked once it is followed.
    pub fn reads(&mut self, now: Millis) -> Vec<(RoomName, ConnId)> {
        let due = |read: &Read| matches!(read, Read::Due(due) | Read::Asked(due) if *due <= now);
        let followed = |room: &RoomName| self.upstreams.get(room).is_some_and(|it| it.link == Link::Following);
        let mut asked = Vec::new();
        for ((conn, room), read) in self.reads.iter_mut().filter(|((_, room), read)| due(read) && followed(room)) {
            *read = Read::Asked(now.plus(PATIENCE));
            asked.push((room.clone(), *conn));
        }
        asked
    }

    /// When there is something to do, if nothing happens before.
    pub fn deadline(&self) -> Option<Millis> {
        let waits = |upstream: &Upstream| match upstream.link {
            Link::AskedToFollow(due) | Link::AskedToLetGo(due) | Link::Pausing(due) => Some(due),
            Link::Following | Link::NotFollowing => None,
        };
        let followed = |room: &RoomName| self.upstreams.get(room).is_some_and(|it| it.link == Link::Following);
        let due = |((_, room), read): (&(ConnId, RoomName), &Read)| match read {
            Read::Asked(due) | Read::Due(due) if followed(room) => Some(*due),
            Read::Asked(_) | Read::Due(_) => None,
        };
        self.upstreams.values().filter_map(waits).chain(self.reads.iter().filter_map(due)).min()
    }
}

impl Upstream {
    /// A room that is followed if its epoch is known.
    fn new(epoch: Option<Epoch>) -> Self {
        let link = if epoch.is_some() { Link::Following } else { Link::NotFollowing };
        Self { subscribers: BTreeSet::new(), waiting: BTreeMap::new(), epoch, cursor: Seq(0), link }
    }

    fn has(&self, conn: ConnId) -> bool {
        self.subscribers.contains(&conn) || self.waiting.contains_key(&conn)
    }

    fn has_any(&self) -> bool {
        !self.subscribers.is_empty() || !self.waiting.is_empty()
    }

    fn is_wanted(&self) -> bool {
        matches!(self.link, Link::AskedToFollow(_)) || self.has_any()
    }

    fn wish(&mut self, now: Millis) -> Option<Wish> {
        let patience = now.plus(PATIENCE);
        let (wish, link) = match (self.link, self.has_any()) {
            (Link::Pausing(due) | Link::AskedToFollow(due) | Link::AskedToLetGo(due), _) if now < due => return None,
            (Link::Following, true) | (Link::NotFollowing | Link::Pausing(_), false) => return None,
            (_, true) => (Wish::Follow, Link::AskedToFollow(patience)),
            (_, false) => (Wish::Unfollow, Link::AskedToLetGo(patience)),
        };
        self.link = link;
        Some(wish)
    }
}

impl Want {
    /// `now` is what has come of the room.
    fn begin(self, now: Cursor) -> Begin {
        let (cursor, alive) = match self {
            Self::Live => return Begin::Live(now.seq, None),
            Self::From(cursor) => (cursor, None),
            Self::Back(Absence { cursor, alive }) => (cursor, alive),
        };
        match cursor {
            Cursor { epoch, .. } if epoch != now.epoch => Begin::Live(now.seq, Some(false)),
            Cursor { seq, .. } if alive.is_none() && now.seq == seq => Begin::Live(seq, Some(true)),
            Cursor { seq, .. } => Begin::Read(seq, alive),
        }
    }
}

fn subscription(row: Vec<Value>) -> Option<(ConnId, Gone)> {
    let [room, conn, user, device, seq, acks, epoch] = <[Value; 7]>::try_from(row).ok()?;
    let who = Who { user: user.text()?.parse().ok()?, device: device.text()?.parse().ok() };
    let cursor = Cursor { epoch: epoch.text()?.parse().ok()?, seq: Seq(seq.number()?) };
    let gone = Gone { room: room.text()?.parse().ok()?, who, cursor, acks: acks.number()? > 0 };
    Some((ConnId(conn.text()?.parse().ok()?), gone))
}
