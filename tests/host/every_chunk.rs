//! An answer of many chunks, and trouble at each of them in turn: before a chunk, and in the middle of it, between the bytes
//! of one character. Whatever the trouble, everybody ends up with what the agent said, and has seen nothing else on the way.

use std::collections::BTreeMap;

use cidadao_realtime::id::{ConnId, Id};
use serde_json::json;

use crate::support::chats::{ROOM, world};
use crate::support::talkers::{Habit, Talker, Truth};
use crate::support::world::World;

/// In how many chunks the agent says its answer.
const CHUNKS: usize = 40;

/// Each chunk comes in two pieces, and there may be trouble before each piece, before the end, and after it.
const PLACES: usize = 2 * CHUNKS + 2;

/// How long the next piece takes to come, in milliseconds.
const PACE: u64 = 200;

/// How many pieces somebody misses.
const AWAY: usize = 3;

/// A room writes down at least this often how far an answer is, in milliseconds.
const KEPT_EVERY: u64 = 2_000;

/// Chunks have a number, and a character that takes several bytes: the second piece begins in the middle of it.
const CHARACTERS: [&str; 5] = ["ç", "ã", "“", "€", "🌉"];

/// Who confirms may have missed what was sent, and so may who says where it goes on; Dora does neither.
const PEOPLE: [(&str, Habit); 4] = [
    ("ana", Habit::KeepsCursor),
    ("bia", Habit::KeepsCursor),
    ("caio", Habit::Confirms),
    ("dora", Habit::KeepsNothing),
];
const ANA: usize = 0;
const CAIO: usize = 2;
const DORA: usize = 3;

/// Of each sort one: Bia, who has no trouble of her own, sees that of the others.
const TROUBLES: [Trouble; 13] = [
    Trouble::Drop(ANA),
    Trouble::Drop(CAIO),
    Trouble::Drop(DORA),
    Trouble::Evict,
    Trouble::EvictAndDrop(ANA),
    Trouble::EvictAndDrop(CAIO),
    Trouble::EvictAndDrop(DORA),
    Trouble::Fail,
    Trouble::Crash,
    Trouble::Lose(ANA),
    Trouble::Lose(CAIO),
    Trouble::LoseUnnoticed(ANA),
    Trouble::LoseUnnoticed(CAIO),
];

/// What comes first and what comes second where there is trouble twice: to the same person, and to two.
const FIRST: [Trouble; 7] = [
    Trouble::Drop(ANA),
    Trouble::Evict,
    Trouble::EvictAndDrop(CAIO),
    Trouble::Fail,
    Trouble::Crash,
    Trouble::Lose(CAIO),
    Trouble::LoseUnnoticed(ANA),
];
const SECOND: [Trouble; 7] = [
    Trouble::Drop(DORA),
    Trouble::Evict,
    Trouble::EvictAndDrop(ANA),
    Trouble::Fail,
    Trouble::Crash,
    Trouble::Lose(ANA),
    Trouble::LoseUnnoticed(CAIO),
];

/// Where there is trouble twice: far apart, in one chunk, and while somebody is away.
const PAIRS: [(usize, usize); 8] = [(0, 1), (1, 2), (20, 41), (20, 61), (41, 41), (41, 43), (41, 80), (79, 81)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Somebody closes the connection, and comes back.
    Drop(usize),
    /// The room is put to sleep, and wakes with its sockets.
    Evict,
    /// The room is put to sleep, and wakes because somebody closes the connection.
    EvictAndDrop(usize),
    /// Something cannot be stored: what the room had in its memory is gone, its sockets and the agent are not.
    Fail,
    /// The runtime dies with all it had: sockets, and who was asked.
    Crash,
    /// Nothing reaches somebody any more. The server finds out before they come back.
    Lose(usize),
    /// The same, and they come back before the server finds out.
    LoseUnnoticed(usize),
}

fn chunk(n: usize) -> String {
    format!("{n}{} ", CHARACTERS[n % CHARACTERS.len()])
}

fn text() -> String {
    (0..CHUNKS).map(chunk).collect()
}

