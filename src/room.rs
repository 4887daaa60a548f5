//! A room: a log with sockets and followers. This file alone knows all the parts.
//!
//! A room does nothing by itself. The platform hands it what happened, with the time; it writes to its storage and
//! says what is to be done. It holds nothing that cannot be loaded again, so it may be dropped between two inputs.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;

use crate::batch::{Batch, Priority, pack};
use crate::code::{Refusal, Reject};
use crate::followers::Followers;
use crate::grants;
use crate::id::{ConnId, Id, Kind, RoomName, Seq};
use crate::limits::Limits;
use crate::link::{Answer, Call, Delivery};
use crate::log::Log;
use crate::message::Draft;
use crate::moment::Millis;
use crate::protocol::{ClientFrame, ErrorData, ServerFrame, Topic};
use crate::session::Session;
use crate::sql::{Sql, StoreError};
use crate::subscriptions::{Subscriptions, Wish};
use crate::turn::{Input, Turn};

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
    /// Its place in the room's log.
    pub seq: Seq,
    /// Set when the log had this id already: nothing was sent again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// How busy a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
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
    limits: Limits,
    log: Log<S>,
    peers: BTreeMap<ConnId, Session>,
    followers: Followers<S>,
    subscriptions: Subscriptions<S>,
    batch: Batch,
}

/// A message that is about to be taken.
struct Placed {
    taken: Taken,
    priority: Priority,
    frame: Rc<str>,
}

impl<S: Sql> Room<S> {
    /// Loads a room with the sockets that are open.
    pub fn open(name: RoomName, limits: Limits, sql: S, sessions: Vec<Session>) -> Result<Self, StoreError> {
        let peers: BTreeMap<ConnId, Session> = sessions.into_iter().map(|session| (session.conn, session)).collect();
        let mut subscriptions = Subscriptions::open(sql.clone(), limits.subscriptions_per_connection)?;
        let gone = subscriptions.connections().into_iter().filter(|conn| !peers.contains_key(conn));
        gone.collect::<Vec<_>>().into_iter().try_for_each(|conn| subscriptions.remove_all(conn))?;
        let mut log = Log::open(sql.clone(), limits.log_messages)?;
        let mut batch = Batch::default();
        log.unflushed()?.into_iter().for_each(|entry| batch.push(Priority::Normal, entry.frame.into()));
        Ok(Self { name, limits, log, peers, followers: Followers::open(sql)?, subscriptions, batch })
    }

    /// Takes what happened.
    pub fn handle(&mut self, turn: &mut Turn, input: Input) -> Result<(), StoreError> {
        match input {
            Input::Opened(session) => self.welcome(turn, session),
            Input::Received(conn, text) => self.receive(turn, conn, &text)?,
            Input::ReceivedBinary(conn) => self.refuse(turn, conn, &Reject::BinaryNotSupported.into(), None),
            Input::Closed(conn) => {
                self.peers.remove(&conn);
                self.subscriptions.remove_all(conn)?;
            }
            Input::Returned(room, call, answer) => self.returned(turn, &room, &call, answer)?,
            Input::Woken => {}
        }
        self.settle(turn)
    }

    /// Takes a POST body: logs its messages, then tells everybody.
    pub fn publish(&mut self, turn: &mut Turn, body: &[u8]) -> Result<Vec<Taken>, Failure> {
        let drafts = Draft::parse(body, &self.limits)?;
        let urgent = drafts.iter().any(|draft| draft.priority() == Priority::Critical);
        let placed = self.place(turn, drafts)?;
        let waits = self.batch.is_open(turn.moment.now, &self.limits) && !urgent;
        for Placed { taken, priority, frame } in placed.iter().filter(|placed| !placed.taken.duplicate) {
            self.log.append(&taken.id, frame, waits)?;
            self.batch.push(*priority, frame.clone());
        }
        if !waits {
            self.flush(turn)?;
        }
        self.settle(turn)?;
        Ok(placed.into_iter().map(|placed| placed.taken).collect())
    }

    /// Takes another room's call.
    pub fn answer(&mut self, turn: &mut Turn, call: Call) -> Result<Answer, StoreError> {
        let answer = match call {
            Call::Follow { follower } => Answer::Following(self.followers.add(follower, self.log.head())?),
            Call::Unfollow { follower } => {
                self.followers.remove(&follower)?;
                Answer::NotFollowing
            }
            Call::Deliver(delivery) => self.pass_on(turn, &delivery)?,
        };
        self.settle(turn)?;
        Ok(answer)
    }

