//! Chats as tests see them: questions, answers, and what a client shows of them.

use cidadao_realtime::id::{ConnId, Id};
use serde_json::{Value, json};

use super::heard::single;
use super::rooms::CHAT;
use super::world::World;

/// The chat of most tests.
pub(crate) const ROOM: &str = CHAT;

/// A world with an agent of the backend's kind.
pub(crate) fn world() -> World {
    with(&[])
}

/// The same, with these settings beside.
pub(crate) fn with(settings: &[(&str, &str)]) -> World {
    let mut world = World::default();
    connect_agent(&mut world, settings);
    world
}

pub(crate) fn connect_agent(world: &mut World, settings: &[(&str, &str)]) {
    world.set(&[&[("AGENT_URL", "http://agent.test/api/v1/chat/stream")], settings].concat());
}

/// A world in which ana has asked the agent something: her connection, and the answer.
pub(crate) fn asked() -> (World, ConnId, Id) {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    (world, ana, answer)
}

pub(crate) fn ask(world: &mut World, conn: ConnId, id: &str, content: &str) {
    world.send(conn, &json!({"type": "chat", "id": id, "data": {"content": content}}));
}

/// Says something to the people alone.
pub(crate) fn say(world: &mut World, conn: ConnId, id: &str) {
    world.send(conn, &json!({"type": "chat", "id": id, "data": {"content": id, "ask": false}}));
}

pub(crate) fn cancel(world: &mut World, conn: ConnId, which: &Value) {
    world.send(conn, &json!({"type": "chat_cancel", "data": which}));
}

/// The answer that was asked for last.
pub(crate) fn last_asked(world: &World) -> Id {
    world.asked().last().unwrap().0.clone()
}

/// The frames of these types since this was last asked, as type and data.
pub(crate) fn told(world: &mut World, conn: ConnId, types: &[&str]) -> Vec<(String, Value)> {
    let frames = single(world.frames(conn)).into_iter();
    let frames = frames.filter(|frame| types.contains(&frame["type"].as_str().unwrap()));
    frames.map(|frame| (frame["type"].as_str().unwrap().to_owned(), frame["data"].clone())).collect()
}

/// How answers ended that a client was told of: status and content.
pub(crate) fn ends(world: &mut World, conn: ConnId) -> Vec<(String, String)> {
    let texts = |data: &Value| ["status", "content"].map(|name| data[name].as_str().unwrap().to_owned()).into();
    told(world, conn, &["chat_complete"]).iter().map(|(_, data)| texts(data)).collect()
}

/// How answers are expected to have ended: status and content.
pub(crate) fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(status, content)| ((*status).to_owned(), (*content).to_owned())).collect()
}

/// What of an answer came as chunks: whether each was a snapshot, and its content.
pub(crate) fn chunks(world: &mut World, conn: ConnId) -> Vec<(bool, String)> {
    let chunks = told(world, conn, &["chat"]).into_iter().filter(|(_, data)| data["chunk"] == true);
    chunks.map(|(_, data)| (data["snapshot"] == true, data["content"].as_str().unwrap().to_owned())).collect()
}

/// The one answer of a chat, completed.
pub(crate) fn answered(answer: &Id, text: &str) -> Vec<Shown> {
    vec![Shown { id: answer.to_string(), text: text.to_owned(), status: "completed".to_owned() }]
}

/// An answer as a client shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) text: String,
    /// Empty until it has come to its end.
    pub(crate) status: String,
}

/// What a client that follows the rules makes of the frames of one connection.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    pub(crate) answers: Vec<Shown>,
}

impl Screen {
    /// The answers that these frames show.
    pub(crate) fn of(frames: Vec<Value>) -> Vec<Shown> {
        let mut screen = Self::default();
        for frame in single(frames) {
            screen.read(&frame);
        }
        screen.answers
    }

    /// Shows what a frame says, and says of which answer it was.
    pub(crate) fn read(&mut self, frame: &Value) -> Option<&Shown> {
        let (data, kind) = (&frame["data"], frame["type"].as_str().unwrap());
        if !matches!(kind, "chat" | "chat_complete") || data["role"] != "assistant" {
            return None;
        }
        let (id, content) = (data["message_id"].as_str().unwrap(), data["content"].as_str().unwrap());
        let shown = self.entry(id);
        match kind {
            "chat_complete" => {
                content.clone_into(&mut shown.text);
                data["status"].as_str().unwrap().clone_into(&mut shown.status);
            }
            _ if data["snapshot"] == true => content.clone_into(&mut shown.text),
            _ => shown.text.push_str(content),
        }
        Some(shown)
    }

    fn entry(&mut self, id: &str) -> &mut Shown {
        let place = self.answers.iter().position(|shown| shown.id == id).unwrap_or_else(|| {
            self.answers.push(Shown { id: id.to_owned(), ..Shown::default() });
            self.answers.len() - 1
        });
        &mut self.answers[place]
    }
}
