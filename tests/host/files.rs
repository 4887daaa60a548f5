//! Files that are brought to a chat over HTTP, and files that go.

use cidadao_realtime::chat_session::Act;
use cidadao_realtime::code::Reject;
use cidadao_realtime::files::Offer;
use cidadao_realtime::files::discards::Discards;
use cidadao_realtime::id::{ConnId, Epoch};
use cidadao_realtime::limits::{DAY, Limits};
use cidadao_realtime::moment::{Millis, Moment};
use cidadao_realtime::room::{Failure, Permit, Place};
use cidadao_realtime::sql::Sql;
use serde_json::json;

use crate::support::chats::ROOM;
use crate::support::files::{about, leftovers, offer, pdf, place, send, sha256, told};
use crate::support::heard::{data, refused};
use crate::support::sessions::{dismiss, user};
use crate::support::sql::Sqlite;
use crate::support::world::World;

#[test]
fn a_file_that_is_brought_over_http_is_told_of_once() {
    let mut world = World::default();
    let (bytes, bia) = (pdf(900), world.join(ROOM, "bia"));
    let offer_ana = offer("ana", "f", &bytes);
    let (first, second) = (place(world.admit(ROOM, &offer_ana)), place(world.admit(ROOM, &offer_ana)));
    assert_ne!(first.key, second.key);
    let complete = world.bring(ROOM, &offer_ana, &first, &bytes).unwrap();
    assert_eq!((complete.seq.0, complete.duplicate), (1, false));
    for at in [&first, &second] {
        assert!(world.bring(ROOM, &offer_ana, at, &bytes).unwrap().duplicate, "the request came again");
    }
    assert!(matches!(world.admit(ROOM, &offer_ana), Ok(Permit::Known(known)) if known.duplicate));
    assert_eq!(refused(world.admit(ROOM, &offer("bia", "f", &bytes))), Reject::IdTaken);
    assert_eq!(refused(world.admit(ROOM, &offer("ana", "f", &pdf(901)))), Reject::InvalidFile);
    world.drain();
    assert_eq!(world.bucket.objects.keys().collect::<Vec<_>>(), [&first.key]);
    assert_eq!(data(&mut world, bia, "file").len(), 1);
    assert_eq!(world.held(ROOM, "f").unwrap().sha256, sha256(&bytes));
    assert_eq!(refused(world.held(ROOM, "g")), Reject::NotFound);
}

#[test]
fn what_is_brought_and_is_not_what_was_offered_leaves_nothing_in_the_room() {
    let mut world = World::default();
    let bytes = pdf(900);
    let at = place(world.admit(ROOM, &offer("ana", "f", &bytes)));
    assert_eq!(refused(world.bring(ROOM, &offer("ana", "f", &bytes), &at, &pdf(901))), Reject::InvalidFile);
    let mut other = bytes.clone();
    other[100] ^= 1;
    assert_eq!(refused(world.bring(ROOM, &offer("ana", "f", &bytes), &at, &other)), Reject::InvalidFile);
    let text = Offer { content_type: "text/plain".to_owned(), ..offer("ana", "f", &bytes) };
    assert_eq!(refused(world.bring(ROOM, &text, &at, &bytes)), Reject::FileTypeNotAllowed);
    assert_eq!((world.logged(ROOM), refused(world.held(ROOM, "f"))), (vec![], Reject::NotFound));
    world.run_until_idle();
    assert!(world.bucket.objects.is_empty(), "at once");
    assert_eq!(leftovers(&mut world), [0, 0, 0]);
}

#[test]
fn what_was_on_its_way_to_a_life_of_the_room_that_is_over_does_not_arrive() {
    let mut world = World::default();
    let bytes = pdf(900);
    let at = place(world.admit(ROOM, &offer("ana", "f", &bytes)));
    let before = Place { epoch: Epoch(at.epoch.0 ^ 1), ..at };
    assert_eq!(refused(world.bring(ROOM, &offer("ana", "f", &bytes), &before, &bytes)), Reject::SessionDeleted);
    assert_eq!(world.logged(ROOM), Vec::<u64>::new());
}

#[test]
fn who_brings_over_http_what_it_was_sending_has_sent_it() {
    let mut world = World::default();
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(900));
    let (handle, _) = world.announce(ana, "f", &about(&bytes)).unwrap();
    world.send_part(ana, handle, 0, &bytes[..300]);
    let at = place(world.admit(ROOM, &offer("ana", "f", &bytes)));
    world.bring(ROOM, &offer("ana", "f", &bytes), &at, &bytes).unwrap();
    assert_eq!(data(&mut world, ana, "upload_complete").len(), 1);
    world.drain();
    assert_eq!((leftovers(&mut world), told(&mut world, "f")), (vec![0, 0, 0], 1));
}

