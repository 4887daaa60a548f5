//! Who is present: told once, in time, truly, and without a word too many.
//!
//! `SIMULATION_SEED=17 cargo test --test host presence::` runs that schedule alone, and
//! `SIMULATION_SEEDS=10000` as many.

use std::collections::BTreeMap;

use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use serde_json::{Value, json};

use crate::support::random::{Random, each_seed};
use crate::support::rooms::CHAT;
use crate::support::world::World;

/// What the welcome says of who is present.
fn welcomed(world: &mut World, conn: ConnId) -> Value {
    world.frames(conn)[0]["data"]["presence"].clone()
}

/// What came, which is about nothing else.
fn news(world: &mut World, conn: ConnId) -> Vec<Value> {
    let frames = world.frames(conn).into_iter();
    frames
        .map(|frame| {
            assert_eq!((&frame["type"], &frame["room"]), (&json!("presence"), &Value::Null), "{frame}");
            frame["data"].clone()
        })
        .collect()
}

/// A chat with these users, of whom the first watches.
fn chat(world: &mut World, users: &[&str]) -> Vec<ConnId> {
    let mut conns = vec![world.watch(CHAT, users[0])];
    conns.extend(users[1..].iter().map(|user| world.join(CHAT, user)));
    world.pass(2_000);
    conns.iter().for_each(|conn| drop(world.frames(*conn)));
    conns
}

// What a watcher is told.

#[test]
fn the_welcome_says_who_is_here_with_the_newcomer() {
    let mut world = World::default();
    let bia = world.join(CHAT, "bia");
    world.show(bia, &json!({"status": "away"}));
    let ana = world.watch(CHAT, "ana");
    assert_eq!(
        welcomed(&mut world, ana),
        json!({"count": 2, "users": [{"user_id": "ana"}, {"user_id": "bia", "state": {"status": "away"}}]})
    );
    assert_eq!(welcomed(&mut world, bia), Value::Null, "who did not ask is not told");
    world.pass(60_000);
    assert_eq!((news(&mut world, ana), news(&mut world, bia)), (vec![], vec![]));
}

#[test]
fn other_rooms_count_and_name_nobody() {
    for (room, user) in [("investigation:1", "ana"), ("analysis:1", "ana"), ("user:ana", "ana")] {
        let mut world = World::default();
        let first = world.join(room, user);
        world.show(first, &json!({"status": "away"}));
        let ana = world.watch(room, user);
        assert_eq!(welcomed(&mut world, ana), json!({"count": 1}), "{room}");
    }
    let mut world = World::default();
    let ana = world.watch("investigation:1", "ana");
    assert_eq!(welcomed(&mut world, ana), json!({"count": 1}));
    let bia = world.join("investigation:1", "bia");
    world.pass(1_000);
    assert_eq!(news(&mut world, ana), [json!({"room": "investigation:1", "count": 2})]);
    world.show(bia, &json!({"status": "away"}));
    world.pass(1_000);
    assert_eq!(news(&mut world, ana), Vec::<Value>::new(), "nobody is shown what is not shown");
}

#[test]
fn who_comes_within_one_window_is_told_of_together() {
    let mut world = World::default();
    let ana = chat(&mut world, &["ana"])[0];
    world.join(CHAT, "caio");
    world.pass(500);
    let bia = world.watch(CHAT, "bia");
    world.pass(499);
    assert_eq!(news(&mut world, ana), Vec::<Value>::new());
    world.pass(1);
    let joined = json!([{"user_id": "bia"}, {"user_id": "caio"}]);
    assert_eq!(news(&mut world, ana), [json!({"room": CHAT, "count": 3, "joined": joined})]);
    assert_eq!(welcomed(&mut world, bia)["count"], 3);
    world.pass(60_000);
    assert_eq!((news(&mut world, ana), news(&mut world, bia)), (vec![], vec![]), "each is told once");
}

#[test]
fn a_second_socket_of_a_user_is_nothing_new() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia"]);
    let second = world.join(CHAT, "bia");
    world.leave(conns[1]);
    world.pass(60_000);
    assert_eq!(news(&mut world, conns[0]), Vec::<Value>::new());
    world.leave(second);
    world.pass(9_999);
    assert_eq!(news(&mut world, conns[0]), Vec::<Value>::new());
    world.pass(1);
    assert_eq!(news(&mut world, conns[0]), [json!({"room": CHAT, "count": 1, "left": ["bia"]})]);
}