/// What the agent sends, in pieces.
fn pieces() -> Vec<Vec<u8>> {
    let halves = |n: usize| {
        let event = format!("data: {}\n\n", json!({"type": "chunk", "content": chunk(n)})).into_bytes();
        let middle = event.iter().position(|byte| !byte.is_ascii()).unwrap() + 1;
        [event[..middle].to_vec(), event[middle..].to_vec()]
    };
    (0..CHUNKS).flat_map(halves).collect()
}

/// What the agent is saying.
struct Speech {
    answer: Id,
    /// How many pieces it has sent.
    sent: usize,
}

struct Scene {
    world: World,
    talkers: Vec<Talker>,
    truth: Truth,
    pieces: Vec<Vec<u8>>,
    speech: Option<Speech>,
    /// How many questions have been asked of the agent, and how many of it are known here.
    asked: usize,
    /// Who comes back, and where.
    back: BTreeMap<usize, usize>,
    /// Sockets that the server takes for open, and where it finds out.
    ghosts: BTreeMap<ConnId, usize>,
    /// Answers that the runtime died of, and how many pieces of each had been sent.
    broken: BTreeMap<String, usize>,
}

impl Scene {
    fn new(crashes: bool) -> Self {
        let mut world = world();
        let mut talkers: Vec<Talker> = PEOPLE.map(|(user, habit)| Talker::new(user, habit)).into();
        talkers.iter_mut().for_each(|talker| talker.open(&mut world));
        let truth = Truth { crashes, ..Truth::default() };
        let (back, ghosts, broken) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut scene = Self { world, talkers, truth, pieces: pieces(), speech: None, asked: 0, back, ghosts, broken };
        scene.listen();
        scene.ask();
        scene
    }

    /// Ana asks, and the agent begins to think.
    fn ask(&mut self) {
        self.talkers[0].pending.insert(format!("q{}", self.asked));
        self.talkers[0].insist(&mut self.world);
        self.world.run_until_idle();
        let (answer, _) = self.world.asked().last().expect("the agent was asked").clone();
        self.asked += 1;
        assert_eq!(self.world.asked().len(), self.asked, "the agent is asked once");
        self.truth.texts.insert(answer.to_string(), text());
        self.speech = Some(Speech { answer, sent: 0 });
        self.listen();
    }

    fn strike(&mut self, place: usize, trouble: Trouble) {
        match trouble {
            Trouble::Drop(who) => self.leave(place, who),
            Trouble::Evict => self.world.evict(ROOM),
            Trouble::EvictAndDrop(who) => {
                self.world.evict(ROOM);
                self.leave(place, who);
            }
            Trouble::Fail => self.fail(),
            Trouble::Crash => self.crash(place),
            Trouble::Lose(who) => {
                let conn = self.lose(place, who);
                conn.into_iter().for_each(|conn| self.world.lose_signal(conn));
            }
            Trouble::LoseUnnoticed(who) => {
                let conn = self.lose(place, who);
                self.ghosts.extend(conn.map(|conn| (conn, place + 2 * AWAY)));
            }
        }
    }

    /// Somebody has read all that came, and closes.
    fn leave(&mut self, place: usize, who: usize) {
        self.listen();
        let Some(conn) = self.talkers[who].conn else { return };
        self.world.leave(conn);
        self.listen();
        self.talkers[who].conn = None;
        self.back.insert(who, place + AWAY);
    }

    /// What was sent to somebody is lost, and so is what is still to come.
    fn lose(&mut self, place: usize, who: usize) -> Option<ConnId> {
        let talker = &mut self.talkers[who];
        talker.cut = true;
        talker.listen(&mut self.world, &mut self.truth);
        self.back.insert(who, place + AWAY);
        talker.conn.take()
    }

    fn fail(&mut self) {
        self.world.sql(ROOM).fail_after(1);
        assert!(self.world.publish(ROOM, &json!({"type": "news"})).is_err());
    }

    fn crash(&mut self, place: usize) {
        self.world.crash(ROOM);
        self.ghosts.clear();
        self.listen();
        for who in 0..self.talkers.len() {
            self.back.entry(who).or_insert(place + 1);
        }
        if let Some(Speech { answer, sent }) = self.speech.take() {
            self.broken.insert(answer.to_string(), sent);
        }
    }

