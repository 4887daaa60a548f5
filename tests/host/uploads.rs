//! Files that are sent to a chat: whatever breaks, what was confirmed is there, and a file arrives once or not at all.

use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::{DAY, Limits};
use serde_json::{Value, json};

use crate::support::chats::ROOM;
use crate::support::files::{FRAME, about, leftovers, pdf, send, sha256, told};
use crate::support::heard::{data, errors};
use crate::support::world::World;

#[test]
fn a_file_arrives_and_everybody_hears_of_it() {
    let mut world = World::default();
    let (ana, bia, bytes) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"), pdf(3 * FRAME + 5));
    world.frames(bia);
    let (handle, offset) = world.announce(ana, "file-1", &about(&bytes)).unwrap();
    assert_eq!(offset, 0);
    let ready = data(&mut world, ana, "upload_ready").remove(0);
    assert_eq!((&ready["window_bytes"], &ready["frame_bytes"]), (&json!(1 << 20), &json!(FRAME)));
    for (place, part) in bytes.chunks(FRAME).enumerate() {
        world.send_part(ana, handle, (place * FRAME) as u64, part);
    }
    let confirmed = data(&mut world, ana, "upload_progress");
    let offsets: Vec<u64> = confirmed.iter().map(|data| data["offset"].as_u64().unwrap()).collect();
    assert_eq!(
        offsets,
        [1, 2, 3].map(|n| n * FRAME as u64).into_iter().chain([bytes.len() as u64]).collect::<Vec<_>>()
    );
    world.pass(1_000);
    let url = "/api/v1/ws/chat/s/files/file-1";
    let complete = data(&mut world, ana, "upload_complete").remove(0);
    assert_eq!(
        complete,
        json!({"file_id": "file-1", "size": bytes.len(), "content_type": "application/pdf", "sha256": sha256(&bytes),
            "url": url, "seq": 1})
    );
    let file = world.frames(bia).into_iter().find(|frame| frame["type"] == "file").unwrap();
    assert_eq!((&file["id"], &file["seq"]), (&json!("file-1"), &json!(1)));
    assert_eq!(
        file["data"],
        json!({"file_id": "file-1", "name": "nota.pdf", "size": bytes.len(), "content_type": "application/pdf",
            "sha256": sha256(&bytes), "user_id": "ana", "url": url})
    );
    assert_eq!(world.fetch(ROOM, "file-1"), Some(bytes.clone()));
    assert_eq!(leftovers(&mut world), [0, 0, 0]);
    world.evict(ROOM);
    assert_eq!(world.announce(ana, "file-1", &about(&bytes)), None, "it is here");
    assert_eq!(told(&mut world, "file-1"), 1);
}

/// What can break between two frames.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Connection,
    Eviction,
    Crash,
    /// The frame is kept, and the runtime dies before anybody hears of it.
    Silent,
    /// The storage fails under it.
    Storage,
}

#[test]
fn whatever_breaks_at_whichever_frame_the_file_arrives_whole_and_once() {
    let bytes = pdf(4 * FRAME + 77);
    for cut in [Cut::Connection, Cut::Eviction, Cut::Crash, Cut::Silent, Cut::Storage] {
        for at in 0..=5 {
            let mut world = World::default();
            let mut ana = world.join(ROOM, "ana");
            let (handle, _) = world.announce(ana, "file-1", &about(&bytes)).unwrap();
            for (place, part) in bytes.chunks(FRAME).enumerate() {
                if place == at {
                    break_it(&mut world, ana, cut);
                }
                world.send_part(ana, handle, (place * FRAME) as u64, part);
            }
            if at == 5 {
                break_it(&mut world, ana, cut);
                world.run_until_idle();
            }
            world.spare(ROOM);
            world.sql(ROOM).fail_after(0);
            let confirmed =
                data(&mut world, ana, "upload_progress").last().map(|data| data["offset"].as_u64().unwrap());
            if !world.is_open(ana) {
                ana = world.join(ROOM, "ana");
            }
            if let Some((_, offset)) = world.announce(ana, "file-1", &about(&bytes)) {
                assert!(offset >= confirmed.unwrap_or(0), "{cut:?} at {at}: {offset} after {confirmed:?}");
            }
            send(&mut world, ana, "file-1", &bytes);
            world.drain();
            assert_eq!(world.fetch(ROOM, "file-1").as_ref(), Some(&bytes), "{cut:?} at {at}");
            assert_eq!(told(&mut world, "file-1"), 1, "{cut:?} at {at}");
            assert_eq!(leftovers(&mut world), [0, 0, 0], "{cut:?} at {at}");
        }
    }
}