#[test]
fn who_comes_back_within_the_grace_has_never_been_away() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia"]);
    world.lose_signal(conns[1]);
    world.pass(9_999);
    let late = world.watch(CHAT, "caio");
    assert_eq!(welcomed(&mut world, late)["count"], 3);
    world.join(CHAT, "bia");
    world.pass(60_000);
    assert_eq!(news(&mut world, conns[0]), [json!({"room": CHAT, "count": 3, "joined": [{"user_id": "caio"}]})]);
    assert_eq!(news(&mut world, late), Vec::<Value>::new());
}

#[test]
fn watchers_are_told_whatever_else_they_still_have_to_read() {
    let mut world = World::new(Limits { unacked_messages: 1, ..Limits::default() });
    let ana = world.open(CHAT, "ana", &json!({"presence": 0, "acks": true}));
    world.tell(CHAT, 3);
    world.join(CHAT, "bia");
    world.pass(1_000);
    let frames = world.frames(ana);
    assert!(frames.len() < 5, "it is stopped: {frames:?}");
    assert_eq!(frames.last().unwrap()["data"]["joined"], json!([{"user_id": "bia"}]));
}

// What users show.

#[test]
fn a_state_is_an_update_and_the_same_again_is_nothing() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia"]);
    world.show(conns[1], &json!({"status": "away"}));
    world.show(conns[1], &json!({"status": "ação"}));
    world.pass(1_000);
    let shown = json!([{"user_id": "bia", "state": {"status": "ação"}}]);
    assert_eq!(news(&mut world, conns[0]), [json!({"room": CHAT, "count": 2, "updated": shown})]);
    world.show(conns[1], &json!({"status": "ação"}));
    world.evict(CHAT);
    world.show(conns[1], &json!({"status": "ação"}));
    world.pass(60_000);
    assert_eq!(news(&mut world, conns[0]), Vec::<Value>::new());
}

#[test]
fn of_several_sockets_the_latest_state_counts_and_goes_with_its_socket() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia", "bia"]);
    for (conn, place) in [(conns[1], 1), (conns[2], 2), (conns[1], 3)] {
        world.show(conn, &json!({"place": place}));
        world.pass(1_000);
        assert_eq!(news(&mut world, conns[0])[0]["updated"], json!([{"user_id": "bia", "state": {"place": place}}]));
    }
    world.leave(conns[1]);
    world.pass(1_000);
    assert_eq!(news(&mut world, conns[0])[0]["updated"], json!([{"user_id": "bia", "state": {"place": 2}}]));
    world.leave(conns[2]);
    world.pass(1_000);
    let nothing = json!({"room": CHAT, "count": 2, "updated": [{"user_id": "bia"}]});
    assert_eq!(news(&mut world, conns[0]), [nothing], "it is still there, and shows nothing");
}

