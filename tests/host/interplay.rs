//! What one part of a chat does to another: sessions that end, people who are dismissed, answers, files and presence.

use cidadao_realtime::chat_session::Act;
use cidadao_realtime::code::{CloseCode, Reject};
use cidadao_realtime::files::Offer;
use cidadao_realtime::id::{ConnId, Id};
use cidadao_realtime::limits::{DAY, Limits};
use cidadao_realtime::room::Place;
use serde_json::{Value, json};

use crate::support::chats::{ask, cancel, connect_agent, last_asked, told};
use crate::support::files::{FRAME, about, offer, pdf, place, send};
use crate::support::heard::{errors, refused, single};
use crate::support::rooms::CHAT;
use crate::support::sessions::{described, dismiss, invite, rename, stored, user};
use crate::support::world::World;

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
    let air = (coming.clone(), place(world.admit(CHAT, &coming)));
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
    let door = world.join(CHAT, "eva");
    assert!(!world.is_open(door));
    assert_eq!(types(&mut world, door), ["error"]);
    let general = world.connect("eva");
    world.send(general, &json!({"type": "subscribe", "data": {"chat_id": "s"}}));
    world.send(general, &json!({"type": "chat_cancel", "data": {"message_id": answer}}));
    world.send(general, &json!({"type": "chat", "id": "q1", "data": {"content": "?"}}));
    assert_eq!(errors(&mut world, general), ["INVALID_FRAME", "UNKNOWN_TYPE", "UNKNOWN_TYPE"]);
    assert_eq!(stored(&mut world, CHAT), before);
    let known = Place { key: "chat:s/x/mine/1".to_owned(), epoch: world.epoch(CHAT).parse().unwrap(), place: 1 };
    assert_eq!(refused(world.bring(CHAT, &offer("eva", "mine", &pdf(9)), &known, &pdf(9))), Reject::Forbidden);
    world.agent_completes(&answer);
    world.drain();
    assert!(!world.bucket.objects.contains_key(&known.key));
    assert_eq!(types(&mut world, general).iter().filter(|kind| *kind != "connection_established").count(), 0);
    assert!(world.is_open(ana));
}

#[test]
fn an_id_is_one_message_whatever_is_under_way() {
    let Busy { mut world, ana, bia, answer, .. } = busy();
    types(&mut world, ana);
    ask(&mut world, ana, "half", "?");
    ask(&mut world, ana, answer.as_str(), "?");
    world.send(ana, &json!({"type": "upload", "id": answer, "data": about(&pdf(9))}));
    assert_eq!(errors(&mut world, ana), ["ID_TAKEN", "ID_TAKEN", "ID_TAKEN"]);
    let bytes = pdf(2 * FRAME);
    let (handle, offset) = world.announce(bia, "half", &about(&bytes)).unwrap();
    world.send_part(bia, handle, offset, &bytes[offset as usize..]);
    world.agent_completes(&answer);
    world.drain();
    let ids = log(&mut world).into_iter().map(|message| message["id"].clone()).collect::<Vec<_>>();
    assert!(ids.contains(&json!("half")) && ids.contains(&json!(answer)), "{ids:?}");
}

/// What a service says under the names of a chat's own messages.
fn posted(world: &mut World, message: &Value) {
    world.publish(CHAT, message).unwrap();
}

#[test]
fn what_services_say_in_the_words_of_a_chat_is_told_and_confuses_nobody() {
    let mut world = world();
    let (ana, old) = (world.open(CHAT, "ana", &json!({"batches": true})), world.join(CHAT, "ana"));
    for kind in ["upload_aborted", "upload_complete", "upload_progress", "upload_ready", "ack", "presence"] {
        let result = world.publish(CHAT, &json!({"type": kind, "data": {"file_id": "f", "offset": 7}}));
        assert_eq!(refused(result), Reject::InvalidMessage, "{kind}");
    }
    let own = ["chat", "chat_complete", "file", "typing", "error", "session_updated"];
    for (kind, data) in own.iter().flat_map(|kind| [(kind, Value::Null), (kind, json!(["x"])), (kind, json!("x"))]) {
        posted(&mut world, &json!({"type": kind, "data": data}));
    }
    posted(&mut world, &json!({"type": "file", "id": "f", "data": {"file_id": "f"}}));
    posted(
        &mut world,
        &json!({"type": "chat", "id": "said", "data": {"role": "user", "user_id": "bia", "content": "?"}}),
    );
    world.drain();
    assert_eq!(world.heard(old, CHAT).len(), 20, "an older client too");
    types(&mut world, ana);
    world.send(ana, &json!({"type": "upload", "id": "f", "data": about(&pdf(9))}));
    ask(&mut world, ana, "said", "?");
    assert_eq!(errors(&mut world, ana), ["ID_TAKEN", "ID_TAKEN"]);
    assert_eq!(refused(world.held_for(CHAT, &user("ana"), "f")), Reject::NotFound, "it is no file");

    ask(&mut world, ana, "q", "Quanto?");
    let answer = last_asked(&world);
    posted(&mut world, &json!({"type": "chat_complete", "id": answer, "data": {"content": "not the agent's"}}));
    world.agent_adds(&answer, "Pouco");
    world.agent_completes(&answer);
    world.drain();
    let ends = told(&mut world, ana, &["chat_complete"]);
    assert_eq!(ends.last().unwrap().1["content"], "Pouco");
    assert_eq!(ends.last().unwrap().1["message_id"], json!(answer));
}

