//! The frames that the server sends, of its own accord or in answer to one.

use serde::Serialize;
use uuid::Uuid;

use crate::code::Refusal;
use crate::files::Complete;
use crate::id::{ConnId, Epoch, Id, Kind, RoomName, Seq};
use crate::moment::Moment;
use crate::presence::{Crowd, News};
use crate::protocol::Original;
use crate::session::ConnectionType;

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

impl From<&RoomName> for Topic {
    fn from(room: &RoomName) -> Self {
        let named = |kind: Kind| (room.kind() == kind).then(|| room.id().to_string());
        Self { investigation_id: named(Kind::Investigation), analysis_id: named(Kind::Analysis) }
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
    /// What the client said is in the log.
    Ack {
        /// Its id.
        id: &'a Id,
        /// Where.
        room: &'a RoomName,
        /// Its place there.
        seq: Seq,
        /// Set when it had been said before.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
    },
    /// Welcome to one room.
    Connection {
        /// Always `connected`.
        status: &'static str,
        /// The chat's session; elsewhere this connection's own id.
        session_id: &'a Id,
        /// What the session is called, if it is called anything.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
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
        /// Who is present, if the client asked for that.
        #[serde(skip_serializing_if = "Option::is_none")]
        presence: Option<&'a Crowd>,
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
        /// Who is present, if the client asked for that.
        #[serde(skip_serializing_if = "Option::is_none")]
        presence: Option<&'a Crowd>,
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
    /// Who is present has changed.
    Presence {
        /// Where.
        room: &'a RoomName,
        /// All, or what is different.
        #[serde(flatten)]
        news: News<'a>,
    },
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
    /// An upload has been given up.
    UploadAborted {
        /// Of which file.
        file_id: &'a Id,
    },
    /// A file is here.
    UploadComplete(&'a Complete),
    /// So much of a file is here for good.
    UploadProgress {
        /// Which file.
        file_id: &'a Id,
        /// The place of the byte that comes next.
        offset: u64,
        /// The file's bytes.
        size: u64,
    },
    /// A file may come, or come on.
    UploadReady {
        /// Which file.
        file_id: &'a Id,
        /// What its frames begin with.
        handle: u32,
        /// The place of the byte that comes next.
        offset: u64,
        /// The file's bytes.
        size: u64,
        /// So many bytes may be on their way, beyond what has been confirmed.
        window_bytes: u64,
        /// So many bytes of a file fit into one frame.
        frame_bytes: usize,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    original_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a RoomName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a Id>,
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
            original_id: None,
            file_id: None,
            offset: None,
            room: None,
            message_id: None,
            reply_to: None,
        }
    }

    /// The same, with what the refused frame names beside.
    #[must_use]
    pub fn about(self, original: &'a Original) -> Self {
        let Original { kind, id, file, room, answer, question } = original;
        Self {
            original_type: self.original_type.or(kind.as_deref()),
            original_id: id.as_ref(),
            file_id: self.file_id.or(file.as_ref()),
            room: self.room.or(room.as_ref()),
            message_id: answer.as_ref(),
            reply_to: question.as_ref(),
            ..self
        }
    }

    /// It is about that room.
    #[must_use]
    pub const fn of_room(self, room: Option<&'a RoomName>) -> Self {
        Self { room, ..self }
    }

    /// It is about a file, of which the bytes from that place on come next.
    #[must_use]
    pub const fn of_file(self, file_id: Option<&'a Id>, offset: Option<u64>) -> Self {
        Self { file_id, offset, ..self }
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
    use crate::code::Reject;
    use crate::moment::Millis;
    use crate::protocol::ClientFrame;
    use serde_json::{Value, json};

    fn room(text: &str) -> RoomName {
        text.parse().unwrap()
    }

    #[test]
    fn a_refusal_names_the_frame_that_it_refused() {
        let text = r#"{"type":"dance","id":"7"}"#;
        let (refusal, original) = (ClientFrame::decode(text).unwrap_err(), Original::of(text));
        let frame = ServerFrame::Error(ErrorData::new(&refusal, None).about(&original));
        let mut moment = Moment::new(Millis(1_761_937_200_000), [0; 16]);
        let value: Value = serde_json::from_str(&frame.encode(&mut moment)).unwrap();
        assert_eq!(value["type"], "error");
        assert_eq!(value["timestamp"], "2025-10-31T19:00:00.000Z");
        assert_eq!(
            value["data"],
            json!({"code": "UNKNOWN_TYPE", "message": Reject::UnknownType.meaning(), "retry": false,
                "original_type": "dance", "original_id": "7"})
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