    /// When to call [`Self::handle`] with [`Input::Woken`], if nothing happens before.
    pub fn deadline(&self) -> Option<Millis> {
        self.batch.deadline().into_iter().chain(self.followers.deadline()).min()
    }

    /// How busy the room is.
    pub fn counts(&self) -> Counts {
        Counts { connections: self.peers.len(), subscriptions: self.subscriptions.count() }
    }

    fn welcome(&mut self, turn: &mut Turn, session: Session) {
        let message = "Connected to Cidadão.AI";
        let (connection_id, room, seq) = (session.conn, &self.name, self.sent());
        let connection = Id::from(connection_id.0);
        let frame = match room.kind() {
            Kind::User => ServerFrame::ConnectionEstablished {
                message,
                user_id: &session.user,
                connection_type: session.connection_type,
                connection_id,
                room,
                seq,
            },
            Kind::Analysis | Kind::Chat | Kind::Investigation | Kind::System => {
                let session_id = if room.kind() == Kind::Chat { room.id() } else { &connection };
                ServerFrame::Connection { status: "connected", session_id, message, connection_id, room, seq }
            }
        };
        let frame = frame.encode(&mut turn.moment);
        turn.send(vec![connection_id], frame);
        self.peers.insert(connection_id, session);
    }

    fn receive(&mut self, turn: &mut Turn, conn: ConnId, text: &str) -> Result<(), StoreError> {
        if text.len() as u64 > self.limits.message_bytes {
            self.refuse(turn, conn, &Reject::TooLarge.into(), None);
            return Ok(());
        }
        match ClientFrame::decode(text) {
            Err(bad) => self.refuse(turn, conn, &bad.refusal, bad.original_type.as_deref()),
            Ok(ClientFrame::Ping) => self.tell(turn, [conn], &ServerFrame::Pong {}),
            Ok(ClientFrame::Pong) => {}
            Ok(ClientFrame::Subscribe(room)) => self.subscribe(turn, conn, &room)?,
            Ok(ClientFrame::Unsubscribe(room)) => {
                self.subscriptions.remove(&room, conn)?;
                self.tell(turn, [conn], &ServerFrame::Unsubscribed { topic: Topic::from(&room), room: &room });
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, turn: &mut Turn, conn: ConnId, room: &RoomName) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get(&conn) else { return Ok(()) };
        if let Err(refusal) = grants::check(peer.rooms.as_ref(), room) {
            self.refuse(turn, conn, &refusal, Some("subscribe"));
            return Ok(());
        }
        if *room == self.name {
            self.subscribed(turn, [conn], room, self.sent());
            return Ok(());
        }
        match self.subscriptions.add(room, conn)? {
            Ok(Some(seq)) => self.subscribed(turn, [conn], room, seq),
            Ok(None) => {}
            Err(reject) => self.refuse(turn, conn, &reject.into(), Some("subscribe")),
        }
        Ok(())
    }

    /// Something came of a call to another room.
    fn returned(
        &mut self,
        turn: &mut Turn,
        room: &RoomName,
        call: &Call,
        answer: Option<Answer>,
    ) -> Result<(), StoreError> {
        match (call, answer) {
            (Call::Follow { .. }, Some(Answer::Following(seq))) => {
                let (waiting, cursor) = self.subscriptions.following(room, seq)?;
                self.subscribed(turn, waiting, room, cursor);
            }
            (Call::Follow { .. } | Call::Unfollow { .. }, _) => {
                for conn in self.subscriptions.not_following(room)? {
                    self.refuse(turn, conn, &Reject::Unavailable.into(), Some("subscribe"));
                }
            }
            (Call::Deliver(sent), Some(Answer::Confirmed(seq))) => self.followers.returned(room, sent, Some(seq))?,
            (Call::Deliver(sent), Some(Answer::NotFollowing)) => self.followers.returned(room, sent, None)?,
            (Call::Deliver(sent), Some(Answer::Following(_)) | None) => {
                self.followers.failed(room, sent, turn.moment.now)
            }
        }
        Ok(())
    }

    /// Gives each draft its id, its place and, unless the log has it already, its frame. Nothing is written yet.
    fn place(&self, turn: &mut Turn, drafts: Vec<Draft>) -> Result<Vec<Placed>, Failure> {
        let now = turn.moment.now.to_rfc3339();
        let mut head = self.log.head();
        let mut places: BTreeMap<Id, Seq> = BTreeMap::new();
        let mut placed = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let id = draft.id.clone().unwrap_or_else(|| turn.moment.message_id());
            let known = if draft.id.is_some() { self.log.find(&id)? } else { None };
            if let Some(seq) = known.or_else(|| places.get(&id).copied()) {
                let taken = Taken { id, seq, duplicate: true };
                placed.push(Placed { taken, priority: Priority::Low, frame: "".into() });
                continue;
            }
            head = head.next();
            let priority = draft.priority();
            let frame = draft.into_frame(&id, &self.name, head, &now);
            if frame.len() as u64 > self.limits.message_bytes {
                return Err(Refusal::from(Reject::TooLarge).into());
            }
            places.insert(id.clone(), head);
            let taken = Taken { id, seq: head, duplicate: false };
            placed.push(Placed { taken, priority, frame: frame.into() });
        }
        Ok(placed)
    }

