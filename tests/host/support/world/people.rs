//! What people do in the world: connect, send, publish, leave.

use cidadao_realtime::asker::Asker;
use cidadao_realtime::chat_session::{Act, Done, Order};
use cidadao_realtime::history::{Anchor, History, Range};
use cidadao_realtime::sql::Sql;

use super::*;

/// What people do.
impl World {
    /// Opens a socket in a room.
    pub(crate) fn join(&mut self, room: &str, user: &str) -> ConnId {
        self.open(room, user, &json!({}))
    }

    /// Opens a socket in a room that is to be told who is present.
    pub(crate) fn watch(&mut self, room: &str, user: &str) -> ConnId {
        self.open(room, user, &json!({"presence": 0}))
    }

    /// Shows this with the user.
    pub(crate) fn show(&mut self, conn: ConnId, state: &Value) {
        self.send(conn, &json!({"type": "presence", "data": {"state": state}}));
    }

    /// Opens a socket in a room, with what else its session says.
    pub(crate) fn open(&mut self, room: &str, user: &str, more: &Value) -> ConnId {
        let conn = self.next_conn();
        if let Some(session) = self.knock(room, user, more) {
            self.enter(session);
        }
        conn
    }

    /// Asks whether a socket may be opened: who may has still to enter.
    pub(crate) fn knock(&mut self, room: &str, user: &str, more: &Value) -> Option<Session> {
        let (conn, home) = (self.next_conn(), name(room));
        self.sockets.insert(conn, Socket { home: home.clone(), frames: Vec::new(), read: 0 });
        if home.kind() != Kind::User && !self.reserve(conn, user, &home) {
            self.place(&home);
            return None;
        }
        let mut session = json!({"conn": conn, "user": user, "expires": self.token_end, "connection_type": "general"});
        session.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let session = Session::decode(&session.to_string()).unwrap();
        match self.turn(&home, |room, turn| Ok(room.turn_away(turn, &session)?)) {
            Ok(None) => return Some(session),
            Ok(Some(reject)) => self.turn_away(conn, reject),
            Err(_) => self.turn_away(conn, Reject::Internal),
        }
        None
    }

    /// Opens the socket of somebody who may.
    pub(crate) fn enter(&mut self, session: Session) {
        let home = self.home(session.conn);
        let pings = self.place(&home).pings.clone().into_iter().collect();
        self.entering = Some(session.conn);
        self.take(&home, Input::Opened(session, pings)).ok();
        self.entering = None;
    }

    /// Has somebody do something with a chat session, over HTTP.
    pub(crate) fn obey(&mut self, room: &str, asker: &Asker, act: Act) -> Result<Done, Failure> {
        let order = Order { asker: asker.clone(), act };
        let order: Order = serde_json::from_str(&serde_json::to_string(&order).unwrap()).unwrap();
        self.turn(&name(room), |room, turn| room.obey(turn, order))
    }

    /// Reads what was said, as somebody.
    pub(crate) fn history(&mut self, room: &str, asker: &Asker) -> Result<History, Failure> {
        let range = Range { from: Anchor::Newest, limit: Range::MAX_LIMIT };
        self.turn(&name(room), |room, _| room.let_in(asker).and_then(|()| room.history(range)))
    }

    /// Tells the room of a question.
    pub(crate) fn note_question(&mut self, room: &str, content: &str) {
        self.turn(&name(room), |room, turn| Ok(room.note_question(turn, content)?)).unwrap();
    }

    /// What the platform does with a socket that is not admitted: it says why, and closes.
    fn turn_away(&mut self, conn: ConnId, reject: Reject) {
        let frame = ServerFrame::Error(ErrorData::new(&reject.into(), None)).encode(&mut self.moment());
        self.sockets.get_mut(&conn).unwrap().frames.push(serde_json::from_str(&frame).unwrap());
        self.closed.insert(conn, CloseCode::from(reject));
    }

    /// Asks the user's room for one more connection, as the entry does.
    fn reserve(&mut self, conn: ConnId, user: &str, room: &RoomName) -> bool {
        let call = Call::Reserve { conn, room: room.clone() };
        self.ask_room(&format!("user:{user}"), call).is_ok_and(|reply| reply == Reply::Done)
    }

    /// Sends the ping that the runtime answers by itself, while the room sleeps.
    pub(crate) fn ping(&mut self, conn: ConnId) {
        let (home, now) = (self.home(conn), self.now);
        self.place(&home).pings.insert(conn, now);
    }

    /// Calls a room from outside, and waits for the answer.
    pub(crate) fn ask_room(&mut self, room: &str, call: Call) -> Result<Reply, Failure> {
        self.turn(&name(room), |room, turn| Ok(room.take_call(turn, call)?))
    }

    /// How the server ended a connection, if it did.
    pub(crate) fn closed(&self, conn: ConnId) -> Option<CloseCode> {
        self.closed.get(&conn).copied()
    }

    /// Opens a general connection.
    pub(crate) fn connect(&mut self, user: &str) -> ConnId {
        let conn = self.join(&format!("user:{user}"), user);
        let follows = |flight: &Flight| flight.to == RoomName::system();
        while let Some(place) = self.flights.iter().position(follows) {
            self.step(place);
        }
        conn
    }

