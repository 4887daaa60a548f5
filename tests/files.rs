//! Files that are brought to a chat over HTTP, and files that go.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use cidadao_realtime::chat_session::Act;
use cidadao_realtime::code::Reject;
use cidadao_realtime::files::Offer;
use cidadao_realtime::files::discards::Discards;
use cidadao_realtime::id::Epoch;
use cidadao_realtime::limits::DAY;
use cidadao_realtime::moment::{Millis, Moment};
use cidadao_realtime::room::{Permit, Place};
use cidadao_realtime::sql::Sql;
use support::files::{ROOM, about, data, leftovers, offer, pdf, place, send, sha256, told};
use support::sessions::{refused, user};
use support::sql::Sqlite;
use support::world::World;

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
