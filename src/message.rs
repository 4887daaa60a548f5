//! Messages: what publishers hand in, and the frame that everybody gets.

use std::borrow::Cow;

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::batch::Priority;
use crate::code::{Refusal, Reject};
use crate::id::{Id, RoomName, Seq};
use crate::json;
use crate::limits::Limits;

/// Longest `type`, in bytes.
const MAX_TYPE_BYTES: usize = 64;

/// Types that only the server itself may send: a client takes them for answers to what it asked.
const RESERVED: [&str; 16] = [
    "ack",
    "batch",
    "connection",
    "connection_established",
    "heartbeat",
    "ping",
    "pong",
    "presence",
    "refreshed",
    "subscribed",
    "token_expiring",
    "unsubscribed",
    "upload_aborted",
    "upload_complete",
    "upload_progress",
    "upload_ready",
];

/// One message as its publisher wrote it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    #[serde(rename = "type")]
    kind: String,
    data: Option<Box<RawValue>>,
    /// The publisher's own id: publishing it twice in a room delivers it once.
    pub id: Option<Id>,
    timestamp: Option<String>,
    priority: Option<Priority>,
    ephemeral: Option<bool>,
}

/// The part of an anomaly's data that decides its priority.
#[derive(Deserialize)]
struct Anomaly<'a> {
    #[serde(borrow)]
    severity: Cow<'a, str>,
}

