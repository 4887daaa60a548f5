//! What rooms say to each other. One room follows another; the followed room delivers, the follower confirms.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::code::Reject;
use crate::id::{ConnId, RoomName, Seq};
use crate::log::Entry;
use crate::tickets::Rights;

/// A call from one room to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// "Send me what you take from now on."
    Follow {
        /// Who asks.
        follower: RoomName,
    },
    /// "Send me no more."
    Unfollow {
        /// Who asks.
        follower: RoomName,
    },
    /// "This is what I took." Applied once, however often it arrives.
    Deliver(Rc<Delivery>),
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
    /// Their frames by place.
    frames: Vec<(Seq, Box<RawValue>)>,
}

impl Delivery {
    /// Packs entries of `from`'s log.
    pub fn new(from: RoomName, entries: Vec<Entry>) -> Self {
        let pack = |entry: Entry| Some((entry.seq, RawValue::from_string(entry.frame).ok()?));
        Self { from, frames: entries.into_iter().filter_map(pack).collect() }
    }

    /// The messages, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = (Seq, &str)> {
        self.frames.iter().map(|(seq, frame)| (*seq, frame.get()))
    }

    /// The newest message's place.
    pub fn last(&self) -> Seq {
        self.frames.last().map(|(seq, _)| *seq).unwrap_or_default()
    }
}

/// What the called room answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Call::Follow`]: messages after this one will come.
    Following(Seq),
    /// To [`Call::Unfollow`], and to a [`Call::Deliver`] that nobody here waits for: send no more.
    NotFollowing,
    /// To [`Call::Deliver`]: everything up to this one is here.
    Confirmed(Seq),
    /// To [`Call::Alive`]: of those, these are open.
    Alive(Vec<ConnId>),
    /// To [`Call::Release`] and [`Call::Reserve`].
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
