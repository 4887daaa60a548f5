//! Where the agent is that answers in chats, and how it is asked.

use std::fmt;

use serde_json::value::RawValue;

use super::openai::Remark;
use super::question::Question;
use super::{Protocol, backend, openai};
use crate::id::Id;

/// Which model is asked for, if nothing is set.
const MODEL: &str = "gpt-4o-mini";

/// Where the agent is.
#[derive(Debug, Default)]
pub enum Address {
    /// Here: the demonstration.
    #[default]
    Demo,
    /// Nowhere: what is set is no address.
    Nobody,
    /// There.
    Remote(Remote),
}

/// An agent that is reached over HTTP.
pub struct Remote {
    /// Its URL.
    pub url: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// What it knows this worker by, as a bearer token.
    pub token: Option<String>,
    model: String,
    prompt: Option<String>,
}

impl Address {
    /// Reads the settings. Without `AGENT_URL` it is the demonstration.
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let set = |name| lookup(name).filter(|text| !text.is_empty());
        let Some(url) = set("AGENT_URL") else { return Ok(Self::Demo) };
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("AGENT_URL must begin with https:// or http://: nobody answers".to_owned());
        }
        let protocol = match set("AGENT_KIND").as_deref() {
            None | Some("backend") => Protocol::Backend,
            Some("openai") => Protocol::OpenAi,
            Some(text) => return Err(format!("AGENT_KIND must be backend or openai, not {text:?}: nobody answers")),
        };
        let (token, prompt) = (set("AGENT_TOKEN"), set("AGENT_PROMPT"));
        let model = set("AGENT_MODEL").unwrap_or_else(|| MODEL.to_owned());
        Ok(Self::Remote(Remote { url, protocol, token, model, prompt }))
    }

    /// What it speaks; `None` if it is the demonstration.
    pub const fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Demo => None,
            Self::Nobody => Some(Protocol::Backend),
            Self::Remote(remote) => Some(remote.protocol),
        }
    }
}

impl Remote {
    /// The body of a request. `said` is what was said in that chat before, for those that do not remember.
    pub fn body(&self, session: &Id, question: &Question, said: &[Remark<'_>]) -> String {
        match self.protocol {
            Protocol::Backend => {
                let context = question.context.as_deref().and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
                backend::body(&question.content, session.as_str(), context, question.agent.as_ref().map(Id::as_str))
            }
            Protocol::OpenAi => openai::body(&self.model, self.prompt.as_deref(), said),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}
