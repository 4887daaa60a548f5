//! The frames of a connection: what clients send, what the server answers. Published messages are `message`'s.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::code::{Refusal, Reject};
use crate::id::{ConnId, Cursor, Epoch, Id, InvalidId, Kind, RoomName, Seq};
use crate::json;
use crate::moment::Moment;
use crate::session::ConnectionType;

/// The subprotocol a client may ask for. Browsers that offer any must be answered with one of them.
pub const SUBPROTOCOL: &str = "cidadao.v1";

/// What the runtime answers by itself, while the room sleeps: exactly these bytes with exactly those.
pub const AUTO_RESPONSE: (&str, &str) = (r#"{"type":"ping"}"#, r#"{"type":"pong","data":{}}"#);

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Confirms everything of a room up to that message; of the connection's own if none is named.
    Ack(Option<RoomName>, Seq),
    /// Asks for a `pong`.
    Ping,
    /// Answers a ping; nothing to do.
    Pong,
    /// Brings another token.
    Refresh(String),
    /// Asks for the messages of another room, those after a cursor if there is one.
    Subscribe(RoomName, Option<Cursor>),
    /// Asks for no more of them.
    Unsubscribe(RoomName),
}

/// A frame that was refused, with what could be read of its `type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFrame {
    /// Why.
    pub refusal: Refusal,
    /// Its `type`, when it had one, cut to a sane length.
    pub original_type: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// The parts of `data` that frames use; clients may send more beside them.
#[derive(Default, Deserialize)]
struct Data {
    investigation_id: Option<String>,
    analysis_id: Option<String>,
    token: Option<String>,
    room: Option<String>,
    epoch: Option<String>,
    since: Option<Seq>,
    seq: Option<Seq>,
}

/// A room under the field names that clients of today know.
#[derive(Clone, Debug, Serialize)]
pub struct Topic {
    /// Names an investigation.
    #[serde(skip_serializing_if = "Option::is_none")]
    investigation_id: Option<String>,
    /// Names an analysis.
    #[serde(skip_serializing_if = "Option::is_none")]
    analysis_id: Option<String>,
}

impl Data {
    fn read(data: Option<&RawValue>) -> Result<Self, Refusal> {
        let text = data.map(RawValue::get).filter(|text| *text != "null");
        let read = text.map_or_else(|| Ok(Self::default()), |text| json::object(text, Reject::InvalidFrame));
        read.map_err(|refusal| refusal.reject.because("`data` is an object."))
    }

    fn token(self) -> Result<String, Refusal> {
        self.token.ok_or_else(|| Reject::InvalidFrame.because("`data` holds the new token as `token`."))
    }

    /// What is confirmed, and where.
    fn ack(self) -> Result<ClientFrame, Refusal> {
        let parse = |room: String| room.parse().map_err(|invalid: InvalidId| Reject::InvalidId.because(invalid.0));
        let room = self.room.map(parse).transpose()?;
        let seq = self.seq.filter(|seq| seq.0 <= Seq::MAX);
        let seq = seq.ok_or_else(|| Reject::InvalidFrame.because("`data` holds the message's `seq`."))?;
        Ok(ClientFrame::Ack(room, seq))
    }

    /// Where the client wants to go on, if it says so.
    fn cursor(&self) -> Result<Option<Cursor>, Refusal> {
        Cursor::parse(self.epoch.as_deref(), self.since)
            .map_err(|refusal| Reject::InvalidFrame.because(refusal.message))
    }

    /// The one room that is named.
    fn room(self) -> Result<RoomName, Refusal> {
        let (kind, id) = match (self.investigation_id, self.analysis_id) {
            (Some(id), None) => (Kind::Investigation, id),
            (None, Some(id)) => (Kind::Analysis, id),
            _ => return Err(Reject::InvalidFrame.because("`data` names one of investigation_id and analysis_id.")),
        };
        let id = Id::try_from(id).map_err(|invalid| Reject::InvalidId.because(invalid.0))?;
        Ok(RoomName::new(kind, id))
    }
}

