//! One user's connections: how many, for how long, how fast, and who ends them.

use cidadao_realtime::code::{CloseCode, Reject};
use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use cidadao_realtime::link::{Call, Reply};
use cidadao_realtime::moment::Millis;
use cidadao_realtime::tickets::Rights;
use serde_json::{Value, json};

use crate::support::heard::{data, errors};
use crate::support::rooms::{HOME, ROOM};
use crate::support::tokens::signed;
use crate::support::world::World;

/// A token of ana's that ends so many seconds from now, with these claims besides.
fn token(world: &World, seconds: u64, claims: &Value) -> String {
    signed("ana", world.now.0 / 1_000 + seconds, claims)
}

fn refresh(world: &mut World, conn: ConnId, token: &str) {
    world.send(conn, &json!({"type": "refresh", "data": {"token": token}}));
}

/// A world in which tokens end in so many milliseconds.
fn ending(millis: u64) -> World {
    let mut world = World::default();
    world.token_end = world.now.0 + millis;
    world
}

#[test]
fn a_user_has_ten_connections_in_all_rooms_together() {
    let mut world = World::default();
    let general: Vec<ConnId> = (0..5).map(|_| world.connect("ana")).collect();
    let direct: Vec<ConnId> = (0..5).map(|n| world.join(&format!("chat:{n}"), "ana")).collect();
    assert!(general.iter().chain(&direct).all(|conn| world.is_open(*conn)));
    let eleventh = world.connect("ana");
    assert_eq!(errors(&mut world, eleventh), ["TOO_MANY_CONNECTIONS"]);
    assert_eq!(world.closed(eleventh), Some(CloseCode::TryAgainLater));
    let elsewhere = world.join("chat:9", "ana");
    assert!(!world.is_open(elsewhere));
    let other = world.connect("bea");
    assert!(world.is_open(other), "another user is not concerned");
}

#[test]
fn a_closed_connection_makes_room_for_another_wherever_it_was() {
    let mut world = World::default();
    let direct: Vec<ConnId> = (0..10).map(|n| world.join(&format!("chat:{n}"), "ana")).collect();
    world.leave(direct[3]);
    world.run_until_idle();
    let general = world.connect("ana");
    assert!(world.is_open(general));
    world.leave(general);
    let again = world.join(ROOM, "ana");
    assert!(world.is_open(again));
}

#[test]
fn connections_that_a_crash_took_do_not_count_for_ever() {
    let mut world = World::default();
    for n in 0..10 {
        world.join(&format!("chat:{}", n % 3), "ana");
    }
    ["chat:0", "chat:1"].iter().for_each(|room| world.crash(room));
    let refused = world.connect("ana");
    assert!(!world.is_open(refused), "nobody has said goodbye");
    world.run_until_idle();
    let welcome = world.connect("ana");
    assert!(world.is_open(welcome), "but they were asked");
}

#[test]
fn a_connection_that_a_full_room_turned_away_is_not_counted() {
    let mut world = World::new(Limits { sockets_per_room: 1, connections_per_user: 2, ..Limits::default() });
    let first = world.join("chat:1", "ana");
    for _ in 0..5 {
        let refused = world.join("chat:1", "ana");
        assert_eq!(errors(&mut world, refused), ["ROOM_FULL"]);
        world.run_until_idle();
    }
    let second = world.join("chat:2", "ana");
    assert!(world.is_open(first) && world.is_open(second));
}

#[test]
fn a_room_that_cannot_be_asked_keeps_its_connections_counted_and_nobody_is_asked_too_often() {
    let mut world = World::default();
    for _ in 0..10 {
        world.join("chat:1", "ana");
    }
    world.cut("chat:1");
    for _ in 0..3 {
        let refused = world.connect("ana");
        assert!(!world.is_open(refused));
        world.run_until_idle();
    }
    assert_eq!(world.called("chat:1", |call| matches!(call, Call::Alive { .. })), 1);
    world.pass(5_000);
    let refused = world.connect("ana");
    assert!(!world.is_open(refused));
    assert_eq!(world.called("chat:1", |call| matches!(call, Call::Alive { .. })), 2);
}

