//! Who comes back gets what was published meanwhile, without having to know where it was.

use cidadao_realtime::code::{CloseCode, Reject};
use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::{DAY, Limits};
use serde_json::json;

use crate::support::heard::{all, start, told};
use crate::support::rooms::{CHAT, HOME, ROOM, SYSTEM};
use crate::support::world::World;

const HOUR: u64 = DAY / 24;

/// What was sent so long ago has arrived, as far as anybody can tell.
const MINUTE: u64 = 60_000;

type Ending = fn(&mut World, ConnId);

/// How a connection can end after everything that was sent to it has arrived.
const ENDINGS: [(&str, Ending); 5] = [
    ("left", World::leave),
    ("vanished", World::lose_signal),
    ("vanished after a ping", |world, conn| {
        world.ping(conn);
        world.lose_signal(conn);
    }),
    ("crashed", |world, conn| world.crash(&world.home(conn).to_string())),
    ("crashed as it left", |world, conn| {
        world.doom(&world.home(conn).to_string());
        world.leave(conn);
    }),
];

/// What the welcome says.
fn welcome(world: &mut World, conn: ConnId) -> (u64, Option<bool>) {
    start(&world.frames(conn)[0])
}

/// Opens a socket of that device and lets everything happen.
fn device(world: &mut World, room: &str, device: &str) -> ConnId {
    let conn = world.open(room, "ana", &json!({"device": device}));
    world.run_until_idle();
    conn
}

#[test]
fn who_comes_back_to_a_room_gets_what_was_published_meanwhile_however_it_went() {
    for (ending, end) in ENDINGS {
        for room in [ROOM, CHAT, HOME] {
            let mut world = World::new(Limits { page_messages: 3, ..Limits::default() });
            let ana = world.join(room, "ana");
            world.tell(room, 3);
            world.pass(MINUTE);
            end(&mut world, ana);
            world.tell(room, 7);
            world.evict(room);
            world.pass(HOUR);
            let back = world.join(room, "ana");
            world.tell(room, 1);
            world.drain();
            let (seq, recovered) = welcome(&mut world, back);
            assert_eq!(recovered, Some(true), "{room}, {ending}");
            assert!(seq == 3 || ending == "crashed" && seq == 2, "after a crash, the newest may come again");
            assert_eq!(world.heard(back, room), all(seq + 1, 11), "{room}, {ending}");
        }
    }
}

#[test]
fn who_subscribes_again_gets_what_was_published_meanwhile_however_it_went() {
    for (ending, end) in ENDINGS {
        for home in [CHAT, HOME] {
            let mut world = World::new(Limits { page_messages: 3, ..Limits::default() });
            let ana = world.join(home, "ana");
            world.follow(ana, ROOM);
            world.tell(ROOM, 3);
            world.pass(MINUTE);
            end(&mut world, ana);
            world.tell(ROOM, 7);
            world.pass(HOUR);
            let back = world.join(home, "ana");
            world.follow(back, ROOM);
            world.tell(ROOM, 1);
            world.drain();
            assert_eq!(told(&mut world, back), [(3, Some(true))], "{home}, {ending}");
            assert_eq!(world.heard(back, ROOM), all(4, 11), "{home}, {ending}");
        }
    }
}

#[test]
fn who_was_away_gets_what_was_for_everybody_meanwhile_however_it_went() {
    for (ending, end) in ENDINGS {
        let mut world = World::default();
        let ana = world.connect("ana");
        world.tell(SYSTEM, 3);
        world.pass(MINUTE);
        end(&mut world, ana);
        world.tell(SYSTEM, 2);
        world.pass(HOUR);
        let back = world.connect("ana");
        world.tell(SYSTEM, 1);
        world.drain();
        assert_eq!(world.heard(back, SYSTEM), all(4, 6), "{ending}");
        assert_eq!(told(&mut world, back), [], "nobody asked, nothing is lost");
    }
}

