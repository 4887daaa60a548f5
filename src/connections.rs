//! The connections of one user, in whatever room they are: the user's own room counts them, and can end them all.

use std::collections::BTreeMap;

use crate::id::{ConnId, RoomName};
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value, one};

/// The user's connections in other rooms, as those rooms reported them, and until when the user is barred.
///
/// A room that crashed reports nothing. Its connections are found out when the limit is reached: then the rooms are asked.
#[derive(Debug)]
pub struct Connections<S> {
    sql: S,
    elsewhere: BTreeMap<ConnId, RoomName>,
    barred_until: Millis,
    /// When the other rooms may be asked again.
    ask_after: Millis,
}

/// How long, in milliseconds, a connection may be on its way: its room cannot be asked for it yet.
pub(crate) const ON_ITS_WAY: u64 = 10_000;

/// How long, in milliseconds, nobody is asked again: who is refused again and again must not make others work.
const ASK_PAUSE: u64 = 5_000;

impl<S: Sql> Connections<S> {
    /// Loads what is known.
    pub fn open(sql: S) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT conn, room FROM connections", &[])?;
        let until = one(sql.exec("SELECT until FROM bar", &[])?).number().unwrap_or_default();
        Ok(Self {
            sql,
            elsewhere: rows.into_iter().filter_map(connection).collect(),
            barred_until: Millis(until),
            ask_after: Millis(0),
        })
    }

    /// How many there are in other rooms.
    pub fn count(&self) -> usize {
        self.elsewhere.len()
    }

    /// Whether the user may open none.
    pub fn is_barred(&self, now: Millis) -> bool {
        now < self.barred_until
    }

    /// Counts one more.
    pub fn add(&mut self, conn: ConnId, room: RoomName) -> Result<(), StoreError> {
        let statement = "INSERT OR IGNORE INTO connections (conn, room) VALUES (?, ?)";
        self.sql.exec(statement, &[(&conn).into(), (&room).into()])?;
        self.elsewhere.insert(conn, room);
        Ok(())
    }

    /// Counts one less.
    pub fn remove(&mut self, conn: ConnId) -> Result<(), StoreError> {
        if self.elsewhere.remove(&conn).is_some() {
            self.sql.exec("DELETE FROM connections WHERE conn = ?", &[(&conn).into()])?;
        }
        Ok(())
    }

    /// The rooms that are to be asked now which of these connections are still open.
    pub fn to_be_asked(&mut self, now: Millis) -> BTreeMap<RoomName, Vec<ConnId>> {
        if now < self.ask_after {
            return BTreeMap::new();
        }
        self.ask_after = now.plus(ASK_PAUSE);
        let mut rooms = self.by_room();
        let there = |conn: &ConnId| conn.admitted().is_none_or(|admitted| admitted.plus(ON_ITS_WAY) <= now);
        rooms.values_mut().for_each(|conns| conns.retain(there));
        rooms.retain(|_, conns| !conns.is_empty());
        rooms
    }

    /// Which connections are counted in which room.
    pub fn by_room(&self) -> BTreeMap<RoomName, Vec<ConnId>> {
        let mut rooms: BTreeMap<RoomName, Vec<ConnId>> = BTreeMap::new();
        for (conn, room) in &self.elsewhere {
            rooms.entry(room.clone()).or_default().push(*conn);
        }
        rooms
    }

    /// Bars the user until then; a time that has passed lifts the bar.
    pub fn bar(&mut self, until: Millis) -> Result<(), StoreError> {
        let statement =
            "INSERT INTO bar (one, until) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET until = excluded.until";
        self.sql.exec(statement, &[until.0.into()])?;
        self.barred_until = until;
        Ok(())
    }
}

fn connection(row: Vec<Value>) -> Option<(ConnId, RoomName)> {
    let [conn, room] = <[Value; 2]>::try_from(row).ok()?;
    Some((ConnId(conn.text()?.parse().ok()?), room.text()?.parse().ok()?))
}