#[test]
fn a_service_ends_all_connections_of_a_user_and_may_bar_the_user_for_a_time() {
    let mut world = World::default();
    let general = world.connect("ana");
    let direct = world.join("chat:1", "ana");
    let other = world.join("chat:1", "bea");
    let answer = world.ask_room(HOME, Call::Disconnect { bar: Some(60_000) }).unwrap();
    let rooms = vec![("chat:1".parse().unwrap(), vec![direct])];
    assert_eq!(answer, Reply::Elsewhere { closed: 1, rooms });
    assert_eq!(world.ask_room("chat:1", Call::HangUp { conns: vec![direct] }).unwrap(), Reply::HungUp(1));
    for conn in [general, direct] {
        assert_eq!(errors(&mut world, conn), ["DISCONNECTED"]);
        assert_eq!(world.closed(conn), Some(CloseCode::Disconnected));
    }
    assert!(world.is_open(other));
    for _ in 0..2 {
        let barred = world.connect("ana");
        assert_eq!(errors(&mut world, barred), ["BARRED"]);
        let elsewhere = world.join("chat:1", "ana");
        assert!(!world.is_open(elsewhere));
        world.evict(HOME);
    }
    world.pass(60_000);
    let back = world.connect("ana");
    assert!(world.is_open(back));
}

#[test]
fn a_bar_can_be_lifted_and_is_not_by_a_mere_disconnect() {
    let mut world = World::default();
    for (bar, open) in [(Some(60_000), false), (None, false), (Some(0), true)] {
        world.ask_room(HOME, Call::Disconnect { bar }).unwrap();
        let ana = world.connect("ana");
        assert_eq!(world.is_open(ana), open, "{bar:?}");
    }
}

#[test]
fn a_connection_that_was_on_its_way_when_it_was_to_be_closed_does_not_open() {
    let mut world = World::default();
    let late = world.next_conn();
    assert_eq!(world.ask_room("chat:1", Call::HangUp { conns: vec![late] }).unwrap(), Reply::HungUp(0));
    assert_eq!(world.join("chat:1", "ana"), late);
    assert_eq!(world.closed(late), Some(CloseCode::Disconnected));
}

#[test]
fn a_client_is_warned_before_its_token_ends_and_closed_when_it_does() {
    for room in [HOME, "chat:1"] {
        let mut world = ending(100_000);
        let ana = world.join(room, "ana");
        world.pass(69_999);
        assert_eq!(data(&mut world, ana, "token_expiring"), Vec::<Value>::new());
        world.pass(1);
        let warnings = data(&mut world, ana, "token_expiring");
        assert_eq!(warnings, [json!({"expires_at": "2025-10-31T19:01:40.000Z", "expires_in_ms": 30_000})]);
        world.pass(29_999);
        assert!(world.is_open(ana));
        world.pass(1);
        assert_eq!(errors(&mut world, ana), ["TOKEN_EXPIRED"]);
        assert_eq!(world.closed(ana), Some(CloseCode::TokenExpired));
        assert_eq!(world.counts(room).connections, 0);
    }
}

#[test]
fn a_token_that_ends_while_the_room_sleeps_ends_the_connection() {
    let mut world = ending(100_000);
    let ana = world.join("chat:1", "ana");
    world.evict("chat:1");
    world.pass(100_000);
    assert_eq!(world.closed(ana), Some(CloseCode::TokenExpired));
}

#[test]
fn a_refreshed_token_keeps_the_connection() {
    let mut world = ending(100_000);
    let ana = world.connect("ana");
    let next = token(&world, 3_600, &json!({}));
    refresh(&mut world, ana, &next);
    assert_eq!(data(&mut world, ana, "refreshed"), [json!({"expires_at": "2025-10-31T20:00:00.000Z"})]);
    world.evict(HOME);
    world.pass(3_599_000);
    assert!(world.is_open(ana));
    assert_eq!(data(&mut world, ana, "token_expiring").len(), 1);
    world.pass(1_000);
    assert!(!world.is_open(ana));
}

