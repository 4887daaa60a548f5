//! Every refusal: what a program switches on, what a person reads, and whether trying again can help.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Why one request or one frame was refused. The connection, if there is one, goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// The agent broke off, or said that it cannot answer.
    AgentFailed,
    /// The agent said nothing for too long.
    AgentTimeout,
    /// The agent could not be reached, or would not answer.
    AgentUnavailable,
    /// A service has barred this user for a time.
    Barred,
    /// A binary frame where the protocol speaks text.
    BinaryNotSupported,
    /// A service has ended the connection.
    Disconnected,
    /// A file is of a type that is not taken, or is not what it says it is.
    FileTypeNotAllowed,
    /// This worker has no place for files, or cannot reach it.
    FilesUnavailable,
    /// The token is good, the right is missing.
    Forbidden,
    /// Somebody else has used that id in this room.
    IdTaken,
    /// Our fault; the request may or may not have been carried out.
    Internal,
    /// A place in a log that is none: not a number, or without its epoch.
    InvalidCursor,
    /// What was announced of a file, or sent of it, does not fit.
    InvalidFile,
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
    /// Too many frames, or bytes, too fast.
    RateLimit,
    /// The room holds as many sockets as one object can.
    RoomFull,
    /// The chat session has been deleted, with all that was said in it.
    SessionDeleted,
    /// A connection that used to ping has fallen silent.
    Timeout,
    /// The token that the connection was opened with has ended.
    TokenExpired,
    /// The frame or the body is larger than the limit.
    TooLarge,
    /// The user has as many connections as one may have, in all rooms together.
    TooManyConnections,
    /// The room or the connection has as many files as it may.
    TooManyFiles,
    /// As many questions wait for an answer as may.
    TooManyQuestions,
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
    close: CloseCode,
    meaning: &'static str,
}

/// A refusal for good: the same request will not succeed.
const fn never(code: &'static str, status: u16, meaning: &'static str) -> Row {
    Row { code, status, retry: false, close: CloseCode::PolicyViolation, meaning }
}

/// A refusal for now: the same request can succeed later.
const fn later(code: &'static str, status: u16, close: CloseCode, meaning: &'static str) -> Row {
    Row { code, status, retry: true, close, meaning }
}

impl Reject {
    /// All of them, for tests and for the published table.
    pub const ALL: [Self; 34] = [
        Self::AgentFailed,
        Self::AgentTimeout,
        Self::AgentUnavailable,
        Self::Barred,
        Self::BinaryNotSupported,
        Self::Disconnected,
        Self::FileTypeNotAllowed,
        Self::FilesUnavailable,
        Self::Forbidden,
        Self::IdTaken,
        Self::Internal,
        Self::InvalidCursor,
        Self::InvalidFile,
        Self::InvalidFrame,
        Self::InvalidId,
        Self::InvalidJson,
        Self::InvalidMessage,
        Self::InvalidToken,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::OriginNotAllowed,
        Self::RateLimit,
        Self::RoomFull,
        Self::SessionDeleted,
        Self::Timeout,
        Self::TokenExpired,
        Self::TooLarge,
        Self::TooManyConnections,
        Self::TooManyFiles,
        Self::TooManyQuestions,
        Self::TooManySubscriptions,
        Self::Unavailable,
        Self::UnknownType,
        Self::UpgradeRequired,
    ];

