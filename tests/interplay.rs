//! What one part of a chat does to another: sessions that end, people who are dismissed, answers, files and presence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use cidadao_realtime::chat_session::Act;
use cidadao_realtime::code::{CloseCode, Reject};
use cidadao_realtime::files::Offer;
use cidadao_realtime::id::{ConnId, Id};
use cidadao_realtime::limits::{DAY, Limits};
use cidadao_realtime::room::{Permit, Place};
use serde_json::{Value, json};
use support::chats::{ask, connect_agent, last_asked, single, told};
use support::files::{FRAME, about, pdf, send, sha256};
use support::sessions::{CHAT, described, dismiss, invite, refused, rename, stored, user};
use support::world::World;

/// A chat in which something of everything is under way.
struct Busy {
    world: World,
    ana: ConnId,
    bia: ConnId,
    /// The answer to ana's question, which has begun; bia's waits.
    answer: Id,
    /// Where bia's file is on its way to over HTTP.
    air: (Offer, Place),
}

fn world() -> World {
    let mut world = World::with_owners(Limits { unacked_messages: 2, ..Limits::default() });
    connect_agent(&mut world, &[]);
    world
}

fn offer(of: &str, id: &str, bytes: &[u8]) -> Offer {
    let (name, content_type) = ("nota.pdf".to_owned(), "application/pdf".to_owned());
    let (id, user, size) = (id.parse().unwrap(), of.parse().unwrap(), bytes.len() as u64);
    Offer { id, user, name, size, content_type, sha256: Some(sha256(bytes)) }
}

fn admit(world: &mut World, offer: &Offer) -> Place {
    match world.admit(CHAT, offer).unwrap() {
        Permit::Place(place) => place,
        Permit::Known(known) => panic!("{known:?}"),
    }
}

/// Half of a file: it waits for the rest.
fn send_half(world: &mut World, conn: ConnId, id: &str) {
    let bytes = pdf(2 * FRAME);
    let (handle, _) = world.announce(conn, id, &about(&bytes)).unwrap();
    world.send_part(conn, handle, 0, &bytes[..FRAME]);
}

fn busy() -> Busy {
    let mut world = world();
    let ana = world.open(CHAT, "ana", &json!({"presence": 0, "batches": true}));
    world.obey(CHAT, &user("ana"), invite("bia")).unwrap();
    let bia = world.open(CHAT, "bia", &json!({"presence": 0, "acks": true}));
    send(&mut world, ana, "kept", &pdf(900));
    world.drain();
    ask(&mut world, ana, "q1", "Quanto custou?");
    let answer = last_asked(&world);
    world.agent_adds(&answer, "A ponte");
    ask(&mut world, bia, "q2", "E a escola?");
    send_half(&mut world, bia, "half");
    send(&mut world, bia, "whole", &pdf(1_000));
    assert_eq!(world.errands(), 1, "it is on its way to where files are kept");
    let coming = offer("bia", "air", &pdf(800));
    let air = (coming.clone(), admit(&mut world, &coming));
    world.show(bia, &json!({"status": "here"}));
    world.send(bia, &json!({"type": "typing"}));
    world.publish(CHAT, &json!({"type": "news"})).unwrap();
    Busy { world, ana, bia, answer, air }
}

/// The types of the frames that came since this was last asked.
fn types(world: &mut World, conn: ConnId) -> Vec<String> {
    single(world.frames(conn)).iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect()
}

fn acks(world: &mut World, conn: ConnId) -> Vec<(Value, Value)> {
    told(world, conn, &["ack"]).into_iter().map(|(_, data)| (data["seq"].clone(), data["duplicate"].clone())).collect()
}

fn connections(world: &mut World, user: &str) -> usize {
    world.sql(&format!("user:{user}")).numbers("SELECT 1 FROM connections").len()
}

#[test]
fn a_session_that_ends_in_the_middle_of_everything_leaves_nothing_to_the_next_of_its_name() {
    for lost in [false, true] {
        let Busy { mut world, ana, bia, answer, air } = busy();
        let landed = world.begin_errand().unwrap();
        world.obey(CHAT, &user("ana"), Act::Erase).unwrap();
        if lost {
            world.evict(CHAT);
        }
        for conn in [ana, bia] {
            assert_eq!(types(&mut world, conn).last().unwrap(), "error");
            assert_eq!(world.closed(conn), Some(CloseCode::Disconnected));
        }
        assert!(world.is_hushed(&answer) && world.streams().is_empty());
        let bia = world.watch(CHAT, "bia");
        let welcome = world.frames(bia).remove(0)["data"].clone();
        assert_eq!((&welcome["seq"], &welcome["presence"]["count"]), (&json!(0), &json!(1)), "{welcome}");
        assert_eq!(welcome.get("recovered"), None);
        world.end_errand(landed);
        assert_eq!(world.agent_adds(&answer, " custou"), None);
        assert_eq!(refused(world.bring(CHAT, &air.0, &air.1, &pdf(800))), Reject::SessionDeleted);
        world.bucket.objects.remove(&air.1.key);
        world.drain();
        assert_eq!(types(&mut world, bia), Vec::<String>::new(), "nothing of before is heard");
        assert!(world.bucket.objects.is_empty(), "{:?}", world.bucket.objects.keys());
        assert_eq!([connections(&mut world, "ana"), connections(&mut world, "bia")], [0, 1]);

        ask(&mut world, bia, "q1", "Quanto custou?");
        assert_eq!(acks(&mut world, bia), [(json!(1), Value::Null)]);
        let (_, offset) = world.announce(bia, "half", &about(&pdf(2 * FRAME))).unwrap();
        assert_eq!(offset, 0, "no byte of before is here");
        send(&mut world, bia, "whole", &pdf(1_000));
        let again = last_asked(&world);
        world.agent_completes(&again);
        world.drain();
        assert_eq!(world.fetch(CHAT, "whole"), None, "it is whose session it is");
        let bia_asks = user("bia");
        assert_eq!(world.held_for(CHAT, &bia_asks, "whole").unwrap().size, 1_000);
        assert_eq!(refused(world.held_for(CHAT, &bia_asks, "kept")), Reject::NotFound);
        let session = described(&mut world, &bia_asks);
        assert_eq!((&session["owner"], &session["answering"]), (&json!("bia"), &json!([])));
        assert_eq!(world.bucket.objects.len(), 1);
    }
}