    /// The next piece comes, or the end; and time passes.
    fn speak(&mut self) {
        if let Some(Speech { answer, sent }) = &mut self.speech {
            let read = match self.pieces.get(*sent) {
                Some(piece) => self.world.agent_sends(answer, piece),
                None => self.world.agent_says(answer, &json!({"type": "complete"})),
            };
            assert!(read.is_some(), "the answer is read to its end");
            *sent += 1;
        }
        self.speech.take_if(|speech| speech.sent > self.pieces.len());
        self.world.pass(PACE);
        self.listen();
        self.talkers.iter().for_each(|talker| talker.confirm(&mut self.world));
    }

    /// The server finds out who is gone, and who was away comes back.
    fn mend(&mut self, place: usize) {
        let world = &mut self.world;
        self.ghosts.retain(|ghost, until| {
            let stays = place < *until;
            if !stays {
                world.lose_signal(*ghost);
            }
            stays
        });
        let due = self.back.extract_if(.., |_, until| place >= *until);
        due.for_each(|(who, _)| self.talkers[who].open(&mut self.world));
        self.listen();
        // Who hears that the answer was interrupted asks again.
        if self.broken.len() == self.asked && self.talkers[0].conn.is_some() {
            self.ask();
        }
    }

    fn listen(&mut self) {
        self.talkers.iter_mut().for_each(|talker| talker.listen(&mut self.world, &mut self.truth));
    }

    /// Everybody is there again, and hears what is left to be heard.
    fn settle(&mut self) {
        self.mend(usize::MAX);
        self.world.drain();
        self.listen();
    }

    fn check(&self) {
        assert_eq!(self.truth.ends.len(), self.asked, "every answer has an end");
        for (answer, (status, content)) in &self.truth.ends {
            match self.broken.get(answer) {
                None => assert_eq!((&**status, content), ("completed", &text())),
                Some(sent) => check_rest(status, content, *sent),
            }
            for talker in &self.talkers {
                assert!(talker.ended.contains(answer), "{} has not heard the end", talker.user);
            }
        }
        assert!(self.talkers.iter().all(|talker| talker.place() == self.talkers[0].place()), "all have all messages");
    }
}

/// What a crash left of an answer is what had been said, but for the last moments.
fn check_rest(status: &str, content: &str, sent: usize) {
    let lost = 1 + usize::try_from(KEPT_EVERY / PACE).unwrap();
    let (least, most) = (sent.saturating_sub(lost) / 2, sent / 2);
    let said = |chunks: usize| (0..chunks).map(chunk).collect::<String>();
    assert_eq!(status, "interrupted");
    assert!(content.starts_with(&said(least)) && said(most).starts_with(content), "{content:?} after {sent} pieces");
}

/// Plays an answer with trouble at these places.
fn play(plan: &[(usize, Trouble)]) {
    let mut scene = Scene::new(plan.iter().any(|(_, trouble)| *trouble == Trouble::Crash));
    for place in 0.. {
        plan.iter().filter(|(at, _)| *at == place).for_each(|(_, trouble)| scene.strike(place, *trouble));
        scene.speak();
        scene.mend(place);
        if place >= PLACES && scene.speech.is_none() {
            break;
        }
    }
    scene.settle();
    scene.check();
}

/// Plays it, and says which it was if it goes wrong.
fn try_out(plan: &[(usize, Trouble)]) {
    let result = std::panic::catch_unwind(|| play(plan));
    assert!(result.is_ok(), "{plan:?} shows it");
}

fn everywhere(troubles: &[Trouble]) {
    troubles.iter().for_each(|trouble| (0..PLACES).for_each(|place| try_out(&[(place, *trouble)])));
}

#[test]
fn everybody_ends_up_with_the_answer_whoever_leaves_and_comes_back() {
    everywhere(&TROUBLES[..3]);
}

#[test]
fn and_wherever_the_room_sleeps_fails_or_dies() {
    everywhere(&TROUBLES[3..9]);
}

#[test]
fn and_whoever_loses_the_signal() {
    everywhere(&TROUBLES[9..]);
}

#[test]
fn and_so_where_there_is_trouble_twice() {
    for (place, other) in PAIRS {
        for first in FIRST {
            SECOND.iter().for_each(|second| try_out(&[(place, first), (other, *second)]));
        }
    }
}
