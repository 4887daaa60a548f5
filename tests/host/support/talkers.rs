//! Clients of the chat simulation: each asks, shows what it is answered, and keeps the rules of its kind.

use std::collections::{BTreeMap, BTreeSet};

use cidadao_realtime::id::ConnId;
use serde_json::{Value, json};

use super::chats::{ROOM, Screen};
use super::heard::single;
use super::world::World;

/// What a client does to be sent what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It says where it wants to go on.
    KeepsCursor,
    /// It confirms what it gets.
    Confirms,
    /// Nothing, as clients of old do. It knows no `batch` frames and takes answers from chunks.
    KeepsNothing,
}

/// What agents say, and how answers ended, by the answer.
#[derive(Default)]
pub(crate) struct Truth {
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) ends: BTreeMap<String, (String, String)>,
    /// Whether answers may be interrupted.
    pub(crate) crashes: bool,
}

pub(crate) struct Talker {
    pub(crate) user: &'static str,
    pub(crate) habit: Habit,
    pub(crate) conn: Option<ConnId>,
    /// Whether nothing that is sent to it, or by it, arrives any more.
    pub(crate) cut: bool,
    /// What it said and has not been told is taken.
    pub(crate) pending: BTreeSet<String>,
    /// The questions that it was told are taken.
    pub(crate) taken: BTreeMap<String, u64>,
    screen: Screen,
    epoch: Value,
    /// Everything up to here it has had, and these.
    last: u64,
    ahead: BTreeSet<u64>,
    /// The answers that it has seen the end of.
    pub(crate) ended: BTreeSet<String>,
}

impl Truth {
    /// What is shown of an answer is how it begins.
    fn check_text(&self, id: &str, text: &str) {
        let whole = self.texts.get(id).unwrap_or_else(|| panic!("nobody was asked for {id}: {text:?}"));
        assert!(whole.starts_with(text), "{text:?} is no beginning of {whole:?}");
    }

    /// An answer ends in one way, for everybody.
    fn check_end(&mut self, id: &str, status: &str, content: &str) {
        let end = (status.to_owned(), content.to_owned());
        assert_eq!(*self.ends.entry(id.to_owned()).or_insert_with(|| end.clone()), end);
        match status {
            "completed" => assert_eq!(content, self.texts[id]),
            "cancelled" if !self.texts.contains_key(id) => assert_eq!(content, ""),
            "cancelled" => self.check_text(id, content),
            "interrupted" if self.crashes => self.check_text(id, content),
            _ => panic!("{id} ended as {status}"),
        }
    }
}

impl Talker {
    pub(crate) fn new(user: &'static str, habit: Habit) -> Self {
        let (pending, taken, ended) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        let (screen, epoch, ahead) = (Screen::default(), Value::Null, BTreeSet::new());
        Self { user, habit, conn: None, cut: false, pending, taken, screen, epoch, last: 0, ahead, ended }
    }

    pub(crate) fn open(&mut self, world: &mut World) {
        let plain = self.habit == Habit::KeepsNothing;
        let mut more = json!({"acks": self.habit == Habit::Confirms, "batches": !plain});
        if self.habit == Habit::KeepsCursor && !self.epoch.is_null() {
            more["resume"] = json!({"epoch": self.epoch, "seq": self.last});
        }
        (self.conn, self.cut) = (Some(world.open(ROOM, self.user, &more)), false);
        self.screen = Screen::default();
    }

    /// Says again what it has not been told is taken.
    pub(crate) fn insist(&self, world: &mut World) {
        let Some(conn) = self.conn.filter(|_| !self.cut) else { return };
        for id in self.pending.clone() {
            super::chats::ask(world, conn, &id, &id);
        }
    }

    pub(crate) fn confirm(&self, world: &mut World) {
        if let (Habit::Confirms, Some(conn), false) = (self.habit, self.conn, self.cut) {
            world.ack(conn, ROOM, self.last);
        }
    }

    /// Reads what came.
    pub(crate) fn listen(&mut self, world: &mut World, truth: &mut Truth) {
        let Some(conn) = self.conn else { return };
        let frames = single(world.frames(conn));
        let arrived = if self.cut { &[] } else { &frames[..] };
        arrived.iter().for_each(|frame| self.read(frame, truth));
        if !world.is_open(conn) {
            (self.conn, self.cut) = (None, false);
        }
    }

    fn read(&mut self, frame: &Value, truth: &mut Truth) {
        let data = &frame["data"];
        match frame["type"].as_str().unwrap() {
            "connection" => self.begin(data),
            "ack" => {
                let id = data["id"].as_str().unwrap();
                self.pending.remove(id);
                self.have(data["seq"].as_u64().unwrap());
                let known = self.taken.insert(id.to_owned(), data["seq"].as_u64().unwrap());
                assert!(known.is_none_or(|seq| data["seq"] == seq), "{id} has two places");
            }
            kind => {
                self.show(kind, frame, truth);
                frame["seq"].as_u64().into_iter().for_each(|seq| self.have(seq));
            }
        }
    }

    fn begin(&mut self, data: &Value) {
        assert_ne!(data["recovered"], false, "nothing is lost for good");
        let seq = data["seq"].as_u64().unwrap();
        if self.epoch.is_null() {
            (self.epoch, self.last) = (data["epoch"].clone(), seq);
        }
        assert!(seq <= self.last, "{:?} {} goes on after {} at {seq}", self.habit, self.user, self.last);
    }

    fn show(&mut self, kind: &str, frame: &Value, truth: &mut Truth) {
        let id = frame["data"]["message_id"].as_str().unwrap_or_default();
        let before = self.screen.answers.iter().find(|shown| shown.id == id).map(|shown| shown.text.clone());
        let Some(shown) = self.screen.read(frame) else { return };
        let before = before.unwrap_or_default();
        if kind == "chat_complete" {
            truth.check_end(id, &shown.status, &shown.text);
            let as_chunks = truth.crashes || self.habit != Habit::KeepsNothing;
            assert!(as_chunks || before == shown.text, "chunks said {before:?} of {:?}", shown.text);
            self.ended.insert(id.to_owned());
        } else {
            truth.check_text(id, &shown.text);
            assert!(shown.text.len() >= before.len(), "{before:?} became {:?}", shown.text);
        }
    }

    /// A message that it has now, whatever came before it.
    fn have(&mut self, seq: u64) {
        self.ahead.insert(seq);
        while self.ahead.remove(&(self.last + 1)) {
            self.last += 1;
        }
        let last = self.last;
        self.ahead.retain(|seq| *seq > last);
    }

    /// How far it is, without a hole.
    pub(crate) fn place(&self) -> u64 {
        assert!(self.ahead.is_empty(), "{:?} {} has {} and {:?}", self.habit, self.user, self.last, self.ahead);
        self.last
    }

    /// An answer that it shows and that has not come to its end.
    pub(crate) fn unfinished(&self) -> Option<&str> {
        self.screen.answers.iter().find(|shown| !self.ended.contains(&shown.id)).map(|shown| &*shown.id)
    }
}