#[test]
fn what_a_room_gives_up_goes_from_the_bucket_however_long_that_takes() {
    let mut world = World::default();
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(900));
    send(&mut world, ana, "f", &bytes);
    world.drain();
    let late = place(world.admit(ROOM, &offer("ana", "late", &bytes)));
    send(&mut world, ana, "g", &bytes);
    world.bucket.down = true;
    world.obey(ROOM, &user("ana"), Act::Erase).unwrap();
    world.pass(600_000);
    world.evict(ROOM);
    world.pass(600_000);
    assert_eq!(world.bucket.objects.len(), 1, "it cannot be reached");
    world.put(&late.key, bytes.clone());
    world.drain();
    world.pass(DAY);
    assert!(world.bucket.objects.is_empty(), "{:?}", world.bucket.objects.keys());
    assert_eq!(leftovers(&mut world), [0, 0, 0]);
    world.pass(DAY);
    assert_eq!(world.errands(), 0);
}

#[test]
fn much_that_is_to_go_goes_a_little_at_a_time() {
    let (sql, now) = (Sqlite::default(), Millis(1_000));
    sql.exec("CREATE TABLE discards (prefix TEXT PRIMARY KEY, due INTEGER NOT NULL)", &[]).unwrap();
    let mut discards = Discards::open(sql, now).unwrap();
    let mut drawn = 0_u128;
    let mut draw = || {
        drawn += 1_000;
        drawn.to_be_bytes()
    };
    (0..20).try_for_each(|n| discards.add(format!("k{n:02}"), now)).unwrap();
    let mut take = |discards: &mut Discards<Sqlite>, at: Millis| discards.take(&mut Moment::new(at, draw())).unwrap();
    let first = take(&mut discards, now);
    assert_eq!((first.len(), take(&mut discards, now).len()), (8, 0));
    assert!(discards.deadline().unwrap() > now, "nothing wakes the room in vain");
    discards.tried(&first[0].0, first[0].1, true, now).unwrap();
    discards.tried(&first[1].0, first[1].1, false, now).unwrap();
    assert_eq!(take(&mut discards, now).into_iter().map(|(prefix, _)| prefix).collect::<Vec<_>>(), ["k08", "k09"]);
    let late = discards.deadline().unwrap();
    assert_eq!(take(&mut discards, late).len(), 8, "of what nobody heard the end of is tried again");
    assert!(discards.deadline().unwrap() > late);
}

/// How long a room waits until nobody can be putting a file any more.
fn patience() -> u64 {
    Limits::default().put_patience()
}

/// Ana is to bring a file, and the room knows where to.
fn coming(world: &mut World, id: &str) -> (Offer, Place) {
    let offer = offer("ana", id, &pdf(900));
    let at = place(world.admit(ROOM, &offer));
    (offer, at)
}

fn keys(world: &World) -> Vec<String> {
    world.bucket.objects.keys().cloned().collect()
}

#[test]
fn an_entry_that_dies_when_it_has_put_a_file_leaves_nothing() {
    for evicted in [false, true] {
        let mut world = World::default();
        let (_, at) = coming(&mut world, "f");
        world.put(&at.key, pdf(900));
        if evicted {
            world.evict(ROOM);
        }
        world.pass(patience() - 1);
        assert_eq!(keys(&world), [&*at.key], "the entry may live, for all the room knows");
        world.pass(1);
        assert_eq!((keys(&world), leftovers(&mut world)), (vec![], vec![0, 0, 0]));
        assert_eq!(refused(world.held(ROOM, "f")), Reject::NotFound);
        world.pass(2 * DAY);
        assert_eq!((world.errands(), world.alarm(ROOM)), (0, None), "nothing wakes the room any more");
    }
}

#[test]
fn a_room_that_is_evicted_waits_as_long_as_it_would_have_for_a_slow_put() {
    let mut world = World::default();
    let (offer, at) = coming(&mut world, "f");
    world.pass(patience() / 2);
    world.evict(ROOM);
    world.counts(ROOM);
    world.pass(patience() / 2 - 1);
    world.evict(ROOM);
    assert!(!world.bring(ROOM, &offer, &at, &pdf(900)).unwrap().duplicate);
    assert_eq!(leftovers(&mut world), [0, 0, 0], "it is kept in the turn that takes it");
    world.evict(ROOM);
    world.pass(2 * DAY);
    assert_eq!(world.fetch(ROOM, "f"), Some(pdf(900)));
}

