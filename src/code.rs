//! Every refusal: what a program switches on, what a person reads, and whether trying again can help.

use std::borrow::Cow;
use std::fmt;

/// Why one request or one frame was refused. The connection, if there is one, goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// A binary frame where the protocol speaks text.
    BinaryNotSupported,
    /// The token is good, the right is missing.
    Forbidden,
    /// Our fault; the request may or may not have been carried out.
    Internal,
    /// JSON, but not a frame: no object, no `type`, or `data` of the wrong shape.
    InvalidFrame,
    /// An id in a path or a frame that no room can have.
    InvalidId,
    /// Not JSON.
    InvalidJson,
    /// JSON, but not a message that can be published.
    InvalidMessage,
    /// Missing, malformed, forged, expired, of the wrong kind: deliberately one code.
    InvalidToken,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No such path.
    NotFound,
    /// A page of an origin that is not on the list.
    OriginNotAllowed,
    /// The frame or the body is larger than the limit.
    TooLarge,
    /// One connection follows as many rooms as it may.
    TooManySubscriptions,
    /// The room that was to be followed did not answer.
    Unavailable,
    /// A frame of a type that this room does not know.
    UnknownType,
    /// A WebSocket route was asked without an upgrade.
    UpgradeRequired,
}

/// What the table says of one [`Reject`].
struct Row {
    code: &'static str,
    status: u16,
    retry: bool,
    meaning: &'static str,
}

const fn row(code: &'static str, status: u16, retry: bool, meaning: &'static str) -> Row {
    Row { code, status, retry, meaning }
}

impl Reject {
    /// All of them, for tests and for the published table.
    pub const ALL: [Self; 16] = [
        Self::BinaryNotSupported,
        Self::Forbidden,
        Self::Internal,
        Self::InvalidFrame,
        Self::InvalidId,
        Self::InvalidJson,
        Self::InvalidMessage,
        Self::InvalidToken,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::OriginNotAllowed,
        Self::TooLarge,
        Self::TooManySubscriptions,
        Self::Unavailable,
        Self::UnknownType,
        Self::UpgradeRequired,
    ];

    const fn row(self) -> Row {
        match self {
            Self::BinaryNotSupported => {
                row("BINARY_NOT_SUPPORTED", 415, false, "Send text frames: this room takes no binary.")
            }
            Self::Forbidden => row("FORBIDDEN", 403, false, "This token does not allow that."),
            Self::Internal => row("INTERNAL", 500, true, "Something failed on our side; please try again."),
            Self::InvalidFrame => row("INVALID_FRAME", 400, false, "A frame is a JSON object with a string `type`."),
            Self::InvalidId => row("INVALID_ID", 400, false, "That id is not valid."),
            Self::InvalidJson => row("INVALID_JSON", 400, false, "That is not JSON."),
            Self::InvalidMessage => row("INVALID_MESSAGE", 400, false, "A message is an object {type, data, id?}."),
            Self::InvalidToken => row("INVALID_TOKEN", 401, false, "A valid access token is required."),
            Self::MethodNotAllowed => row("METHOD_NOT_ALLOWED", 405, false, "This path does not take that method."),
            Self::NotFound => row("NOT_FOUND", 404, false, "There is nothing at this path."),
            Self::OriginNotAllowed => row("ORIGIN_NOT_ALLOWED", 403, false, "Pages of this origin may not come here."),
            Self::TooLarge => row("TOO_LARGE", 413, false, "That is larger than a message may be."),
            Self::TooManySubscriptions => {
                row("TOO_MANY_SUBSCRIPTIONS", 429, false, "This connection follows as many rooms as it may.")
            }
            Self::Unavailable => row("UNAVAILABLE", 503, true, "That room did not answer; please try again."),
            Self::UnknownType => row("UNKNOWN_TYPE", 400, false, "This room does not know frames of that type."),
            Self::UpgradeRequired => {
                row("UPGRADE_REQUIRED", 426, false, "This path speaks WebSocket: ask for an upgrade.")
            }
        }
    }

    /// The name a program switches on; it never changes.
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// The HTTP status that says the same.
    pub const fn status(self) -> u16 {
        self.row().status
    }

    /// Whether the same request can succeed later.
    pub const fn retry(self) -> bool {
        self.row().retry
    }

    /// A sentence for a person.
    pub const fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// The header that HTTP wants beside this status.
    pub const fn header(self) -> Option<(&'static str, &'static str)> {
        if let Self::InvalidToken = self { Some(("www-authenticate", "Bearer")) } else { None }
    }

    /// This refusal with a sentence of its own, where the general one does not say enough.
    pub fn because(self, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { reject: self, message: message.into() }
    }
}

/// A [`Reject`] and the sentence that goes with it this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reject: Reject,
    /// The sentence.
    pub message: Cow<'static, str>,
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        reject.because(reject.meaning())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reject.code(), self.message)
    }
}

/// How a connection ends. Clients of today know these numbers: after 1000 they stay away, after the rest they return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// Our fault; come back.
    Internal,
    /// The connection was not allowed: come back with another token or another address, not with the same.
    PolicyViolation,
}

impl CloseCode {
    /// The number on the wire (RFC 6455, 7.4.1).
    pub const fn number(self) -> u16 {
        match self {
            Self::Internal => 1011,
            Self::PolicyViolation => 1008,
        }
    }
}

impl From<Reject> for CloseCode {
    /// How a connection ends that was refused for this reason.
    fn from(reject: Reject) -> Self {
        if reject.retry() { Self::Internal } else { Self::PolicyViolation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_refusal_has_a_code_of_its_own_a_status_and_a_sentence() {
        let codes: BTreeSet<_> = Reject::ALL.iter().map(|reject| reject.code()).collect();
        assert_eq!(codes.len(), Reject::ALL.len());
        for reject in Reject::ALL {
            assert!((400..600).contains(&reject.status()), "{reject:?}");
            assert!(reject.meaning().ends_with('.'), "{reject:?}");
        }
    }

    #[test]
    fn only_what_may_succeed_later_invites_a_retry() {
        assert_eq!(CloseCode::from(Reject::InvalidToken).number(), 1008);
        assert_eq!(CloseCode::from(Reject::Internal).number(), 1011);
    }
}
