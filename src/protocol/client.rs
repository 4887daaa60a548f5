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

/// What a refusal names of the frame that it refuses: whatever can be read of that, however wrong the rest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Original {
    /// Its `type`, cut to a sane length.
    pub kind: Option<String>,
    /// Its own `id`.
    pub id: Option<Id>,
    /// The file that it announces or gives up.
    pub file: Option<Id>,
    /// The room that it is to hear, or to hear no more.
    pub room: Option<RoomName>,
    /// The answer that it stops.
    pub answer: Option<Id>,
    /// The question that it wants no answer to.
    pub question: Option<Id>,
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
    pub fn decode(text: &str) -> Result<Self, Refusal> {
        let envelope = json::object(text, Reject::InvalidFrame).map_err(|refusal| Refusal::from(refusal.reject))?;
        Self::of(&envelope)
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

impl Original {
    /// Reads what there is to name of a text frame.
    pub fn of(text: &str) -> Self {
        let Some([kind, id, data]) = json::pick(text, ["type", "id", "data"]) else { return Self::default() };
        let (kind, id): (Option<Cow<'_, str>>, Option<Id>) = (lenient(kind), lenient(id));
        let about = match kind.as_deref().unwrap_or_default() {
            "chat_cancel" => {
                let [answer, question] = members(data, ["message_id", "reply_to"]).map(lenient);
                Self { answer, question, ..Self::default() }
            }
            "subscribe"
            | "subscribe_investigation"
            | "subscribe_analysis"
            | "unsubscribe"
            | "unsubscribe_investigation"
            | "unsubscribe_analysis" => Self { room: room_of(data), ..Self::default() },
            "upload" => Self { file: id.clone(), ..Self::default() },
            "upload_abort" => {
                let [file] = members(data, ["file_id"]).map(lenient);
                Self { file, ..Self::default() }
            }
            _ => Self::default(),
        };
        Self { kind: kind.map(|kind| kind.chars().take(64).collect()), id, ..about }
    }

    /// This frame, if it is the one that is meant.
    #[must_use]
    pub fn provided(self, is: impl FnOnce(&Self) -> bool) -> Self {
        if is(&self) { self } else { Self::default() }
    }
}

/// The one room that `data` names.
fn room_of(data: Option<&RawValue>) -> Option<RoomName> {
    let (kind, id) = match members(data, ["investigation_id", "analysis_id"]) {
        [Some(id), None] => (Kind::Investigation, id),
        [None, Some(id)] => (Kind::Analysis, id),
        [None, None] | [Some(_), Some(_)] => return None,
    };
    Some(RoomName::new(kind, lenient(Some(id))?))
}

/// What stands in `data` under these names, where there is anything.
fn members<'a, const N: usize>(data: Option<&'a RawValue>, names: [&str; N]) -> [Option<&'a RawValue>; N] {
    let picked = data.and_then(|data| json::pick(data.get(), names)).unwrap_or([None; N]);
    picked.map(|member| member.filter(|member| member.get() != "null"))
}

fn lenient<'a, T: Deserialize<'a>>(value: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
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
            assert_eq!(ClientFrame::decode(text).unwrap_err().reject, reject, "{text}");
        }
    }

    #[test]
    fn a_frame_may_nest_as_deep_as_it_is_long() {
        let deep = "[".repeat(1 << 18);
        let whole = format!("{deep}{}", "]".repeat(1 << 18));
        for (text, kind) in [
            (deep.clone(), ""),
            (format!(r#"{{"type":"chat","data":{deep}"#), ""),
            (format!(r#"{{"id":{whole},"type":"chat"}}"#), "chat"),
            (format!(r#"{{"type":"chat","id":"m","data":{whole}}}"#), "chat"),
            (format!(r#"{{"type":"upload","id":"m","data":{{"name":{whole}}}}}"#), "upload"),
            (format!(r#"{{"type":"subscribe","data":{{"analysis_id":{whole}}}}}"#), "subscribe"),
            (format!(r#"{{"type":"presence","data":{{"x":{whole}}}}}"#), "presence"),
            (format!(r#"{{"type":{whole}}}"#), ""),
        ] {
            ClientFrame::decode(&text).unwrap_err();
            assert_eq!(Original::of(&text).kind.unwrap_or_default(), kind);
        }
    }

    #[test]
    fn a_refusal_names_what_can_be_read_whatever_else_is_wrong() {
        let named = |text| {
            let Original { kind, id, file, room, answer, question } = Original::of(text);
            let names = [id, file, answer, question].map(|id| id.map_or_else(String::new, |id| id.to_string()));
            (kind.unwrap_or_default(), names.join(" "), room.map_or_else(String::new, |room| room.to_string()))
        };
        for (text, kind, names, room) in [
            (r#"{"type":"chat","id":"m","data":{"content":" "}}"#, "chat", "m   ", ""),
            (r#"{"data":7,"id":"m","type":"dance"}"#, "dance", "m   ", ""),
            (r#"{"type":7,"id":"m"}"#, "", "m   ", ""),
            (r#"{"type":"a","type":"b","id":"m","id":"n"}"#, "b", "n   ", ""),
            (r#"{"type":"chat","id":"m n"}"#, "chat", "   ", ""),
            (r#"{"type":"chat","id":7}"#, "chat", "   ", ""),
            (r#"{"type":"upload","id":"f","data":{"file_id":"g"}}"#, "upload", "f f  ", ""),
            (r#"{"type":"upload_abort","id":"m","data":{"file_id":"f"}}"#, "upload_abort", "m f  ", ""),
            (r#"{"type":"chat_cancel","data":{"message_id":"a","reply_to":"b"}}"#, "chat_cancel", "  a b", ""),
            (r#"{"type":"subscribe","data":{"analysis_id":"a","since":-1}}"#, "subscribe", "   ", "analysis:a"),
            (r#"{"type":"subscribe","data":{"analysis_id":"a","investigation_id":7}}"#, "subscribe", "   ", ""),
            (r#"{"type":"subscribe","data":["a"]}"#, "subscribe", "   ", ""),
            (
                r#"{"type":"unsubscribe_analysis","data":{"investigation_id":"i","analysis_id":null,"seq":""}}"#,
                "unsubscribe_analysis",
                "   ",
                "investigation:i",
            ),
            (r#"{"type":"chat","id":"m"}}"#, "", "   ", ""),
            (r#"["chat"]"#, "", "   ", ""),
        ] {
            assert_eq!(named(text), (kind.to_owned(), names.to_owned(), room.to_owned()), "{text}");
        }
    }
}