#[test]
fn an_agent_is_told_who_said_what_also_of_what_a_service_said() {
    let mut world = world();
    connect_agent(&mut world, &[("AGENT_KIND", "openai"), ("AGENT_MODEL", "m")]);
    let ana = world.join(CHAT, "ana");
    for (role, content) in [("assistant", "Bom dia"), ("user", "Oi")] {
        posted(&mut world, &json!({"type": "chat", "data": {"role": role, "content": content}}));
    }
    posted(&mut world, &json!({"type": "chat_complete", "data": {"content": ["x"]}}));
    ask(&mut world, ana, "q", "Quanto?");
    let messages = world.asked().last().unwrap().1["messages"].clone();
    let said = [("assistant", "Bom dia"), ("user", "Oi"), ("user", "Quanto?")];
    let said: Vec<Value> = said.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
    assert_eq!(messages, json!(said));
}

#[test]
fn other_rooms_take_no_part_in_what_chats_do_and_pay_nothing_for_it() {
    for room in ["investigation:1", "analysis:1", "user:ana", "system:all"] {
        let mut world = world();
        let ana = world.join(room, "ana");
        world.drain();
        let (tables, alarm) = (stored(&mut world, room), world.alarm(room));
        let names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
        let chats = ["answers", "discards", "files", "participants", "session", "uploads"];
        assert!(chats.iter().all(|table| !names.contains(table)), "{room}: {names:?}");
        types(&mut world, ana);
        let changes = world.sql(room).changes();
        let frames = [
            ("chat", json!({"content": "?"})),
            ("chat_cancel", json!({"reply_to": "q"})),
            ("typing", json!({})),
            ("upload", about(&pdf(9))),
            ("upload_abort", json!({"file_id": "f"})),
        ];
        for (kind, data) in &frames {
            world.send(ana, &json!({"type": kind, "id": "f", "data": data}));
        }
        world.send(ana, &json!({"type": "presence", "data": {"state": {"a": 1}}}));
        world.send_binary(ana);
        let heard = told(&mut world, ana, &["error"]).into_iter().map(|(_, data)| data);
        let heard: Vec<(Value, Value)> =
            heard.map(|data| (data["code"].clone(), data["original_type"].clone())).collect();
        let refused = frames.iter().map(|(kind, _)| (json!("UNKNOWN_TYPE"), json!(kind)));
        let refused: Vec<_> = refused.chain([(json!("BINARY_NOT_SUPPORTED"), Value::Null)]).collect();
        assert_eq!(heard, refused, "{room}");
        assert_eq!(refused_session(&mut world, room), Reject::NotFound);
        assert_eq!((stored(&mut world, room), world.alarm(room)), (tables, alarm), "{room}");
        assert_eq!(world.sql(room).changes(), changes, "{room}");
    }
}

fn refused_session(world: &mut World, room: &str) -> Reject {
    refused(world.obey(room, &user("ana"), Act::Describe))
}

#[test]
fn a_chat_that_nobody_uses_sleeps() {
    let Busy { mut world, ana, bia, answer, .. } = busy();
    world.agent_completes(&answer);
    let next = last_asked(&world);
    world.agent_completes(&next);
    world.leave(ana);
    world.leave(bia);
    world.pass(2 * DAY);
    assert_eq!(world.sql(CHAT).numbers("SELECT 1 FROM uploads"), Vec::<u64>::new(), "half a file waits for a day");
    let due = world.alarm(CHAT).unwrap().0 - world.now.0;
    assert!(due > DAY / 2, "it looks for what is too old once a day: {due}");
    world.pass(30 * DAY);
    assert_eq!(world.alarm(CHAT), None, "then nothing wakes it");
    assert_eq!(described(&mut world, &user("ana"))["owner"], "ana");
}

/// Something that a chat does, which may fail.
type Deed = fn(&mut Busy) -> bool;

