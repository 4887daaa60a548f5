//! What a service says when it ends a user's connections.

use serde::{Deserialize, Serialize};

use crate::code::{Refusal, Reject};
use crate::json;

/// Longest time that a user can be barred for, in seconds: 30 days.
const MAX_BAR: u64 = 30 * 24 * 3600;

/// The body of the request: `{"bar_seconds": 600}`, or nothing. 0 lifts a bar.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    bar_seconds: Option<u64>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Disconnected {
    /// How many connections were closed.
    pub disconnected: usize,
}

impl Disconnect {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let text = std::str::from_utf8(body).map_err(|_| Reject::InvalidJson)?;
        let this: Self = json::object(text, Reject::InvalidMessage)?;
        if this.bar_seconds > Some(MAX_BAR) {
            return Err(Reject::InvalidMessage.because(format!("`bar_seconds` is at most {MAX_BAR}.")));
        }
        Ok(this)
    }

    /// How long the user may not connect, in milliseconds, if anything is said of it.
    pub fn bar(&self) -> Option<u64> {
        self.bar_seconds.map(|seconds| seconds.saturating_mul(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_barred_for_as_long_as_is_said_and_not_otherwise() {
        for (body, bar) in [
            ("", None),
            (" ", None),
            ("{}", None),
            (r#"{"bar_seconds":0}"#, Some(0)),
            (r#"{"bar_seconds":600}"#, Some(600_000)),
        ] {
            assert_eq!(Disconnect::parse(body.as_bytes()).unwrap().bar(), bar, "{body}");
        }
        for (body, reject) in [
            ("{", Reject::InvalidJson),
            ("7", Reject::InvalidMessage),
            ("[600]", Reject::InvalidMessage),
            (r#"{"bar_seconds":-1}"#, Reject::InvalidMessage),
            (r#"{"bar_seconds":2592001}"#, Reject::InvalidMessage),
            (r#"{"bar":600}"#, Reject::InvalidMessage),
        ] {
            assert_eq!(Disconnect::parse(body.as_bytes()).unwrap_err().reject, reject, "{body}");
        }
    }
}
