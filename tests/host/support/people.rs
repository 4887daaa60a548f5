//! People of the simulation: each has a device with a connection that comes and goes, and knows what it is owed.

use std::collections::{BTreeMap, BTreeSet};

use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use serde_json::{Value, json};

use super::random::Random;
use super::world::World;

/// What a client does to be sent what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It says where it wants to go on.
    KeepsCursor,
    /// It confirms what it gets.
    Confirms,
    /// It pings now and then, as clients of old do.
    KeepsNothing,
}

/// How far a client is in a room.
#[derive(Debug)]
struct Ledger {
    epoch: Value,
    last: u64,
}

struct Person {
    user: &'static str,
    device: Option<&'static str>,
    habit: Habit,
    home: &'static str,
    conn: Option<ConnId>,
    /// Whether nothing it is sent arrives any more.
    cut: bool,
    /// The rooms that this connection was told it hears.
    told: BTreeSet<String>,
    ledgers: BTreeMap<String, Ledger>,
}

/// All people, the publishers, and the world they are in.
pub(crate) struct People {
    world: World,
    rooms: Vec<&'static str>,
    people: Vec<Person>,
    /// Sockets that the server takes for open, and nobody is there.
    ghosts: Vec<ConnId>,
    published: u64,
    /// What publishers have not been told is taken.
    pending: Vec<(&'static str, Vec<String>)>,
    /// Where every message stands of which a publisher was told.
    taken: BTreeMap<(&'static str, String), u64>,
}

impl Person {
    fn is_general(&self) -> bool {
        self.home.starts_with("user:")
    }

    /// Whether the server alone knows how far it is, in any room: of what is said to everybody nobody has a cursor.
    fn is_trusted(&self) -> bool {
        match self.habit {
            Habit::KeepsCursor => self.is_general(),
            Habit::Confirms => false,
            Habit::KeepsNothing => true,
        }
    }

    /// Reads a frame.
    fn read(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap() {
            "connection" | "connection_established" | "subscribed" => self.begin(&frame["data"]),
            "news" => self.news(frame["room"].as_str().unwrap(), frame["seq"].as_u64().unwrap()),
            "batch" => frame["messages"].as_array().unwrap().iter().for_each(|frame| self.read(frame)),
            _ => {}
        }
    }

    /// From here on the messages of a room come: not from later than where the client is.
    fn begin(&mut self, data: &Value) {
        let (room, seq) = (data["room"].as_str().unwrap().to_owned(), data["seq"].as_u64().unwrap());
        assert_ne!(data["recovered"], false, "nothing is lost for good: {data}");
        self.told.insert(room.clone());
        let ledger = self.ledgers.entry(room).or_insert_with(|| Ledger { epoch: data["epoch"].clone(), last: seq });
        assert_eq!(ledger.epoch, data["epoch"], "no log was wiped");
        assert!(seq <= ledger.last, "{:?} {}: {data} after {}", self.habit, self.user, ledger.last);
    }

    /// A message, for a client that drops what it has.
    fn news(&mut self, room: &str, seq: u64) {
        let Some(ledger) = self.ledgers.get_mut(room) else {
            // Nobody subscribes to what is said to everybody.
            assert_eq!(room, "system:all");
            self.ledgers.insert(room.to_owned(), Ledger { epoch: Value::Null, last: seq });
            return;
        };
        if ledger.last < seq {
            assert_eq!(ledger.last + 1, seq, "{:?} {} in {room}", self.habit, self.user);
            ledger.last = seq;
        }
    }

    fn cursor(&self, room: &str) -> Option<Value> {
        let ledger = self.ledgers.get(room).filter(|_| self.habit == Habit::KeepsCursor)?;
        Some(json!({"epoch": ledger.epoch, "seq": ledger.last, "since": ledger.last}))
    }
}

impl People {
    pub(crate) fn new(limits: Limits, rooms: &[&'static str]) -> Self {
        let rooms = rooms.iter().copied().chain(["system:all"]).collect();
        let world = World::new(limits);
        let (people, ghosts, pending) = (Vec::new(), Vec::new(), Vec::new());
        Self { world, rooms, people, ghosts, published: 0, pending, taken: BTreeMap::new() }
    }

    pub(crate) fn invite(
        &mut self,
        user: &'static str,
        device: Option<&'static str>,
        habit: Habit,
        home: &'static str,
    ) {
        let (told, ledgers) = (BTreeSet::new(), BTreeMap::new());
        self.people.push(Person { user, device, habit, home, conn: None, cut: false, told, ledgers });
        if home.starts_with("user:") && !self.rooms.contains(&home) {
            self.rooms.push(home);
        }
    }

    /// Somebody who is not here opens a socket.
    pub(crate) fn come(&mut self, random: &mut Random) {
        if let Some(place) = self.one(random, |person| person.conn.is_none()) {
            self.open(place);
        }
    }

    /// What somebody is sent does not arrive any more.
    pub(crate) fn lose_signal(&mut self, random: &mut Random) {
        if let Some(place) = self.one(random, |person| person.conn.is_some() && !person.cut) {
            self.people[place].cut = true;
        }
    }

    /// The server finds out that somebody's connection is broken.
    pub(crate) fn find_out(&mut self, random: &mut Random) {
        if let Some(place) = self.one(random, |person| person.cut) {
            let conn = self.close(place);
            self.lose(conn);
        } else if !self.ghosts.is_empty() {
            let ghost = self.ghosts.remove(0);
            self.lose(ghost);
        }
    }

    /// A storage that fails just then would be as good as a runtime that dies.
    fn lose(&mut self, conn: ConnId) {
        let home = self.world.home(conn).to_string();
        self.world.sql(&home).fail_after(0);
        self.world.lose_signal(conn);
    }

    /// Somebody comes back before the server finds out.
    pub(crate) fn return_unnoticed(&mut self, random: &mut Random) {
        if let Some(place) = self.one(random, |person| person.cut).filter(|_| self.ghosts.len() < 6) {
            let conn = self.close(place);
            self.ghosts.push(conn);
            self.open(place);
        }
    }

    /// Somebody closes its socket. What a trusted one was sent is only known if its farewell is kept.
    pub(crate) fn leave(&mut self, random: &mut Random) {
        if let Some(place) = self.one(random, |person| person.conn.is_some() && !person.cut) {
            self.listen();
            if self.people[place].is_trusted() {
                self.world.sql(self.people[place].home).fail_after(0);
            }
            let conn = self.close(place);
            self.world.leave(conn);
        }
    }

    pub(crate) fn publish(&mut self, random: &mut Random) {
        let Some(room) = random.pick(&self.rooms).copied() else { return };
        let first = self.published;
        self.published += 1 + random.below(3);
        self.pending.push((room, (first..self.published).map(|n| format!("m{n}")).collect()));
        self.hand_in();
    }

    /// The message is kept, and the runtime dies before anybody hears of it.
    pub(crate) fn publish_into_the_dark(&mut self, random: &mut Random) {
        let Some(room) = random.pick(&self.rooms).copied().filter(|room| self.may_die(room)) else { return };
        self.world.doom(room);
        self.publish(random);
        self.world.spare(room);
    }

    /// Clients that confirm do so.
    pub(crate) fn confirm(&mut self, random: &mut Random) {
        let confirms = |person: &Person| person.habit == Habit::Confirms && person.conn.is_some() && !person.cut;
        let Some(place) = self.one(random, confirms) else { return };
        let (person, world) = (&self.people[place], &mut self.world);
        for (room, ledger) in &person.ledgers {
            world.ack(person.conn.unwrap(), room, ledger.last);
        }
    }

    pub(crate) fn ping(&mut self, random: &mut Random) {
        if let Some(place) = self.one(random, |person| person.conn.is_some() && !person.cut) {
            self.world.ping(self.people[place].conn.unwrap());
        }
    }

    /// A subscription that was not answered is asked for again.
    pub(crate) fn ask_again(&mut self, random: &mut Random) {
        if let Some(place) = self.one(random, |person| person.conn.is_some() && !person.cut) {
            self.subscribe(place);
        }
    }

    /// Some calls between rooms arrive, fail, or lose their answers.
    pub(crate) fn fly(&mut self, random: &mut Random) {
        for _ in 0..=random.below(4) {
            let flight = random.below(self.world.flights().len() as u64) as usize;
            match random.below(12) {
                0 => self.world.fail(flight),
                1 => self.world.lose(flight),
                _ => self.world.step(flight),
            }
        }
    }

    pub(crate) fn evict(&mut self, random: &mut Random) {
        if let Some(room) = random.pick(&self.rooms) {
            self.world.evict(room);
        }
    }

    pub(crate) fn crash(&mut self, random: &mut Random) {
        if let Some(room) = random.pick(&self.rooms).copied().filter(|room| self.may_die(room)) {
            self.listen();
            self.world.crash(room);
        }
    }

    pub(crate) fn break_storage(&mut self, random: &mut Random) {
        if let Some(room) = random.pick(&self.rooms).copied() {
            self.world.sql(room).fail_after(1 + random.below(8));
        }
    }

    pub(crate) fn wait(&mut self, random: &mut Random) {
        let millis = [1, 20, 500, 3_000, 40_000][random.below(5) as usize];
        self.world.advance(millis);
    }

    /// Everybody reads what came.
    pub(crate) fn listen(&mut self) {
        for person in &mut self.people {
            let Some(conn) = person.conn else { continue };
            let cut = person.cut;
            let frames = self.world.frames(conn);
            frames.iter().filter(|_| !cut).for_each(|frame| person.read(frame));
            if !self.world.is_open(conn) {
                (person.conn, person.cut) = (None, false);
            }
        }
        let world = &self.world;
        self.ghosts.retain(|ghost| world.is_open(*ghost));
    }

    /// Everything works again, and everybody comes back.
    pub(crate) fn settle(&mut self) {
        self.listen();
        self.world.drain();
        std::mem::take(&mut self.ghosts).into_iter().for_each(|ghost| self.lose(ghost));
        for place in 0..self.people.len() {
            if self.people[place].cut {
                let conn = self.close(place);
                self.lose(conn);
            }
        }
        for _ in 0..16 {
            self.world.drain();
            self.hand_in();
            self.listen();
            for place in 0..self.people.len() {
                match self.people[place].conn {
                    None => self.open(place),
                    Some(conn) => self.settle_one(place, conn),
                }
            }
            self.world.drain();
            self.listen();
        }
    }

    fn settle_one(&mut self, place: usize, conn: ConnId) {
        self.subscribe(place);
        for (room, ledger) in self.people[place].ledgers.iter().filter(|_| self.people[place].habit == Habit::Confirms)
        {
            self.world.ack(conn, room, ledger.last);
        }
    }

    /// Whoever is owed a message has it, and every publisher was told the truth.
    pub(crate) fn check(&mut self) {
        assert_eq!(self.pending, []);
        let heads: BTreeMap<&str, u64> = self
            .rooms
            .iter()
            .map(|room| (*room, self.world.logged(room).last().copied().unwrap_or_default()))
            .collect();
        for ((room, id), seq) in &self.taken {
            assert!(*seq <= heads[room], "{id} is not in {room}");
        }
        let places: BTreeSet<_> = self.taken.iter().map(|((room, _), seq)| (*room, *seq)).collect();
        assert_eq!(places.len(), self.taken.len(), "each has a place of its own");
        assert_eq!(heads.values().sum::<u64>(), self.taken.len() as u64, "nothing is in a log twice");
        for person in &self.people {
            for (room, ledger) in &person.ledgers {
                let (habit, user) = (person.habit, person.user);
                assert_eq!(ledger.last, heads[room.as_str()], "{habit:?} {user} at {} in {room}", person.home);
            }
        }
    }

    /// Publishers hand in what they have not been told is taken.
    fn hand_in(&mut self) {
        for (room, ids) in std::mem::take(&mut self.pending) {
            let messages: Vec<Value> = ids.iter().map(|id| json!({"type": "news", "id": id})).collect();
            let Ok(taken) = self.world.publish(room, &json!(messages)) else {
                self.pending.push((room, ids));
                continue;
            };
            for taken in taken {
                let seq = taken.seq.unwrap().0;
                let known = self.taken.insert((room, taken.id.to_string()), seq);
                assert!(known.is_none_or(|known| known == seq), "{room} has {seq} at two places");
            }
        }
    }

    fn open(&mut self, place: usize) {
        let person = &mut self.people[place];
        let mut more = json!({"device": person.device, "acks": person.habit == Habit::Confirms, "batches": place.is_multiple_of(2)});
        if let Some(cursor) = person.cursor(person.home) {
            more["resume"] = cursor;
        }
        let conn = self.world.open(person.home, person.user, &more);
        (person.conn, person.cut) = (Some(conn), false);
        person.told.clear();
        if self.world.is_open(conn) {
            self.world.ping(conn);
        }
        self.listen();
        self.subscribe(place);
    }

    /// A general connection subscribes to whatever it has not been told that it hears.
    fn subscribe(&mut self, place: usize) {
        let person = &self.people[place];
        let Some(conn) = person.conn.filter(|_| person.is_general()) else { return };
        for room in ["investigation:1"].into_iter().filter(|room| !person.told.contains(*room)) {
            match person.cursor(room) {
                Some(cursor) => self.world.subscribe_after(conn, room, &cursor),
                None => self.world.subscribe(conn, room),
            }
        }
    }

    fn close(&mut self, place: usize) -> ConnId {
        let person = &mut self.people[place];
        person.cut = false;
        let conn = person.conn.take().unwrap();
        self.world.frames(conn);
        conn
    }

    /// What is sent to an open socket counts as received by those who are trusted, when the runtime dies.
    fn may_die(&self, room: &str) -> bool {
        let waits = |person: &Person| person.home == room && person.is_trusted();
        let haunted = self.ghosts.iter().any(|ghost| self.world.home(*ghost).to_string() == room);
        !self.people.iter().any(|person| waits(person) && (person.cut || haunted))
    }

    fn one(&self, random: &mut Random, which: impl Fn(&Person) -> bool) -> Option<usize> {
        let places: Vec<usize> = (0..self.people.len()).filter(|place| which(&self.people[*place])).collect();
        random.pick(&places).copied()
    }
}
