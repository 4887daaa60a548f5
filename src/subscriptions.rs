//! The rooms that this room's sockets want to hear: each is followed once, however many sockets subscribed.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Reject;
use crate::id::{ConnId, RoomName, Seq};
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value, one};

const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS subscriptions
        (room TEXT NOT NULL, conn TEXT NOT NULL, PRIMARY KEY (room, conn)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS upstreams (room TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID",
];

/// One room that is followed, or about to be, or about to be let go.
#[derive(Debug)]
struct Upstream {
    subscribers: BTreeSet<ConnId>,
    /// Those who have not been told yet that they are subscribed.
    waiting: BTreeSet<ConnId>,
    /// The newest message that came from there.
    cursor: Seq,
    link: Link,
}

/// Where the following stands. Only one call is under way at a time, so that calls cannot overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Following,
    NotFollowing,
    AskedToFollow,
    AskedToUnfollow,
    /// It could not be reached, and is asked again at this time.
    Resting(Millis),
}

/// How long a room that is attended and could not be reached is left alone, in milliseconds.
const REST: u64 = 5_000;

/// What has to be said to another room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Follow it.
    Follow,
    /// Let it go.
    Unfollow,
}

/// All subscriptions of one room's sockets.
#[derive(Debug)]
pub struct Subscriptions<S> {
    sql: S,
    upstreams: BTreeMap<RoomName, Upstream>,
    limit: usize,
    /// The room that all sockets attend without having subscribed.
    attended: Option<RoomName>,
}

impl<S: Sql> Subscriptions<S> {
    /// Loads the subscriptions; each connection may have `limit` of them.
    pub fn open(sql: S, limit: usize) -> Result<Self, StoreError> {
        SCHEMA.iter().try_for_each(|table| sql.exec(table, &[]).map(drop))?;
        let mut upstreams: BTreeMap<RoomName, Upstream> = BTreeMap::new();
        let statement = "SELECT room, conn, cursor FROM subscriptions LEFT JOIN upstreams USING (room)";
        for row in sql.exec(statement, &[])? {
            let Some((room, conn, cursor)) = subscription(row) else { continue };
            let upstream = upstreams.entry(room).or_insert_with(|| Upstream::new(Link::Following));
            upstream.subscribers.insert(conn);
            upstream.cursor = cursor;
        }
        Ok(Self { sql, upstreams, limit, attended: None })
    }

    /// The connections that have subscribed to anything.
    pub fn connections(&self) -> BTreeSet<ConnId> {
        self.upstreams.values().flat_map(|upstream| upstream.subscribers.iter().copied()).collect()
    }

    /// How many subscriptions there are, counted by connection.
    pub fn count(&self) -> usize {
        self.chosen().map(|(_, upstream)| upstream.subscribers.len()).sum()
    }

    /// What a connection has subscribed to.
    pub fn of(&self, conn: ConnId) -> Vec<RoomName> {
        let chosen = self.chosen().filter(|(_, upstream)| upstream.subscribers.contains(&conn));
        chosen.map(|(room, _)| room.clone()).collect()
    }

    fn chosen(&self) -> impl Iterator<Item = (&RoomName, &Upstream)> {
        self.upstreams.iter().filter(|(room, _)| self.attended.as_ref() != Some(room))
    }

    /// Lets connections hear a room that they need not subscribe to, and are not told of. There is one such room; that
    /// it is followed is known by its cursor, so that no row is written for a connection.
    pub fn attend(&mut self, room: &RoomName, conns: impl IntoIterator<Item = ConnId>) -> Result<(), StoreError> {
        if self.attended.is_none() {
            let cursor = one(self.sql.exec("SELECT cursor FROM upstreams WHERE room = ?", &[room.into()])?).number();
            let upstream = Upstream::new(if cursor.is_some() { Link::Following } else { Link::NotFollowing });
            self.upstreams.insert(room.clone(), Upstream { cursor: Seq(cursor.unwrap_or_default()), ..upstream });
            self.attended = Some(room.clone());
        }
        let upstream = self.upstreams.entry(room.clone()).or_insert_with(|| Upstream::new(Link::NotFollowing));
        upstream.subscribers.extend(conns);
        if upstream.subscribers.is_empty() {
            self.sql.exec("DELETE FROM upstreams WHERE room = ?", &[room.into()])?;
        }
        Ok(())
    }

    /// When a room that could not be reached is to be asked again.
    pub fn deadline(&self) -> Option<Millis> {
        let rests = |upstream: &Upstream| if let Link::Resting(due) = upstream.link { Some(due) } else { None };
        self.upstreams.values().filter_map(rests).min()
    }

    /// Who hears that room: those who have been told that they are subscribed.
    pub fn subscribers(&self, room: &RoomName) -> Vec<ConnId> {
        let told = |upstream: &Upstream| upstream.subscribers.difference(&upstream.waiting).copied().collect();
        self.upstreams.get(room).map(told).unwrap_or_default()
    }

    /// A connection wants that room. `Ok(Some(seq))` when it is being followed already: the answer can go at once.
    pub fn add(&mut self, room: &RoomName, conn: ConnId) -> Result<Result<Option<Seq>, Reject>, StoreError> {
        let taken = self.of(conn).len();
        let known = self.upstreams.get(room).is_some_and(|upstream| upstream.subscribers.contains(&conn));
        if taken >= self.limit && !known {
            return Ok(Err(Reject::TooManySubscriptions));
        }
        let upstream = self.upstreams.entry(room.clone()).or_insert_with(|| Upstream::new(Link::NotFollowing));
        upstream.subscribers.insert(conn);
        if upstream.link == Link::Following {
            let cursor = upstream.cursor;
            self.save(room, conn)?;
            return Ok(Ok(Some(cursor)));
        }
        upstream.waiting.insert(conn);
        Ok(Ok(None))
    }

