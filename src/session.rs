//! Who a connection is: all that a hibernated socket carries with it.

use serde::{Deserialize, Serialize};

use crate::id::{ConnId, Id};
use crate::moment::Millis;

/// A connection's identity. It is written to the socket once, as JSON, and read when its room wakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Which connection.
    pub conn: ConnId,
    /// Whose.
    pub user: Id,
    /// When the token it was opened with ends.
    pub expires: Millis,
    /// What the client asked for by `?connection_type=`, echoed to it.
    pub connection_type: ConnectionType,
    /// Whether it takes several messages in one `batch` frame.
    #[serde(default)]
    pub batches: bool,
}

/// The old servers' word for what a general connection is meant for. It changes nothing but the welcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionType {
    /// One analysis.
    Analysis,
    /// Anything; what holds when nothing is said.
    #[default]
    General,
    /// One investigation.
    Investigation,
}

impl ConnectionType {
    /// The type of that name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "analysis" => Some(Self::Analysis),
            "general" => Some(Self::General),
            "investigation" => Some(Self::Investigation),
            _ => None,
        }
    }
}

impl Session {
    /// Reads what [`Self::encode`] wrote. `None` for anything else: the socket cannot be told apart and must go.
    pub fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The session as JSON, under 1 KiB of the 16 KiB that a socket can carry.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_session_survives_its_sleep_and_is_small() {
        let session = Session {
            conn: ConnId(Uuid::max()),
            user: "u".repeat(128).parse().unwrap(),
            expires: Millis(u64::MAX),
            connection_type: ConnectionType::General,
            batches: true,
        };
        assert_eq!(Session::decode(&session.encode()), Some(session.clone()));
        assert!(session.encode().len() < 1024);
    }

    #[test]
    fn what_is_not_a_session_is_nobody() {
        for text in ["", "{}", "null", r#"{"conn":1}"#] {
            assert_eq!(Session::decode(text), None);
        }
    }
}
