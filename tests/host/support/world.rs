//! Many rooms and what the platform holds for them: sockets, alarms, calls on their way. It does as `edge/object.rs`.

mod agents;
mod files;
mod people;
mod seen;

use std::collections::{BTreeMap, VecDeque};

use std::rc::Rc;

use cidadao_realtime::auth::Keys;
use cidadao_realtime::code::{CloseCode, Reject};
use cidadao_realtime::config::{ChatAccess, Config};
use cidadao_realtime::id::{ConnId, Kind, RoomName};
use cidadao_realtime::limits::{DAY, Limits};
use cidadao_realtime::link::{Call, Reply};
use cidadao_realtime::moment::{Millis, Moment};
use cidadao_realtime::protocol::{ErrorData, ServerFrame};
use cidadao_realtime::room::{Failure, Room, Taken};
use cidadao_realtime::session::Session;
use cidadao_realtime::sql::StoreError;
use cidadao_realtime::turn::{Effect, Farewell, Fetched, Input, Turn};
use serde_json::{Value, json};
use uuid::Uuid;

use self::agents::Agents;
use super::sql::Sqlite;
use super::tokens::SECRET;

/// How long a room that failed is left alone, in milliseconds.
const RECOVERY: u64 = 1_000;

/// A world in which nothing happens for so long, in milliseconds, has come to rest: rooms still look once a day for what
/// is too old.
const REST: u64 = DAY / 2;

/// More steps than any scenario takes: who gets here runs in circles.
const ENDLESS: usize = 10_000;

/// All there is.
pub(crate) struct World {
    pub(crate) now: Millis,
    config: Rc<Config>,
    /// When the tokens of those who join from now on end.
    pub(crate) token_end: u64,
    drawn: u128,
    places: BTreeMap<RoomName, Place>,
    flights: VecDeque<Flight>,
    sockets: BTreeMap<ConnId, Socket>,
    calls: Vec<(RoomName, RoomName, Call)>,
    pub(crate) bucket: files::Bucket,
    closed: BTreeMap<ConnId, CloseCode>,
    agents: Agents,
    /// The socket that is being opened: it hears why if it is not.
    entering: Option<ConnId>,
}

/// One room and what the platform keeps while it sleeps.
#[derive(Default)]
struct Place {
    sql: Sqlite,
    room: Option<Room<Sqlite>>,
    sessions: BTreeMap<ConnId, Session>,
    /// When the runtime last answered a ping of each socket.
    pings: BTreeMap<ConnId, Millis>,
    /// Counts the lives of the object: what an earlier one asked for comes back to nobody.
    life: u64,
    /// The alarm that is set.
    alarm: Option<Millis>,
    /// The alarm that is set, as far as this life knows.
    known_alarm: Option<Millis>,
    fault: Fault,
    /// Whether the runtime dies when the next turn is over, before anybody hears of it.
    doomed: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    Cut,
    LosesAnswers,
    Stalled,
}

/// One call on its way there, or its reply on the way back.
pub(crate) struct Flight {
    pub(crate) from: RoomName,
    pub(crate) to: RoomName,
    pub(crate) call: Call,
    life: u64,
    /// What is on its way back, if it was there already.
    back: Option<Option<Reply>>,
}

impl Flight {
    /// Whether this reply is on its way back.
    pub(crate) fn is_back(&self, reply: Reply) -> bool {
        self.back == Some(Some(reply))
    }
}

struct Socket {
    home: RoomName,
    frames: Vec<Value>,
    read: usize,
}

pub(crate) fn name(room: &str) -> RoomName {
    room.parse().unwrap()
}

impl Default for World {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl World {
    /// A world in which nobody looks for silent connections, so that it can come to rest with sockets open.
    pub(crate) fn new(limits: Limits) -> Self {
        Self::with_sweeps(Limits { sweep_interval: u64::MAX, ..limits })
    }

    /// A world that has no place for files.
    pub(crate) fn without_files() -> Self {
        let config = Config { keys: Keys::parse(Some(SECRET)).ok(), ..Config::default() };
        Self { config: Rc::new(config), ..Self::default() }
    }

