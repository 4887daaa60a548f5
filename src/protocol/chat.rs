//! The frames of a chat: what somebody says in it, and which answer it stops.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{fields, frame_id};
use crate::code::{Refusal, Reject};
use crate::id::Id;

/// Something that somebody says in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// The client's id: to say it twice is to say it once.
    pub id: Option<Id>,
    /// What is said.
    pub content: String,
    /// What the agent is to know beside it, as JSON. Nobody else sees it.
    pub context: Option<String>,
    /// Which agent is asked, if it matters.
    pub agent: Option<Id>,
    /// Whether an agent is asked at all, or only the people hear it.
    pub ask: bool,
}

/// The answer that a client means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one of that id.
    Answer(Id),
    /// The one to that question.
    To(Id),
}

impl Chat {
    pub(super) fn read(id: Option<&RawValue>, data: Option<&RawValue>) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Data<'a> {
            content: Option<String>,
            message: Option<String>,
            #[serde(borrow)]
            context: Option<&'a RawValue>,
            agent_id: Option<Id>,
            ask: Option<bool>,
        }
        let Data { content, message, context, agent_id: agent, ask } = fields(data)?;
        let content = [content, message].into_iter().flatten().find(|content| !content.trim().is_empty());
        let content = content.ok_or_else(|| Reject::InvalidFrame.because("`data` holds what is said as `content`."))?;
        let context = context.map(|context| context.get().to_owned());
        Ok(Self { id: frame_id(id)?, content, context, agent, ask: ask.unwrap_or(true) })
    }
}

impl Which {
    pub(super) fn read(data: Option<&RawValue>) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Data {
            message_id: Option<Id>,
            reply_to: Option<Id>,
        }
        match fields(data)? {
            Data { message_id: Some(id), reply_to: None } => Ok(Self::Answer(id)),
            Data { message_id: None, reply_to: Some(id) } => Ok(Self::To(id)),
            Data { .. } => Err(Reject::InvalidFrame.because("`data` names one of message_id and reply_to.")),
        }
    }
}