#[test]
fn what_came_after_the_last_sign_of_life_of_a_broken_connection_comes_again() {
    let mut world = World::default();
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.tell(ROOM, 2);
    world.pass(5_000);
    world.ping(own);
    world.ping(general);
    world.pass(5_000);
    world.tell(ROOM, 2);
    assert_eq!((world.heard(own, ROOM), world.heard(general, ROOM)), (all(1, 4), all(1, 4)));
    world.lose_signal(own);
    world.lose_signal(general);
    world.tell(ROOM, 1);
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.drain();
    assert_eq!((welcome(&mut world, own), told(&mut world, general)), ((2, Some(true)), vec![(2, Some(true))]));
    assert_eq!((world.heard(own, ROOM), world.heard(general, ROOM)), (vec![3, 4, 5], vec![3, 4, 5]));
}

#[test]
fn what_a_broken_connection_may_not_have_got_and_the_log_has_lost_is_said_to_be_missing() {
    let mut world = World::new(Limits { log_messages: 10, segment_messages: 2, ..Limits::default() });
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.tell(ROOM, 5);
    world.pass(5_000);
    [own, general].into_iter().for_each(|conn| world.ping(conn));
    world.pass(5_000);
    world.tell(ROOM, 40);
    [own, general].into_iter().for_each(|conn| world.lose_signal(conn));
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.drain();
    assert_eq!((welcome(&mut world, own), told(&mut world, general)), ((45, Some(false)), vec![(45, Some(false))]));
}

#[test]
fn what_came_to_a_connection_that_fell_silent_comes_again() {
    let mut world = World::with_sweeps(Limits::default());
    let ana = world.join(ROOM, "ana");
    world.tell(ROOM, 2);
    world.pass(5_000);
    world.ping(ana);
    world.pass(5_000);
    world.tell(ROOM, 2);
    world.pass(HOUR);
    assert_eq!(world.closed(ana), Some(CloseCode::from(Reject::Timeout)));
    world.evict(ROOM);
    let back = world.join(ROOM, "ana");
    world.pass(1_000);
    assert_eq!((welcome(&mut world, back), world.heard(back, ROOM)), ((2, Some(true)), vec![3, 4]));
}

/// Lets one who was away be sent what it missed, and vanish; its last sign of life was before. Says what it hears when
/// it is back.
fn broken_off_while_it_caught_up(open: fn(&mut World) -> ConnId) -> Vec<u64> {
    let mut world = World::new(Limits { page_messages: 2, ..Limits::default() });
    let ana = open(&mut world);
    world.run_until_idle();
    world.leave(ana);
    world.tell(ROOM, 10);
    world.pass(HOUR);
    let broken = open(&mut world);
    world.ping(broken);
    world.pass(10_000);
    assert_eq!(world.heard(broken, ROOM), all(1, 10));
    world.lose_signal(broken);
    let back = open(&mut world);
    world.pass(10_000);
    world.heard(back, ROOM)
}

#[test]
fn what_was_made_up_for_after_the_last_sign_of_life_comes_again() {
    let heard = broken_off_while_it_caught_up(|world| world.join(ROOM, "ana"));
    assert!(heard.ends_with(&all(3, 10)), "the first page at most went before it: {heard:?}");
}

#[test]
fn what_a_subscription_made_up_for_after_the_last_sign_of_life_comes_again() {
    let heard = broken_off_while_it_caught_up(|world| {
        let conn = world.connect("ana");
        world.subscribe(conn, ROOM);
        conn
    });
    assert!(heard.ends_with(&all(3, 10)), "the first page at most went before it: {heard:?}");
}