#[test]
fn a_session_that_ends_with_everything_under_way_stores_what_a_new_one_does() {
    let Busy { mut world, .. } = busy();
    world.obey(CHAT, &user("ana"), Act::Erase).unwrap();
    world.drain();
    world.counts("chat:fresh");
    assert_eq!(stored(&mut world, CHAT), stored(&mut world, "chat:fresh"));
    world.pass(2 * DAY);
    assert!(world.alarm(CHAT).is_none(), "nothing wakes it any more");
}

#[test]
fn who_is_dismissed_leaves_a_question_and_no_file() {
    let Busy { mut world, ana, bia, answer, air } = busy();
    let landed = world.begin_errand().unwrap();
    types(&mut world, ana);
    world.obey(CHAT, &user("ana"), dismiss("bia")).unwrap();
    assert_eq!(world.closed(bia), Some(CloseCode::Disconnected));
    let typing = told(&mut world, ana, &["typing"]);
    assert!(typing.iter().any(|(_, data)| data["user_id"] == "bia" && data["isTyping"] == false), "{typing:?}");
    world.agent_completes(&answer);
    let next = last_asked(&world);
    assert_ne!(next, answer, "what was asked before is answered");
    world.agent_completes(&next);
    assert_eq!(refused(world.bring(CHAT, &air.0, &air.1, &pdf(800))), Reject::Forbidden);
    world.bucket.objects.remove(&air.1.key);
    world.end_errand(landed);
    world.drain();
    let heard = told(&mut world, ana, &["chat_complete", "file", "presence"]);
    assert_eq!(heard.iter().filter(|(kind, _)| kind == "chat_complete").count(), 2);
    assert!(heard.iter().all(|(kind, _)| kind != "file"), "{heard:?}");
    assert!(heard.iter().any(|(kind, data)| kind == "presence" && data["left"] == json!(["bia"])), "{heard:?}");
    assert_eq!(world.bucket.objects.len(), 1, "what had arrived before");
    assert_eq!(world.sql(CHAT).numbers("SELECT 1 FROM uploads"), Vec::<u64>::new());
    assert_eq!(connections(&mut world, "bia"), 0);
}

#[test]
fn a_stranger_learns_and_changes_nothing() {
    let Busy { mut world, ana, answer, .. } = busy();
    let (eva, before) = (user("eva"), stored(&mut world, CHAT));
    for act in [Act::Describe, Act::Erase, dismiss("bia"), invite("eva"), rename("Meu")] {
        assert_eq!(refused(world.obey(CHAT, &eva, act)), Reject::Forbidden);
    }
    assert_eq!(refused(world.history(CHAT, &eva)), Reject::Forbidden);
    assert_eq!(refused(world.held_for(CHAT, &eva, "kept")), Reject::Forbidden);
    assert_eq!(refused(world.admit(CHAT, &offer("eva", "mine", &pdf(9)))), Reject::Forbidden);
    let known = Place { key: "chat:s/x/mine/1".to_owned(), epoch: world.epoch(CHAT).parse().unwrap(), place: 1 };
    assert_eq!(refused(world.bring(CHAT, &offer("eva", "mine", &pdf(9)), &known, &pdf(9))), Reject::Forbidden);
    let door = world.join(CHAT, "eva");
    assert!(!world.is_open(door));
    assert_eq!(types(&mut world, door), ["error"]);
    let general = world.connect("eva");
    world.send(general, &json!({"type": "subscribe", "data": {"chat_id": "s"}}));
    world.send(general, &json!({"type": "chat_cancel", "data": {"message_id": answer}}));
    world.send(general, &json!({"type": "chat", "id": "q1", "data": {"content": "?"}}));
    assert_eq!(support::chats::errors(&mut world, general), ["INVALID_FRAME", "UNKNOWN_TYPE", "UNKNOWN_TYPE"]);
    assert_eq!(stored(&mut world, CHAT), before);
    world.agent_completes(&answer);
    world.drain();
    assert_eq!(types(&mut world, general).iter().filter(|kind| *kind != "connection_established").count(), 0);
    assert!(world.is_open(ana));
}
