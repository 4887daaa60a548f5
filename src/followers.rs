//! The rooms that want this room's messages. Each has a cursor; what lies between it and the log's head is owed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use crate::id::{RoomName, Seq};
use crate::limits::Limits;
use crate::link::{Call, Delivery};
use crate::log::Log;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value};

const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS followers (room TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID";

/// First pause after a failed delivery, in milliseconds; it doubles with every further one.
const RETRY_MIN: u64 = 1_000;
/// Longest pause.
const RETRY_MAX: u64 = 60_000;
/// When a delivery without an answer counts as failed. It also wakes a room that was killed while it delivered.
const PATIENCE: u64 = 30_000;

/// How far one follower is.
#[derive(Debug)]
struct Follower {
    confirmed: Seq,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is under way: what is owed can go.
    Ready,
    /// This is under way. If nothing is heard of it until `due`, it failed.
    Delivering { delivery: Rc<Delivery>, failures: u32, due: Millis },
    /// The last delivery failed: the next goes when it is `due`.
    Resting { failures: u32, due: Millis },
}

/// All followers of one room.
#[derive(Debug)]
pub struct Followers<S> {
    sql: S,
    rooms: BTreeMap<RoomName, Follower>,
}

impl<S: Sql> Followers<S> {
    /// Loads the followers.
    pub fn open(sql: S) -> Result<Self, StoreError> {
        sql.exec(SCHEMA, &[])?;
        let rows = sql.exec("SELECT room, cursor FROM followers", &[])?;
        Ok(Self { sql, rooms: rows.into_iter().filter_map(follower).collect() })
    }

    /// Takes a follower that is owed what comes after `head`. One that is here already keeps its cursor, and what was
    /// under way to it no longer counts: it was sent to a follower that had left.
    pub fn add(&mut self, room: RoomName, head: Seq) -> Result<Seq, StoreError> {
        if let Some(known) = self.rooms.get_mut(&room) {
            known.state = State::Ready;
            return Ok(known.confirmed);
        }
        self.save(&room, head)?;
        self.rooms.insert(room, Follower { confirmed: head, state: State::Ready });
        Ok(head)
    }

    /// Forgets a follower.
    pub fn remove(&mut self, room: &RoomName) -> Result<(), StoreError> {
        if self.rooms.remove(room).is_some() {
            self.sql.exec("DELETE FROM followers WHERE room = ?", &[room.into()])?;
        }
        Ok(())
    }

    /// The deliveries that can go now. Followers at the same cursor share one.
    pub fn deliveries(
        &mut self,
        from: &RoomName,
        log: &Log<S>,
        limits: &Limits,
        now: Millis,
    ) -> Result<Vec<(RoomName, Call)>, StoreError> {
        let mut shared: BTreeMap<Seq, Rc<Delivery>> = BTreeMap::new();
        let mut calls = Vec::new();
        for (room, follower) in self.rooms.iter_mut().filter(|(_, follower)| follower.confirmed < log.head()) {
            let Some(failures) = follower.state.go(now) else { continue };
            let delivery = match shared.entry(follower.confirmed) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(vacant) => {
                    let entries = log.after(follower.confirmed, limits.messages_per_delivery, limits.delivery_chars)?;
                    vacant.insert(Rc::new(Delivery::new(from.clone(), entries))).clone()
                }
            };
            follower.state = State::Delivering { delivery: delivery.clone(), failures, due: now.plus(PATIENCE) };
            calls.push((room.clone(), Call::Deliver(delivery)));
        }
        Ok(calls)
    }

    /// A delivery came back: the follower has everything up to `Some(seq)`, or wants no more (`None`).
    pub fn returned(&mut self, room: &RoomName, sent: &Rc<Delivery>, seq: Option<Seq>) -> Result<(), StoreError> {
        let Some(follower) = self.awaiting(room, sent) else { return Ok(()) };
        let Some(seq) = seq else { return self.remove(room) };
        follower.state = State::Ready;
        follower.confirmed = follower.confirmed.max(seq);
        let cursor = follower.confirmed;
        self.save(room, cursor)
    }

    /// A delivery failed: it is tried again, later each time.
    pub fn failed(&mut self, room: &RoomName, sent: &Rc<Delivery>, now: Millis) {
        let Some(follower) = self.awaiting(room, sent) else { return };
        if let State::Delivering { failures, .. } = follower.state {
            let pause = RETRY_MIN.saturating_mul(1 << failures.min(16)).min(RETRY_MAX);
            follower.state = State::Resting { failures: failures.saturating_add(1), due: now.plus(pause) };
        }
    }

    /// When there is something to do, if nothing happens before.
    pub fn deadline(&self) -> Option<Millis> {
        let due = |follower: &Follower| match follower.state {
            State::Delivering { due, .. } | State::Resting { due, .. } => Some(due),
            State::Ready => None,
        };
        self.rooms.values().filter_map(due).min()
    }

    /// The follower, if it is this delivery that it is being sent.
    fn awaiting(&mut self, room: &RoomName, sent: &Rc<Delivery>) -> Option<&mut Follower> {
        let awaits = |state: &State| matches!(state, State::Delivering { delivery, .. } if Rc::ptr_eq(delivery, sent));
        self.rooms.get_mut(room).filter(|follower| awaits(&follower.state))
    }

    fn save(&self, room: &RoomName, cursor: Seq) -> Result<(), StoreError> {
        let statement = "INSERT INTO followers (room, cursor) VALUES (?, ?)
            ON CONFLICT (room) DO UPDATE SET cursor = excluded.cursor";
        self.sql.exec(statement, &[room.into(), cursor.0.into()]).map(drop)
    }
}

impl State {
    /// How often the last delivery failed, if the next may go now.
    fn go(&self, now: Millis) -> Option<u32> {
        match *self {
            Self::Ready => Some(0),
            Self::Delivering { failures, due, .. } if due <= now => Some(failures.saturating_add(1)),
            Self::Resting { failures, due } if due <= now => Some(failures),
            Self::Delivering { .. } | Self::Resting { .. } => None,
        }
    }
}

fn follower(row: Vec<Value>) -> Option<(RoomName, Follower)> {
    let [room, cursor] = <[Value; 2]>::try_from(row).ok()?;
    let follower = Follower { confirmed: Seq(cursor.number()?), state: State::Ready };
    Some((room.text()?.parse().ok()?, follower))
}