#[test]
fn of_one_who_confirms_what_it_confirmed_counts_however_it_went() {
    for (ending, end) in [ENDINGS[0], ENDINGS[1], ENDINGS[2]] {
        let mut world = World::default();
        let acks = json!({"acks": true});
        let (own, general) = (world.open(ROOM, "bia", &acks), world.open(HOME, "ana", &acks));
        world.follow(general, ROOM);
        world.tell(ROOM, 5);
        world.pass(5_000);
        world.ack(own, ROOM, 3);
        world.ack(general, ROOM, 3);
        end(&mut world, own);
        end(&mut world, general);
        let (own, general) = (world.open(ROOM, "bia", &acks), world.open(HOME, "ana", &acks));
        world.follow(general, ROOM);
        world.drain();
        assert_eq!((world.heard(own, ROOM), world.heard(general, ROOM)), (vec![4, 5], vec![4, 5]), "{ending}");
    }
}

#[test]
fn each_device_is_owed_everything_once_and_a_new_one_begins_now() {
    for room in [ROOM, HOME] {
        let mut world = World::default();
        let (phone, laptop) = (device(&mut world, room, "phone"), device(&mut world, room, "laptop"));
        world.tell(room, 1);
        world.leave(phone);
        world.tell(room, 1);
        world.leave(laptop);
        world.run_until_idle();
        world.tell(room, 1);
        let tablet = device(&mut world, room, "tablet");
        let (phone, laptop) = (device(&mut world, room, "phone"), device(&mut world, room, "laptop"));
        world.tell(room, 1);
        world.drain();
        assert_eq!(welcome(&mut world, tablet), (3, None));
        for (conn, first) in [(phone, 2), (laptop, 3), (tablet, 4)] {
            assert_eq!(world.heard(conn, room), all(first, 4), "{room}");
        }
    }
}

#[test]
fn each_device_is_owed_what_it_subscribed_to_and_what_is_for_everybody() {
    ENDINGS[..3].iter().for_each(owed_to_each_device);
}

#[test]
fn each_device_is_owed_that_after_a_crash_too() {
    ENDINGS[3..].iter().for_each(owed_to_each_device);
}

fn owed_to_each_device((ending, end): &(&str, Ending)) {
    let mut world = World::default();
    let open = |world: &mut World, name: &str| {
        let conn = device(world, HOME, name);
        world.follow(conn, ROOM);
        conn
    };
    let (phone, laptop) = (open(&mut world, "phone"), open(&mut world, "laptop"));
    world.tell(ROOM, 1);
    world.tell(SYSTEM, 1);
    world.pass(MINUTE);
    [phone, laptop].into_iter().for_each(|conn| end(&mut world, conn));
    world.tell(ROOM, 2);
    world.tell(SYSTEM, 2);
    let (phone, laptop) = (open(&mut world, "phone"), open(&mut world, "laptop"));
    world.drain();
    for (name, conn) in [("phone", phone), ("laptop", laptop)] {
        let heard = (world.heard(conn, ROOM), world.heard(conn, SYSTEM));
        assert_eq!(
            (heard, told(&mut world, conn)),
            ((all(2, 3), all(2, 3)), vec![(1, Some(true))]),
            "{name}, {ending}"
        );
    }
}

#[test]
fn who_was_away_for_too_long_begins_now() {
    let limits = Limits { offline_ttl: 3 * HOUR, ..Limits::default() };
    for (away, recovered) in [(3 * HOUR - 1, Some(true)), (3 * HOUR, None), (2 * DAY, None)] {
        let mut world = World::new(limits.clone());
        let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
        world.follow(general, ROOM);
        world.leave(own);
        world.leave(general);
        world.tell(ROOM, 2);
        world.pass(away);
        let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
        world.follow(general, ROOM);
        let seq = if recovered.is_some() { 0 } else { 2 };
        assert_eq!((welcome(&mut world, own), told(&mut world, general)), ((seq, recovered), vec![(seq, recovered)]));
        world.drain();
        assert_eq!((world.heard(own, ROOM), world.heard(general, ROOM)), (all(seq + 1, 2), all(seq + 1, 2)));
    }
}

