//! A room: a log with sockets and followers. This file alone knows all the parts.
//!
//! A room does nothing by itself. The platform hands it what happened, with the time; it writes to its storage and
//! says what is to be done. It holds nothing that cannot be loaded again, so it may be dropped between two inputs.

mod answering;
mod attendance;
mod chat;
mod chat_session;
mod files;
mod hear;
mod links;
mod liveness;
mod present;
mod publish;
mod replay;
mod report;
mod talk;
mod upload;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::answers::Answers;
use crate::batch::Batch;
use crate::chat_session::ChatSession;
use crate::code::Refusal;
use crate::config::Config;
use crate::connections::Connections;
use crate::files::Files;
use crate::files::discards::Discards;
use crate::files::uploads::Uploads;
use crate::followers::Followers;
use crate::id::{ConnId, Epoch, Id, Kind, RoomName, Seq};
use crate::limits::Limits;
use crate::log::Log;
use crate::marks::Marks;
use crate::members::Members;
use crate::moment::{Millis, Moment};
use crate::peer::Peer;
use crate::presence::Presence;
use crate::session::Session;
use crate::sql::{Sql, StoreError};
use crate::subscriptions::{Gone, Subscriptions};
use crate::tickets::Tickets;
use crate::turn::{Input, Turn};
use crate::typing::Typing;

use liveness::Sweep;

pub use files::{Ask, Permit, Place, Told};