fn break_it(world: &mut World, conn: ConnId, cut: Cut) {
    match cut {
        Cut::Connection => world.lose_signal(conn),
        Cut::Eviction => world.evict(ROOM),
        Cut::Crash => world.crash(ROOM),
        Cut::Silent => world.doom(ROOM),
        Cut::Storage => world.sql(ROOM).fail_after(1),
    }
}

#[test]
fn what_has_come_may_come_again_and_nothing_may_be_left_out() {
    let mut world = World::default();
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(1_000));
    let (handle, _) = world.announce(ana, "f", &about(&bytes)).unwrap();
    world.send_part(ana, handle, 0, &bytes[..400]);
    world.send_part(ana, handle, 0, &bytes[..300]);
    world.send_part(ana, handle, 300, &bytes[300..600]);
    let offsets: Vec<Value> =
        data(&mut world, ana, "upload_progress").iter().map(|data| data["offset"].clone()).collect();
    assert_eq!(offsets, [400, 400, 600]);
    for (handle, offset, part, wanted) in [
        (handle, 601, &bytes[601..], json!(600)),
        (handle, 600, &pdf(401)[..], json!(600)),
        (handle, u64::MAX, &bytes[..1], json!(600)),
        (handle, 600, &pdf(FRAME + 1)[..], json!(600)),
        (handle ^ 1, 600, &bytes[600..], Value::Null),
        (0, 0, &[][..], Value::Null),
    ] {
        world.send_part(ana, handle, offset, part);
        let error = data(&mut world, ana, "error").remove(0);
        assert_eq!((&error["code"], &error["original_type"]), (&json!("INVALID_FILE"), &json!("upload")));
        assert_eq!(error["offset"], wanted);
        assert_eq!(error["file_id"], if wanted.is_null() { Value::Null } else { json!("f") });
    }
    world.send_part(ana, handle, 500, &bytes[500..]);
    world.drain();
    assert_eq!(world.fetch(ROOM, "f"), Some(bytes));
}

#[test]
fn what_a_file_is_said_to_be_must_be_so() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    let html = b"<!doctype html><script>alert(1)</script>".to_vec();
    let late = [b"a;b\n".repeat(10_000), b"\0".to_vec()].concat();
    for (id, bytes, content_type, hash, code) in [
        ("a", html.clone(), "text/plain", None, "FILE_TYPE_NOT_ALLOWED"),
        ("b", pdf(500), "image/png", None, "FILE_TYPE_NOT_ALLOWED"),
        ("c", b"MZ\x90\0".repeat(9_000), "", None, "FILE_TYPE_NOT_ALLOWED"),
        ("d", late, "text/csv", None, "FILE_TYPE_NOT_ALLOWED"),
        ("e", pdf(500), "application/pdf", Some("0".repeat(64)), "INVALID_FILE"),
    ] {
        let about = json!({"name": "x", "size": bytes.len(), "content_type": content_type, "sha256": hash});
        let (handle, _) = world.announce(ana, id, &about).unwrap();
        world.send_part(ana, handle, 0, &bytes);
        world.pass(1_000);
        let error = data(&mut world, ana, "error").remove(0);
        assert_eq!((&error["code"], &error["file_id"]), (&json!(code), &json!(id)), "{id}");
        assert_eq!(world.fetch(ROOM, id), None);
        world.drain();
        assert!(world.bucket.objects.is_empty(), "{id}: {:?}", world.bucket.objects.keys());
        assert_eq!(leftovers(&mut world), [0, 0, 0], "{id}");
    }
    assert_eq!(world.logged(ROOM), Vec::<u64>::new());
    assert_eq!(world.announce(ana, "f", &json!({"name": "x", "size": 1, "content_type": "text/html"})), None);
    assert_eq!(errors(&mut world, ana), ["FILE_TYPE_NOT_ALLOWED"]);
    let early = [html, vec![b' '; 2 * FRAME]].concat();
    let about = json!({"name": "x", "size": early.len(), "content_type": "text/plain"});
    let (handle, _) = world.announce(ana, "g", &about).unwrap();
    world.send_part(ana, handle, 0, &early[..FRAME]);
    assert_eq!(errors(&mut world, ana), ["FILE_TYPE_NOT_ALLOWED"], "the first frame tells");
    assert_eq!(leftovers(&mut world), [0, 0, 0]);
}

