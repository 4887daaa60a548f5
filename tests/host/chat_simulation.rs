//! People with bad connections ask agents whose words come in pieces, in rooms that sleep, fail and die: whatever
//! happens, everybody who stays or comes back ends up with what the agent said, and has seen nothing else on the way.
//!
//! Every schedule is drawn from its seed. `SIMULATION_SEED=17 cargo test --test host chat_simulation::` runs that one
//! alone, and `SIMULATION_SEEDS=100000` as many.

use std::collections::{BTreeMap, BTreeSet};

use cidadao_realtime::id::{ConnId, Id};
use cidadao_realtime::limits::{DAY, Limits};
use serde_json::json;

use crate::support::chats::{ROOM, cancel, connect_agent};
use crate::support::heard::single;
use crate::support::random::{Random, each_seed};
use crate::support::talkers::{Habit, Talker, Truth};
use crate::support::world::World;

/// How many schedules there are of each sort, and how long each is.
const SEEDS: u64 = 100;
const STEPS: usize = 120;

/// What agents say is put together from these.
const WORDS: [&str; 12] =
    ["a", "ção", " ", "\"", "\\", "\n", "🌉", "{\"x\":1}", "\u{1}", "data: ", "\u{2028}", "palavra comprida "];

/// What an agent sends for one answer, and how much of it has been sent.
struct Speech {
    answer: Id,
    bytes: Vec<u8>,
    sent: usize,
}

struct Simulation {
    world: World,
    talkers: Vec<Talker>,
    speeches: Vec<Speech>,
    truth: Truth,
    /// Sockets that the server takes for open, and nobody is there.
    ghosts: Vec<ConnId>,
    /// What was asked of agents before is known.
    known: usize,
    asked: u64,
}

impl Simulation {
    fn new(limits: &Limits, concurrency: u64, crashes: bool) -> Self {
        let mut world = World::new(limits.clone());
        connect_agent(&mut world, &[("AGENT_CONCURRENCY", &concurrency.to_string())]);
        let talkers = [
            ("ana", Habit::KeepsCursor),
            ("bia", Habit::KeepsCursor),
            ("caio", Habit::Confirms),
            ("dora", Habit::KeepsNothing),
        ];
        let mut talkers: Vec<Talker> = talkers.map(|(user, habit)| Talker::new(user, habit)).into();
        talkers.iter_mut().for_each(|talker| talker.open(&mut world));
        let truth = Truth { crashes, ..Truth::default() };
        let mut simulation =
            Self { world, talkers, speeches: Vec::new(), truth, ghosts: Vec::new(), known: 0, asked: 0 };
        simulation.listen();
        simulation
    }

    fn step(&mut self, random: &mut Random) {
        match random.below(100) {
            0..12 => self.ask(random),
            12..52 => self.speak(random),
            52..58 => self.come_or_go(random),
            58..62 => self.lose_signal(random),
            62..66 => self.find_out(),
            66..74 => self.world.evict(ROOM),
            74..80 => self.world.sql(ROOM).fail_after(1 + random.below(8)),
            80..84 => self.confirm(random),
            84..86 => self.cancel(random),
            86..88 if self.truth.crashes => self.crash(random),
            _ => self.wait(random),
        }
        self.listen();
    }

    /// Somebody says something, or says again what it has not been told is taken.
    fn ask(&mut self, random: &mut Random) {
        let Some(place) = self.one(random, |talker| talker.conn.is_some() && !talker.cut) else { return };
        if self.talkers[place].pending.is_empty() {
            self.asked += 1;
            self.talkers[place].pending.insert(format!("q{}", self.asked));
        }
        self.talkers[place].insist(&mut self.world);
    }

    /// Some bytes of an answer come, cut anywhere, or its end.
    fn speak(&mut self, random: &mut Random) {
        self.prepare(random);
        let place = random.below(self.speeches.len() as u64) as usize;
        let Some(speech) = self.speeches.get_mut(place) else { return };
        let rest = &speech.bytes[speech.sent..];
        let piece = rest[..rest.len().min(1 + random.below(40) as usize)].to_vec();
        speech.sent += piece.len();
        let answer = speech.answer.clone();
        let read = match piece.is_empty() {
            true => self.world.agent_ends(&answer),
            false => self.world.agent_sends(&answer, &piece),
        };
        if read.is_none() || piece.is_empty() {
            self.speeches.remove(place);
        }
    }