#[test]
fn a_token_that_is_bad_or_anothers_changes_nothing() {
    let mut world = ending(100_000);
    let ana = world.connect("ana");
    let anothers = token(&world, 3_600, &json!({"sub": "bea"}));
    let stale = token(&world, 0, &json!({}));
    let kind = token(&world, 3_600, &json!({"type": "refresh"}));
    for (token, code) in
        [(anothers.as_str(), "FORBIDDEN"), (&stale, "INVALID_TOKEN"), (&kind, "INVALID_TOKEN"), ("", "INVALID_TOKEN")]
    {
        refresh(&mut world, ana, token);
        assert_eq!(errors(&mut world, ana), [code], "{token}");
    }
    world.send(ana, &json!({"type": "refresh"}));
    assert_eq!(errors(&mut world, ana), ["INVALID_FRAME"]);
    world.pass(100_000);
    assert!(!world.is_open(ana));
}

#[test]
fn a_refresh_leaves_the_rooms_that_the_new_token_does_not_open() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.follow(ana, "investigation:1");
    world.follow(ana, "investigation:2");
    world.frames(ana);
    let narrower = token(&world, 3_600, &json!({"rooms": ["investigation:2"]}));
    refresh(&mut world, ana, &narrower);
    world.run_until_idle();
    let left = data(&mut world, ana, "unsubscribed");
    assert_eq!(left, [json!({"investigation_id": "1", "room": "investigation:1"})]);
    world.tell("investigation:1", 1);
    world.tell("investigation:2", 1);
    assert_eq!(world.messages(ana), [("investigation:2".to_owned(), 1)]);
    world.follow(ana, "investigation:1");
    assert_eq!(errors(&mut world, ana), ["FORBIDDEN"]);
    assert!(world.is_open(ana), "the user's own room needs no grant");

    let direct = world.join("chat:1", "ana");
    refresh(&mut world, direct, &narrower);
    assert_eq!(world.closed(direct), Some(CloseCode::PolicyViolation));
}

#[test]
fn who_sends_too_fast_is_told_how_long_to_wait_and_then_heard_again() {
    let limits = Limits { messages_per_second: 10, message_burst: 3, ..Limits::default() };
    let mut world = World::new(limits);
    let ana = world.connect("ana");
    world.frames(ana);
    (0..3).for_each(|_| world.send(ana, &json!({"type": "ping", "data": {}})));
    assert_eq!(data(&mut world, ana, "pong").len(), 3);
    world.send(ana, &json!({"type": "ping", "data": {}, "id": "p-1"}));
    let refused = data(&mut world, ana, "error");
    assert_eq!((&refused[0]["code"], &refused[0]["retry_after_ms"]), (&json!("RATE_LIMIT"), &json!(100)));
    assert_eq!(refused[0]["retry"], true);
    assert_eq!((&refused[0]["original_type"], &refused[0]["original_id"]), (&json!("ping"), &json!("p-1")));
    world.pass(100);
    world.send(ana, &json!({"type": "ping", "data": {}}));
    assert_eq!(data(&mut world, ana, "pong").len(), 1);
}

#[test]
fn who_does_not_stop_is_closed_and_binary_counts_as_text_does() {
    let limits = Limits { messages_per_second: 1, message_burst: 1, patience: 3, ..Limits::default() };
    let mut world = World::new(limits);
    let (ana, bea) = (world.connect("ana"), world.connect("bea"));
    (0..6).for_each(|_| world.send(ana, &json!({"type": "pong"})));
    (0..6).for_each(|_| world.send_binary(bea));
    let (told, pong) = (data(&mut world, ana, "error"), json!("pong"));
    let [refused @ .., end] = &told[..] else { panic!("{told:?}") };
    assert_eq!((refused.len(), &end["code"], &end["original_type"]), (3, &json!("RATE_LIMIT"), &Value::Null));
    assert!(refused.iter().all(|error| error["code"] == "RATE_LIMIT" && error["original_type"] == pong));
    assert_eq!(errors(&mut world, bea)[..2], ["BINARY_NOT_SUPPORTED", "RATE_LIMIT"]);
    for conn in [ana, bea] {
        assert_eq!(world.closed(conn), Some(CloseCode::PolicyViolation));
    }
}

