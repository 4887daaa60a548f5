//! How far one connection is in the rooms that it subscribed to. It is kept with the socket: it sleeps and dies with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{RoomName, Seq, fingerprint};

/// How far a connection is in one room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Everything up to this has been sent to it.
    pub seq: Seq,
    /// What has surely arrived: what it had when it began, or what it has confirmed since.
    pub sure: Seq,
    /// Whether it has to be sent what it missed before it hears anything live.
    pub behind: bool,
}

/// By room. The names would be too long for a socket to carry, so they are shortened: to 48 bits of their fingerprint,
/// a whole number in JavaScript. Of 100 rooms, two look the same once in 50 thousand million connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Packed>", into = "Vec<Packed>")]
pub struct Reaches(BTreeMap<u64, Reach>);

/// Room, sent, sure, behind.
type Packed = (u64, u64, u64, u8);

impl Reaches {
    /// How far the connection is in that room, if it hears it.
    pub fn get(&self, room: &RoomName) -> Option<Reach> {
        self.0.get(&short(room)).copied()
    }

    /// It is this far in that room.
    pub fn set(&mut self, room: &RoomName, reach: Reach) {
        self.0.insert(short(room), reach);
    }

    /// It hears that room no more.
    pub fn remove(&mut self, room: &RoomName) {
        self.0.remove(&short(room));
    }

    /// All that was sent is sure to have arrived, as far as is known now.
    pub fn settle(&mut self) {
        self.0.values_mut().for_each(|reach| reach.sure = reach.seq);
    }

    /// Whether it hears no room.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn short(room: &RoomName) -> u64 {
    fingerprint(&room.to_string()) >> 16
}

impl From<Vec<Packed>> for Reaches {
    fn from(packed: Vec<Packed>) -> Self {
        let unpack =
            |(room, seq, sure, behind): Packed| (room, Reach { seq: Seq(seq), sure: Seq(sure), behind: behind > 0 });
        Self(packed.into_iter().map(unpack).collect())
    }
}

impl From<Reaches> for Vec<Packed> {
    fn from(reaches: Reaches) -> Self {
        let pack = |(room, reach): (u64, Reach)| (room, reach.seq.0, reach.sure.0, u8::from(reach.behind));
        reaches.0.into_iter().map(pack).collect()
    }
}