impl From<&RoomName> for Topic {
    fn from(room: &RoomName) -> Self {
        let named = |kind: Kind| (room.kind() == kind).then(|| room.id().to_string());
        Self { investigation_id: named(Kind::Investigation), analysis_id: named(Kind::Analysis) }
    }
}

impl ClientFrame {
    /// Reads one text frame.
    pub fn decode(text: &str) -> Result<Self, BadFrame> {
        let envelope: Envelope<'_> = json::object(text, Reject::InvalidFrame)
            .map_err(|refusal| BadFrame { refusal: refusal.reject.into(), original_type: None })?;
        let frame = Self::of(&envelope);
        frame.map_err(|refusal| BadFrame { refusal, original_type: Some(envelope.kind.chars().take(64).collect()) })
    }

    fn of(envelope: &Envelope<'_>) -> Result<Self, Refusal> {
        let data = || Data::read(envelope.data);
        match envelope.kind.as_ref() {
            "ack" => data()?.ack(),
            "ping" => data().map(|_| Self::Ping),
            "pong" => data().map(|_| Self::Pong),
            "refresh" => data()?.token().map(Self::Refresh),
            "subscribe" | "subscribe_investigation" | "subscribe_analysis" => {
                let data = data()?;
                let cursor = data.cursor()?;
                Ok(Self::Subscribe(data.room()?, cursor))
            }
            "unsubscribe" | "unsubscribe_investigation" | "unsubscribe_analysis" => {
                data()?.room().map(Self::Unsubscribe)
            }
            _ => Err(Reject::UnknownType.into()),
        }
    }
}

/// From where on a room's messages come: a cursor to go on from, from the first moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Start {
    /// The life of its log.
    pub epoch: Epoch,
    /// Everything after this one comes.
    pub seq: Seq,
    /// If something was to be made up for: whether all of it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
}

/// What the server says of its own accord or in answer to a frame.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// Welcome to one room.
    Connection {
        /// Always `connected`.
        status: &'static str,
        /// The chat's session; elsewhere this connection's own id.
        session_id: &'a Id,
        /// For a person.
        message: &'static str,
        /// Which connection this is, for a report of a fault.
        connection_id: ConnId,
        /// Which room.
        room: &'a RoomName,
        /// From where on the messages come.
        #[serde(flatten)]
        start: Start,
        /// If the connection drops: come back at a random moment within so many milliseconds.
        reconnect_within_ms: u64,
    },
    /// Welcome to the general connection.
    ConnectionEstablished {
        /// For a person.
        message: &'static str,
        /// Whose connection it is.
        user_id: &'a Id,
        /// As the client asked.
        connection_type: ConnectionType,
        /// Which connection this is, for a report of a fault.
        connection_id: ConnId,
        /// The user's own room.
        room: &'a RoomName,
        /// From where on the messages come.
        #[serde(flatten)]
        start: Start,
        /// If the connection drops: come back at a random moment within so many milliseconds.
        reconnect_within_ms: u64,
    },
    /// A frame, or the connection itself, was refused.
    Error(ErrorData<'a>),
    /// Nothing new. It goes to who never pings, so that a broken connection is found out by not taking it.
    Heartbeat {
        /// Which room, as clients of today name it.
        #[serde(flatten)]
        topic: Topic,
        /// Which room.
        room: &'a RoomName,
    },
    /// Answer to a ping.
    Pong {},
    /// The new token holds.
    Refreshed {
        /// Until when.
        expires_at: String,
    },
    /// From here on, that room's messages come.
    Subscribed {
        /// Which room, as the client named it.
        #[serde(flatten)]
        topic: Topic,
        /// For a person.
        message: &'static str,
        /// Which room, as messages from it say.
        room: &'a RoomName,
        /// From where on they come.
        #[serde(flatten)]
        start: Start,
    },
    /// The token is about to end, and the connection with it.
    TokenExpiring {
        /// When.
        expires_at: String,
        /// In how many milliseconds.
        expires_in_ms: u64,
    },
    /// No more of that room's messages come.
    Unsubscribed {
        /// Which room, as the client named it.
        #[serde(flatten)]
        topic: Topic,
        /// Which room, as messages from it said.
        room: &'a RoomName,
    },
}