    /// Passes a followed room's messages on to those who subscribed to it. They come together and go together.
    fn pass_on(&mut self, turn: &mut Turn, delivery: &Delivery) -> Result<Answer, StoreError> {
        let subscribers = self.subscriptions.subscribers(&delivery.from);
        let mut news: Vec<Rc<str>> = Vec::new();
        for (seq, frame) in delivery.frames() {
            match self.subscriptions.take(&delivery.from, seq) {
                Some(true) => news.push(frame.into()),
                Some(false) => {}
                None => return Ok(Answer::NotFollowing),
            }
        }
        if !news.is_empty() {
            self.subscriptions.keep(&delivery.from)?;
        }
        self.spread(turn, subscribers, &news);
        Ok(Answer::Confirmed(delivery.last()))
    }

    /// The newest message that the room's own sockets have been sent: a newcomer still gets what waits.
    fn sent(&self) -> Seq {
        Seq(self.log.head().0.saturating_sub(self.batch.waiting()))
    }

    /// Sends all that waits to everybody, and opens the next window.
    fn flush(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let frames = self.batch.take(turn.moment.now, self.peers.len(), &self.limits);
        self.spread(turn, self.peers.keys().copied().collect(), &frames);
        self.log.flushed()
    }

    /// Sends messages to these connections: packed to those that take `batch` frames, one by one to the others.
    fn spread(&self, turn: &mut Turn, to: Vec<ConnId>, frames: &[Rc<str>]) {
        if let [only] = frames {
            return turn.send(to, only.clone());
        }
        let batches = |conn: &ConnId| self.peers.get(conn).is_some_and(|session| session.batches);
        let (packed, plain): (Vec<ConnId>, Vec<ConnId>) = to.into_iter().partition(batches);
        let (packed, plain): (Rc<[ConnId]>, Rc<[ConnId]>) = (packed.into(), plain.into());
        if !packed.is_empty() {
            let frames = pack(frames, turn.moment.now, &self.limits);
            frames.into_iter().for_each(|frame| turn.send(packed.clone(), frame));
        }
        frames.iter().for_each(|frame| turn.send(plain.clone(), frame.clone()));
    }

    /// Does what is due, whatever came before: the flush at the window's end, and calls to other rooms.
    fn settle(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        if self.batch.deadline().is_some_and(|due| due <= turn.moment.now) {
            self.flush(turn)?;
        }
        for (room, wish) in self.subscriptions.wishes() {
            let follower = self.name.clone();
            turn.call(
                room,
                match wish {
                    Wish::Follow => Call::Follow { follower },
                    Wish::Unfollow => Call::Unfollow { follower },
                },
            );
        }
        let due = self.followers.deliveries(&self.name, &self.log, &self.limits, turn.moment.now)?;
        due.into_iter().for_each(|(room, call)| turn.call(room, call));
        Ok(())
    }

    fn subscribed(&self, turn: &mut Turn, conns: impl IntoIterator<Item = ConnId>, room: &RoomName, seq: Seq) {
        let message = "Subscribed: new messages arrive here";
        self.tell(turn, conns, &ServerFrame::Subscribed { topic: Topic::from(room), message, room, seq });
    }

    fn refuse(&self, turn: &mut Turn, conn: ConnId, refusal: &Refusal, original_type: Option<&str>) {
        self.tell(turn, [conn], &ServerFrame::Error(ErrorData::new(refusal, original_type)));
    }

    /// Sends to those of these connections that are still open.
    fn tell(&self, turn: &mut Turn, conns: impl IntoIterator<Item = ConnId>, frame: &ServerFrame<'_>) {
        let open: Vec<ConnId> = conns.into_iter().filter(|conn| self.peers.contains_key(conn)).collect();
        let frame = frame.encode(&mut turn.moment);
        turn.send(open, frame);
    }
}