impl Draft {
    /// Reads a POST body: one message or an array of them. One bad message refuses them all, and is named.
    pub fn parse(body: &[u8], limits: &Limits) -> Result<Vec<Self>, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| Reject::InvalidJson.because("The body is not UTF-8."))?;
        if json::depth(text) > limits.json_depth {
            return Err(Reject::InvalidMessage.because(format!("JSON may nest {} levels deep.", limits.json_depth)));
        }
        if !text.trim_ascii_start().starts_with('[') {
            return Ok(vec![Self::parse_one(text)?]);
        }
        let parts: Vec<&RawValue> = json::read(text, Reject::InvalidMessage)?;
        if parts.is_empty() || parts.len() > limits.messages_per_post {
            let range = format!("An array holds 1 to {} messages.", limits.messages_per_post);
            return Err(Reject::InvalidMessage.because(range));
        }
        let name =
            |place: usize, refusal: Refusal| refusal.reject.because(format!("messages[{place}]: {}", refusal.message));
        let parsed = parts.iter().enumerate();
        parsed.map(|(place, part)| Self::parse_one(part.get()).map_err(|refusal| name(place, refusal))).collect()
    }

    fn parse_one(text: &str) -> Result<Self, Refusal> {
        let draft: Self = json::object(text, Reject::InvalidMessage)?;
        let name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if !(1..=MAX_TYPE_BYTES).contains(&draft.kind.len()) || !draft.kind.bytes().all(name) {
            return Err(Reject::InvalidMessage.because("`type` is 1 to 64 ASCII letters, digits and _ - . :"));
        }
        if RESERVED.contains(&draft.kind.as_str()) {
            return Err(Reject::InvalidMessage.because(format!("`type` {:?} is the server's own.", draft.kind)));
        }
        if draft.timestamp.as_deref().is_some_and(|text| DateTime::parse_from_rfc3339(text).is_err()) {
            return Err(Reject::InvalidMessage.because("`timestamp` is a moment as in RFC 3339."));
        }
        Ok(draft)
    }

    /// A message of the room's own.
    pub fn new(kind: &str, data: &impl Serialize, id: Id) -> Self {
        let (kind, data) = (kind.to_owned(), serde_json::value::to_raw_value(data).ok());
        Self { kind, data, id: Some(id), timestamp: None, priority: None, ephemeral: None }
    }

    /// What the room itself says, for those alone who hear it now.
    pub fn ephemeral(kind: &str, data: &impl Serialize) -> Self {
        let data = serde_json::value::to_raw_value(data).ok();
        Self { kind: kind.to_owned(), data, id: None, timestamp: None, priority: None, ephemeral: Some(true) }
    }

    /// Whether it is for those alone who hear the room now, and is not kept.
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral == Some(true)
    }

    /// As its publisher says; else errors, system notifications and grave anomalies are critical.
    pub fn priority(&self) -> Priority {
        let grave = || {
            let data = self.data.as_deref().unwrap_or(RawValue::NULL).get();
            json::object(data, Reject::InvalidMessage)
                .is_ok_and(|Anomaly { severity }| matches!(&*severity, "high" | "critical"))
        };
        self.priority.unwrap_or_else(|| match self.kind.as_str() {
            "error" | "system_notification" => Priority::Critical,
            "anomaly_detected" if grave() => Priority::Critical,
            _ => Priority::Normal,
        })
    }

    /// The frame that everybody gets: the message's only serialisation.
    pub fn into_frame(self, id: &Id, room: &RoomName, seq: Option<Seq>, now: &str) -> String {
        let timestamp = self.timestamp.as_deref().unwrap_or(now);
        let empty: &RawValue = serde_json::from_str("{}").unwrap_or(RawValue::NULL);
        let data = self.data.as_deref().unwrap_or(empty);
        let frame = Frame { kind: &self.kind, data, timestamp, id, room, seq };
        serde_json::to_string(&frame).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    data: &'a RawValue,
    timestamp: &'a str,
    id: &'a Id,
    room: &'a RoomName,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Seq>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Vec<Draft>, Refusal> {
        Draft::parse(body.as_bytes(), &Limits::default())
    }

    fn frame(body: &str) -> String {
        let draft = parse(body).unwrap().remove(0);
        let id = draft.id.clone().unwrap_or_else(|| "given".parse().unwrap());
        draft.into_frame(&id, &"chat:s".parse().unwrap(), Some(Seq(3)), "now")
    }

    #[test]
    fn a_message_reaches_clients_with_its_data_untouched() {
        assert_eq!(
            frame(
                r#"{"type":"anomaly_detected","data":{"valor":1.10,"n":12345678901234567890,"texto":"ação"},"id":"m1"}"#
            ),
            r#"{"type":"anomaly_detected","data":{"valor":1.10,"n":12345678901234567890,"texto":"ação"},"timestamp":"now","id":"m1","room":"chat:s","seq":3}"#
        );
        assert_eq!(
            frame(r#"{"type":"report_ready","timestamp":"2025-10-31T19:00:00Z"}"#),
            r#"{"type":"report_ready","data":{},"timestamp":"2025-10-31T19:00:00Z","id":"given","room":"chat:s","seq":3}"#
        );
    }

    #[test]
    fn a_publisher_says_how_urgent_a_message_is_or_its_type_does() {
        for (body, priority) in [
            (r#"{"type":"step"}"#, Priority::Normal),
            (r#"{"type":"error","data":{}}"#, Priority::Critical),
            (r#"{"type":"system_notification"}"#, Priority::Critical),
            (r#"{"type":"anomaly_detected","data":{"severity":"high"}}"#, Priority::Critical),
            (r#"{"type":"anomaly_detected","data":{"a":[],"severity":"critical"}}"#, Priority::Critical),
            (r#"{"type":"anomaly_detected","data":{"severity":"medium"}}"#, Priority::Normal),
            (r#"{"type":"anomaly_detected","data":["high"]}"#, Priority::Normal),
            (r#"{"type":"anomaly_detected"}"#, Priority::Normal),
            (r#"{"type":"error","priority":"low"}"#, Priority::Low),
            (r#"{"type":"step","priority":"critical"}"#, Priority::Critical),
        ] {
            assert_eq!(parse(body).unwrap()[0].priority(), priority, "{body}");
        }
        assert_eq!(parse(r#"{"type":"a","priority":"vip"}"#).unwrap_err().reject, Reject::InvalidMessage);
    }

    #[test]
    fn one_message_or_an_array_of_them_is_taken() {
        assert_eq!(parse(r#"{"type":"a"}"#).unwrap().len(), 1);
        assert_eq!(parse(r#" [{"type":"a"},{"type":"b"}]"#).unwrap().len(), 2);
    }

    #[test]
    fn what_is_not_json_is_told_apart_from_what_is_no_message() {
        for body in ["", "{", "hello", r#"{"type":"a"}}"#, "[1,", r#"{"type":"a","data":{]}"#] {
            assert_eq!(parse(body).unwrap_err().reject, Reject::InvalidJson, "{body}");
        }
        for body in [
            "7",
            "null",
            "[]",
            "{}",
            "[7]",
            r#"[["a"]]"#,
            r#"{"type":7}"#,
            r#"{"type":""}"#,
            r#"{"type":"a b"}"#,
            r#"{"type":"a","id":""}"#,
            r#"{"type":"a","id":"a/b"}"#,
            r#"{"type":"a","id":7}"#,
            r#"{"type":"a","timestamp":"yesterday"}"#,
            r#"{"type":"a","dta":{}}"#,
            r#"{"type":"subscribed"}"#,
        ] {
            assert_eq!(parse(body).unwrap_err().reject, Reject::InvalidMessage, "{body}");
        }
        assert_eq!(Draft::parse(b"\"\xff\"", &Limits::default()).unwrap_err().reject, Reject::InvalidJson);
    }

    #[test]
    fn the_bad_message_of_an_array_is_named() {
        let refusal = parse(r#"[{"type":"a"},{"type":"b","x":1}]"#).unwrap_err();
        assert!(refusal.message.starts_with("messages[1]: unknown field `x`"), "{refusal}");
    }

    #[test]
    fn arrays_and_nesting_are_bounded() {
        let limits = Limits { messages_per_post: 2, json_depth: 4, ..Limits::default() };
        let check = |body: &str| Draft::parse(body.as_bytes(), &limits).is_ok();
        assert!(check(r#"[{"type":"a"},{"type":"a"}]"#));
        assert!(!check(r#"[{"type":"a"},{"type":"a"},{"type":"a"}]"#));
        assert!(check(r#"{"type":"a","data":[[["[[[[\\"]]]}"#));
        assert!(!check(r#"{"type":"a","data":[[[[]]]]}"#));
        assert!(!check(&"[".repeat(1_000_000)));
    }
}
