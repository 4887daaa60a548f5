//! Who is owed what: each device of a user, in this room and in those that it subscribed to from here.
//!
//! A row is written when somebody comes and when they go, not with every message: while a socket is open, the socket
//! knows how far it is.

use crate::id::{Cursor, Id, RoomName, Seq};
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value, one};

/// One device of one user. The devices that do not name themselves are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// Whose.
    pub user: Id,
    /// Which one.
    pub device: Option<Id>,
}

/// What is known of a member who is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// How far it is.
    pub cursor: Cursor,
    /// When it was last heard, if its connection broke: what it was sent later may not have arrived.
    pub alive: Option<Millis>,
}

/// A member of this very room, as far as it is written down.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who.
    pub who: Who,
    /// The newest message before it came.
    pub first: Seq,
    /// How far it is.
    pub cursor: Seq,
    /// Whether it confirms what it gets.
    pub acks: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Members<S> {
    sql: S,
    /// Milliseconds for which who has gone is still a member.
    ttl: u64,
}

impl<S: Sql> Members<S> {
    /// Opens the store.
    pub const fn open(sql: S, ttl: u64) -> Self {
        Self { sql, ttl }
    }

    /// Somebody opened a socket in this room, and hears what comes after `from`; first what it missed, if it is `behind`.
    pub fn arrive(&self, room: &RoomName, who: &Who, from: Cursor, acks: bool, behind: bool) -> Result<(), StoreError> {
        let statement = "INSERT INTO members (room, user, device, first, epoch, cursor, acks, behind, unsure, away)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0) ON CONFLICT (room, user, device) DO UPDATE SET epoch = excluded.epoch,
            cursor = excluded.cursor, alive = NULL, acks = excluded.acks, behind = excluded.behind, unsure = 0, away = 0";
        let (epoch, seq) = (Value::from(&from.epoch), Value::from(from.seq.0));
        let [room, user, device] = key(room, who);
        let [acks, behind] = [acks, behind].map(|flag| Value::from(u64::from(flag)));
        self.sql.exec(statement, &[room, user, device, seq.clone(), epoch, seq, acks, behind]).map(drop)
    }

    /// Somebody has been sent what it missed.
    pub fn caught_up(&self, room: &RoomName, who: &Who) -> Result<(), StoreError> {
        let statement = "UPDATE members SET behind = 0 WHERE room = ? AND user = ? AND device = ?";
        self.sql.exec(statement, &key(room, who)).map(drop)
    }

    /// The last socket of somebody has closed.
    pub fn depart(&self, room: &RoomName, who: &Who, absence: Absence, now: Millis) -> Result<(), StoreError> {
        let Absence { cursor: Cursor { epoch, seq }, alive } = absence;
        let (epoch, seq) = (Value::from(&epoch), Value::from(seq.0));
        let alive = alive.map_or(Value::Null, |alive| alive.0.into());
        let statement =
            "INSERT INTO members (room, user, device, first, epoch, cursor, alive, acks, behind, unsure, away)
            VALUES (?, ?, ?, 0, ?, ?, ?, 0, 0, 0, ?) ON CONFLICT (room, user, device) DO UPDATE SET
            epoch = excluded.epoch, cursor = excluded.cursor, alive = excluded.alive, unsure = 0, away = excluded.away";
        let [room, user, device] = key(room, who);
        self.sql.exec(statement, &[room, user, device, epoch, seq, alive, now.0.max(1).into()]).map(drop)
    }

    /// The runtime was killed: somebody who had subscribed to that room from here is not here. It has got everything up to
    /// there, and more unless it is to be taken at its word. Who was still reading what it had missed is known already.
    pub fn vanish(
        &self,
        room: &RoomName,
        who: &Who,
        from: Cursor,
        unsure: bool,
        now: Millis,
    ) -> Result<(), StoreError> {
        let statement =
            "INSERT OR IGNORE INTO members (room, user, device, first, epoch, cursor, acks, behind, unsure, away)
            VALUES (?, ?, ?, 0, ?, ?, 0, 0, ?, ?)";
        let (epoch, seq, unsure) = ((&from.epoch).into(), from.seq.0.into(), u64::from(unsure).into());
        let [room, user, device] = key(room, who);
        self.sql.exec(statement, &[room, user, device, epoch, seq, unsure, now.0.max(1).into()]).map(drop)
    }

    /// What is known of somebody who was here and is not, having gone not too long ago or without a trace.
    pub fn absence(&self, room: &RoomName, who: &Who, now: Millis) -> Result<Option<Absence>, StoreError> {
        let statement = "SELECT epoch, cursor, alive FROM members
            WHERE room = ? AND user = ? AND device = ? AND (away = 0 OR away > ?)";
        let [room, user, device] = key(room, who);
        let rows = self.sql.exec(statement, &[room, user, device, self.oldest(now)])?;
        Ok(rows.into_iter().next().and_then(absence))
    }

    /// Somebody is no member any more.
    pub fn remove(&self, room: &RoomName, who: &Who) -> Result<(), StoreError> {
        let statement = "DELETE FROM members WHERE room = ? AND user = ? AND device = ?";
        self.sql.exec(statement, &key(room, who)).map(drop)
    }

