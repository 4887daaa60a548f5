//! The frames that clients send.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Announcement, Chat, Which};
use crate::code::{Refusal, Reject};
use crate::id::{Cursor, Id, InvalidId, Kind, RoomName, Seq};
use crate::json;

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Confirms everything of a room up to that message; of the connection's own if none is named.
    Ack(Option<RoomName>, Seq),
    /// Says something in a chat.
    Chat(Chat),
    /// Stops an answer.
    ChatCancel(Which),
    /// Asks for a `pong`.
    Ping,
    /// Answers a ping; nothing to do.
    Pong,
    /// Shows this, a JSON object, with the user to who asks for presence.
    Presence(String),
    /// Brings another token.
    Refresh(String),
    /// Asks for the messages of another room, those after a cursor if there is one.
    Subscribe(RoomName, Option<Cursor>),
    /// Says whether the user is typing.
    Typing(bool),
    /// Asks for no more of them.
    Unsubscribe(RoomName),
    /// Announces a file.
    Upload(Announcement),
    /// Gives an upload up.
    UploadAbort(Id),
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
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// The parts of `data` that frames use; clients may send more beside them.
#[derive(Default, Deserialize)]
struct Data {
    #[serde(rename = "isTyping", alias = "is_typing")]
    typing: Option<bool>,
    file_id: Option<Id>,
    investigation_id: Option<String>,
    analysis_id: Option<String>,
    token: Option<String>,
    room: Option<String>,
    epoch: Option<String>,
    since: Option<Seq>,
    seq: Option<Seq>,
}

impl Data {
    fn read(data: Option<&RawValue>) -> Result<Self, Refusal> {
        let text = data.map(RawValue::get).filter(|text| *text != "null");
        text.map_or_else(|| Ok(Self::default()), |_| fields(data))
    }

    fn token(self) -> Result<String, Refusal> {
        self.token.ok_or_else(|| Reject::InvalidFrame.because("`data` holds the new token as `token`."))
    }

    fn file(self) -> Result<Id, Refusal> {
        self.file_id.ok_or_else(|| Reject::InvalidFrame.because("`data` holds the file's id as `file_id`."))
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
            "chat" => Chat::read(envelope.id, envelope.data).map(Self::Chat),
            "chat_cancel" => Which::read(envelope.data).map(Self::ChatCancel),
            "ping" => data().map(|_| Self::Ping),
            "pong" => data().map(|_| Self::Pong),
            "presence" => state(envelope.data).map(Self::Presence),
            "refresh" => data()?.token().map(Self::Refresh),
            "subscribe" | "subscribe_investigation" | "subscribe_analysis" => {
                let data = data()?;
                let cursor = data.cursor()?;
                Ok(Self::Subscribe(data.room()?, cursor))
            }
            "typing" => data().map(|data| Self::Typing(data.typing.unwrap_or(true))),
            "unsubscribe" | "unsubscribe_investigation" | "unsubscribe_analysis" => {
                data()?.room().map(Self::Unsubscribe)
            }
            "upload" => Announcement::read(envelope.id, envelope.data).map(Self::Upload),
            "upload_abort" => data()?.file().map(Self::UploadAbort),
            _ => Err(Reject::UnknownType.into()),
        }
    }
}

/// The fields of a frame's `data`.
pub(super) fn fields<'a, T: Deserialize<'a>>(data: Option<&'a RawValue>) -> Result<T, Refusal> {
    let text = data.map_or("null", RawValue::get);
    json::object(text, Reject::InvalidFrame).map_err(|refusal| refusal.reject.because("`data` is an object."))
}

/// A frame's own `id`, if it has one.
pub(super) fn frame_id(id: Option<&RawValue>) -> Result<Option<Id>, Refusal> {
    let bad = |_| Reject::InvalidId.because("`id` is 1 to 128 ASCII letters, digits and - . _ ~ @ | + = :");
    id.map_or(Ok(None), |id| serde_json::from_str(id.get()).map_err(bad))
}

fn state(data: Option<&RawValue>) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        state: &'a RawValue,
    }
    let Data { state } = fields(data)?;
    let bad = || Reject::InvalidFrame.because("`data` holds an object as `state`.");
    state.get().starts_with('{').then(|| state.get().to_owned()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;

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
}