    /// Sends a frame. A socket that is closed sends nothing.
    pub(crate) fn send(&mut self, conn: ConnId, frame: &Value) {
        self.send_text(conn, &frame.to_string());
    }

    pub(crate) fn send_text(&mut self, conn: ConnId, text: &str) {
        self.receive(conn, Input::Received(conn, text.to_owned()));
    }

    pub(crate) fn send_binary(&mut self, conn: ConnId) {
        self.receive(conn, Input::ReceivedBinary(conn, vec![0]));
    }

    pub(crate) fn subscribe(&mut self, conn: ConnId, room: &str) {
        self.ask(conn, "subscribe", room);
    }

    /// Subscribes, and wants to hear what came after that place.
    pub(crate) fn subscribe_after(&mut self, conn: ConnId, room: &str, cursor: &Value) {
        let room = name(room);
        let field = format!("{}_id", room.kind().as_str());
        let data = json!({field: room.id().as_str(), "epoch": cursor["epoch"], "since": cursor["since"]});
        self.send(conn, &json!({"type": "subscribe", "data": data}));
    }

    /// Subscribes and waits for the answer.
    pub(crate) fn follow(&mut self, conn: ConnId, room: &str) {
        self.subscribe(conn, room);
        self.run_until_idle();
    }

    pub(crate) fn unsubscribe(&mut self, conn: ConnId, room: &str) {
        self.ask(conn, "unsubscribe", room);
    }

    /// The life of a room's log, as its storage says.
    pub(crate) fn epoch(&mut self, room: &str) -> String {
        self.counts(room);
        self.sql(room).exec("SELECT epoch FROM marks", &[]).unwrap().remove(0).remove(0).text().unwrap()
    }

    /// Opens a socket that goes on after that message.
    pub(crate) fn resume(&mut self, room: &str, user: &str, epoch: &str, seq: u64) -> ConnId {
        self.open(room, user, &json!({"resume": {"epoch": epoch, "seq": seq}}))
    }

    /// Subscribes to what came after that message.
    pub(crate) fn subscribe_since(&mut self, conn: ConnId, room: &str, epoch: &str, since: u64) {
        self.subscribe_after(conn, room, &json!({"epoch": epoch, "since": since}));
    }

    /// Confirms everything of a room up to that message.
    pub(crate) fn ack(&mut self, conn: ConnId, room: &str, seq: u64) {
        self.send(conn, &json!({"type": "ack", "data": {"room": room, "seq": seq}}));
    }

    /// When the room is to be woken, if ever.
    pub(crate) fn alarm(&mut self, room: &str) -> Option<Millis> {
        self.place(&name(room)).alarm
    }

    /// To how many a message is still to be sent, how many were sent it, and how many have confirmed it.
    pub(crate) fn status(&mut self, room: &str, id: &str) -> (usize, usize, usize) {
        let status = self.turn(&name(room), |room, turn| {
            room.handle(turn, Input::Woken)?;
            room.status(&id.parse().unwrap(), turn.moment.now)
        });
        let status = status.unwrap();
        (status.queued, status.delivered, status.confirmed)
    }

    /// Publishes one message, or an array of them.
    pub(crate) fn publish(&mut self, room: &str, body: &Value) -> Result<Vec<Taken>, Failure> {
        self.turn(&name(room), |room, turn| room.publish(turn, body.to_string().as_bytes()))
    }

    /// Publishes `count` messages and lets everybody hear them.
    pub(crate) fn tell(&mut self, room: &str, count: usize) {
        for _ in 0..count {
            self.publish(room, &json!({"type": "news"})).unwrap();
        }
        self.run_until_idle();
    }

    /// Closes a socket.
    pub(crate) fn leave(&mut self, conn: ConnId) {
        self.close(conn, Farewell::Said);
    }

    /// Loses a socket's connection, and lets the server find out.
    pub(crate) fn lose_signal(&mut self, conn: ConnId) {
        self.close(conn, Farewell::Missing);
    }

    fn close(&mut self, conn: ConnId, farewell: Farewell) {
        let home = self.home(conn);
        if let Some(session) = self.place(&home).sessions.get(&conn).cloned() {
            let pinged = self.place(&home).pings.get(&conn).copied();
            self.take(&home, Input::Closed(session, farewell, pinged)).ok();
            self.place(&home).sessions.remove(&conn);
        }
    }

    fn ask(&mut self, conn: ConnId, what: &str, room: &str) {
        let room = name(room);
        let field = format!("{}_id", room.kind().as_str());
        self.send(conn, &json!({"type": what, "data": {field: room.id().as_str()}}));
    }

    pub(super) fn receive(&mut self, conn: ConnId, input: Input) {
        let home = self.home(conn);
        if self.is_open(conn) && self.take(&home, input).is_err() {
            let (refusal, mut moment) = (Reject::Internal.into(), self.moment());
            let frame = ServerFrame::Error(ErrorData::new(&refusal, None)).encode(&mut moment);
            self.hear(conn, &frame);
        }
    }
}
