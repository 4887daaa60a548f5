//! One turn of a room: what happened goes in with its moment, what is to be done comes out.

use std::rc::Rc;

use crate::code::{CloseCode, Reject};
use crate::files::sniff::Seen;
use crate::id::{ConnId, Id, RoomName};
use crate::link::{Call, Reply};
use crate::moment::{Millis, Moment};
use crate::protocol::Original;
use crate::session::Session;

/// What can happen to a room.
#[derive(Debug)]
pub enum Input {
    /// A socket was opened. It has no identity before the room attaches one. The runtime last answered a ping of its
    /// siblings then.
    Opened(Session, Vec<(ConnId, Millis)>),
    /// Something was read of an answer that the room had asked an agent for.
    Answered(Id, Fetched),
    /// A text frame came.
    Received(ConnId, String),
    /// A binary frame came.
    ReceivedBinary(ConnId, Vec<u8>),
    /// A socket is gone, whether after a farewell or not. It may have been forgotten already. The runtime last answered a
    /// ping of it then.
    Closed(Session, Farewell, Option<Millis>),
    /// A call that the room asked for came back, or (`None`) failed.
    Returned(RoomName, Call, Option<Reply>),
    /// Something came of an errand that the room had sent the platform on.
    Ran(Errand, Outcome),
    /// The runtime last answered a ping of these connections then.
    Swept(Vec<(ConnId, Millis)>),
    /// The time has come that the room had named.
    Woken,
}

/// What the platform read of an agent's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// More of its answer, cut anywhere. What was read before does not come again, unless the room was loaded since.
    Bytes(Vec<u8>),
    /// The end of it.
    End,
    /// No more of it: the agent could not be reached, or broke off.
    Failed(Reject),
}

/// How a socket went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Both sides knew: what had been sent has arrived.
    Said,
    /// It broke: what was sent after its last sign of life may be lost.
    Missing,
}

/// What a room asks of the platform. None of it can fail the room.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Ask the agent with this body; what comes of it is handed back as [`Input::Answered`].
    Ask(Id, String),
    /// Nobody waits for that answer any more: let go of the agent.
    Hush(Id),
    /// Send a text frame to these connections.
    Send(Rc<[ConnId]>, Rc<str>),
    /// Write this to the socket's attachment: it is who the connection is from now on.
    Attach(Session),
    /// Close a connection, with this reason.
    Close(ConnId, CloseCode, &'static str),
    /// Call another room, and hand what comes of it back as [`Input::Returned`].
    Call(RoomName, Call),
    /// Do this, and hand what comes of it back as [`Input::Ran`].
    Run(Errand),
}

/// Something that a room has the platform do where files are kept. To do it again does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Remove all whose key begins like this.
    Discard {
        /// The beginning.
        prefix: String,
        /// Which attempt at it this is.
        attempt: u64,
    },
    /// Put an upload's bytes there, one part after the other, as [`crate::files::uploads::part`] reads them.
    Store {
        /// The upload.
        handle: u32,
        /// Where to.
        key: String,
        /// So many bytes.
        size: u64,
    },
}

/// What came of an [`Errand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing, as far as is known.
    Failed,
    /// It is gone.
    Discarded,
    /// It is there.
    Stored(Seen),
}

/// One turn.
#[derive(Debug)]
pub struct Turn {
    /// When it is.
    pub moment: Moment,
    /// What is to be done, in order.
    pub effects: Vec<Effect>,
    /// The text frame that is being answered, and whose it is. A refusal names it.
    pub said: Option<(ConnId, String)>,
}

impl Turn {
    /// A turn in which nothing has been said yet.
    pub const fn new(moment: Moment) -> Self {
        Self { moment, effects: Vec::new(), said: None }
    }

    /// The text frame that is being answered.
    pub fn text(&self) -> &str {
        self.said.as_ref().map_or("", |(_, text)| text)
    }

    /// What a refusal names of the frame that is being answered, if that is this connection's.
    pub fn original(&self, conn: ConnId) -> Original {
        let said = self.said.as_ref().filter(|(sender, _)| *sender == conn);
        said.map(|(_, text)| Original::of(text)).unwrap_or_default()
    }

    /// Asks for a frame to be sent.
    pub fn send(&mut self, to: impl Into<Rc<[ConnId]>>, frame: impl Into<Rc<str>>) {
        let to = to.into();
        if !to.is_empty() {
            self.effects.push(Effect::Send(to, frame.into()));
        }
    }

    /// Asks for another identity of a connection.
    pub fn attach(&mut self, session: Session) {
        self.effects.push(Effect::Attach(session));
    }

    /// Asks for a connection to be closed.
    pub fn close(&mut self, conn: ConnId, code: CloseCode, reason: &'static str) {
        self.effects.push(Effect::Close(conn, code, reason));
    }

    /// Asks for a question to be put to the agent.
    pub fn ask(&mut self, answer: Id, body: String) {
        self.effects.push(Effect::Ask(answer, body));
    }

    /// Asks for an agent to be let go of.
    pub fn hush(&mut self, answer: Id) {
        self.effects.push(Effect::Hush(answer));
    }

    /// Sends the platform on an errand.
    pub fn run(&mut self, errand: Errand) {
        self.effects.push(Effect::Run(errand));
    }

    /// Asks for a call to another room.
    pub fn call(&mut self, room: RoomName, call: Call) {
        self.effects.push(Effect::Call(room, call));
    }
}