    pub(crate) fn with_sweeps(limits: Limits) -> Self {
        let keys = Keys::parse(Some(SECRET)).ok();
        Self::with(Config { keys, limits, chat_access: ChatAccess::Open, ..Config::default() })
    }

    /// A world in which a chat session is its owner's.
    pub(crate) fn with_owners(limits: Limits) -> Self {
        let limits = Limits { sweep_interval: u64::MAX, ..limits };
        Self::with(Config { keys: Keys::parse(Some(SECRET)).ok(), limits, ..Config::default() })
    }

    fn with(config: Config) -> Self {
        Self {
            now: Millis(1_761_937_200_000),
            config: Rc::new(Config { files: true, ..config }),
            token_end: u64::MAX,
            drawn: 0,
            places: BTreeMap::new(),
            flights: VecDeque::new(),
            sockets: BTreeMap::new(),
            calls: Vec::new(),
            bucket: files::Bucket::default(),
            closed: BTreeMap::new(),
            agents: Agents::default(),
            entering: None,
        }
    }
}

/// What the platform does.
impl World {
    /// Lets every call arrive and come back, except those to stalled rooms.
    pub(crate) fn run_until_idle(&mut self) {
        for _ in 0..ENDLESS {
            let stalled = |flight: &Flight| flight.back.is_none() && self.places[&flight.to].fault == Fault::Stalled;
            match self.flights.iter().position(|flight| !stalled(flight)) {
                Some(next) => self.step(next),
                None if self.run_errand() => {}
                None => return,
            }
        }
        panic!("the rooms call each other without end");
    }

    /// Lets one call arrive, or one answer come back. Calls between two rooms keep their order.
    pub(crate) fn step(&mut self, place: usize) {
        let Some(mut flight) = self.pick(place) else { return };
        match flight.back.take() {
            Some(answer) => self.returned(flight, answer),
            None => {
                flight.back = Some(self.arrive(&flight));
                self.flights.push_back(flight);
            }
        }
    }

    /// Lets one call fail before it arrives, or its answer get lost.
    pub(crate) fn fail(&mut self, place: usize) {
        if let Some(flight) = self.pick(place) {
            self.returned(flight, None);
        }
    }

    /// Lets one call arrive and loses its answer.
    pub(crate) fn lose(&mut self, place: usize) {
        let Some(flight) = self.pick(place) else { return };
        if flight.back.is_none() {
            self.arrive(&flight);
        }
        self.returned(flight, None);
    }

    /// Moves the clock and wakes the rooms whose time comes. Calls stay where they are.
    pub(crate) fn advance(&mut self, millis: u64) {
        self.advance_with(millis, |_| {});
    }

    /// Moves the clock and lets everything happen meanwhile.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.run_until_idle();
        self.advance_with(millis, Self::run_until_idle);
    }

    /// Lets everything come to its end.
    pub(crate) fn drain(&mut self) {
        for place in self.places.values_mut() {
            (place.fault, place.doomed) = (Fault::None, false);
            place.sql.fail_after(0);
        }
        self.bucket.down = false;
        self.run_until_idle();
        for _ in 0..ENDLESS {
            let horizon = self.now.plus(REST);
            let due = self.places.values().filter_map(|place| place.alarm).filter(|due| *due < horizon);
            let Some(next) = due.min() else { return };
            self.pass(next.0.saturating_sub(self.now.0));
        }
        panic!("the rooms wake without end");
    }

    /// Drops the room from memory. Its sockets stay.
    pub(crate) fn evict(&mut self, room: &str) {
        let place = self.place(&name(room));
        (place.room, place.known_alarm) = (None, None);
        place.life += 1;
        // What a socket carries is written when it is attached, and read when the room is loaded.
        place.sessions.values_mut().for_each(|session| *session = Session::decode(&session.encode()).unwrap());
    }

