//! What is said on a socket of the room, from the welcome to the end.

use super::Room;
use crate::auth::Claims;
use crate::chat_session::Title;
use crate::code::{CloseCode, Refusal, Reject};
use crate::config::Config;
use crate::grants;
use crate::id::{ConnId, Id, Kind, RoomName};
use crate::moment::Millis;
use crate::peer::Peer;
use crate::presence::Crowd;
use crate::protocol::{ClientFrame, ErrorData, ServerFrame, Start, Topic};
use crate::session::Session;
use crate::sql::{Sql, StoreError};
use crate::turn::{Farewell, Turn};

impl<S: Sql> Room<S> {
    /// Why a socket may not be opened, if it may not. The user's own room has been asked before, if this is another.
    pub fn turn_away(&mut self, turn: &mut Turn, session: &Session) -> Result<Option<Reject>, StoreError> {
        let own = self.name.kind() == Kind::User;
        let refused = if self.peers.len() as u64 >= self.limits().sockets_per_room {
            Some(Reject::RoomFull)
        } else if self.hung_up.remove(&session.conn).is_some() {
            Some(Reject::Disconnected)
        } else if !self.may_enter(&session.asker(&self.name))? {
            Some(Reject::Forbidden)
        } else if own {
            self.refuse_connection(turn)
        } else {
            None
        };
        if refused.is_some() {
            self.release(turn, session);
        }
        self.settle(turn)?;
        Ok(refused)
    }

    pub(super) fn welcome(&self, turn: &mut Turn, conn: ConnId, start: Start, presence: Option<&Crowd>) {
        let Some(Peer { session, .. }) = self.peers.get(&conn) else { return };
        let (room, message, connection_id) = (&self.name, "Connected to Cidadão.AI", session.conn);
        let reconnect_within_ms = self.limits().reconnect_within(self.peers.len());
        let own_id = Id::from(connection_id.0);
        let frame = if room.kind() == Kind::User {
            ServerFrame::ConnectionEstablished {
                message,
                user_id: &session.user,
                connection_type: session.connection_type,
                connection_id,
                room,
                start,
                reconnect_within_ms,
                presence,
            }
        } else {
            ServerFrame::Connection {
                status: "connected",
                session_id: if room.kind() == Kind::Chat { room.id() } else { &own_id },
                title: self.chat_session.as_ref().and_then(|chat| chat.title()).map(Title::as_str),
                message,
                connection_id,
                room,
                start,
                reconnect_within_ms,
                presence,
            }
        };
        self.tell(turn, [conn], &frame);
    }

    pub(super) fn receive(&mut self, turn: &mut Turn, conn: ConnId, text: String) -> Result<(), StoreError> {
        let bytes = text.len();
        turn.said = Some((conn, text));
        if self.allows(turn, conn, bytes)? {
            let frame = self.decode(turn.text());
            self.heed(turn, conn, frame)?;
        }
        turn.said = None;
        Ok(())
    }

    fn decode(&self, text: &str) -> Result<ClientFrame, Refusal> {
        match text.len() as u64 > self.limits().message_bytes {
            true => Err(Reject::TooLarge.into()),
            false => ClientFrame::decode(text),
        }
    }

    /// Does what a frame asks for, if it is one.
    fn heed(&mut self, turn: &mut Turn, conn: ConnId, frame: Result<ClientFrame, Refusal>) -> Result<(), StoreError> {
        match frame {
            Err(refusal) => self.refuse(turn, conn, &refusal, None),
            Ok(ClientFrame::Ack(room, seq)) => self.acknowledge(turn, conn, room, seq),
            Ok(ClientFrame::Chat(chat)) => self.chat(turn, conn, chat)?,
            Ok(ClientFrame::ChatCancel(which)) => self.cancel(turn, conn, &which)?,
            Ok(ClientFrame::Ping) => {
                self.pinged(vec![(conn, turn.moment.now)]);
                self.tell(turn, [conn], &ServerFrame::Pong {});
            }
            Ok(ClientFrame::Pong) => {}
            Ok(ClientFrame::Presence(state)) => self.show(turn, conn, state),
            Ok(ClientFrame::Refresh(token)) => self.refresh(turn, conn, &token)?,
            Ok(ClientFrame::Subscribe(room, cursor)) => self.subscribe(turn, conn, &room, cursor)?,
            Ok(ClientFrame::Typing(typing)) => self.type_on(turn, conn, typing),
            Ok(ClientFrame::Unsubscribe(room)) => self.unsubscribe(turn, conn, &room)?,
            Ok(ClientFrame::Upload(announcement)) => self.announce(turn, conn, announcement)?,
            Ok(ClientFrame::UploadAbort(id)) => self.abort_upload(turn, conn, &id)?,
        }
        Ok(())
    }