    /// A user is no member any more, with any device, of any room.
    pub fn expel(&self, user: &Id) -> Result<(), StoreError> {
        self.sql.exec("DELETE FROM members WHERE user = ?", &[user.into()]).map(drop)
    }

    /// The other rooms that somebody is a member of.
    pub fn elsewhere(&self, room: &RoomName) -> Result<Vec<RoomName>, StoreError> {
        let rows = self.sql.exec("SELECT DISTINCT room FROM members WHERE room <> ?", &[room.into()])?;
        Ok(rows.into_iter().filter_map(|row| one(vec![row]).text()?.parse().ok()).collect())
    }

    /// Whether anybody is owed messages of that room.
    pub fn has_any(&self, room: &RoomName, now: Millis) -> Result<bool, StoreError> {
        let statement = "SELECT 1 FROM members WHERE room = ? AND (away = 0 OR away > ?) LIMIT 1";
        Ok(one(self.sql.exec(statement, &[room.into(), self.oldest(now)])?).number().is_some())
    }

    /// Who is here, as far as is written down.
    pub fn here(&self, room: &RoomName) -> Result<Vec<Who>, StoreError> {
        let rows = self.sql.exec("SELECT user, device FROM members WHERE room = ? AND away = 0", &[room.into()])?;
        Ok(rows.into_iter().filter_map(who).collect())
    }

    /// The users of whom a device went after that, each with the last time.
    pub fn gone_since(&self, room: &RoomName, since: Millis) -> Result<Vec<(Id, Millis)>, StoreError> {
        let statement = "SELECT user, max(away) FROM members WHERE room = ? AND away > ? GROUP BY user";
        let rows = self.sql.exec(statement, &[room.into(), since.0.into()])?;
        Ok(rows.into_iter().filter_map(gone).collect())
    }

    /// A followed room says how far it had been confirmed to: whoever is owed its messages and may have got more than is
    /// written has got so much.
    pub fn confirmed(&self, room: &RoomName, at: Cursor) -> Result<(), StoreError> {
        let statement = "UPDATE members SET cursor = max(cursor, ?), unsure = 0
            WHERE room = ? AND unsure = 1 AND epoch = ?";
        self.sql.exec(statement, &[at.seq.0.into(), room.into(), (&at.epoch).into()]).map(drop)
    }

    /// The runtime was killed: whoever was here is not. They have got everything up to `floor`, unless they would say, or
    /// were still being sent what they had missed.
    pub fn abandon(&self, room: &RoomName, floor: Seq, now: Millis) -> Result<(), StoreError> {
        let statement =
            "UPDATE members SET away = ?, cursor = CASE acks + behind WHEN 0 THEN max(cursor, ?) ELSE cursor END
            WHERE room = ? AND away = 0";
        self.sql.exec(statement, &[now.0.max(1).into(), floor.0.into(), room.into()]).map(drop)
    }

    /// Those of this room, whether they are here or not.
    pub fn of(&self, room: &RoomName, now: Millis) -> Result<Vec<Member>, StoreError> {
        let statement =
            "SELECT user, device, first, cursor, acks FROM members WHERE room = ? AND (away = 0 OR away > ?)";
        let rows = self.sql.exec(statement, &[room.into(), self.oldest(now)])?;
        Ok(rows.into_iter().filter_map(member).collect())
    }

    /// Forgets who has been away for too long, and says whether anybody is left.
    pub fn clean(&self, now: Millis) -> Result<bool, StoreError> {
        self.sql.exec("DELETE FROM members WHERE away > 0 AND away <= ?", &[self.oldest(now)])?;
        Ok(one(self.sql.exec("SELECT 1 FROM members LIMIT 1", &[])?).number().is_some())
    }

    /// Who went then or before is forgotten.
    fn oldest(&self, now: Millis) -> Value {
        now.0.saturating_sub(self.ttl).into()
    }
}

fn key(room: &RoomName, who: &Who) -> [Value; 3] {
    [room.into(), (&who.user).into(), who.device.as_ref().map_or("", Id::as_str).into()]
}

fn who(row: Vec<Value>) -> Option<Who> {
    let [user, device] = <[Value; 2]>::try_from(row).ok()?;
    Some(Who { user: user.text()?.parse().ok()?, device: device.text()?.parse().ok() })
}

fn gone(row: Vec<Value>) -> Option<(Id, Millis)> {
    let [user, away] = <[Value; 2]>::try_from(row).ok()?;
    Some((user.text()?.parse().ok()?, Millis(away.number()?)))
}

fn absence(row: Vec<Value>) -> Option<Absence> {
    let [epoch, seq, alive] = <[Value; 3]>::try_from(row).ok()?;
    let cursor = Cursor { epoch: epoch.text()?.parse().ok()?, seq: Seq(seq.number()?) };
    Some(Absence { cursor, alive: alive.number().map(Millis) })
}

fn member(row: Vec<Value>) -> Option<Member> {
    let [user, device, first, cursor, acks] = <[Value; 5]>::try_from(row).ok()?;
    let who = who(vec![user, device])?;
    Some(Member { who, first: Seq(first.number()?), cursor: Seq(cursor.number()?), acks: acks.number()? > 0 })
}