#[test]
fn a_file_whose_arrival_was_kept_stays_though_its_entry_never_heard_so() {
    let mut world = World::default();
    let (offer, at) = coming(&mut world, "f");
    world.doom(ROOM);
    assert!(world.bring(ROOM, &offer, &at, &pdf(900)).is_err());
    world.pass(2 * DAY);
    assert_eq!((world.fetch(ROOM, "f"), told(&mut world, "f")), (Some(pdf(900)), 1));
}

#[test]
fn who_says_too_late_that_a_file_has_come_may_bring_it_again() {
    for evicted in [false, true] {
        let mut world = World::default();
        let (offer, at) = coming(&mut world, "f");
        world.pass(patience());
        if evicted {
            world.evict(ROOM);
        }
        let late = world.bring(ROOM, &offer, &at, &pdf(900));
        assert!(matches!(late, Err(Failure::Refused(refusal)) if refusal.reject.retry()));
        world.run_until_idle();
        assert_eq!((keys(&world), world.logged(ROOM)), (vec![], vec![]), "it went at once");
        let again = place(world.admit(ROOM, &offer));
        world.bring(ROOM, &offer, &again, &pdf(900)).unwrap();
        world.drain();
        assert_eq!((keys(&world), leftovers(&mut world)), (vec![again.key], vec![0, 0, 0]));
    }
}

#[test]
fn what_lands_while_its_place_is_being_cleared_is_not_taken_and_goes() {
    for evicted in [false, true] {
        let mut world = World::default();
        let (offer, at) = coming(&mut world, "f");
        world.advance(patience());
        let cleared = world.begin_errand().unwrap();
        if evicted {
            world.evict(ROOM);
        }
        assert_eq!(refused(world.bring(ROOM, &offer, &at, &pdf(900))), Reject::FilesUnavailable);
        world.end_errand(cleared);
        world.bucket.down = true;
        world.run_until_idle();
        assert_eq!(keys(&world), [&*at.key], "it landed after it was looked for");
        world.drain();
        assert_eq!((keys(&world), leftovers(&mut world)), (vec![], vec![0, 0, 0]), "{evicted}");
    }
}

#[test]
fn a_file_that_comes_twice_at_once_is_not_removed_with_its_double() {
    let mut world = World::default();
    let (offer, first) = coming(&mut world, "f");
    let second = place(world.admit(ROOM, &offer));
    world.put(&second.key, pdf(900));
    world.bring(ROOM, &offer, &first, &pdf(900)).unwrap();
    world.drain();
    assert_eq!(keys(&world), [first.key], "nobody was told of the other");
    assert_eq!(world.fetch(ROOM, "f"), Some(pdf(900)));
}

#[test]
fn no_two_attempts_at_a_file_have_one_place_whatever_is_drawn() {
    let (mut world, offer) = (World::default(), offer("ana", "f", &pdf(900)));
    world.counts(ROOM);
    let first = place(world.admit_drawing(70_000, ROOM, &offer));
    let second = place(world.admit_drawing(70_000, ROOM, &offer));
    assert_ne!(first.key, second.key);
}

#[test]
fn what_lands_in_a_session_that_has_been_deleted_goes_whether_anybody_says_so_or_not() {
    for said in [false, true] {
        let mut world = World::default();
        world.join(ROOM, "ana");
        let (offer, at) = coming(&mut world, "f");
        world.obey(ROOM, &user("ana"), Act::Erase).unwrap();
        world.run_until_idle();
        world.evict(ROOM);
        if said {
            assert_eq!(refused(world.bring(ROOM, &offer, &at, &pdf(900))), Reject::SessionDeleted);
            world.run_until_idle();
            assert_eq!(keys(&world), Vec::<String>::new(), "at once");
        }
        world.put(&at.key, pdf(900));
        let (offer, next) = coming(&mut world, "f");
        world.bring(ROOM, &offer, &next, &pdf(900)).unwrap();
        if said {
            world.bucket.objects.remove(&at.key);
        }
        world.drain();
        assert_eq!((keys(&world), leftovers(&mut world)), (vec![next.key], vec![0, 0, 0]));
    }
}

/// Why nobody wants an upload any more that is being put where files are kept.
#[derive(Clone, Copy, Debug)]
enum End {
    Aborted,
    Deleted,
    Dismissed,
    Overtaken,
}