#[test]
fn who_missed_more_than_the_log_keeps_is_told_so() {
    let mut world = World::new(Limits { log_messages: 10, segment_messages: 2, ..Limits::default() });
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.leave(own);
    world.leave(general);
    world.tell(ROOM, 40);
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    assert_eq!((welcome(&mut world, own), told(&mut world, general)), ((40, Some(false)), vec![(40, Some(false))]));
    world.tell(ROOM, 1);
    assert_eq!((world.heard(own, ROOM), world.heard(general, ROOM)), (vec![41], vec![41]));
}

#[test]
fn who_unsubscribed_is_owed_nothing() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    world.tell(ROOM, 1);
    world.unsubscribe(ana, ROOM);
    world.leave(ana);
    world.tell(ROOM, 2);
    let back = world.connect("ana");
    world.follow(back, ROOM);
    world.tell(ROOM, 1);
    assert_eq!((told(&mut world, back), world.heard(back, ROOM)), (vec![(3, None)], vec![4]));
}

/// Lets a second tab come while a first one is open that last pinged in the middle of four messages, or never; says
/// where each begins, in a room and in one that it subscribed to.
fn second_tabs(pings: bool) -> [(u64, Option<bool>); 2] {
    let mut world = World::default();
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.tell(ROOM, 2);
    world.pass(5_000);
    if pings {
        [own, general].into_iter().for_each(|conn| world.ping(conn));
    }
    world.pass(5_000);
    world.tell(ROOM, 2);
    world.pass(MINUTE);
    let (second, tab) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(tab, ROOM);
    world.drain();
    let begun = [welcome(&mut world, second), told(&mut world, tab)[0]];
    world.tell(ROOM, 1);
    for (conn, (seq, _)) in [second, tab].into_iter().zip(begun) {
        assert_eq!(world.heard(conn, ROOM), all(seq + 1, 5));
    }
    assert_eq!((world.heard(own, ROOM), world.heard(general, ROOM)), (all(1, 5), all(1, 5)), "once each");
    begun
}

#[test]
fn a_second_tab_begins_where_the_first_was_when_it_last_pinged() {
    assert_eq!(second_tabs(true), [(2, Some(true)); 2]);
}

#[test]
fn a_second_tab_of_one_that_never_pinged_begins_now_and_makes_up_for_nothing() {
    assert_eq!(second_tabs(false), [(4, None); 2]);
}

#[test]
fn with_no_time_to_come_back_everybody_begins_now_and_is_not_counted() {
    let mut world = World::new(Limits { offline_ttl: 0, ..Limits::default() });
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    world.leave(own);
    world.leave(general);
    world.run_until_idle();
    world.publish(ROOM, &json!({"type": "news", "id": "a"})).unwrap();
    let (own, general) = (world.join(ROOM, "bia"), world.connect("ana"));
    world.follow(general, ROOM);
    assert_eq!((welcome(&mut world, own), told(&mut world, general)), ((1, None), vec![(1, None)]));
    world.leave(own);
    world.leave(general);
    world.run_until_idle();
    world.publish(ROOM, &json!({"type": "news", "id": "b"})).unwrap();
    assert_eq!(world.status(ROOM, "b"), (0, 0, 0), "nobody will ever get it");
}

#[test]
fn what_came_late_after_the_last_sign_of_life_comes_again_though_the_room_had_not_heard_of_that() {
    let mut world = World::default();
    let ana = world.connect("ana");
    world.follow(ana, ROOM);
    for pings in [true, false] {
        world.cut(HOME);
        world.tell(ROOM, 1);
        world.pass(3_000);
        if pings {
            world.ping(ana);
        }
        world.pass(2_000);
        world.mend(HOME);
        world.pass(2 * MINUTE);
    }
    assert_eq!(world.heard(ana, ROOM), [1, 2]);
    world.lose_signal(ana);
    let back = world.connect("ana");
    world.follow(back, ROOM);
    world.drain();
    assert_eq!(world.heard(back, ROOM), [1, 2]);
}