    const fn row(self) -> Row {
        use CloseCode::{Disconnected, Internal, PolicyViolation, Timeout, TokenExpired, TryAgainLater};
        match self {
            Self::AgentFailed => later("AGENT_FAILED", 502, Internal, "The agent could not answer."),
            Self::AgentTimeout => later("AGENT_TIMEOUT", 504, Internal, "The agent did not answer in time."),
            Self::AgentUnavailable => later("AGENT_UNAVAILABLE", 503, Internal, "The agent cannot be reached."),
            Self::Barred => never("BARRED", 403, "This user may not connect for now."),
            Self::BinaryNotSupported => {
                never("BINARY_NOT_SUPPORTED", 415, "Send text frames: this room takes no binary.")
            }
            Self::Disconnected => {
                Row { close: Disconnected, ..never("DISCONNECTED", 403, "A service has ended this connection.") }
            }
            Self::FileTypeNotAllowed => never("FILE_TYPE_NOT_ALLOWED", 415, "Files of that type are not taken."),
            Self::FilesUnavailable => {
                later("FILES_UNAVAILABLE", 503, TryAgainLater, "Files cannot be taken or given now.")
            }
            Self::Forbidden => never("FORBIDDEN", 403, "This token does not allow that."),
            Self::IdTaken => never("ID_TAKEN", 409, "That id is taken."),
            Self::Internal => later("INTERNAL", 500, Internal, "Something failed on our side; please try again."),
            Self::InvalidCursor => never("INVALID_CURSOR", 400, "That is no place in a log."),
            Self::InvalidFile => never("INVALID_FILE", 400, "That is no file as it was announced."),
            Self::InvalidFrame => never("INVALID_FRAME", 400, "A frame is a JSON object with a string `type`."),
            Self::InvalidId => never("INVALID_ID", 400, "That id is not valid."),
            Self::InvalidJson => never("INVALID_JSON", 400, "That is not JSON."),
            Self::InvalidMessage => never("INVALID_MESSAGE", 400, "A message is an object {type, data, id?}."),
            Self::InvalidToken => never("INVALID_TOKEN", 401, "A valid access token is required."),
            Self::MethodNotAllowed => never("METHOD_NOT_ALLOWED", 405, "This path does not take that method."),
            Self::NotFound => never("NOT_FOUND", 404, "There is nothing at this path."),
            Self::OriginNotAllowed => never("ORIGIN_NOT_ALLOWED", 403, "Pages of this origin may not come here."),
            Self::RateLimit => {
                later("RATE_LIMIT", 429, PolicyViolation, "That is too much too fast; please slow down.")
            }
            Self::RoomFull => later("ROOM_FULL", 503, TryAgainLater, "This room holds as many sockets as it can."),
            Self::SessionDeleted => {
                Row { close: Disconnected, ..never("SESSION_DELETED", 410, "This session has been deleted.") }
            }
            Self::Timeout => later("TIMEOUT", 408, Timeout, "No ping came for too long."),
            Self::TokenExpired => Row {
                close: TokenExpired,
                ..never("TOKEN_EXPIRED", 401, "The token has ended: come back with another.")
            },
            Self::TooLarge => never("TOO_LARGE", 413, "That is larger than a message may be."),
            Self::TooManyConnections => {
                later("TOO_MANY_CONNECTIONS", 429, TryAgainLater, "This user has as many connections as one may have.")
            }
            Self::TooManyFiles => never("TOO_MANY_FILES", 429, "There are as many files here as there may be."),
            Self::TooManyQuestions => {
                later("TOO_MANY_QUESTIONS", 429, TryAgainLater, "Too many questions wait for an answer.")
            }
            Self::TooManySubscriptions => {
                never("TOO_MANY_SUBSCRIPTIONS", 429, "This connection follows as many rooms as it may.")
            }
            Self::Unavailable => later("UNAVAILABLE", 503, Internal, "That room did not answer; please try again."),
            Self::UnknownType => never("UNKNOWN_TYPE", 400, "This room does not know frames of that type."),
            Self::UpgradeRequired => never("UPGRADE_REQUIRED", 426, "This path speaks WebSocket: ask for an upgrade."),
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

    /// This refusal with a sentence of its own, where the general one does not say enough.
    pub fn because(self, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { reject: self, message: message.into(), wait: None, methods: None }
    }
}

/// A [`Reject`] and the sentence that goes with it this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reject: Reject,
    /// The sentence.
    pub message: Cow<'static, str>,
    /// How many milliseconds to wait before trying again.
    pub wait: Option<u64>,
    /// The methods that would have done.
    pub methods: Option<String>,
}

impl Refusal {
    /// This refusal, to be tried again after so many milliseconds.
    #[must_use]
    pub fn after(self, wait: u64) -> Self {
        Self { wait: Some(wait), ..self }
    }

    /// The headers that HTTP wants beside the status.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let token = (self.reject == Reject::InvalidToken).then(|| ("www-authenticate", "Bearer".to_owned()));
        let methods = self.methods.as_ref().map(|methods| ("allow", methods.clone()));
        let wait = self.wait.map(|wait| ("retry-after", wait.div_ceil(1_000).to_string()));
        [token, methods, wait].into_iter().flatten().collect()
    }
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
    /// A service ended the connection: stay away, unless the user wishes otherwise.
    Disconnected,
    /// Our fault; come back.
    Internal,
    /// The connection was not allowed: come back with another token or another address, not with the same.
    PolicyViolation,
    /// No sign of life came for too long: come back.
    Timeout,
    /// The token ended: come back with another.
    TokenExpired,
    /// Nothing is wrong but the moment: come back later.
    TryAgainLater,
}

impl CloseCode {
    /// The number on the wire (RFC 6455, 7.4.1).
    pub const fn number(self) -> u16 {
        match self {
            Self::Disconnected => 4003,
            Self::Internal => 1011,
            Self::PolicyViolation => 1008,
            Self::Timeout => 4008,
            Self::TokenExpired => 4001,
            Self::TryAgainLater => 1013,
        }
    }
}

impl From<Reject> for CloseCode {
    /// How a connection ends for this reason.
    fn from(reject: Reject) -> Self {
        reject.row().close
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
    fn http_hears_what_its_headers_can_say() {
        let headers = |refusal: Refusal| refusal.headers();
        assert_eq!(headers(Reject::InvalidToken.into()), [("www-authenticate", "Bearer".to_owned())]);
        assert_eq!(headers(Reject::RateLimit.into()), []);
        for (wait, seconds) in [(1, "1"), (1_000, "1"), (1_001, "2"), (30_000, "30")] {
            let refusal = Refusal::from(Reject::RateLimit).after(wait);
            assert_eq!(headers(refusal), [("retry-after", seconds.to_owned())], "{wait}");
        }
    }

    #[test]
    fn only_what_may_succeed_later_invites_a_retry() {
        assert_eq!(CloseCode::from(Reject::InvalidToken).number(), 1008);
        assert_eq!(CloseCode::from(Reject::Internal).number(), 1011);
        assert_eq!(CloseCode::from(Reject::TooManyConnections).number(), 1013);
        assert_eq!(CloseCode::from(Reject::TokenExpired).number(), 4001);
        assert_eq!(CloseCode::from(Reject::Disconnected).number(), 4003);
    }
}