    /// Drops the room and its sockets.
    pub(crate) fn crash(&mut self, room: &str) {
        self.evict(room);
        self.place(&name(room)).sessions.clear();
        self.agents.die(&name(room));
    }

    /// Lets the room's next turn be kept, and kills the runtime before anybody hears of it.
    pub(crate) fn doom(&mut self, room: &str) {
        self.place(&name(room)).doomed = true;
    }

    /// Takes back [`Self::doom`], if it has not come.
    pub(crate) fn spare(&mut self, room: &str) {
        self.place(&name(room)).doomed = false;
    }

    /// Calls to the room fail.
    pub(crate) fn cut(&mut self, room: &str) {
        self.place(&name(room)).fault = Fault::Cut;
    }

    /// Calls to the room arrive, their answers do not.
    pub(crate) fn lose_answers(&mut self, room: &str) {
        self.place(&name(room)).fault = Fault::LosesAnswers;
    }

    /// Calls to the room neither arrive nor fail.
    pub(crate) fn stall(&mut self, room: &str) {
        self.place(&name(room)).fault = Fault::Stalled;
    }

    pub(crate) fn mend(&mut self, room: &str) {
        self.place(&name(room)).fault = Fault::None;
    }

    fn advance_with(&mut self, millis: u64, mut meanwhile: impl FnMut(&mut Self)) {
        let end = self.now.plus(millis);
        for _ in 0..ENDLESS {
            let due = |(room, place): (&RoomName, &Place)| Some((place.alarm?, room.clone()));
            let next = self.places.iter().filter_map(due).min().filter(|(due, _)| *due <= end);
            let Some((due, room)) = next else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            self.wake(&room);
            meanwhile(self);
        }
        panic!("the rooms wake without end");
    }

    fn wake(&mut self, room: &RoomName) {
        let place = self.place(room);
        (place.alarm, place.known_alarm) = (None, None);
        let (now, pings) = (self.now, self.place(room).pings.clone().into_iter().collect());
        self.turn(room, |room, turn| {
            let input = if room.sweep_is_due(now) { Input::Swept(pings) } else { Input::Woken };
            Ok(room.handle(turn, input)?)
        })
        .ok();
    }

    fn pick(&mut self, place: usize) -> Option<Flight> {
        let wanted = self.flights.get(place)?;
        let ahead = |flight: &Flight| flight.back.is_none() && flight.from == wanted.from && flight.to == wanted.to;
        let first = if wanted.back.is_some() { place } else { self.flights.iter().position(ahead)? };
        self.flights.remove(first)
    }

    /// The call goes over the wire, and so does its reply.
    fn arrive(&mut self, flight: &Flight) -> Option<Reply> {
        let fault = self.place(&flight.to).fault;
        if fault == Fault::Cut {
            return None;
        }
        let call: Call = serde_json::from_str(&serde_json::to_string(&flight.call).unwrap()).unwrap();
        let answer = self.turn(&flight.to, |room, turn| Ok(room.take_call(turn, call)?)).ok()?;
        let answer = serde_json::from_str(&serde_json::to_string(&answer).unwrap()).unwrap();
        (fault != Fault::LosesAnswers).then_some(answer)
    }

    fn returned(&mut self, flight: Flight, answer: Option<Reply>) {
        if self.place(&flight.from).life == flight.life {
            self.take(&flight.from, Input::Returned(flight.to, flight.call, answer)).ok();
        }
    }

    fn take(&mut self, room: &RoomName, input: Input) -> Result<(), Failure> {
        self.turn(room, |room, turn| Ok(room.handle(turn, input)?))
    }

    /// One turn of a room, which is loaded if need be, and then reads again what agents have said so far.
    fn turn<T>(
        &mut self,
        name: &RoomName,
        act: impl FnOnce(&mut Room<Sqlite>, &mut Turn) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let streams = if self.place(name).room.is_none() { self.agents.read_so_far(name) } else { Vec::new() };
        if !streams.is_empty() {
            self.take_turn(name, |room, turn| {
                let mut inputs =
                    streams.into_iter().map(|(answer, bytes)| Input::Answered(answer, Fetched::Bytes(bytes)));
                Ok(inputs.try_for_each(|input| room.handle(turn, input))?)
            })?;
        }
        self.take_turn(name, act)
    }