    /// It is drawn what agents will say to what they have been asked.
    fn prepare(&mut self, random: &mut Random) {
        for (answer, _) in &self.world.asked()[self.known..] {
            let words: Vec<&str> = (0..random.below(30)).filter_map(|_| random.pick(&WORDS).copied()).collect();
            let chunk = |words: &[&str]| format!("data: {}\n\n", json!({"type": "chunk", "content": words.concat()}));
            let size = 1 + random.below(4) as usize;
            let mut stream: String = words.chunks(size).map(chunk).collect();
            stream += "event: complete\r\ndata: {\"a\":1}\r\n\r\n";
            self.truth.texts.insert(answer.to_string(), words.concat());
            self.speeches.push(Speech { answer: answer.clone(), bytes: stream.into_bytes(), sent: 0 });
        }
        self.known = self.world.asked().len();
    }

    fn come_or_go(&mut self, random: &mut Random) {
        let Some(place) = self.one(random, |talker| !talker.cut) else { return };
        let Some(conn) = self.talkers[place].conn else { return self.talkers[place].open(&mut self.world) };
        // What a client without a cursor was sent is only known if its farewell is kept.
        if self.talkers[place].habit == Habit::KeepsNothing {
            self.world.sql(ROOM).fail_after(0);
        }
        self.world.leave(conn);
        self.listen();
        self.talkers[place].conn = None;
    }

    /// Nothing arrives any more; some come back before the server finds out.
    fn lose_signal(&mut self, random: &mut Random) {
        let keeps = |talker: &Talker| talker.habit != Habit::KeepsNothing && talker.conn.is_some();
        let Some(place) = self.one(random, keeps) else { return };
        if self.talkers[place].cut && self.ghosts.len() < 4 {
            self.ghosts.extend(self.talkers[place].conn.take());
            self.talkers[place].open(&mut self.world);
        } else {
            self.talkers[place].cut = true;
        }
    }

    /// The server finds out whose connection is broken.
    fn find_out(&mut self) {
        let cut = self.talkers.iter_mut().filter(|talker| talker.cut);
        let conns: Vec<ConnId> = cut.filter_map(|talker| talker.conn.take()).chain(self.ghosts.drain(..)).collect();
        self.talkers.iter_mut().for_each(|talker| talker.cut = false);
        conns.into_iter().for_each(|conn| self.world.lose_signal(conn));
    }

    fn confirm(&mut self, random: &mut Random) {
        if let Some(place) = self.one(random, |talker| talker.habit == Habit::Confirms) {
            self.talkers[place].confirm(&mut self.world);
        }
    }

    /// Somebody stops its last question; sometimes it is answered already, or stopped.
    fn cancel(&mut self, random: &mut Random) {
        let Some(place) = self.one(random, |talker| talker.conn.is_some() && !talker.cut) else { return };
        let talker = &self.talkers[place];
        if let (Some(conn), Some(question)) = (talker.conn, talker.taken.keys().next_back()) {
            cancel(&mut self.world, conn, &json!({"reply_to": question}));
        }
    }

    fn crash(&mut self, random: &mut Random) {
        self.prepare(random);
        self.world.crash(ROOM);
        self.speeches.clear();
        self.ghosts.clear();
    }

    fn wait(&mut self, random: &mut Random) {
        let millis = [1, 10, 39, 41, 300, 2_500][random.below(6) as usize];
        self.world.pass(millis);
    }

    fn listen(&mut self) {
        // What is said to what has just been asked is not drawn yet: nothing of it has been said.
        self.talkers.iter_mut().for_each(|talker| talker.listen(&mut self.world, &mut self.truth));
        let world = &self.world;
        self.ghosts.retain(|ghost| world.is_open(*ghost));
    }

    fn one(&self, random: &mut Random, which: impl Fn(&Talker) -> bool) -> Option<usize> {
        let places: Vec<usize> = (0..self.talkers.len()).filter(|place| which(&self.talkers[*place])).collect();
        random.pick(&places).copied()
    }