#[test]
fn the_welcome_says_over_what_time_to_come_back_and_a_larger_room_takes_longer() {
    let mut world = World::default();
    let advice = |world: &mut World, conn| data(world, conn, "connection")[0]["reconnect_within_ms"].as_u64().unwrap();
    let first = world.join(ROOM, "u0");
    assert_eq!(advice(&mut world, first), 1_000);
    for n in 1..1_500 {
        world.join(ROOM, &format!("u{n}"));
    }
    let last = world.join(ROOM, "last");
    assert_eq!(advice(&mut world, last), 3_002);
}

/// A world in which silent connections are looked for every 100 s.
fn watched() -> World {
    World::with_sweeps(Limits { sweep_interval: 100_000, ..Limits::default() })
}

#[test]
fn who_pinged_and_fell_silent_is_closed_even_while_the_room_sleeps() {
    let mut world = watched();
    let (pinged, asked) = (world.join("chat:1", "ana"), world.join("chat:1", "bea"));
    world.ping(pinged);
    world.send(asked, &json!({"type": "ping", "data": {}}));
    world.evict("chat:1");
    world.ping(asked);
    world.pass(100_000);
    for conn in [pinged, asked] {
        assert_eq!(errors(&mut world, conn), ["TIMEOUT"]);
        assert_eq!(world.closed(conn), Some(CloseCode::Timeout));
    }
    assert_eq!(world.counts("chat:1").connections, 0);
}

#[test]
fn who_goes_on_pinging_stays_and_so_does_who_never_did() {
    let mut world = watched();
    let (pinging, listening) = (world.connect("ana"), world.connect("bea"));
    for _ in 0..20 {
        world.ping(pinging);
        world.pass(30_000);
    }
    assert!(world.is_open(pinging));
    assert!(world.is_open(listening), "a client that only listens is left to TCP");
    assert_eq!(data(&mut world, listening, "heartbeat").len(), 6, "which has something to fail on at each sweep");
    assert_eq!(data(&mut world, pinging, "heartbeat").len(), 0);
}

#[test]
fn a_room_that_wakes_looks_for_the_silent_at_once() {
    let mut world = watched();
    let ana = world.join("chat:1", "ana");
    world.ping(ana);
    world.advance(60_000);
    world.evict("chat:1");
    world.tell("chat:1", 1);
    assert_eq!(world.closed(ana), Some(CloseCode::Timeout));
}

#[test]
fn a_room_without_sockets_sets_no_alarm() {
    let mut world = watched();
    let ana = world.join("chat:1", "ana");
    world.leave(ana);
    world.drain();
}

fn rights(world: &World, seconds: u64) -> Rights {
    Rights { expires: Millis(world.now.0 + seconds * 1_000), rooms: None }
}

fn issue(world: &mut World) -> String {
    let rights = rights(world, 3_600);
    let Reply::Issued(secret) = world.ask_room(HOME, Call::Issue(rights)).unwrap() else { panic!() };
    secret
}

fn redeem(world: &mut World, secret: &str) -> Reply {
    world.ask_room(HOME, Call::Redeem { secret: secret.to_owned() }).unwrap()
}

#[test]
fn a_ticket_is_good_once_and_for_half_a_minute() {
    let mut world = World::default();
    let (rights, secret) = (rights(&world, 3_600), issue(&mut world));
    world.evict(HOME);
    assert_eq!(redeem(&mut world, &secret), Reply::Redeemed(rights));
    let refused = Reply::Refused(Reject::InvalidToken);
    assert_eq!(redeem(&mut world, &secret), refused, "used");
    assert_eq!(redeem(&mut world, "0123"), refused, "never given");
    let late = issue(&mut world);
    world.pass(30_000);
    assert_eq!(redeem(&mut world, &late), refused, "too old");
}

#[test]
fn a_user_has_a_hundred_unused_tickets_at_most_and_old_ones_go() {
    let mut world = World::default();
    for _ in 0..100 {
        issue(&mut world);
    }
    let more = rights(&world, 3_600);
    let answer = world.ask_room(HOME, Call::Issue(more)).unwrap();
    assert_eq!(answer, Reply::Refused(Reject::RateLimit));
    world.pass(30_000);
    issue(&mut world);
    assert_eq!(world.sql(HOME).numbers("SELECT count(*) FROM tickets"), [1]);
}