#[test]
fn an_id_is_one_user_s_and_one_file_s() {
    let mut world = World::default();
    let (ana, bia, bytes) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"), pdf(900));
    let (handle, _) = world.announce(ana, "f", &about(&bytes)).unwrap();
    let taken = |world: &mut World, conn, data: &Value| {
        assert_eq!(world.announce(conn, "f", data), None);
        errors(world, conn).remove(0)
    };
    assert_eq!(taken(&mut world, bia, &about(&bytes)), "ID_TAKEN");
    assert_eq!(taken(&mut world, ana, &about(&pdf(901))), "INVALID_FILE");
    world.send_part(bia, handle, 0, &bytes);
    assert_eq!(errors(&mut world, bia), ["INVALID_FILE"], "a handle is good on one connection");
    world.send(bia, &json!({"type": "upload_abort", "data": {"file_id": "f"}}));
    assert_eq!(errors(&mut world, bia), ["FORBIDDEN"]);
    world.send_part(ana, handle, 0, &bytes);
    world.drain();
    assert_eq!(taken(&mut world, bia, &about(&bytes)), "ID_TAKEN");
    assert_eq!(taken(&mut world, ana, &about(&pdf(901))), "INVALID_FILE");
    world.publish(ROOM, &json!({"type": "news", "id": "m"})).unwrap();
    assert_eq!(world.announce(ana, "m", &about(&bytes)), None);
    assert_eq!(errors(&mut world, ana), ["ID_TAKEN"]);
    assert_eq!(world.fetch(ROOM, "f"), Some(bytes));
}

#[test]
fn the_newest_connection_sends_and_the_older_does_not() {
    let mut world = World::default();
    let (old, new, bytes) = (world.join(ROOM, "ana"), world.join(ROOM, "ana"), pdf(900));
    let (handle, _) = world.announce(old, "f", &about(&bytes)).unwrap();
    world.send_part(old, handle, 0, &bytes[..300]);
    assert_eq!(world.announce(new, "f", &about(&bytes)), Some((handle, 300)));
    world.send_part(old, handle, 300, &bytes[300..]);
    assert_eq!(errors(&mut world, old), ["INVALID_FILE"]);
    world.evict(ROOM);
    world.send_part(new, handle, 300, &bytes[300..]);
    world.drain();
    assert_eq!(world.fetch(ROOM, "f"), Some(bytes));
}

#[test]
fn an_upload_that_is_given_up_leaves_nothing_however_far_it_was() {
    for sent in [0, 300, 900] {
        let mut world = World::default();
        let (ana, bytes) = (world.join(ROOM, "ana"), pdf(900));
        let (handle, _) = world.announce(ana, "f", &about(&bytes)).unwrap();
        if sent > 0 {
            world.send_part(ana, handle, 0, &bytes[..sent]);
        }
        for _ in 0..2 {
            world.send(ana, &json!({"type": "upload_abort", "data": {"file_id": "f"}}));
            assert_eq!(data(&mut world, ana, "upload_aborted"), [json!({"file_id": "f"})], "twice is as once");
        }
        world.drain();
        assert!(world.bucket.objects.is_empty(), "{sent}");
        assert_eq!(leftovers(&mut world), [0, 0, 0], "{sent}");
        assert_eq!(world.logged(ROOM), Vec::<u64>::new());
        send(&mut world, ana, "f", &bytes);
        world.drain();
        assert_eq!(world.fetch(ROOM, "f"), Some(bytes), "the id is free again");
        world.send(ana, &json!({"type": "upload_abort", "data": {"file_id": "f"}}));
        assert_eq!(errors(&mut world, ana), ["NOT_FOUND"], "it has arrived");
    }
}

#[test]
fn a_bucket_that_is_down_is_tried_again_and_then_its_sender_is_told() {
    let mut world = World::default();
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(900));
    world.bucket.down = true;
    send(&mut world, ana, "f", &bytes);
    world.pass(10_000);
    assert_eq!(errors(&mut world, ana), Vec::<String>::new(), "it may come back");
    world.pass(60_000);
    let error = data(&mut world, ana, "error").remove(0);
    assert_eq!((&error["code"], &error["file_id"]), (&json!("FILES_UNAVAILABLE"), &json!("f")));
    world.pass(3_600_000);
    assert_eq!((world.errands(), errors(&mut world, ana)), (0, Vec::new()), "nobody tries any more");
    world.bucket.down = false;
    assert_eq!(world.announce(ana, "f", &about(&bytes)).map(|(_, offset)| offset), Some(900), "not one byte again");
    world.drain();
    assert_eq!(data(&mut world, ana, "upload_complete").len(), 1);
    assert_eq!((world.fetch(ROOM, "f"), told(&mut world, "f")), (Some(bytes), 1));
}

#[test]
fn a_file_whose_arrival_nobody_heard_of_is_put_there_again_under_the_same_key() {
    let mut world = World::default();
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(900));
    send(&mut world, ana, "f", &bytes);
    assert!(world.lose_errand());
    world.crash(ROOM);
    world.drain();
    assert_eq!(world.logged(ROOM), [1], "nobody had to come back for it");
    let again = world.join(ROOM, "ana");
    assert_eq!(world.bucket.written.values().collect::<Vec<_>>(), [&2]);
    assert_eq!((world.fetch(ROOM, "f"), told(&mut world, "f")), (Some(bytes.clone()), 1));
    assert_eq!(world.announce(again, "f", &about(&bytes)), None);
    assert_eq!(world.bucket.objects.len(), 1);
}