/// Whatever statement fails of what a chat does: nothing is half done, and done again it is done.
fn survives(act: Deed, done: fn(&mut Busy)) {
    let mut calm = busy();
    let first = calm.world.sql(CHAT).statements();
    assert!(act(&mut calm));
    let count = calm.world.sql(CHAT).statements() - first;
    assert!(count > 0);
    for statement in 1..=count {
        let mut busy = busy();
        let before = stored(&mut busy.world, CHAT);
        busy.world.sql(CHAT).fail_after(statement);
        let kept = act(&mut busy);
        busy.world.sql(CHAT).fail_after(0);
        if !kept {
            assert_eq!(stored(&mut busy.world, CHAT), before, "{statement}");
            assert!(act(&mut busy), "{statement}: the room recovers");
        }
        busy.world.drain();
        done(&mut busy);
    }
}

fn log(world: &mut World) -> Vec<Value> {
    let history = world.history(CHAT, &user("ana")).unwrap();
    history.messages.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect()
}

fn logged(busy: &mut Busy, id: &str) -> usize {
    log(&mut busy.world).iter().filter(|message| message["id"] == id).count()
}

fn answers_to(busy: &mut Busy, question: &str) -> usize {
    log(&mut busy.world).iter().filter(|message| message["data"]["reply_to"] == question).count()
}

fn is_refused(busy: &mut Busy, conn: ConnId) -> bool {
    errors(&mut busy.world, conn).contains(&"INTERNAL".to_owned())
}

#[test]
fn a_question_that_is_half_written_was_not_asked() {
    let ask_more = |busy: &mut Busy| {
        ask(&mut busy.world, busy.ana, "q3", "E a praça?");
        !is_refused(busy, busy.ana)
    };
    survives(ask_more, |busy| {
        assert_eq!(logged(busy, "q3"), 1);
        assert_eq!(answers_to(busy, "q3"), 1);
    });
}

#[test]
fn an_answer_that_is_half_stopped_goes_on() {
    let stop = |busy: &mut Busy| {
        cancel(&mut busy.world, busy.ana, &json!({"reply_to": "q1"}));
        !is_refused(busy, busy.ana)
    };
    survives(stop, |busy| {
        let answer = busy.answer.to_string();
        assert_eq!(logged(busy, &answer), 1);
        assert!(busy.world.is_hushed(&busy.answer));
    });
}

#[test]
fn an_invitation_or_dismissal_that_is_half_written_was_none() {
    survives(
        |busy| busy.world.obey(CHAT, &user("ana"), invite("caio")).is_ok(),
        |busy| {
            let caio = busy.world.join(CHAT, "caio");
            assert!(busy.world.is_open(caio));
        },
    );
    survives(
        |busy| busy.world.obey(CHAT, &user("ana"), dismiss("bia")).is_ok(),
        |busy| {
            let bia = busy.bia;
            assert!(!busy.world.is_open(bia));
            assert_eq!(busy.world.sql(CHAT).numbers("SELECT 1 FROM uploads").len(), 0);
        },
    );
}

#[test]
fn a_deletion_that_is_half_done_was_none() {
    survives(
        |busy| busy.world.obey(CHAT, &user("ana"), Act::Erase).is_ok(),
        |busy| {
            assert!(busy.world.bucket.objects.is_empty());
            assert!(busy.world.streams().is_empty());
        },
    );
}

#[test]
fn a_file_that_is_half_written_down_comes_again() {
    survives(
        |busy| busy.world.bring(CHAT, &busy.air.0.clone(), &busy.air.1.clone(), &pdf(800)).is_ok(),
        |busy| {
            assert_eq!(logged(busy, "air"), 1);
            assert_eq!(busy.world.fetch(CHAT, "air"), Some(pdf(800)));
        },
    );
    let part = |busy: &mut Busy| {
        let bytes = pdf(2 * FRAME);
        let Some((handle, offset)) = busy.world.announce(busy.bia, "half", &about(&bytes)) else { return false };
        busy.world.send_part(busy.bia, handle, offset, &bytes[offset as usize..]);
        !is_refused(busy, busy.bia)
    };
    survives(part, |busy| assert_eq!((logged(busy, "half"), logged(busy, "whole")), (1, 1)));
}

#[test]
fn a_file_that_has_been_stored_is_told_of_once_whatever_fails() {
    for statement in 1..40 {
        let mut busy = busy();
        busy.world.sql(CHAT).fail_after(statement);
        busy.world.run_errand();
        busy.world.sql(CHAT).fail_after(0);
        busy.world.drain();
        assert_eq!(logged(&mut busy, "whole"), 1, "{statement}");
        assert_eq!(busy.world.fetch(CHAT, "whole"), Some(pdf(1_000)));
    }
}
