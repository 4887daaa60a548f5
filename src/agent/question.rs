//! What an agent is asked.

use serde::{Deserialize, Serialize};

use crate::id::{Id, Seq};

/// A question that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The id of the message that asks.
    pub id: Id,
    /// Its place in the log.
    pub seq: Seq,
    /// Who asks.
    pub user: Id,
    /// What is asked.
    pub content: String,
    /// What the agent is to know beside it, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Which agent is asked, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Id>,
}
