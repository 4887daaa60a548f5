//! Which rooms a token opens, when it names them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::code::{Refusal, Reject};
use crate::id::{InvalidId, Kind, RoomName};

/// The claim `rooms`: whoever holds it opens these rooms and no other. Without an entry it opens none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Grants(Vec<Grant>);

/// One entry of the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Grant {
    /// `<kind>:*`
    All(Kind),
    /// `<kind>:<id>`
    One(RoomName),
}

impl Grants {
    /// Most entries: 64. They travel in a socket's attachment, which holds 16 KiB, with what else a session has. A token of
    /// 8 KiB, the longest that is read, carries 6,144 bytes of claims: 64 entries of up to 93, with quotes and comma.
    pub const MAX: usize = 64;

    /// Whether that room is among them.
    pub fn allows(&self, room: &RoomName) -> bool {
        self.0.iter().any(|grant| match grant {
            Grant::All(kind) => *kind == room.kind(),
            Grant::One(name) => name == room,
        })
    }
}

/// Whether a token opens that room, with the claim or without it.
pub fn check(rooms: Option<&Grants>, room: &RoomName) -> Result<(), Refusal> {
    match rooms.is_none_or(|grants| grants.allows(room)) {
        true => Ok(()),
        false => Err(Reject::Forbidden.because(format!("The claim `rooms` of this token does not hold {room}."))),
    }
}

impl TryFrom<Vec<String>> for Grants {
    type Error = InvalidId;

    fn try_from(entries: Vec<String>) -> Result<Self, InvalidId> {
        if entries.len() > Self::MAX {
            return Err(InvalidId("a token names at most 64 rooms"));
        }
        entries.iter().map(|entry| entry.parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Grants> for Vec<String> {
    fn from(grants: Grants) -> Self {
        grants.0.iter().map(Grant::to_string).collect()
    }
}

impl FromStr for Grant {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.strip_suffix(":*") {
            Some(kind) => kind.parse().map(Self::All),
            None => text.parse().map(Self::One),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(kind) => write!(f, "{}:*", kind.as_str()),
            Self::One(room) => room.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn grants(value: &Value) -> Grants {
        from_value(value.clone()).unwrap()
    }

    #[test]
    fn what_is_named_is_open_and_nothing_else() {
        let grants = grants(&json!(["investigation:1", "chat:*", "user:ana", "chat:*", "analysis:a:b"]));
        for (room, open) in [
            ("investigation:1", true),
            ("investigation:10", false),
            ("investigation:2", false),
            ("analysis:1", false),
            ("analysis:a", false),
            ("analysis:a:b", true),
            ("chat:1", true),
            ("chat:a:b", true),
            ("user:ana", true),
            ("user:Ana", false),
            ("system:all", false),
        ] {
            assert_eq!(grants.allows(&room.parse().unwrap()), open, "{room}");
        }
    }

    #[test]
    fn no_claim_opens_every_room_and_an_empty_one_none() {
        let room = "chat:1".parse().unwrap();
        assert_eq!(check(None, &room), Ok(()));
        let refusal = check(Some(&grants(&json!([]))), &room).unwrap_err();
        assert_eq!(refusal.reject, Reject::Forbidden);
        assert!(refusal.message.contains("chat:1"));
    }

    #[test]
    fn grants_read_back_as_they_were_written() {
        let value = json!(["investigation:1", "chat:*", "system:all", "system:*", "user:ana@example.org", "user:*"]);
        assert_eq!(serde_json::to_value(grants(&value)).unwrap(), value);
    }

    #[test]
    fn whatever_is_no_list_of_rooms_is_no_grant() {
        for bad in [
            json!(null),
            json!("chat:*"),
            json!({"0": "chat:1"}),
            json!([7]),
            json!([null]),
            json!([["chat:1"]]),
            json!(["chat:1", ""]),
            json!(["*"]),
            json!([":*"]),
            json!(["*:*"]),
            json!(["*:1"]),
            json!(["chat"]),
            json!(["chat:"]),
            json!(["chat:**"]),
            json!(["chat:a*"]),
            json!(["chat::*"]),
            json!(["Chat:*"]),
            json!([" chat:1"]),
            json!(["chat:1/2"]),
            json!(["room:1"]),
            json!(["system:1"]),
            json!([format!("chat:{}", "a".repeat(129))]),
            json!(vec!["chat:*"; Grants::MAX + 1]),
        ] {
            assert!(from_value::<Grants>(bad.clone()).is_err(), "{bad}");
        }
        assert!(from_value::<Grants>(json!(vec!["chat:*"; Grants::MAX])).is_ok());
    }
}
