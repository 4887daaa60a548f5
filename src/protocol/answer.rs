//! What everybody in a chat hears of an answer. None of it but [`Said::Complete`] is kept.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::agent::{Agent, Stage};
use crate::code::Refusal;
use crate::id::Id;

/// The fields that chunks have of those that complete answers have.
const CHUNK: [&str; 6] = ["role", "content", "message_id", "reply_to", "agent_id", "agent_name"];

/// Which answer it is about.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct About<'a> {
    /// The answer: the id of the message that it will be.
    pub message_id: &'a Id,
    /// The id of the message that asked.
    pub reply_to: &'a Id,
}

/// How an answer has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Somebody stopped it.
    Cancelled,
    /// The agent has said all.
    Completed,
    /// The agent could not go on.
    Failed,
    /// The server broke in the middle.
    Interrupted,
}

/// Why there is not all of an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Fault<'a> {
    code: &'static str,
    message: &'a str,
}

/// Something of an answer: the `data` of a message.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Said<'a> {
    /// More of its text.
    Chunk {
        /// Always `assistant`.
        role: &'static str,
        /// What follows on what was said before, or all of it.
        content: &'a str,
        /// Always true.
        chunk: bool,
        /// Whether it is all of it.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        snapshot: bool,
        /// Which answer.
        #[serde(flatten)]
        about: About<'a>,
        /// Who speaks.
        #[serde(flatten)]
        agent: &'a Agent,
    },
    /// All of it.
    Complete {
        /// How it ended.
        status: Status,
        /// Always `assistant`.
        role: &'static str,
        /// The whole text.
        content: &'a str,
        /// Which answer.
        #[serde(flatten)]
        about: About<'a>,
        /// Who spoke.
        #[serde(flatten)]
        agent: &'a Agent,
        /// What went wrong, if something did.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Fault<'a>>,
        /// What else the agent says of it.
        #[serde(flatten)]
        extra: &'a Map<String, Value>,
    },
    /// It could not be had.
    Error {
        /// What went wrong.
        #[serde(flatten)]
        fault: Fault<'a>,
        /// Whether to ask again may help.
        retry: bool,
        /// Which answer.
        #[serde(flatten)]
        about: About<'a>,
    },
    /// An agent is at it, or is no more.
    Typing {
        /// Always `processing`, which clients of today look for.
        agent: &'static str,
        /// Whether it is.
        #[serde(rename = "isTyping")]
        typing: bool,
        /// How far it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        stage: Option<Stage>,
        /// Its own words for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        /// Which answer.
        #[serde(flatten)]
        about: About<'a>,
        /// Who is at it.
        #[serde(flatten)]
        who: &'a Agent,
    },
}

impl<'a> From<&'a Refusal> for Fault<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self { code: refusal.reject.code(), message: &refusal.message }
    }
}

impl Said<'_> {
    /// The message's `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Chunk { .. } => "chat",
            Self::Complete { .. } => "chat_complete",
            Self::Error { .. } => "error",
            Self::Typing { .. } => "typing",
        }
    }
}

/// An answer that is complete, as one chunk of all of it; `None` if the frame is no answer, or an empty one.
pub(crate) fn whole_chunk(frame: &str) -> Option<String> {
    let mut frame: Value =
        frame.starts_with(r#"{"type":"chat_complete""#).then(|| serde_json::from_str(frame).ok())??;
    let data = frame.get_mut("data")?.as_object_mut()?;
    data.get("content")?.as_str().filter(|content| !content.is_empty())?;
    data.retain(|name, _| CHUNK.contains(&name.as_str()));
    data.extend(["chunk", "snapshot"].map(|name| (name.to_owned(), true.into())));
    let message = frame.as_object_mut()?;
    message.remove("seq");
    message.insert("type".to_owned(), "chat".into());
    Some(frame.to_string())
}
