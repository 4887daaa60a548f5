//! What rooms say to each other. One room follows another; the followed room delivers, the follower confirms.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::code::Reject;
use crate::id::{ConnId, Cursor, Epoch, RoomName, Seq};
use crate::log::Entry;
use crate::moment::Millis;
use crate::tickets::Rights;

/// A call from one room to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// "Send me what you take from now on."
    Follow {
        /// Who asks.
        follower: RoomName,
        /// When: what was asked later holds, whichever arrives first.
        asked: Millis,
    },
    /// "Send me no more; somebody here may come back, and read what it missed."
    Rest {
        /// Who asks.
        follower: RoomName,
        /// When: what was asked later holds, whichever arrives first.
        asked: Millis,
    },
    /// "Send me no more."
    Unfollow {
        /// Who asks.
        follower: RoomName,
        /// When: what was asked later holds, whichever arrives first.
        asked: Millis,
    },
    /// "One of my sockets missed something."
    Read {
        /// Which one: for who asks, when the reply comes.
        conn: ConnId,
        /// It has everything up to this one.
        since: Seq,
        /// Or only what had been taken by then, whichever is less.
        alive: Option<Millis>,
    },
    /// "This is what I took." Applied once, however often it arrives.
    Deliver(Rc<Delivery>),
    /// "This is for whoever hears me now." It is not kept, and not sent again.
    Pass(Rc<Passing>),
    /// From a user's room: "Which of these are open with you?"
    Alive {
        /// The connections in question.
        conns: Vec<ConnId>,
    },
    /// To a user's room: "Close all of the user's sockets."
    Disconnect {
        /// How long the user may open none, in milliseconds. Without it, a bar that there is stays as it is.
        bar: Option<u64>,
    },
    /// From a user's room: "Close these."
    HangUp {
        /// The connections.
        conns: Vec<ConnId>,
    },
    /// To a user's room: "Give the user a ticket."
    Issue(Rights),
    /// To a user's room: "Somebody brings this ticket."
    Redeem {
        /// The ticket's secret.
        secret: String,
    },
    /// To a user's room: "That connection is closed."
    Release {
        /// The connection.
        conn: ConnId,
    },
    /// To a user's room: "May the user open one more?"
    Reserve {
        /// The connection.
        conn: ConnId,
        /// The room that it is for.
        room: RoomName,
    },
}

/// Messages on their way to a follower.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The room that took them.
    pub from: RoomName,
    /// The life of its log.
    pub epoch: Epoch,
    /// When the oldest of them was taken.
    pub taken: Millis,
    /// The newest message's place.
    pub last: Seq,
    /// Their frames by place. Those that are missing at the beginning are lost; it may be all.
    frames: Vec<(Seq, Box<RawValue>)>,
}

/// What is said to whoever hears a room now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Passing {
    /// The room.
    pub from: RoomName,
    /// The frames.
    frames: Vec<Box<RawValue>>,
}

impl Passing {
    /// Packs frames of `from`.
    pub fn new<'a>(from: RoomName, frames: impl IntoIterator<Item = &'a str>) -> Self {
        let pack = |frame: &str| RawValue::from_string(frame.to_owned()).ok();
        Self { from, frames: frames.into_iter().filter_map(pack).collect() }
    }

    /// The frames.
    pub fn frames(&self) -> impl Iterator<Item = &str> {
        self.frames.iter().map(|frame| frame.get())
    }
}

impl Delivery {
    /// Packs entries of `from`'s log; if there are none, nothing is left up to its `head`.
    pub fn new(from: RoomName, epoch: Epoch, head: Seq, entries: Vec<Entry>) -> Self {
        let taken = entries.first().map(|entry| entry.taken).unwrap_or_default();
        let last = entries.last().map_or(head, |entry| entry.seq);
        let pack = |entry: Entry| Some((entry.seq, RawValue::from_string(entry.frame).ok()?));
        Self { from, epoch, taken, last, frames: entries.into_iter().filter_map(pack).collect() }
    }

    /// The messages, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = (Seq, &str)> {
        self.frames.iter().map(|(seq, frame)| (*seq, frame.get()))
    }

    /// The oldest message's place, or the next after them all.
    pub fn first(&self) -> Seq {
        self.frames.first().map_or_else(|| self.last.next(), |(seq, _)| *seq)
    }
}

impl PartialEq for Delivery {
    fn eq(&self, other: &Self) -> bool {
        (&self.from, self.epoch) == (&other.from, other.epoch) && self.frames().eq(other.frames())
    }
}

impl Eq for Delivery {}

/// What the called room replies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To [`Call::Follow`].
    Following {
        /// Messages after this one will come.
        head: Cursor,
        /// What had been confirmed before, if the follower is known.
        confirmed: Option<Seq>,
    },
    /// To [`Call::Rest`] and [`Call::Unfollow`], and to a [`Call::Deliver`] that nobody here waits for: send no more.
    NotFollowing,
    /// To [`Call::Read`]: what came after that place, or the first part of it.
    Page {
        /// The place.
        after: Seq,
        /// The messages.
        delivery: Delivery,
        /// The newest message there is.
        head: Seq,
    },
    /// To [`Call::Read`]: that is not there any more. There is nothing before this now.
    Lost(Cursor),
    /// To [`Call::Deliver`]: everything up to this one is here, and was sent to whoever hears the room.
    Confirmed(Seq),
    /// To [`Call::Deliver`]: everything up to this one is here. Who wants it has still to begin, and will read it.
    Taken(Seq),
    /// To [`Call::Alive`]: of those, these are open.
    Alive(Vec<ConnId>),
    /// To [`Call::Pass`], [`Call::Release`] and [`Call::Reserve`].
    Done,
    /// To [`Call::Disconnect`]: what was closed here, and what is to be closed elsewhere.
    Elsewhere {
        /// How many were closed.
        closed: usize,
        /// Where the others are.
        rooms: Vec<(RoomName, Vec<ConnId>)>,
    },
    /// To [`Call::HangUp`]: so many were closed.
    HungUp(usize),
    /// To [`Call::Issue`]: the ticket's secret.
    Issued(String),
    /// To [`Call::Redeem`]: it is good for this.
    Redeemed(Rights),
    /// To [`Call::Issue`], [`Call::Redeem`] and [`Call::Reserve`]: no.
    Refused(Reject),
}