    /// A connection no longer wants that room.
    pub fn remove(&mut self, room: &RoomName, conn: ConnId) -> Result<(), StoreError> {
        let Some(upstream) = self.upstreams.get_mut(room) else { return Ok(()) };
        upstream.waiting.remove(&conn);
        if upstream.subscribers.remove(&conn) {
            let statement = "DELETE FROM subscriptions WHERE room = ? AND conn = ?";
            self.sql.exec(statement, &[room.into(), (&conn).into()])?;
            if upstream.subscribers.is_empty() {
                self.sql.exec("DELETE FROM upstreams WHERE room = ?", &[room.into()])?;
            }
        }
        Ok(())
    }

    /// A connection is gone, and all its subscriptions with it.
    pub fn remove_all(&mut self, conn: ConnId) -> Result<(), StoreError> {
        let rooms: Vec<RoomName> = self.upstreams.keys().cloned().collect();
        rooms.iter().try_for_each(|room| self.remove(room, conn))
    }

    /// What has to be said to other rooms now, so that exactly the wanted ones are followed.
    pub fn wishes(&mut self, now: Millis) -> Vec<(RoomName, Wish)> {
        let idle = |link| matches!(link, Link::NotFollowing | Link::Resting(_));
        self.upstreams.retain(|_, upstream| !idle(upstream.link) || !upstream.subscribers.is_empty());
        self.upstreams.iter_mut().filter_map(|(room, upstream)| Some((room.clone(), upstream.wish(now)?))).collect()
    }

    /// The room is followed from `seq` on. Returns who waited to hear that, and the newest message before those that
    /// they get; from now on they survive the room's sleep.
    pub fn following(&mut self, room: &RoomName, seq: Seq) -> Result<(BTreeSet<ConnId>, Seq), StoreError> {
        let Some(upstream) = self.upstreams.get_mut(room) else { return Ok((BTreeSet::new(), seq)) };
        upstream.link = Link::Following;
        upstream.cursor = upstream.cursor.max(seq);
        let (waiting, cursor) = (std::mem::take(&mut upstream.waiting), upstream.cursor);
        waiting.iter().try_for_each(|conn| self.save(room, *conn))?;
        self.keep(room)?;
        Ok((waiting, cursor))
    }

    /// The room is not followed: it was let go, or it could not be reached. Returns who waited in vain; they are out.
    pub fn not_following(&mut self, room: &RoomName, now: Millis) -> Result<BTreeSet<ConnId>, StoreError> {
        let Some(upstream) = self.upstreams.get_mut(room) else { return Ok(BTreeSet::new()) };
        let refused = upstream.link == Link::AskedToFollow;
        upstream.link = Link::NotFollowing;
        if !refused {
            return Ok(BTreeSet::new());
        }
        upstream.link = Link::Resting(now.plus(REST));
        let waiting = std::mem::take(&mut upstream.waiting);
        waiting.iter().try_for_each(|conn| self.remove(room, *conn))?;
        Ok(waiting)
    }

    fn save(&self, room: &RoomName, conn: ConnId) -> Result<(), StoreError> {
        let statement = "INSERT OR IGNORE INTO subscriptions (room, conn) VALUES (?, ?)";
        self.sql.exec(statement, &[room.into(), (&conn).into()]).map(drop)
    }

    /// Writes down how far that room's messages came, so that none is passed on again after a sleep.
    pub fn keep(&self, room: &RoomName) -> Result<(), StoreError> {
        let Some(upstream) = self.upstreams.get(room).filter(|upstream| !upstream.subscribers.is_empty()) else {
            return Ok(());
        };
        let statement = "INSERT INTO upstreams (room, cursor) VALUES (?, ?)
            ON CONFLICT (room) DO UPDATE SET cursor = excluded.cursor";
        self.sql.exec(statement, &[room.into(), upstream.cursor.0.into()]).map(drop)
    }

    /// Whether a message from there is news, and to be passed on. `None` when nobody here wants that room; while it is
    /// being asked, somebody may yet, and a refusal would reach it after the asking.
    pub fn take(&mut self, room: &RoomName, seq: Seq) -> Option<bool> {
        let upstream = self.upstreams.get_mut(room).filter(|upstream| upstream.is_wanted())?;
        let news = upstream.cursor < seq;
        upstream.cursor = upstream.cursor.max(seq);
        Some(news)
    }
}

impl Upstream {
    const fn new(link: Link) -> Self {
        Self { subscribers: BTreeSet::new(), waiting: BTreeSet::new(), cursor: Seq(0), link }
    }

    fn is_wanted(&self) -> bool {
        self.link == Link::AskedToFollow || !self.subscribers.is_empty()
    }

    fn wish(&mut self, now: Millis) -> Option<Wish> {
        let (wish, link) = match (self.link, self.subscribers.is_empty()) {
            (Link::Resting(due), false) if now < due => return None,
            (Link::NotFollowing | Link::Resting(_), false) => (Wish::Follow, Link::AskedToFollow),
            (Link::Following, true) => (Wish::Unfollow, Link::AskedToUnfollow),
            _ => return None,
        };
        self.link = link;
        Some(wish)
    }
}

fn subscription(row: Vec<Value>) -> Option<(RoomName, ConnId, Seq)> {
    let [room, conn, cursor] = <[Value; 3]>::try_from(row).ok()?;
    let cursor = Seq(cursor.number().unwrap_or_default());
    Some((room.text()?.parse().ok()?, ConnId(conn.text()?.parse().ok()?), cursor))
}