    /// Everything works again, everybody comes back, and agents come to their end.
    fn settle(&mut self, random: &mut Random) {
        self.world.sql(ROOM).fail_after(0);
        self.find_out();
        for _ in 0..4 {
            for talker in &mut self.talkers {
                if talker.conn.is_none() {
                    talker.open(&mut self.world);
                }
                talker.insist(&mut self.world);
            }
            self.world.drain();
            self.prepare(random);
            while !self.speeches.is_empty() {
                self.speak(random);
                self.listen();
            }
            self.world.drain();
            self.listen();
        }
        self.read_to_the_end();
    }

    /// Who confirms goes on doing so for as long as that brings more.
    fn read_to_the_end(&mut self) {
        for _ in 0..STEPS {
            self.talkers.iter().for_each(|talker| talker.confirm(&mut self.world));
            self.world.pass(100);
            self.listen();
        }
    }

    fn check(&mut self, in_order: bool) {
        let log = self.read_log();
        let head = log.last().map_or(0, |frame| frame["seq"].as_u64().unwrap());
        let is = |kind: &'static str| log.iter().filter(move |frame| frame["type"] == kind);
        let questions: Vec<&str> = is("chat").map(|frame| frame["id"].as_str().unwrap()).collect();
        let answered = |frame: &serde_json::Value| frame["data"]["reply_to"].as_str().unwrap().to_owned();
        let (all, once): (Vec<String>, BTreeSet<String>) =
            (is("chat_complete").map(answered).collect(), is("chat_complete").map(answered).collect());
        assert_eq!((all.len(), once.len()), (questions.len(), questions.len()), "each question is answered once");
        assert!(self.world.streams().is_empty());
        if in_order {
            let order: BTreeMap<&str, usize> = questions.iter().copied().zip(0..).collect();
            let kept = is("chat_complete").filter(|frame| frame["data"]["status"] != "cancelled").map(answered);
            let places: Vec<usize> = kept.map(|question| order[&*question]).collect();
            assert!(places.is_sorted(), "{places:?}");
        }
        for talker in &self.talkers {
            let trusted = talker.habit != Habit::KeepsNothing || !self.truth.crashes;
            assert!(talker.pending.is_empty(), "{}: {:?}", talker.user, talker.pending);
            assert!(talker.taken.keys().all(|id| questions.contains(&&**id)), "what was acknowledged is kept");
            assert_eq!(talker.unfinished().filter(|_| trusted), None, "{} waits", talker.user);
            if trusted {
                assert_eq!(
                    (talker.place(), talker.ended.len()),
                    (head, all.len()),
                    "{:?} {}",
                    talker.habit,
                    talker.user
                );
            }
        }
    }

    /// All that the log has.
    fn read_log(&mut self) -> Vec<serde_json::Value> {
        let epoch = self.world.epoch(ROOM);
        let auditor = self.world.open(ROOM, "eva", &json!({"batches": true, "resume": {"epoch": epoch, "seq": 0}}));
        self.world.drain();
        single(self.world.frames(auditor)).into_iter().filter(|frame| frame["seq"].is_u64()).collect()
    }
}

fn simulate(seed: u64, limits: &Limits, crashes: bool) {
    let mut random = Random::new(seed);
    let concurrency = 1 + seed % 3;
    let limits = Limits { agent_silence: 3 * DAY, answer_time: 3 * DAY, ..limits.clone() };
    let mut simulation = Simulation::new(&limits, concurrency, crashes);
    (0..STEPS).for_each(|_| simulation.step(&mut random));
    simulation.settle(&mut random);
    simulation.check(concurrency == 1);
}

fn all(limits: &Limits, crashes: bool) {
    each_seed(SEEDS, |seed| simulate(seed, limits, crashes));
}

/// Pages are small, windows long, clients slow.
fn strained() -> Limits {
    Limits {
        send_micros: 30_000,
        batch_window: 800,
        page_messages: 2,
        pages_per_turn: 1,
        segment_messages: 4,
        unacked_messages: 3,
        ..Limits::default()
    }
}

#[test]
fn everybody_is_told_what_the_agent_said() {
    all(&Limits::default(), false);
}

#[test]
fn and_so_where_windows_are_long_and_clients_slow() {
    all(&strained(), false);
}

#[test]
fn what_a_crash_left_of_an_answer_is_the_same_for_everybody() {
    all(&Limits::default(), true);
}

#[test]
fn and_so_where_everything_is_strained() {
    all(&strained(), true);
}
