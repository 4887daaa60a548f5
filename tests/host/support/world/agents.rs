//! Agents that answer in chats as a test says, and what the platform holds of their answers.

use std::collections::BTreeMap;
use std::rc::Rc;

use cidadao_realtime::code::Reject;
use cidadao_realtime::config::Config;
use cidadao_realtime::id::{Id, RoomName};
use cidadao_realtime::limits::Limits;
use cidadao_realtime::turn::{Fetched, Input};
use serde_json::{Value, json};

use super::super::sql::Sqlite;
use super::super::tokens::SECRET;
use super::{Failure, Room, Turn, World};

/// All requests to agents.
#[derive(Default)]
pub(crate) struct Agents {
    /// What was ever asked, in order.
    asked: Vec<(Id, Value)>,
    /// The answers that are being read: for whom, and what has come.
    streams: BTreeMap<Id, (RoomName, Vec<u8>)>,
    /// The answers that nobody waited for any more.
    hushed: Vec<Id>,
}

impl Agents {
    pub(super) fn ask(&mut self, room: &RoomName, answer: Id, body: &str) {
        self.asked.push((answer.clone(), serde_json::from_str(body).unwrap()));
        self.streams.insert(answer, (room.clone(), Vec::new()));
    }

    pub(super) fn hush(&mut self, answer: &Id) {
        self.streams.remove(answer);
        self.hushed.push(answer.clone());
    }

    pub(super) fn of(&self, room: &RoomName) -> Vec<Id> {
        let streams = self.streams.iter().filter(|(_, (owner, _))| owner == room);
        streams.map(|(answer, _)| answer.clone()).collect()
    }

    pub(super) fn read_so_far(&self, room: &RoomName) -> Vec<(Id, Vec<u8>)> {
        let streams = self.streams.iter().filter(|(_, (owner, _))| owner == room);
        streams.map(|(answer, (_, bytes))| (answer.clone(), bytes.clone())).collect()
    }

    pub(super) fn die(&mut self, room: &RoomName) {
        self.streams.retain(|_, (owner, _)| owner != room);
    }
}

impl World {
    /// From now on these settings hold beside the others.
    pub(crate) fn set(&mut self, settings: &[(&str, &str)]) {
        let value = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let parsed =
            Config::parse(|name| (name == "JWT_SECRET_KEY").then(|| SECRET.to_owned()).or_else(|| value(name)));
        assert_eq!(parsed.problems, Vec::<String>::new());
        let set = |name: &str, to: u64, before: u64| if value(name).is_some() { to } else { before };
        let (new, old) = (&parsed.limits, &self.config.limits);
        let limits = Limits {
            agent_silence: set("AGENT_TIMEOUT_MS", new.agent_silence, old.agent_silence),
            answers_at_once: set("AGENT_CONCURRENCY", new.answers_at_once, old.answers_at_once),
            chat_chars: set("CHAT_MAX_CHARS", new.chat_chars, old.chat_chars),
            message_bytes: set("MAX_MESSAGE_BYTES", new.message_bytes, old.message_bytes),
            ..old.clone()
        };
        self.config = Rc::new(Config { limits, files: true, chat_access: self.config.chat_access, ..parsed });
    }

    /// What agents were asked, in order: of which answer, with which body.
    pub(crate) fn asked(&self) -> &[(Id, Value)] {
        &self.agents.asked
    }

    /// Whether the platform was told to let go of an answer.
    pub(crate) fn is_hushed(&self, answer: &Id) -> bool {
        self.agents.hushed.contains(answer)
    }

    /// The answers that are being read.
    pub(crate) fn streams(&self) -> Vec<Id> {
        self.agents.streams.keys().cloned().collect()
    }

    /// Some bytes of an answer come. `None` if nobody reads it any more.
    pub(crate) fn agent_sends(&mut self, answer: &Id, bytes: &[u8]) -> Option<()> {
        self.agents.streams.get_mut(answer)?.1.extend(bytes);
        self.hand(answer, None)
    }

    /// An event of the backend's own protocol.
    pub(crate) fn agent_says(&mut self, answer: &Id, event: &Value) -> Option<()> {
        self.agent_sends(answer, format!("data: {event}\n\n").as_bytes())
    }

    /// More of the text.
    pub(crate) fn agent_adds(&mut self, answer: &Id, content: &str) -> Option<()> {
        self.agent_says(answer, &json!({"type": "chunk", "content": content}))
    }

    /// The answer is complete.
    pub(crate) fn agent_completes(&mut self, answer: &Id) -> Option<()> {
        self.agent_says(answer, &json!({"type": "complete", "suggested_actions": ["more"]}))?;
        self.agent_ends(answer)
    }

    /// The stream comes to its end.
    pub(crate) fn agent_ends(&mut self, answer: &Id) -> Option<()> {
        self.hand(answer, Some(Fetched::End))
    }

    /// The stream breaks off, or never began.
    pub(crate) fn agent_breaks(&mut self, answer: &Id, reject: Reject) -> Option<()> {
        self.hand(answer, Some(Fetched::Failed(reject)))
    }

    /// Hands the room what it has not read, and what came last; again, if the room fails.
    fn hand(&mut self, answer: &Id, last: Option<Fetched>) -> Option<()> {
        let (room, all) = self.agents.streams.get(answer)?.clone();
        let is_last = last.is_some();
        for _ in 0..5 {
            let (all, last) = (all.clone(), last.clone());
            let handed = self.turn(&room, |room, turn| feed(room, turn, answer, &all, last));
            if handed.is_ok() || !self.agents.streams.contains_key(answer) {
                break;
            }
            self.advance(1_000);
        }
        if is_last {
            self.agents.streams.remove(answer);
        }
        Some(())
    }
}

fn feed(
    room: &mut Room<Sqlite>,
    turn: &mut Turn,
    answer: &Id,
    all: &[u8],
    last: Option<Fetched>,
) -> Result<(), Failure> {
    let Some(read) = room.read_of(answer) else { return Ok(()) };
    let bytes = all.get(read..).filter(|rest| !rest.is_empty()).map(|rest| Fetched::Bytes(rest.to_vec()));
    for fetched in bytes.into_iter().chain(last) {
        room.handle(turn, Input::Answered(answer.clone(), fetched))?;
    }
    Ok(())
}