#[test]
fn an_upload_that_lands_when_nobody_wants_it_any_more_goes_though_the_room_never_hears_of_it() {
    for end in [End::Aborted, End::Deleted, End::Dismissed, End::Overtaken] {
        for evicted in [false, true] {
            let mut world = World::default();
            let (_, ana) = (world.join(ROOM, "owner"), world.join(ROOM, "ana"));
            send(&mut world, ana, "f", &pdf(900));
            let _unheard = world.begin_errand().unwrap();
            let (key, bytes) = world.bucket.objects.pop_first().unwrap();
            let kept = give_up(&mut world, end, ana);
            world.pass(10_000);
            if evicted {
                world.evict(ROOM);
            }
            world.put(&key, bytes);
            world.drain();
            assert_eq!((keys(&world), leftovers(&mut world)), (kept, vec![0, 0, 0]), "{end:?}, {evicted}");
        }
    }
}

/// Returns what is to stay.
fn give_up(world: &mut World, end: End, ana: ConnId) -> Vec<String> {
    let owner = user("owner");
    match end {
        End::Aborted => world.send(ana, &json!({"type": "upload_abort", "data": {"file_id": "f"}})),
        End::Deleted => drop(world.obey(ROOM, &owner, Act::Erase).unwrap()),
        End::Dismissed => drop(world.obey(ROOM, &owner, dismiss("ana")).unwrap()),
        End::Overtaken => {
            let (offer, at) = coming(world, "f");
            world.bring(ROOM, &offer, &at, &pdf(900)).unwrap();
            assert_eq!(data(world, ana, "upload_complete").len(), 1);
            return vec![at.key];
        }
    }
    Vec::new()
}

#[test]
fn an_upload_that_was_given_up_goes_as_soon_as_the_room_hears_that_it_landed_and_once_more() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    send(&mut world, ana, "f", &pdf(900));
    let landed = world.begin_errand().unwrap();
    let key = keys(&world).remove(0);
    world.send(ana, &json!({"type": "upload_abort", "data": {"file_id": "f"}}));
    world.end_errand(landed);
    world.run_until_idle();
    assert_eq!(keys(&world), Vec::<String>::new());
    world.put(&key, pdf(900));
    world.drain();
    assert_eq!((keys(&world), leftovers(&mut world)), (vec![], vec![0, 0, 0]), "another errand was at it");
}

#[test]
fn a_file_that_is_put_a_second_time_when_its_session_is_over_goes() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    send(&mut world, ana, "f", &pdf(900));
    world.run_until_idle();
    let key = keys(&world).remove(0);
    world.obey(ROOM, &user("ana"), Act::Erase).unwrap();
    world.run_until_idle();
    assert_eq!(keys(&world), Vec::<String>::new(), "at once");
    world.join(ROOM, "bia");
    world.obey(ROOM, &user("bia"), Act::Erase).unwrap();
    world.run_until_idle();
    world.evict(ROOM);
    world.put(&key, pdf(900));
    world.drain();
    assert_eq!((keys(&world), leftovers(&mut world)), (vec![], vec![0, 0, 0]), "whatever ended since");
}

#[test]
fn files_on_their_way_over_http_are_bounded() {
    let mut world = World::new(Limits { puts_per_room: 2, ..Limits::default() });
    let (one, at) = coming(&mut world, "a");
    coming(&mut world, "b");
    assert_eq!(refused(world.admit(ROOM, &offer("ana", "c", &pdf(900)))), Reject::TooManyFiles);
    world.bring(ROOM, &one, &at, &pdf(900)).unwrap();
    coming(&mut world, "c");
    assert_eq!(refused(world.admit(ROOM, &offer("ana", "d", &pdf(900)))), Reject::TooManyFiles);
    world.pass(patience());
    coming(&mut world, "d");
}

#[test]
fn a_put_costs_three_rows_beside_its_message() {
    let mut world = World::default();
    world.tell(ROOM, 1);
    world.pass(5_000);
    let mut cost = |act: &dyn Fn(&mut World)| {
        let before = world.sql(ROOM).changes();
        act(&mut world);
        world.pass(5_000);
        world.sql(ROOM).changes() - before
    };
    let message = cost(&|world| drop(world.publish(ROOM, &json!({"type": "news"})).unwrap()));
    let put = cost(&|world| {
        let (offer, at) = coming(world, "f");
        world.bring(ROOM, &offer, &at, &pdf(900)).unwrap();
    });
    assert_eq!(put, message + 3);
}
