//! Names that are valid by construction: whoever holds one need not check it again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::code::{Refusal, Reject};
use crate::moment::Millis;

/// What a name may not be, in a sentence for the person who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId(pub &'static str);

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The id of a user, an investigation, an analysis, a chat session or a message.
///
/// 1 to [`Id::MAX_BYTES`] ASCII letters, digits and `- . _ ~ @ | + = :`, which covers UUIDs, e-mail addresses and
/// the subjects of the usual identity providers, and needs no escaping in a room's name or a log line. `.` and `..` are
/// none: in a URL they are folders, which go before anybody sees them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Longest id, in bytes: a room's name must fit into a socket's attachment (16 KiB) many times over.
    pub const MAX_BYTES: usize = 128;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Id {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@|+=:".contains(&byte);
        match text.len() {
            0 => Err(InvalidId("an id must not be empty")),
            1..=2 if text.bytes().all(|byte| byte == b'.') => Err(InvalidId("an id is more than dots")),
            1..=Self::MAX_BYTES if text.bytes().all(allowed) => Ok(Self(text)),
            1..=Self::MAX_BYTES => Err(InvalidId("an id holds ASCII letters, digits and - . _ ~ @ | + = : only")),
            _ => Err(InvalidId("an id is at most 128 bytes long")),
        }
    }
}

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::try_from(text.to_owned())
    }
}

impl From<Uuid> for Id {
    fn from(uuid: Uuid) -> Self {
        Self(uuid.to_string())
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a room is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// People who watch one analysis.
    Analysis,
    /// The people of one chat session, and the agent.
    Chat,
    /// People who watch one investigation.
    Investigation,
    /// Everybody, in the one room `system:all`.
    System,
    /// All devices of one user.
    User,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Analysis, Self::Chat, Self::Investigation, Self::System, Self::User];

    /// The kind as it stands before the colon of a room's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Analysis => "analysis",
            Self::Chat => "chat",
            Self::Investigation => "investigation",
            Self::System => "system",
            Self::User => "user",
        }
    }
}

impl FromStr for Kind {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(InvalidId("no such kind of room"))
    }
}

/// `<kind>:<id>`: names one room, one Durable Object, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName {
    kind: Kind,
    id: Id,
}

impl RoomName {
    /// The room of this kind and id. Of the kind [`Kind::System`] there is but [`Self::system`].
    pub const fn new(kind: Kind, id: Id) -> Self {
        Self { kind, id }
    }

    /// `system:all`, where messages for everybody are published.
    pub fn system() -> Self {
        Self::new(Kind::System, Id("all".to_owned()))
    }

    /// What the room is about.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Which one of its kind it is.
    pub const fn id(&self) -> &Id {
        &self.id
    }
}

impl FromStr for RoomName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (kind, id) = text.split_once(':').ok_or(InvalidId("a room's name is <kind>:<id>"))?;
        let name = Self::new(kind.parse()?, id.parse()?);
        match name.kind == Kind::System && name != Self::system() {
            true => Err(InvalidId("the one room of its kind is system:all")),
            false => Ok(name),
        }
    }
}

impl TryFrom<String> for RoomName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<RoomName> for String {
    fn from(name: RoomName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)
    }
}

/// One connection, for as long as its socket is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnId(pub Uuid);

impl ConnId {
    /// When the connection was admitted: its id says so.
    pub fn admitted(self) -> Option<Millis> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        Some(Millis(seconds.saturating_mul(1_000).saturating_add(u64::from(nanos / 1_000_000))))
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message's place in its room's log. The first message is 1; 0 is "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The highest number: what JavaScript counts exactly.
    pub const MAX: u64 = (1 << 53) - 1;

    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Which life of a log a [`Seq`] belongs to: it changes when the log is wiped, and numbers begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch(pub u64);

impl FromStr for Epoch {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let hexadecimal = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let epoch = hexadecimal.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        epoch.map(Self).ok_or(InvalidId("an epoch is 16 hexadecimal digits"))
    }
}

impl TryFrom<String> for Epoch {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Epoch> for String {
    fn from(epoch: Epoch) -> Self {
        epoch.to_string()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How far somebody is in a room: who holds it has everything up to `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The log's life.
    pub epoch: Epoch,
    /// The newest message that is there.
    pub seq: Seq,
}

impl Cursor {
    /// The cursor that somebody brings: both parts of it, or none.
    pub fn parse(epoch: Option<&str>, since: Option<Seq>) -> Result<Option<Self>, Refusal> {
        let invalid = |why: &'static str| Err(Reject::InvalidCursor.because(why));
        match (epoch.map(str::parse), since) {
            (None, None) => Ok(None),
            (Some(Ok(epoch)), Some(seq)) if seq.0 <= Seq::MAX => Ok(Some(Self { epoch, seq })),
            (Some(Err(InvalidId(why))), _) => invalid(why),
            (Some(Ok(_)), Some(_)) => invalid("`since` is at most 9007199254740991."),
            (Some(_), None) | (None, Some(_)) => invalid("`epoch` and `since` come together."),
        }
    }
}

/// A short stand-in for a name (FNV-1a). It is stored: it must never change.
pub(crate) fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |print, byte| (print ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_needs_no_escaping() {
        for good in ["inv-123", "...", "ana@example.org", "auth0|5f7c", "a".repeat(128).as_str()] {
            assert!(good.parse::<Id>().is_ok(), "{good}");
        }
        for bad in ["", " ", ".", "..", "a/b", "a b", "não", "a\n", "*", "a".repeat(129).as_str()] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
    }

    #[test]
    fn fingerprints_are_those_that_were_stored_before() {
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn an_epoch_reads_back_as_it_was_written() {
        for epoch in [0, 7, u64::MAX] {
            assert_eq!(Epoch(epoch).to_string().parse(), Ok(Epoch(epoch)));
        }
        for bad in ["", "7", "000000000000000G", "00000000000000000", "+000000000000007", "000000000000000A"] {
            assert!(bad.parse::<Epoch>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_room_name_reads_back_as_it_was_written() {
        for text in ["investigation:1", "analysis:a:b", "chat:s", "system:all", "user:ana@example.org"] {
            assert_eq!(text.parse::<RoomName>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "investigation",
            "investigation:",
            "rooms:1",
            ":1",
            "Investigation:1",
            "system:",
            "system:al",
            "system:all:",
        ] {
            assert!(bad.parse::<RoomName>().is_err(), "{bad}");
        }
    }
}
