//! What can be seen of the world.

use cidadao_realtime::id::{ConnId, RoomName, Seq};
use cidadao_realtime::link::Call;
use cidadao_realtime::log::Log;
use cidadao_realtime::room::{Counts, Room};
use cidadao_realtime::turn::{Input, Turn};
use serde_json::Value;

use super::super::sql::Sqlite;
use super::{Flight, World, name};

impl World {
    /// The frames that came since this was last asked.
    pub(crate) fn frames(&mut self, conn: ConnId) -> Vec<Value> {
        let socket = self.sockets.get_mut(&conn).unwrap();
        let new = socket.frames[socket.read..].to_vec();
        socket.read = socket.frames.len();
        new
    }

    /// The published messages that ever came.
    pub(crate) fn messages(&self, conn: ConnId) -> Vec<(String, u64)> {
        let message = |frame: &Value| Some((frame["room"].as_str()?.to_owned(), frame["seq"].as_u64()?));
        self.sockets[&conn].frames.iter().filter_map(message).collect()
    }

    /// The places of the messages that ever came from that room.
    pub(crate) fn heard(&self, conn: ConnId, room: &str) -> Vec<u64> {
        self.messages(conn).into_iter().filter(|(from, _)| from == room).map(|(_, seq)| seq).collect()
    }

    pub(crate) fn home(&self, conn: ConnId) -> RoomName {
        self.sockets[&conn].home.clone()
    }

    pub(crate) fn is_open(&self, conn: ConnId) -> bool {
        self.places[&self.sockets[&conn].home].sessions.contains_key(&conn)
    }

    pub(crate) fn counts(&mut self, room: &str) -> Counts {
        let count = |room: &mut Room<Sqlite>, turn: &mut Turn| {
            room.handle(turn, Input::Woken)?;
            Ok(room.counts())
        };
        self.turn(&name(room), count).unwrap()
    }

    pub(crate) fn sql(&mut self, room: &str) -> Sqlite {
        self.place(&name(room)).sql.clone()
    }

    /// The places of the messages that the room's log has.
    pub(crate) fn logged(&mut self, room: &str) -> Vec<u64> {
        let limits = self.config.limits.clone();
        let Ok(log) = Log::open(self.sql(room), &limits) else { return Vec::new() };
        let entries = log.after(Seq(0), log.head(), usize::MAX, usize::MAX).unwrap();
        entries.into_iter().map(|entry| entry.seq.0).collect()
    }

    /// How many followers the room delivers to, as its storage says.
    pub(crate) fn followers(&mut self, room: &str) -> usize {
        self.sql(room).numbers("SELECT delivered FROM followers WHERE standing <> 'resting'").len()
    }

    /// How many calls of that sort were ever made to the room.
    pub(crate) fn called(&self, room: &str, sort: fn(&Call) -> bool) -> usize {
        let room = name(room);
        self.calls.iter().filter(|(_, to, call)| *to == room && sort(call)).count()
    }

    pub(crate) fn flights(&self) -> impl ExactSizeIterator<Item = &Flight> {
        self.flights.iter()
    }
}
