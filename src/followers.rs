//! The rooms that want this room's messages. Each has a cursor; what lies between it and the log's head is owed.
//!
//! A cursor is written when it cannot be told otherwise: when a follower comes, fails, recovers or rests. While all goes
//! well, one note for all of them says how far they are, and it costs nothing, since it goes with the next message.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use crate::id::{Epoch, RoomName, Seq};
use crate::limits::{DAY, Limits};
use crate::link::{Call, Delivery};
use crate::log::Log;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value};

/// First pause after a failed delivery, in milliseconds; it doubles with every further one.
const RETRY_MIN: u64 = 1_000;
/// Longest pause.
const RETRY_MAX: u64 = 60_000;
/// When a delivery without a reply counts as failed. It also wakes a room that was killed while it delivered.
const PATIENCE: u64 = 30_000;

/// How one follower is doing, as it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It gets everything, and is at least as far as the note for all says.
    Current,
    /// A delivery failed: it is as far as its own row says.
    Lagging,
    /// Nobody there wants anything for now; what they missed they will come and read.
    Resting,
}

/// How far one follower is.
#[derive(Debug)]
struct Follower {
    /// Everything up to this is there.
    delivered: Seq,
    /// Everything up to this was sent on, to whoever heard this room then.
    confirmed: Seq,
    standing: Standing,
    /// When that was written down.
    since: Millis,
    /// When it last asked for this room's messages.
    asked: Millis,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is under way: what is owed can go.
    Ready,
    /// This is under way. If nothing is heard of it until `due`, it failed.
    Delivering { delivery: Rc<Delivery>, failures: u32, due: Millis },
    /// The last delivery failed: the next goes when it is `due`.
    Pausing { failures: u32, due: Millis },
}

/// What a follower says to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// It has everything up to there, and has sent it on.
    Confirmed(Seq),
    /// It has everything up to there.
    Taken(Seq),
    /// It wants no more for now.
    Unwanted,
}

/// How far the followers are, for a publisher who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Those that have not got a message.
    pub queued: usize,
    /// Those that have.
    pub delivered: usize,
}

/// All followers of one room.
#[derive(Debug)]
pub struct Followers<S> {
    sql: S,
    rooms: BTreeMap<RoomName, Follower>,
}