/// Why a request was not carried out.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request's own fault; nothing was changed.
    Refused(Refusal),
    /// Ours. What was written in this input must be undone, and the room loaded again.
    Broken(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Broken(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// One published message, as its publisher is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Its id: the publisher's, or the one it was given.
    pub id: Id,
    /// Its place in the room's log, if it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// Set when the log had this id already: nothing was sent again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// How busy a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Open sockets.
    pub connections: usize,
    /// Rooms that they subscribed to, counted by socket.
    pub subscriptions: usize,
}

/// One room.
#[derive(Debug)]
pub struct Room<S> {
    name: RoomName,
    config: Rc<Config>,
    marks: Marks<S>,
    log: Log<S>,
    members: Members<S>,
    peers: BTreeMap<ConnId, Peer>,
    followers: Followers<S>,
    subscriptions: Subscriptions<S>,
    connections: Connections<S>,
    tickets: Tickets<S>,
    answers: Answers<S>,
    /// What is known of a chat session; in rooms of other kinds there is none.
    chat_session: Option<ChatSession<S>>,
    files: Files<S>,
    uploads: Uploads<S>,
    discards: Discards<S>,
    batch: Batch,
    sweep: Sweep,
    /// Connections that were to be closed and are not here: they may be on their way.
    hung_up: BTreeMap<ConnId, Millis>,
    /// When pages of what was missed last went out.
    replayed: Millis,
    /// Who is present, while anybody watches.
    presence: Option<Presence>,
    typing: Typing,
}

impl<S: Sql> Room<S> {
    /// Loads a room with the sockets that are open, and when the runtime last answered a ping of each; and with the
    /// answers that agents are still at.
    pub fn open(
        name: RoomName,
        config: Rc<Config>,
        sql: S,
        sockets: Vec<(Session, Option<Millis>)>,
        streams: &[Id],
        moment: &mut Moment,
    ) -> Result<Self, StoreError> {
        let (now, epoch) = (moment.now, Epoch(moment.number()));
        let (mut room, gone) = Self::load(name, config, sql, peers(sockets, now), streams, epoch, now)?;
        room.wake_up(gone, now)?;
        Ok(room)
    }

    /// Reads all parts of a room; and says who had subscribed and is gone.
    fn load(
        name: RoomName,
        config: Rc<Config>,
        sql: S,
        peers: BTreeMap<ConnId, Peer>,
        streams: &[Id],
        epoch: Epoch,
        now: Millis,
    ) -> Result<(Self, Vec<Gone>), StoreError> {
        let (limits, chat) = (&config.limits, name.kind() == Kind::Chat);
        let marks = Marks::open(sql.clone(), name.kind(), epoch)?;
        let log = Log::open(sql.clone(), limits)?;
        let most = limits.subscriptions_per_connection;
        let (subscriptions, gone) = Subscriptions::open(sql.clone(), most, |conn| peers.contains_key(&conn))?;
        let room = Self {
            members: Members::open(sql.clone(), limits.offline_ttl),
            followers: Followers::open(sql.clone(), marks.noted().max(log.progress()).settled)?,
            subscriptions,
            connections: Connections::open(sql.clone())?,
            tickets: Tickets::open(sql.clone()),
            answers: if chat { Answers::open(sql.clone(), streams, &config, now)? } else { Answers::none(sql.clone()) },
            chat_session: if chat { Some(ChatSession::open(sql.clone())?) } else { None },
            uploads: if chat { Uploads::open(sql.clone(), now)? } else { Uploads::none(sql.clone()) },
            discards: if chat { Discards::open(sql.clone(), now)? } else { Discards::none(sql.clone()) },
            files: Files::open(sql),
            batch: Batch::default(),
            sweep: Sweep::Now,
            replayed: Millis(0),
            hung_up: BTreeMap::new(),
            presence: None,
            typing: Typing::default(),
            name,
            config,
            marks,
            log,
            peers,
        };
        Ok((room, gone))
    }

    /// Takes what happened.
    pub fn handle(&mut self, turn: &mut Turn, input: Input) -> Result<(), StoreError> {
        match input {
            Input::Opened(session, pings) => {
                self.looked_up(self.siblings_of(&session), pings, turn.moment.now);
                if self.visit(turn, &session)? {
                    self.opened(turn, session)?;
                }
            }
            Input::Answered(answer, fetched) => self.fetched(turn, &answer, fetched)?,
            Input::Received(conn, text) => self.receive(turn, conn, text)?,
            Input::ReceivedBinary(conn, frame) => self.receive_binary(turn, conn, &frame)?,
            Input::Closed(session, farewell, pinged) => {
                let (conn, pings) = (session.conn, pinged.map(|at| (session.conn, at)).into_iter().collect());
                self.looked_up(vec![conn], pings, turn.moment.now);
                self.forget(turn, session, farewell)?;
            }
            Input::Returned(room, call, reply) => self.returned(turn, &room, &call, reply)?,
            Input::Ran(errand, outcome) => self.ran(turn, errand, outcome)?,
            Input::Swept(pings) => {
                self.looked_up(self.peers.keys().copied().collect(), pings, turn.moment.now);
                self.beat(turn);
                self.sweep = Sweep::Now;
            }
            Input::Woken => {}
        }
        self.settle(turn)
    }

    /// When to call [`Self::handle`] with [`Input::Woken`], if nothing happens before.
    pub fn deadline(&self) -> Option<Millis> {
        let tokens = self.peers.values().map(|peer| peer.deadline(self.limits())).min();
        let parts = [
            self.batch.deadline(),
            self.followers.deadline(),
            self.subscriptions.deadline(),
            self.uploads.deadline(self.limits().upload_ttl),
            self.discards.deadline(),
            self.marks.deadline(self.progress()),
            self.marks.clean(),
            self.next_page(),
            self.next_sweep(),
            self.answers.deadline(self.answer_pause(), self.limits()),
            self.presence.as_ref().and_then(|presence| presence.deadline(self.limits())),
            self.typing.deadline(),
            tokens,
        ];
        parts.into_iter().flatten().min()
    }

    /// How busy the room is.
    pub fn counts(&self) -> Counts {
        Counts { connections: self.peers.len(), subscriptions: self.subscriptions.count() }
    }

    /// Does what is due, whatever came before: the flush at the window's end, tokens that end, news of who is here,
    /// pages of what was missed, calls to other rooms.
    fn settle(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let now = turn.moment.now;
        if self.batch.deadline().is_some_and(|due| due <= now) {
            self.flush(turn);
        }
        self.expire(turn)?;
        self.sweep(turn)?;
        self.go_on_answering(turn)?;
        self.end_typing(turn);
        self.tell_presence(turn);
        self.replay(turn)?;
        self.catch_up_on_answers(turn);
        self.call_rooms(turn)?;
        self.see_to_files(turn)?;
        self.clean(now)?;
        self.marks.note(self.progress(), now)
    }

    fn limits(&self) -> &Limits {
        &self.config.limits
    }
}

/// The sockets that are open, as they say who they are.
fn peers(sockets: Vec<(Session, Option<Millis>)>, looked_up: Millis) -> BTreeMap<ConnId, Peer> {
    let peer = |(session, pinged): (Session, _)| (session.conn, Peer { pinged, looked_up, ..Peer::new(session) });
    sockets.into_iter().map(peer).collect()
}
