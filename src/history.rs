//! A look into a room's log over HTTP: a page that loads before its socket, a publisher that asks what became of a message.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::{Epoch, Id, RoomName, Seq};

/// Which messages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// From where, and in which direction.
    pub from: Anchor,
    /// How many at most.
    pub limit: usize,
}

impl Range {
    /// How many are meant when nothing is said: 100.
    pub const DEFAULT_LIMIT: usize = 100;

    /// How many may be asked for: 1,000, as many as one POST may hold.
    pub const MAX_LIMIT: usize = 1_000;
}

/// Where a [`Range`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Anchor {
    /// The newest there are.
    Newest,
    /// The oldest of those after this one.
    Since(Seq),
    /// The newest of those before this one.
    Before(Seq),
}

/// The answer: messages in their order.
#[derive(Debug, Serialize)]
pub struct History {
    /// Whose.
    pub room: RoomName,
    /// The log's life.
    pub epoch: Epoch,
    /// The oldest message that the log still has; one more than `seq` when it has none.
    pub first: Seq,
    /// The newest.
    pub seq: Seq,
    /// The frames, as sockets get them.
    #[serde(serialize_with = "frames")]
    pub messages: Vec<String>,
    /// Whether there are more in the direction that was asked for.
    pub more: bool,
}

fn frames<S: Serializer>(frames: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(frames.iter().filter_map(|frame| serde_json::from_str::<&RawValue>(frame).ok()))
}

/// What became of a message. Each recipient counts once: a user's device that was in the room, or a room that follows.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryStatus {
    /// Which message.
    pub id: Id,
    /// Its place.
    pub seq: Seq,
    /// So many have still to get it.
    pub queued: usize,
    /// To so many it was sent; they have not confirmed it.
    pub delivered: usize,
    /// So many have confirmed it.
    pub confirmed: usize,
}