    /// All that it writes is kept or none of it, and nobody hears of what was not kept.
    fn take_turn<T>(
        &mut self,
        name: &RoomName,
        act: impl FnOnce(&mut Room<Sqlite>, &mut Turn) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut turn = Turn::new(self.moment());
        let result = self.loaded(name).and_then(|mut room| {
            let place = self.place(name);
            let result = place.sql.transact(|| act(&mut room, &mut turn));
            place.room = (!matches!(result, Err(Failure::Broken(_)))).then_some(room);
            place.life += u64::from(place.room.is_none());
            result
        });
        if result.is_ok() && std::mem::take(&mut self.place(name).doomed) {
            self.arm(name);
            self.crash(&name.to_string());
            return Err(Failure::Broken(StoreError("kept, and nobody knows".to_owned())));
        }
        if result.is_ok() {
            turn.effects.into_iter().for_each(|effect| self.perform(name, effect));
        }
        self.arm(name);
        result
    }

    fn loaded(&mut self, name: &RoomName) -> Result<Room<Sqlite>, Failure> {
        let (config, mut moment) = (self.config.clone(), self.moment());
        let streams = self.agents.of(name);
        let place = self.place(name);
        if let Some(room) = place.room.take() {
            return Ok(room);
        }
        let pinged = |session: &Session| place.pings.get(&session.conn).copied();
        let sessions = place.sessions.values().map(|session| (session.clone(), pinged(session))).collect();
        let sql = place.sql.clone();
        place.sql.transact(|| Ok(Room::open(name.clone(), config, sql, sessions, &streams, &mut moment)?))
    }

    fn perform(&mut self, from: &RoomName, effect: Effect) {
        match effect {
            Effect::Ask(answer, body) => self.agents.ask(from, answer, &body),
            Effect::Hush(answer) => self.agents.hush(&answer),
            Effect::Attach(session) => {
                self.place(from).sessions.insert(session.conn, session);
            }
            Effect::Close(conn, code, _) => {
                self.place(from).sessions.remove(&conn);
                self.closed.insert(conn, code);
            }
            Effect::Send(to, frame) => to.iter().for_each(|conn| self.hear(*conn, &frame)),
            Effect::Run(errand) => self.send_out(from, errand),
            Effect::Call(to, call) => {
                self.calls.push((from.clone(), to.clone(), call.clone()));
                self.place(&to);
                let life = self.place(from).life;
                self.flights.push_back(Flight { from: from.clone(), to, call, life, back: None });
            }
        }
    }

    fn arm(&mut self, name: &RoomName) {
        let now = self.now;
        let place = self.place(name);
        let due = place.room.as_ref().map_or_else(|| Some(now.plus(RECOVERY)), Room::deadline);
        assert!(due.is_none_or(|due| due > now), "{name} wants to be woken in the past");
        if let Some(due) = due.filter(|due| place.known_alarm.is_none_or(|set| *due < set)) {
            (place.alarm, place.known_alarm) = (Some(due), Some(due));
        }
    }

    fn hear(&mut self, conn: ConnId, frame: &str) {
        if self.is_open(conn) || self.entering == Some(conn) {
            let frame = serde_json::from_str(frame).unwrap();
            self.sockets.get_mut(&conn).unwrap().frames.push(frame);
        }
    }

    fn place(&mut self, room: &RoomName) -> &mut Place {
        self.places.entry(room.clone()).or_default()
    }

    /// The connection that the next to join will have.
    pub(crate) fn next_conn(&self) -> ConnId {
        ConnId(Uuid::from_u128(self.sockets.len() as u128 + 1))
    }

    fn draw(&mut self) -> u128 {
        self.drawn += 1_000;
        self.drawn
    }

    fn moment(&mut self) -> Moment {
        Moment::new(self.now, self.draw().to_be_bytes())
    }
}
