//! What a room keeps of its members and followers, what that costs, and that it goes.

use cidadao_realtime::limits::{DAY, Limits};
use cidadao_realtime::sql::Sql;
use serde_json::json;

use crate::support::flights::delivers;
use crate::support::rooms::{CHAT, HOME, ROOM, SYSTEM};
use crate::support::world::World;

#[test]
fn a_message_is_counted_where_it_is_at_every_stage() {
    let mut world = World::default();
    let acks = json!({"acks": true});
    let (ana, bia, caio) = (world.open(ROOM, "ana", &acks), world.open(ROOM, "bia", &acks), world.join(ROOM, "caio"));
    let (general, other) = (world.connect("dora"), world.connect("eva"));
    world.follow(general, ROOM);
    world.follow(other, ROOM);
    world.leave(bia);
    world.leave(other);
    world.run_until_idle();
    world.publish(ROOM, &json!({"type": "news", "id": "a"})).unwrap();
    assert_eq!(world.status(ROOM, "a"), (3, 2, 0), "bia and two rooms wait, one of which rests");
    world.run_until_idle();
    assert_eq!(world.status(ROOM, "a"), (2, 3, 0));
    world.ack(ana, ROOM, 1);
    assert_eq!(world.status(ROOM, "a"), (2, 2, 1));
    world.pass(2_000);
    world.evict(ROOM);
    assert_eq!(world.status(ROOM, "a"), (2, 2, 1));
    let bia = world.open(ROOM, "bia", &acks);
    world.pass(1_000);
    assert_eq!(world.status(ROOM, "a"), (1, 3, 1));
    world.ack(bia, ROOM, 1);
    let again = world.connect("eva");
    world.follow(again, ROOM);
    world.drain();
    assert_eq!(world.status(ROOM, "a"), (0, 3, 2));
    [ana, bia, caio].into_iter().for_each(|conn| world.leave(conn));
    world.evict(ROOM);
    assert_eq!(world.status(ROOM, "a"), (0, 3, 2), "that they left changes nothing");
    let late = world.join(ROOM, "fabio");
    assert_eq!(world.status(ROOM, "a"), (0, 3, 2), "who came later was never meant");
    world.leave(late);
}

#[test]
fn of_one_who_is_stopped_a_message_waits() {
    let mut world = World::new(Limits { page_messages: 2, unacked_messages: 3, ..Limits::default() });
    let slow = world.open(ROOM, "ana", &json!({"acks": true}));
    world.join(ROOM, "bia");
    for n in 0..6 {
        world.publish(ROOM, &json!({"type": "news", "id": format!("m{n}")})).unwrap();
    }
    assert_eq!(world.heard(slow, ROOM), [1, 2, 3, 4]);
    assert_eq!((world.status(ROOM, "m3"), world.status(ROOM, "m4")), ((0, 2, 0), (1, 1, 0)));
    world.ack(slow, ROOM, 4);
    world.pass(1_000);
    assert_eq!((world.status(ROOM, "m3"), world.status(ROOM, "m4")), ((0, 1, 1), (0, 2, 0)));
}

/// What a room has stored, but for itself and where its log ends.
fn stored(world: &mut World, room: &str) -> Vec<u64> {
    let tables = [
        "members",
        "followers",
        "subscriptions",
        "upstreams",
        "connections",
        "tickets",
        "segments WHERE stored = 1",
        "sqlite_schema WHERE name LIKE 'log_%'",
    ];
    tables.iter().flat_map(|table| world.sql(room).numbers(&format!("SELECT count(*) FROM {table}"))).collect()
}

#[test]
fn a_week_after_the_last_has_gone_nothing_is_left_and_no_room_wakes_any_more() {
    for published in [0, 700] {
        let mut world = World::default();
        let (ana, bia) = (world.connect("ana"), world.open(ROOM, "bia", &json!({"device": "phone"})));
        world.follow(ana, ROOM);
        world.follow(bia, "analysis:1");
        for room in [ROOM, HOME, SYSTEM] {
            world.tell(room, published);
        }
        world.leave(ana);
        world.lose_signal(bia);
        world.run_until_idle();
        let rooms = [ROOM, HOME, SYSTEM, "analysis:1", "user:bia"];
        for room in rooms {
            world.evict(room);
        }
        world.pass(6 * DAY);
        assert!(stored(&mut world, ROOM).iter().any(|count| *count > 0), "somebody may come back");
        world.pass(10 * DAY);
        for room in rooms {
            assert_eq!(world.alarm(room), None, "{room}, {published} published");
            assert!(stored(&mut world, room).iter().all(|count| *count == 0), "{room}: {:?}", stored(&mut world, room));
        }
        let back = world.join(ROOM, "bia");
        assert_eq!(world.frames(back)[0]["data"]["seq"], published, "the log goes on counting");
        world.tell(ROOM, 1);
        assert_eq!(world.heard(back, ROOM), [published as u64 + 1]);
    }
}

#[test]
fn a_room_with_something_to_forget_looks_for_it_once_a_day() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    world.tell(ROOM, 1);
    world.leave(ana);
    world.pass(5_000);
    let statements = world.sql(ROOM).statements();
    for _ in 0..5 {
        let alarm = world.alarm(ROOM).unwrap();
        assert!(alarm.0 - world.now.0 > DAY / 2, "nothing is due today");
        world.pass(DAY);
    }
    let statements = world.sql(ROOM).statements() - statements;
    assert!(statements <= 5 * 10, "{statements} statements");
}

/// What that writes, in the room and in the user's own.
fn rows(world: &mut World, act: impl FnOnce(&mut World)) -> (u64, u64) {
    world.pass(2_000);
    let before = (world.sql(ROOM).changes(), world.sql(HOME).changes());
    act(world);
    world.pass(2_000);
    (world.sql(ROOM).changes() - before.0, world.sql(HOME).changes() - before.1)
}

