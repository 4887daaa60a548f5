//! Who a connection is: all that a hibernated socket carries with it.

use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::grants::Grants;
use crate::id::{ConnId, Cursor, Id, RoomName, Seq};
use crate::members::Who;
use crate::moment::Millis;
use crate::reach::Reaches;

/// A connection's identity. It is written to the socket once, as JSON, and read when its room wakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Which connection.
    pub conn: ConnId,
    /// Whose.
    pub user: Id,
    /// Whether it is a service's.
    #[serde(default)]
    pub service: bool,
    /// When the token it was opened with ends.
    pub expires: Millis,
    /// What the client asked for by `?connection_type=`, echoed to it.
    pub connection_type: ConnectionType,
    /// Whether it takes several messages in one `batch` frame.
    #[serde(default)]
    pub batches: bool,
    /// The rooms that it may hear, when they are limited. Beyond them only the one that it was opened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Grants>,
    /// Which of the user's devices it is, if it says so. Each is owed every message once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Id>,
    /// Whether it confirms what it has got.
    #[serde(default)]
    pub acks: bool,
    /// Where it wants to go on, if it says so. Spent with the welcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Cursor>,
    /// How far it is in the room that it was opened in, while it is sent what it missed. Without it, it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Seq>,
    /// What of that room has surely arrived: what it had when it began, or what it has confirmed since.
    #[serde(default)]
    pub sure: Seq,
    /// When it had last been sent what it had missed, of whichever room.
    #[serde(default)]
    pub live_since: Millis,
    /// How far it is in the rooms that it subscribed to.
    #[serde(default, skip_serializing_if = "Reaches::is_empty")]
    pub reaches: Reaches,
    /// If it watches who is present: the print of what it was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<u64>,
    /// What it shows of its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Until when the others take its user for typing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typing: Option<Millis>,
}

/// What a socket shows of its user to those who watch who is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// A JSON object.
    pub json: String,
    /// Since when: the latest of a user's sockets counts.
    pub set: Millis,
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
    /// A connection that has said nothing of what it wants, and was sent nothing.
    pub fn new(conn: ConnId, user: Id, expires: Millis) -> Self {
        Self {
            conn,
            user,
            service: false,
            expires,
            connection_type: ConnectionType::General,
            batches: false,
            rooms: None,
            device: None,
            acks: false,
            resume: None,
            behind: None,
            sure: Seq(0),
            live_since: Millis(0),
            reaches: Reaches::default(),
            presence: None,
            state: None,
            typing: None,
        }
    }

    /// Reads what [`Self::encode`] wrote. `None` for anything else: the socket cannot be told apart and must go.
    pub fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Who asks, when it asks something of that room.
    pub fn asker(&self, room: &RoomName) -> Asker {
        Asker::new(&self.user, self.service, self.rooms.as_ref(), room)
    }

    /// Which device of which user it is.
    pub fn who(&self) -> Who {
        Who { user: self.user.clone(), device: self.device.clone() }
    }

    /// The session as JSON: under 1 KiB, and under 16,000 bytes with as many [`Grants`] and [`Reaches`] as there can be and
    /// the longest [`State`], of the 16,384 that a socket can carry. It is ASCII: one other letter, and the runtime would
    /// take two bytes for each.
    pub fn encode(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        if json.is_ascii() { json } else { json.chars().map(ascii).collect() }
    }
}

/// A letter within a JSON text, escaped unless it is ASCII.
fn ascii(letter: char) -> String {
    let mut units = [0; 2];
    match letter.is_ascii() {
        true => letter.to_string(),
        false => letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;
    use crate::limits::Limits;
    use crate::reach::Reach;
    use uuid::Uuid;

    #[test]
    fn a_session_survives_its_sleep_and_is_small() {
        let session = Session {
            conn: ConnId(Uuid::max()),
            user: "u".repeat(128).parse().unwrap(),
            service: true,
            expires: Millis(u64::MAX),
            connection_type: ConnectionType::Investigation,
            batches: true,
            rooms: None,
            device: Some("d".repeat(128).parse().unwrap()),
            acks: true,
            resume: Some(Cursor { epoch: Epoch(u64::MAX), seq: Seq(u64::MAX) }),
            behind: Some(Seq(u64::MAX)),
            sure: Seq(u64::MAX),
            live_since: Millis(u64::MAX),
            reaches: Reaches::default(),
            presence: Some(u64::MAX),
            state: None,
            typing: Some(Millis(u64::MAX)),
        };
        assert_eq!(Session::decode(&session.encode()), Some(session.clone()));
        assert!(session.encode().len() < 1024);

        // A token of 8,192 bytes carries 6,144 of claims: so many entries have 93 each, with quotes and comma.
        let longest = format!("investigation:{}", "i".repeat(76));
        let rooms = Some(vec![longest; Grants::MAX].try_into().unwrap());
        let mut reaches = Reaches::default();
        for n in 0..=Limits::default().subscriptions_per_connection {
            let far = Seq(10_000_000_000);
            reaches.set(&format!("chat:{n}").parse().unwrap(), Reach { seq: far, sure: far, behind: true });
        }
        for letter in ["\\", "ç", "中", "😀"] {
            let letters = Limits::default().presence_state_bytes / letter.len() as u64;
            let state = Some(State { json: letter.repeat(letters.try_into().unwrap()), set: Millis(u64::MAX) });
            let limited = Session { rooms: rooms.clone(), reaches: reaches.clone(), state, ..session.clone() };
            let encoded = limited.encode();
            assert_eq!(Session::decode(&encoded), Some(limited));
            assert!(encoded.is_ascii() && encoded.len() < 16_000, "{}", encoded.len());
        }
    }

    #[test]
    fn a_session_from_before_there_were_grants_is_not_limited() {
        let old =
            r#"{"conn":"ffffffff-ffff-ffff-ffff-ffffffffffff","user":"ana","expires":7,"connection_type":"general"}"#;
        assert_eq!(Session::decode(old).unwrap().rooms, None);
    }

    #[test]
    fn what_is_not_a_session_is_nobody() {
        for text in ["", "{}", "null", r#"{"conn":1}"#] {
            assert_eq!(Session::decode(text), None);
        }
    }
}