#[test]
fn a_state_is_bounded() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia"]);
    let longest = json!({"a": "x".repeat(1024 - r#"{"a":""}"#.len())});
    world.show(conns[1], &longest);
    world.show(conns[1], &json!({"a": "x".repeat(1024 - r#"{"a":""}"#.len() + 1)}));
    let deep = format!(r#"{{"type":"presence","data":{{"state":{{"a":{}{}}}}}}}"#, "[".repeat(64), "]".repeat(64));
    world.send_text(conns[1], &deep);
    for refused in world.frames(conns[1]) {
        assert_eq!(refused["data"]["code"], "INVALID_FRAME");
        assert_eq!(refused["data"]["original_type"], "presence");
    }
    world.pass(1_000);
    assert_eq!(news(&mut world, conns[0])[0]["updated"][0]["state"], longest);
}

#[test]
fn crowds_are_counted_and_named_again_when_they_are_few() {
    let mut world = World::new(Limits { presence_users: 2, ..Limits::default() });
    let conns = chat(&mut world, &["ana", "bia"]);
    let caio = world.watch(CHAT, "caio");
    assert_eq!(welcomed(&mut world, caio), json!({"count": 3}));
    world.pass(1_000);
    assert_eq!(news(&mut world, conns[0]), [json!({"room": CHAT, "count": 3})]);
    world.show(conns[1], &json!({"status": "away"}));
    world.leave(caio);
    world.pass(9_999);
    assert_eq!(news(&mut world, conns[0]), Vec::<Value>::new());
    world.pass(1);
    let users = json!([{"user_id": "ana"}, {"user_id": "bia", "state": {"status": "away"}}]);
    assert_eq!(news(&mut world, conns[0]), [json!({"room": CHAT, "count": 2, "users": users})]);
}

// What sleeps and dies.

#[test]
fn a_sleep_alone_is_not_worth_a_word() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia"]);
    world.show(conns[1], &json!({"status": "away"}));
    world.pass(1_000);
    world.frames(conns[0]);
    for _ in 0..3 {
        world.evict(CHAT);
        world.counts(CHAT);
        world.pass(20_000);
    }
    assert_eq!(news(&mut world, conns[0]), Vec::<Value>::new());
}

#[test]
fn who_left_before_a_sleep_is_told_of_in_time() {
    let mut world = World::default();
    let conns = chat(&mut world, &["ana", "bia", "caio"]);
    world.leave(conns[1]);
    world.evict(CHAT);
    world.pass(9_999);
    assert_eq!(news(&mut world, conns[0]), Vec::<Value>::new());
    world.pass(1);
    assert_eq!(news(&mut world, conns[0]), [json!({"room": CHAT, "count": 2, "left": ["bia"]})]);
}

#[test]
fn who_came_before_a_sleep_and_was_not_announced_is() {
    let mut world = World::default();
    let ana = chat(&mut world, &["ana"])[0];
    world.join(CHAT, "bia");
    world.evict(CHAT);
    world.pass(1_000);
    let users = json!([{"user_id": "ana"}, {"user_id": "bia"}]);
    assert_eq!(news(&mut world, ana), [json!({"room": CHAT, "count": 2, "users": users})]);
    world.pass(60_000);
    assert_eq!(news(&mut world, ana), Vec::<Value>::new());
}

#[test]
fn after_a_crash_everybody_has_the_grace_to_come_back() {
    let mut world = World::default();
    chat(&mut world, &["ana", "bia", "caio"]);
    world.crash(CHAT);
    let ana = world.watch(CHAT, "ana");
    assert_eq!(welcomed(&mut world, ana)["count"], 3);
    world.pass(5_000);
    world.join(CHAT, "bia");
    world.pass(60_000);
    assert_eq!(news(&mut world, ana), [json!({"room": CHAT, "count": 2, "left": ["caio"]})]);
}

// What it costs.

#[test]
fn a_room_that_nobody_watches_has_nothing_to_do() {
    let mut world = World::default();
    let conns: Vec<ConnId> = ["ana", "bia"].map(|user| world.join(CHAT, user)).into();
    let idle = world.alarm(CHAT);
    world.show(conns[0], &json!({"status": "away"}));
    world.leave(conns[1]);
    assert_eq!(world.alarm(CHAT), idle);
    let watcher = world.watch(CHAT, "caio");
    world.leave(watcher);
    world.pass(60_000);
    world.join(CHAT, "dora");
    assert_eq!(world.alarm(CHAT), idle, "not even when somebody had watched");
}

#[test]
fn presence_writes_no_row() {
    let rows = |presence: Value| {
        let mut world = World::default();
        let conns: Vec<ConnId> = ["ana", "bia"].map(|user| world.open(CHAT, user, &presence)).into();
        world.pass(2_000);
        world.show(conns[1], &json!({"status": "away"}));
        world.pass(2_000);
        world.leave(conns[1]);
        world.pass(20_000);
        assert_eq!(world.frames(conns[0]).len() > 1, presence["presence"].is_number());
        world.sql(CHAT).changes()
    };
    assert_eq!(rows(json!({"presence": 0})), rows(json!({})));
}

// Whatever happens.

const USERS: [&str; 4] = ["ana", "bia", "caio", "dora"];

/// A socket, with what it shows since when or has just asked for, and what it was told if it watches.
struct Socket {
    conn: ConnId,
    user: &'static str,
    state: Option<(u64, Value)>,
    asked: Option<(u64, Value)>,
    told: Option<View>,
}

#[derive(Debug, PartialEq, Eq)]
struct View {
    count: u64,
    users: BTreeMap<String, Value>,
}

fn named(list: &Value) -> impl Iterator<Item = (String, Value)> {
    let users = list.as_array().into_iter().flatten();
    users.map(|user| (user["user_id"].as_str().unwrap().to_owned(), user["state"].clone()))
}

impl View {
    fn of(snapshot: &Value) -> Self {
        Self { count: snapshot["count"].as_u64().unwrap(), users: named(&snapshot["users"]).collect() }
    }

    /// Takes a frame. There is none that changes nothing.
    fn take(&mut self, data: &Value, last_seen: &BTreeMap<&str, u64>, now: u64) {
        let delta = ["joined", "left", "updated"].iter().any(|list| data.get(list).is_some());
        if !delta {
            let snapshot = Self::of(data);
            assert_ne!(*self, snapshot, "it knew that");
            *self = snapshot;
            return;
        }
        for user in data["left"].as_array().into_iter().flatten().map(|user| user.as_str().unwrap()) {
            assert!(self.users.remove(user).is_some(), "{user} left twice");
            assert!(last_seen[user] + 10_000 <= now, "{user} was just here");
        }
        for (user, state) in named(&data["joined"]) {
            assert!(self.users.insert(user, state).is_none(), "joined twice: {data}");
        }
        for (user, state) in named(&data["updated"]) {
            assert_ne!(self.users.insert(user, state.clone()).expect("it was there"), state, "{data}");
        }
        self.count = data["count"].as_u64().unwrap();
    }
}

struct Simulation {
    world: World,
    room: &'static str,
    sockets: Vec<Socket>,
    /// When each user was last seen with a socket.
    last_seen: BTreeMap<&'static str, u64>,
}

impl Simulation {
    fn step(&mut self, random: &mut Random) {
        let one = random.below(self.sockets.len() as u64) as usize;
        match random.below(100) {
            0..25 if self.sockets.len() < 12 => self.open(random),
            25..45 if !self.sockets.is_empty() => self.world.leave(self.sockets[one].conn),
            45..60 if !self.sockets.is_empty() => self.show(one, random),
            60..68 => self.world.evict(self.room),
            68..70 => self.world.crash(self.room),
            70..72 => self.world.doom(self.room),
            72..77 => self.world.sql(self.room).fail_after(1 + random.below(8)),
            _ => self.world.pass([1, 30, 400, 1_000, 5_000, 9_000, 12_000][random.below(7) as usize]),
        }
        self.listen();
    }

    fn open(&mut self, random: &mut Random) {
        let (user, watches) = (*random.pick(&USERS).unwrap(), random.below(2) == 0);
        let more = if watches { json!({"presence": 0}) } else { json!({}) };
        let conn = self.world.open(self.room, user, &more);
        self.sockets.push(Socket { conn, user, state: None, asked: None, told: None });
    }

    fn show(&mut self, one: usize, random: &mut Random) {
        self.world.pass(1);
        self.listen();
        let Some(socket) = self.sockets.get_mut(one) else { return };
        let state = json!({"n": random.below(2)});
        self.world.show(socket.conn, &state);
        socket.asked = Some((self.world.now.0, state));
    }

    /// Everybody reads what came. Those who are not here any more are forgotten.
    fn listen(&mut self) {
        for socket in &mut self.sockets {
            for frame in self.world.frames(socket.conn) {
                match frame["type"].as_str().unwrap() {
                    "connection" => socket.told = frame["data"].get("presence").map(View::of),
                    "presence" => {
                        socket.told.as_mut().unwrap().take(&frame["data"], &self.last_seen, self.world.now.0);
                    }
                    "error" => socket.asked = None,
                    _ => panic!("{frame}"),
                }
            }
            socket.state = socket.asked.take().or_else(|| socket.state.take());
            if self.world.is_open(socket.conn) {
                self.last_seen.insert(socket.user, self.world.now.0);
            }
        }
        let world = &self.world;
        self.sockets.retain(|socket| world.is_open(socket.conn));
    }

    /// All watchers know the truth, once there is nothing more to tell.
    fn check(&mut self) {
        self.world.spare(self.room);
        self.world.sql(self.room).fail_after(0);
        self.world.counts(self.room);
        self.world.drain();
        self.listen();
        let mut shown: BTreeMap<&str, &(u64, Value)> = BTreeMap::new();
        for socket in &self.sockets {
            if let Some(state) = &socket.state {
                let latest = shown.entry(socket.user).or_insert(state);
                *latest = if latest.0 < state.0 { state } else { latest };
            }
        }
        let state = |user: &str| shown.get(user).map_or(Value::Null, |state| state.1.clone());
        let users: BTreeMap<String, Value> =
            self.sockets.iter().map(|socket| (socket.user.to_owned(), state(socket.user))).collect();
        let (count, few) = (users.len() as u64, self.room == CHAT && users.len() <= 3);
        let truth = View { count, users: if few { users } else { BTreeMap::new() } };
        self.sockets.iter().filter_map(|socket| socket.told.as_ref()).for_each(|told| assert_eq!(*told, truth));
    }
}

fn simulate(seed: u64) {
    let mut random = Random::new(seed);
    let world = World::new(Limits { presence_users: 3, ..Limits::default() });
    let room = [CHAT, CHAT, "investigation:1"][seed as usize % 3];
    let mut simulation = Simulation { world, room, sockets: Vec::new(), last_seen: BTreeMap::new() };
    for _ in 0..5 {
        (0..20).for_each(|_| simulation.step(&mut random));
        simulation.check();
    }
}

#[test]
fn watchers_know_the_truth_whatever_happens() {
    each_seed(300, simulate);
}