#[test]
fn to_come_and_to_go_costs_a_row_or_two_and_a_message_one_however_many_listen() {
    let mut world = World::default();
    let (ana, bia) = (world.connect("ana"), world.join(ROOM, "bia"));
    world.tell(ROOM, 1);
    let mut conns = Vec::new();
    assert_eq!(rows(&mut world, |world| conns.push(world.join(ROOM, "caio"))), (1, 0), "one joins");
    assert_eq!(rows(&mut world, |world| conns.push(world.join(ROOM, "caio"))), (1, 0), "a second tab");
    assert_eq!(rows(&mut world, |world| world.follow(ana, ROOM)), (1, 2), "one subscribes, the first of its room");
    assert_eq!(rows(&mut world, |world| world.tell(ROOM, 10)), (11, 0), "ten messages, and how far all are");
    assert_eq!(rows(&mut world, |world| world.leave(conns[0])), (0, 0), "one tab of two");
    assert_eq!(rows(&mut world, |world| world.leave(conns[1])), (1, 0), "the last tab");
    assert_eq!(rows(&mut world, |world| conns.push(world.join(ROOM, "caio"))), (1, 0), "it comes back");
    assert_eq!(rows(&mut world, |world| world.leave(bia)), (1, 0));
    assert_eq!(rows(&mut world, |world| world.leave(conns[2])), (2, 0), "the last of all");
    let (room, home) = rows(&mut world, |world| world.leave(ana));
    assert!(room <= 1 && home <= 7, "{room} {home}");
}

#[test]
fn a_follower_that_cannot_be_reached_delays_nobody_and_reads_what_it_missed_once_it_can() {
    let mut world = World::default();
    let (ana, bia) = (world.connect("ana"), world.connect("bia"));
    world.follow(ana, ROOM);
    world.follow(bia, ROOM);
    world.cut(HOME);
    for round in 1..=20 {
        world.tell(ROOM, 1);
        assert_eq!((world.heard(bia, ROOM).len(), world.heard(ana, ROOM).len()), (round, 0));
        world.pass(60_000);
    }
    assert!(world.called(HOME, delivers) <= 30, "{} tries", world.called(HOME, delivers));
    world.leave(ana);
    world.mend(HOME);
    let back = world.connect("ana");
    world.follow(back, ROOM);
    world.drain();
    assert_eq!(world.heard(back, ROOM), (1..=20).collect::<Vec<u64>>());
}

#[test]
fn a_follower_whose_delivery_fails_while_the_room_cleans_up_is_not_forgotten() {
    for ttl in [0, DAY] {
        let mut world = World::new(Limits { offline_ttl: ttl, ..Limits::default() });
        let ana = world.connect("ana");
        world.follow(ana, ROOM);
        world.tell(ROOM, 1);
        world.pass(DAY - 1_000);
        world.cut(HOME);
        world.tell(ROOM, 1);
        world.pass(30_000);
        world.mend(HOME);
        world.drain();
        world.tell(ROOM, 1);
        assert_eq!(world.heard(ana, ROOM), [1, 2, 3], "a user who has gone is owed nothing after {ttl} ms");
    }
}

#[test]
fn who_comes_to_a_room_that_was_empty_for_long_is_welcomed_and_nothing_else_is_due() {
    let mut world = World::with_sweeps(Limits { sweep_interval: 100_000, ..Limits::default() });
    let first = world.join(ROOM, "ana");
    world.leave(first);
    world.pass(200_000);
    let second = world.join(ROOM, "bia");
    assert!(world.alarm(ROOM).unwrap() > world.now);
    world.pass(50_000);
    assert_eq!(world.frames(second).len(), 1, "a welcome");
}

/// What undoes each version of a chat's tables, the newest first.
const OLDER: [&[&str]; 2] = [
    &["ALTER TABLE discards DROP COLUMN due"],
    &[
        "DROP TABLE answers",
        "DROP TABLE session",
        "DROP TABLE participants",
        "DROP TABLE files",
        "DROP TABLE uploads",
        "DROP TABLE discards",
    ],
];

/// Every column of every table.
fn columns(world: &mut World, room: &str) -> Vec<String> {
    let statement = "SELECT tables.name || '.' || columns.name
        FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
        WHERE tables.type = 'table' AND tables.name NOT LIKE 'log_%' ORDER BY 1";
    world.sql(room).exec(statement, &[]).unwrap().into_iter().map(|mut row| row.remove(0).text().unwrap()).collect()
}

#[test]
fn a_chat_that_an_older_version_made_gets_what_it_lacks_and_keeps_what_it_has() {
    for age in 1..=OLDER.len() {
        let mut world = World::default();
        let _ana = world.join(CHAT, "ana");
        world.tell(CHAT, 2);
        let (newest, version) = (columns(&mut world, CHAT), world.sql(CHAT).numbers("SELECT version FROM marks")[0]);
        let older = version - age as u64;
        OLDER[..age].concat().iter().for_each(|undo| drop(world.sql(CHAT).exec(undo, &[]).unwrap()));
        world.sql(CHAT).exec("UPDATE marks SET version = ?", &[older.into()]).unwrap();
        assert_ne!(columns(&mut world, CHAT), newest, "version {older} lacks something");
        world.crash(CHAT);
        let epoch = world.epoch(CHAT);
        let back = world.resume(CHAT, "ana", &epoch, 0);
        assert_eq!(columns(&mut world, CHAT), newest, "from version {older}");
        assert_eq!(world.heard(back, CHAT), [1, 2]);
    }
}