impl<S: Sql> Followers<S> {
    /// Loads the followers. All that are current had confirmed `settled`.
    pub fn open(sql: S, settled: Seq) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT room, delivered, confirmed, standing, since, asked FROM followers", &[])?;
        let mut rooms: BTreeMap<RoomName, Follower> = rows.into_iter().filter_map(follower).collect();
        let behind = |follower: &&mut Follower| follower.standing == Standing::Current && follower.delivered < settled;
        rooms.values_mut().filter(behind).for_each(|it| (it.delivered, it.confirmed) = (settled, settled));
        Ok(Self { sql, rooms })
    }

    /// Takes a follower that is owed what comes after `head`; one that is being delivered to goes on where it is. Returns
    /// after which message deliveries come, and what it had confirmed, if it was here before. What was under way to it no
    /// longer counts: it was sent to a follower that had left.
    pub fn add(
        &mut self,
        room: RoomName,
        head: Seq,
        asked: Millis,
        now: Millis,
    ) -> Result<(Seq, Option<Seq>), StoreError> {
        let known = self.rooms.get(&room).map(|known| (known.standing, known.delivered, known.confirmed));
        let (standing, delivered, confirmed) = match known {
            Some((Standing::Resting, _, confirmed)) => (Standing::Current, head, confirmed),
            Some(known) => known,
            None => (Standing::Current, head, head),
        };
        let follower = Follower { delivered, confirmed, standing, since: now, asked, state: State::Ready };
        self.rooms.insert(room.clone(), follower);
        self.save(&room)?;
        Ok((delivered, known.map(|_| confirmed)))
    }

    /// A follower wants nothing more. If it has asked again since, that holds.
    pub fn leave(&mut self, room: &RoomName, asked: Millis) -> Result<(), StoreError> {
        if self.is_newest(room, asked) { self.remove(room) } else { Ok(()) }
    }

    /// A follower wants nothing until it comes again. If it has asked again since, that holds.
    pub fn pause(&mut self, room: &RoomName, asked: Millis, now: Millis) -> Result<(), StoreError> {
        if self.is_newest(room, asked) { self.rest(room, now) } else { Ok(()) }
    }

    fn is_newest(&self, room: &RoomName, asked: Millis) -> bool {
        self.rooms.get(room).is_some_and(|follower| follower.asked <= asked)
    }

    fn remove(&mut self, room: &RoomName) -> Result<(), StoreError> {
        self.rooms.remove(room);
        self.sql.exec("DELETE FROM followers WHERE room = ?", &[room.into()]).map(drop)
    }

    fn rest(&mut self, room: &RoomName, now: Millis) -> Result<(), StoreError> {
        self.stand(room, Standing::Resting, now)
    }

    /// The newest message that all have confirmed, but those whose own row says how far they are.
    pub fn settled(&self, head: Seq) -> Seq {
        let current = self.rooms.values().filter(|follower| follower.standing == Standing::Current);
        current.map(|follower| follower.confirmed).min().unwrap_or(head)
    }

    /// The followers that hear what is not kept.
    pub fn listening(&self) -> impl Iterator<Item = &RoomName> {
        self.rooms.iter().filter(|(_, follower)| follower.standing == Standing::Current).map(|(room, _)| room)
    }

    /// How many have got that message, and how many have not.
    pub fn tally(&self, seq: Seq) -> Tally {
        let delivered = self.rooms.values().filter(|follower| seq <= follower.delivered).count();
        Tally { queued: self.rooms.len().saturating_sub(delivered), delivered }
    }

    /// The deliveries that can go now. Followers at the same cursor share one.
    pub fn deliveries(
        &mut self,
        from: &RoomName,
        epoch: Epoch,
        log: &Log<S>,
        limits: &Limits,
        now: Millis,
    ) -> Result<Vec<(RoomName, Call)>, StoreError> {
        let mut shared: BTreeMap<Seq, Rc<Delivery>> = BTreeMap::new();
        let mut calls = Vec::new();
        let owed = |follower: &Follower| follower.standing != Standing::Resting && follower.delivered < log.head();
        for (room, follower) in self.rooms.iter_mut().filter(|(_, follower)| owed(follower)) {
            let Some(failures) = follower.state.go(now) else { continue };
            let delivery = match shared.entry(follower.delivered) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(vacant) => {
                    let (count, bytes) = (limits.messages_per_delivery, limits.delivery_bytes);
                    let entries = log.after(follower.delivered, log.head(), count, bytes)?;
                    vacant.insert(Rc::new(Delivery::new(from.clone(), epoch, log.head(), entries))).clone()
                }
            };
            follower.state = State::Delivering { delivery: delivery.clone(), failures, due: now.plus(PATIENCE) };
            calls.push((room.clone(), Call::Deliver(delivery)));
        }
        Ok(calls)
    }

    /// A delivery came back.
    pub fn returned(
        &mut self,
        room: &RoomName,
        sent: &Rc<Delivery>,
        reply: Return,
        head: Seq,
        now: Millis,
    ) -> Result<(), StoreError> {
        let Some(follower) = self.awaiting(room, sent) else { return Ok(()) };
        follower.state = State::Ready;
        match reply {
            Return::Confirmed(seq) => {
                follower.delivered = follower.delivered.max(seq);
                follower.confirmed = follower.confirmed.max(seq);
            }
            Return::Taken(seq) => follower.delivered = follower.delivered.max(seq),
            Return::Unwanted => return self.rest(room, now),
        }
        let recovered = follower.standing == Standing::Lagging && head <= follower.delivered;
        if recovered { self.stand(room, Standing::Current, now) } else { Ok(()) }
    }

    /// A delivery failed: it is tried again, later each time.
    pub fn failed(&mut self, room: &RoomName, sent: &Rc<Delivery>, now: Millis) -> Result<(), StoreError> {
        let Some(follower) = self.awaiting(room, sent) else { return Ok(()) };
        if let State::Delivering { failures, .. } = follower.state {
            let pause = RETRY_MIN.saturating_mul(1 << failures.min(16)).min(RETRY_MAX);
            follower.state = State::Pausing { failures: failures.saturating_add(1), due: now.plus(pause) };
        }
        if follower.standing == Standing::Current { self.stand(room, Standing::Lagging, now) } else { Ok(()) }
    }

    /// When there is something to do, if nothing happens before.
    pub fn deadline(&self) -> Option<Millis> {
        let due = |follower: &Follower| match follower.state {
            State::Delivering { due, .. } | State::Pausing { due, .. } => Some(due),
            State::Ready => None,
        };
        self.rooms.values().filter_map(due).min()
    }

    /// Forgets those that have rested for `ttl` milliseconds, and those that could not be reached for as long and a day at
    /// least. Says whether any are left.
    pub fn clean(&mut self, now: Millis, ttl: u64) -> Result<bool, StoreError> {
        let gone = |follower: &Follower| match follower.standing {
            Standing::Current => false,
            Standing::Lagging => follower.since.plus(ttl.max(DAY)) <= now,
            Standing::Resting => follower.since.plus(ttl) <= now,
        };
        let gone: Vec<RoomName> =
            self.rooms.iter().filter(|(_, follower)| gone(follower)).map(|(room, _)| room.clone()).collect();
        gone.iter().try_for_each(|room| self.remove(room))?;
        Ok(!self.rooms.is_empty())
    }

    /// The follower, if it is this delivery that it is being sent.
    fn awaiting(&mut self, room: &RoomName, sent: &Rc<Delivery>) -> Option<&mut Follower> {
        let awaits = |state: &State| matches!(state, State::Delivering { delivery, .. } if Rc::ptr_eq(delivery, sent));
        self.rooms.get_mut(room).filter(|follower| awaits(&follower.state))
    }

    fn stand(&mut self, room: &RoomName, standing: Standing, now: Millis) -> Result<(), StoreError> {
        let Some(follower) = self.rooms.get_mut(room) else { return Ok(()) };
        (follower.standing, follower.since) = (standing, now);
        if standing == Standing::Resting {
            follower.state = State::Ready;
        }
        self.save(room)
    }

    fn save(&self, room: &RoomName) -> Result<(), StoreError> {
        let Some(follower) = self.rooms.get(room) else { return Ok(()) };
        let statement = "INSERT OR REPLACE INTO followers (room, delivered, confirmed, standing, since, asked)
            VALUES (?, ?, ?, ?, ?, ?)";
        let Follower { delivered, confirmed, standing, since, asked, .. } = follower;
        let [delivered, confirmed, since, asked] = [delivered.0, confirmed.0, since.0, asked.0].map(Value::from);
        let values = [room.into(), delivered, confirmed, standing.as_str().into(), since, asked];
        self.sql.exec(statement, &values).map(drop)
    }
}

impl State {
    /// How often the last delivery failed, if the next may go now.
    fn go(&self, now: Millis) -> Option<u32> {
        match *self {
            Self::Ready => Some(0),
            Self::Delivering { failures, due, .. } if due <= now => Some(failures.saturating_add(1)),
            Self::Pausing { failures, due } if due <= now => Some(failures),
            Self::Delivering { .. } | Self::Pausing { .. } => None,
        }
    }
}

impl Standing {
    const ALL: [Self; 3] = [Self::Current, Self::Lagging, Self::Resting];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Lagging => "lagging",
            Self::Resting => "resting",
        }
    }
}

fn follower(row: Vec<Value>) -> Option<(RoomName, Follower)> {
    let [room, delivered, confirmed, standing, since, asked] = <[Value; 6]>::try_from(row).ok()?;
    let standing = standing.text()?;
    let standing = Standing::ALL.into_iter().find(|known| known.as_str() == standing)?;
    let (delivered, confirmed) = (Seq(delivered.number()?), Seq(confirmed.number()?));
    let (since, asked) = (Millis(since.number()?), Millis(asked.number()?));
    let follower = Follower { delivered, confirmed, standing, since, asked, state: State::Ready };
    Some((room.text()?.parse().ok()?, follower))
}