impl ServerFrame<'_> {
    /// The frame as it goes out.
    pub fn encode(&self, moment: &mut Moment) -> String {
        let stamped = Stamped { frame: self, timestamp: moment.now.to_rfc3339(), id: moment.uuid() };
        serde_json::to_string(&stamped).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    frame: &'a ServerFrame<'a>,
    timestamp: String,
    id: Uuid,
}

/// A refusal as clients read it: `data` of an `error` frame, `error` of an HTTP answer.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorData<'a> {
    code: &'static str,
    message: &'a str,
    retry: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_type: Option<&'a str>,
}

impl<'a> ErrorData<'a> {
    /// A refusal, of a frame of that `type` if it was one.
    pub fn new(refusal: &'a Refusal, original_type: Option<&'a str>) -> Self {
        let reject = refusal.reject;
        Self {
            code: reject.code(),
            message: &refusal.message,
            retry: reject.retry(),
            retry_after_ms: refusal.wait,
            original_type,
        }
    }
}

/// A refusal as the body of an HTTP answer.
pub fn error_body(refusal: &Refusal) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        error: ErrorData<'a>,
    }
    serde_json::to_string(&Body { error: ErrorData::new(refusal, None) }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Millis;
    use serde_json::{Value, json};

    fn room(text: &str) -> RoomName {
        text.parse().unwrap()
    }

    #[test]
    fn the_frames_of_todays_clients_are_understood() {
        for (text, want) in [
            (r#"{"type":"ping"}"#, ClientFrame::Ping),
            (r#"{"type":"ping","data":{}}"#, ClientFrame::Ping),
            (r#"{"type":"ping","data":null,"id":"x","timestamp":"y"}"#, ClientFrame::Ping),
            (r#"{"type":"pong"}"#, ClientFrame::Pong),
            (r#"{"type":"ack","data":{"seq":7}}"#, ClientFrame::Ack(None, Seq(7))),
            (r#"{"type":"ack","data":{"seq":7,"room":"chat:s"}}"#, ClientFrame::Ack(Some(room("chat:s")), Seq(7))),
            (
                r#"{"type":"subscribe","data":{"analysis_id":"a","epoch":"000000000000000a","since":7}}"#,
                ClientFrame::Subscribe(room("analysis:a"), Some(Cursor { epoch: Epoch(10), seq: Seq(7) })),
            ),
            (
                r#"{"type":"subscribe","data":{"investigation_id":"inv-123"}}"#,
                ClientFrame::Subscribe(room("investigation:inv-123"), None),
            ),
            (
                r#"{"type":"subscribe_analysis","data":{"analysis_id":"a","more":[1]}}"#,
                ClientFrame::Subscribe(room("analysis:a"), None),
            ),
            (
                r#"{"data":{"investigation_id":"1"},"type":"unsubscribe_investigation"}"#,
                ClientFrame::Unsubscribe(room("investigation:1")),
            ),
        ] {
            assert_eq!(ClientFrame::decode(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn every_bad_frame_has_its_code() {
        for (text, reject) in [
            ("", Reject::InvalidJson),
            ("ping", Reject::InvalidJson),
            (r#"{"type":"ping"}}"#, Reject::InvalidJson),
            (r#"{"type":"\ud800"}"#, Reject::InvalidJson),
            ("[]", Reject::InvalidFrame),
            ("null", Reject::InvalidFrame),
            ("{}", Reject::InvalidFrame),
            (r#"{"type":7}"#, Reject::InvalidFrame),
            (r#"{"type":"ping","data":7}"#, Reject::InvalidFrame),
            (r#"{"type":"subscribe"}"#, Reject::InvalidFrame),
            (r#"{"type":"subscribe","data":{}}"#, Reject::InvalidFrame),
            (r#"{"type":"subscribe","data":{"investigation_id":7}}"#, Reject::InvalidFrame),
            (r#"{"type":"subscribe","data":{"investigation_id":"1","analysis_id":"2"}}"#, Reject::InvalidFrame),
            (r#"{"type":"subscribe","data":{"investigation_id":"1","since":7}}"#, Reject::InvalidFrame),
            (
                r#"{"type":"subscribe","data":{"investigation_id":"1","epoch":"000000000000000a"}}"#,
                Reject::InvalidFrame,
            ),
            (r#"{"type":"subscribe","data":{"investigation_id":"1","epoch":"a","since":7}}"#, Reject::InvalidFrame),
            (
                r#"{"type":"subscribe","data":{"investigation_id":"1","epoch":"000000000000000a","since":-7}}"#,
                Reject::InvalidFrame,
            ),
            (r#"{"type":"ack"}"#, Reject::InvalidFrame),
            (r#"{"type":"ack","data":{"seq":"7"}}"#, Reject::InvalidFrame),
            (r#"{"type":"ack","data":{"seq":9007199254740992}}"#, Reject::InvalidFrame),
            (r#"{"type":"ack","data":{"seq":7,"room":"chat"}}"#, Reject::InvalidId),
            (r#"{"type":"subscribe","data":{"investigation_id":""}}"#, Reject::InvalidId),
            (r#"{"type":"subscribe","data":{"analysis_id":"a b"}}"#, Reject::InvalidId),
            (r#"["ping"]"#, Reject::InvalidFrame),
            (r#"{"type":"subscribe","data":["1"]}"#, Reject::InvalidFrame),
            (r#"{"type":"dance"}"#, Reject::UnknownType),
            (r#"{"type":"dance","data":7}"#, Reject::UnknownType),
        ] {
            assert_eq!(ClientFrame::decode(text).unwrap_err().refusal.reject, reject, "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_type_it_refused() {
        let bad = ClientFrame::decode(r#"{"type":"dance","id":"7"}"#).unwrap_err();
        let frame = ServerFrame::Error(ErrorData::new(&bad.refusal, bad.original_type.as_deref()));
        let mut moment = Moment::new(Millis(1_761_937_200_000), [0; 16]);
        let value: Value = serde_json::from_str(&frame.encode(&mut moment)).unwrap();
        assert_eq!(value["type"], "error");
        assert_eq!(value["timestamp"], "2025-10-31T19:00:00.000Z");
        assert_eq!(
            value["data"],
            json!({"code": "UNKNOWN_TYPE", "message": Reject::UnknownType.meaning(), "retry": false, "original_type": "dance"})
        );
    }

    #[test]
    fn an_answer_names_the_room_as_the_question_did() {
        let (investigation, analysis) = (room("investigation:1"), room("analysis:2"));
        let mut moment = Moment::new(Millis(0), [0; 16]);
        let subscribed = ServerFrame::Subscribed {
            topic: Topic::from(&investigation),
            message: "hello",
            room: &investigation,
            start: Start { epoch: Epoch(1), seq: Seq(7), recovered: Some(true) },
        };
        let value: Value = serde_json::from_str(&subscribed.encode(&mut moment)).unwrap();
        assert_eq!(
            value["data"],
            json!({"investigation_id": "1", "message": "hello", "room": "investigation:1",
                "epoch": "0000000000000001", "seq": 7, "recovered": true})
        );
        let unsubscribed = ServerFrame::Unsubscribed { topic: Topic::from(&analysis), room: &analysis };
        let value: Value = serde_json::from_str(&unsubscribed.encode(&mut moment)).unwrap();
        assert_eq!(value["data"], json!({"analysis_id": "2", "room": "analysis:2"}));
    }
}