    /// Whether the connection may send so much now. It is told if not, and closed if it does not stop.
    pub(super) fn allows(&mut self, turn: &mut Turn, conn: ConnId, bytes: usize) -> Result<bool, StoreError> {
        self.heard_from(conn, turn.moment.now);
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(false) };
        let Err(too_fast) = peer.meter.spend(turn.moment.now, bytes, &self.config.limits) else { return Ok(true) };
        if too_fast.abuse {
            self.end(turn, conn, Reject::RateLimit)?;
        } else {
            self.refuse(turn, conn, &Refusal::from(Reject::RateLimit).after(too_fast.wait), None);
        }
        Ok(false)
    }

    /// Takes another token for the connection. What the new one does not open any more is left.
    fn refresh(&mut self, turn: &mut Turn, conn: ConnId, token: &str) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let claims = match renewal(&self.config, &peer.session.user, token, turn.moment.now) {
            Ok(claims) => claims,
            Err(refusal) => {
                self.refuse(turn, conn, &refusal, Some("refresh"));
                return Ok(());
            }
        };
        (peer.session.expires, peer.session.rooms, peer.warned) = (claims.expires, claims.rooms, false);
        peer.session.service = claims.service;
        turn.attach(peer.session.clone());
        let (session, own) = (peer.session.clone(), self.name.clone());
        let named = own.kind() == Kind::User || grants::check(session.rooms.as_ref(), &own).is_ok();
        if !named || !self.may_enter(&session.asker(&own))? {
            return self.end(turn, conn, Reject::Forbidden);
        }
        self.tell(turn, [conn], &ServerFrame::Refreshed { expires_at: session.expires.to_rfc3339() });
        let rooms = self.subscriptions.of(conn).into_iter();
        let lost: Vec<RoomName> = rooms.filter(|room| grants::check(session.rooms.as_ref(), room).is_err()).collect();
        lost.iter().try_for_each(|room| self.unsubscribe(turn, conn, room))
    }

    /// Ends a connection, saying why.
    pub(super) fn end(&mut self, turn: &mut Turn, conn: ConnId, reject: Reject) -> Result<(), StoreError> {
        self.tell(turn, [conn], &ServerFrame::Error(ErrorData::new(&reject.into(), None)));
        turn.close(conn, CloseCode::from(reject), reject.code());
        let farewell = if reject == Reject::Timeout { Farewell::Missing } else { Farewell::Said };
        let session = self.peers.get(&conn).map(|peer| peer.session.clone());
        session.map_or(Ok(()), |session| self.forget(turn, session, farewell))
    }

    pub(super) fn subscribed(&self, turn: &mut Turn, conn: ConnId, room: &RoomName, start: Start) {
        let message = "Subscribed: new messages arrive here";
        self.tell(turn, [conn], &ServerFrame::Subscribed { topic: Topic::from(room), message, room, start });
    }

    /// Refuses the frame that is being answered.
    pub(super) fn refuse(&self, turn: &mut Turn, conn: ConnId, refusal: &Refusal, original_type: Option<&str>) {
        let original = turn.original(conn);
        self.tell(turn, [conn], &ServerFrame::Error(ErrorData::new(refusal, original_type).about(&original)));
    }

    /// Refuses to let a connection hear a room, whether it has just asked for that or some time ago.
    pub(super) fn refuse_room(&self, turn: &mut Turn, conn: ConnId, refusal: &Refusal, room: &RoomName) {
        let original = turn.original(conn).provided(|original| original.room.as_ref() == Some(room));
        let error = ErrorData::new(refusal, Some("subscribe")).about(&original);
        self.tell(turn, [conn], &ServerFrame::Error(error.of_room(Some(room))));
    }

    /// Sends to those of these connections that are still open.
    pub(super) fn tell(&self, turn: &mut Turn, conns: impl IntoIterator<Item = ConnId>, frame: &ServerFrame<'_>) {
        let open: Vec<ConnId> = conns.into_iter().filter(|conn| self.peers.contains_key(conn)).collect();
        let frame = frame.encode(&mut turn.moment);
        turn.send(open, frame);
    }
}

/// What a token says that is to go on from the one before it.
fn renewal(config: &Config, user: &Id, token: &str, now: Millis) -> Result<Claims, Refusal> {
    let claims = config.claims(token, now).ok_or(Reject::InvalidToken)?;
    match claims.user == *user {
        true => Ok(claims),
        false => Err(Reject::Forbidden.because("The token belongs to another user.")),
    }
}