#[test]
fn an_errand_that_takes_too_long_is_run_again_and_both_may_come_to_their_end() {
    let mut world = World::default();
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(900));
    send(&mut world, ana, "f", &bytes);
    world.advance(61_000);
    assert_eq!(world.errands(), 2);
    world.run_errands_together();
    world.drain();
    assert_eq!((world.fetch(ROOM, "f"), told(&mut world, "f")), (Some(bytes), 1));
    assert_eq!(leftovers(&mut world), [0, 0, 0]);
}

#[test]
fn what_nobody_goes_on_with_is_dropped_a_day_after_its_last_byte() {
    let mut world = World::default();
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(900));
    let (handle, _) = world.announce(ana, "f", &about(&bytes)).unwrap();
    world.pass(DAY / 2);
    world.send_part(ana, handle, 0, &bytes[..300]);
    world.leave(ana);
    world.evict(ROOM);
    world.pass(DAY - 1_000);
    assert_eq!(leftovers(&mut world), [1, 0, 1]);
    world.pass(2_000);
    assert_eq!(leftovers(&mut world), [0, 0, 0]);
}

#[test]
fn uploads_are_bounded_by_connection_by_room_and_in_all() {
    let limits = Limits { uploads_per_room: 4, uploads_waiting: 2, files_per_room: 8, ..Limits::default() };
    let mut world = World::new(Limits { file_bytes_per_room: 10_000, ..limits });
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    let begin = |world: &mut World, conn, id: &str| world.announce(conn, id, &about(&pdf(900))).is_some();
    assert_eq!([1, 2, 3, 4].map(|n| begin(&mut world, ana, &format!("a{n}"))), [true, true, true, false]);
    assert_eq!(errors(&mut world, ana), ["TOO_MANY_FILES"]);
    assert_eq!([1, 2].map(|n| begin(&mut world, bia, &format!("b{n}"))), [true, false], "the room is full");
    world.pass(1);
    world.leave(ana);
    assert_eq!([2, 3].map(|n| begin(&mut world, bia, &format!("b{n}"))), [true, true]);
    assert!(leftovers(&mut world)[0] <= 5, "who waits gives way");
    let ana = world.join(ROOM, "ana");
    assert_eq!(world.announce(ana, "large", &about(&pdf(9_000))), None, "no room for its bytes");
    assert_eq!(errors(&mut world, ana), ["TOO_MANY_FILES"]);
}

#[test]
fn only_small_frames_count_as_too_fast() {
    let mut world = World::new(Limits { message_burst: 3, byte_burst: 1_000, ..Limits::default() });
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(20 * FRAME));
    send(&mut world, ana, "f", &bytes);
    assert_eq!(errors(&mut world, ana), Vec::<String>::new());
    world.drain();
    assert_eq!(world.fetch(ROOM, "f"), Some(bytes.clone()));
    world.pass(1_000);
    let (handle, _) = world.announce(ana, "g", &about(&bytes)).unwrap();
    (0..5_usize).for_each(|n| world.send_part(ana, handle, n as u64 * 100, &bytes[n * 100..][..100]));
    assert_eq!(errors(&mut world, ana)[0], "RATE_LIMIT");
}

#[test]
fn a_worker_without_a_bucket_and_other_rooms_take_no_files() {
    let mut world = World::default();
    let other = world.join("investigation:1", "ana");
    world.send(other, &json!({"type": "upload", "id": "f", "data": about(&pdf(9))}));
    world.send(other, &json!({"type": "upload_abort", "data": {"file_id": "f"}}));
    world.send_binary(other);
    assert_eq!(errors(&mut world, other), ["UNKNOWN_TYPE", "UNKNOWN_TYPE", "BINARY_NOT_SUPPORTED"]);
    let mut world = World::without_files();
    let ana = world.join(ROOM, "ana");
    assert_eq!(world.announce(ana, "f", &about(&pdf(9))), None);
    assert_eq!(errors(&mut world, ana), ["FILES_UNAVAILABLE"]);
}

#[test]
fn a_file_costs_a_row_a_frame_and_few_beside() {
    let mut world = World::default();
    let (ana, bytes) = (world.join(ROOM, "ana"), pdf(16 * FRAME));
    world.tell(ROOM, 1);
    world.pass(5_000);
    let before = world.sql(ROOM).changes();
    send(&mut world, ana, "f", &bytes);
    world.pass(5_000);
    let rows = world.sql(ROOM).changes() - before;
    assert!((16..=22).contains(&rows), "{rows}");
}
