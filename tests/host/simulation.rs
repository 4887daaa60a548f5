//! People with bad connections, publishers that try again, rooms that sleep and die: whoever is owed a message gets it,
//! once and in order.
//!
//! Every schedule is drawn from its seed. `SIMULATION_SEED=17 cargo test --test host simulation:: -- --skip chat_` runs
//! that one alone, and `SIMULATION_SEEDS=100000` as many.

use cidadao_realtime::limits::Limits;

use crate::support::people::{Habit, People};
use crate::support::random::{Random, each_seed};

/// How many schedules there are, and how long each is.
const SEEDS: u64 = 1_000;
const STEPS: usize = 90;

const ROOMS: [&str; 2] = ["investigation:1", "chat:1"];

/// What happens next.
fn step(people: &mut People, random: &mut Random) {
    match random.below(100) {
        0..12 => people.come(random),
        12..17 => people.lose_signal(random),
        17..21 => people.find_out(random),
        21..24 => people.return_unnoticed(random),
        24..27 => people.leave(random),
        27..45 => people.publish(random),
        45..48 => people.publish_into_the_dark(random),
        48..54 => people.confirm(random),
        54..58 => people.ping(random),
        58..62 => people.ask_again(random),
        62..82 => people.fly(random),
        82..86 => people.evict(random),
        86..88 => people.crash(random),
        88..91 => people.break_storage(random),
        _ => people.wait(random),
    }
    people.listen();
}

fn simulate(seed: u64, limits: &Limits) {
    let mut random = Random::new(seed);
    let mut people = People::new(limits.clone(), &ROOMS);
    for (user, device, habit, home) in [
        ("ana", None, Habit::KeepsCursor, ROOMS[0]),
        ("bia", None, Habit::KeepsNothing, ROOMS[0]),
        ("caio", Some("phone"), Habit::Confirms, ROOMS[0]),
        ("dora", None, Habit::KeepsCursor, "user:dora"),
        ("dora", Some("phone"), Habit::KeepsNothing, "user:dora"),
        ("eva", None, Habit::Confirms, "user:eva"),
        ("flor", None, Habit::KeepsNothing, ROOMS[1]),
    ] {
        people.invite(user, device, habit, home);
    }
    (0..STEPS).for_each(|_| step(&mut people, &mut random));
    people.settle();
    people.check();
}

fn all(limits: &Limits) {
    each_seed(SEEDS, |seed| simulate(seed, limits));
}

#[test]
fn whoever_is_owed_a_message_gets_it_once_and_in_order() {
    all(&Limits::default());
}

#[test]
fn and_so_where_pages_are_small_windows_long_and_clients_slow() {
    all(&Limits {
        send_micros: 300_000,
        batch_window: 800,
        page_messages: 3,
        pages_per_turn: 2,
        messages_per_delivery: 2,
        segment_messages: 4,
        unacked_messages: 4,
        ..Limits::default()
    });
}
