//! What people say in chats: who hears it, what its sender is told, and what is refused.

use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use serde_json::{Value, json};

use crate::support::chats::{ROOM, ask, asked, cancel, connect_agent, ends, last_asked, say, told, with, world};
use crate::support::heard::{errors, single};
use crate::support::world::World;

/// Acknowledgements and messages of people, each as its id and place.
fn said(world: &mut World, conn: ConnId) -> Vec<(String, String, u64)> {
    let frames = single(world.frames(conn)).into_iter();
    let row = |frame: Value| match frame["type"].as_str().unwrap() {
        "ack" => Some(("ack", frame["data"]["id"].clone(), frame["data"]["seq"].clone())),
        "chat" | "news" if frame["seq"].is_u64() => Some(("heard", frame["id"].clone(), frame["seq"].clone())),
        _ => None,
    };
    let row =
        |frame| row(frame).map(|(kind, id, seq)| (kind.into(), id.as_str().unwrap().into(), seq.as_u64().unwrap()));
    frames.filter_map(row).collect()
}

fn rows(rows: &[(&str, &str, u64)]) -> Vec<(String, String, u64)> {
    rows.iter().map(|(kind, id, seq)| ((*kind).to_owned(), (*id).to_owned(), *seq)).collect()
}

/// A room in which messages wait for each other.
fn busy() -> World {
    let mut world = World::new(Limits { send_micros: 300_000, batch_window: 800, ..Limits::default() });
    connect_agent(&mut world, &[]);
    world
}

#[test]
fn what_somebody_says_is_acknowledged_to_them_and_heard_by_the_others() {
    let mut world = world();
    let (ana, phone, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    ask(&mut world, ana, "m1", "Quanto custou a ponte?");
    let ack = json!({"id": "m1", "room": ROOM, "seq": 1});
    assert_eq!(told(&mut world, ana, &["ack", "chat"]), [("ack".to_owned(), ack)]);
    let said = json!({"role": "user", "content": "Quanto custou a ponte?", "user_id": "ana"});
    for conn in [phone, bia] {
        assert_eq!(told(&mut world, conn, &["ack", "chat"]), [("chat".to_owned(), said.clone())]);
    }
    assert_eq!(world.logged(ROOM), [1]);
    assert_eq!(world.asked()[0].1, json!({"message": "Quanto custou a ponte?", "session_id": "s"}));
}

#[test]
fn in_one_window_everybody_hears_all_but_their_own() {
    let mut world = busy();
    let open = |world: &mut World, user: &str, batches: bool| world.open(ROOM, user, &json!({"batches": batches}));
    let (ana, bia, caio) =
        (open(&mut world, "ana", true), open(&mut world, "bia", false), open(&mut world, "caio", true));
    world.tell(ROOM, 1);
    for (conn, id) in [(ana, "a1"), (bia, "b1"), (ana, "a2")] {
        say(&mut world, conn, id);
    }
    world.publish(ROOM, &json!({"type": "news", "id": "n"})).unwrap();
    assert_eq!(said(&mut world, ana)[1..], rows(&[("ack", "a1", 2), ("ack", "a2", 4)]));
    world.pass(800);
    assert_eq!(said(&mut world, ana), rows(&[("heard", "b1", 3), ("heard", "n", 5)]));
    let heard = |ids: &[(&str, u64)]| rows(&ids.iter().map(|(id, seq)| ("heard", *id, *seq)).collect::<Vec<_>>());
    let all = said(&mut world, bia);
    assert_eq!(all[1..], [rows(&[("ack", "b1", 3)]), heard(&[("a1", 2), ("a2", 4), ("n", 5)])].concat());
    assert_eq!(said(&mut world, caio)[1..], heard(&[("a1", 2), ("b1", 3), ("a2", 4), ("n", 5)]));
}

#[test]
fn what_waited_in_a_lost_room_reaches_everybody_and_its_sender_can_tell() {
    let mut world = busy();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    world.tell(ROOM, 1);
    say(&mut world, ana, "a1");
    world.evict(ROOM);
    world.pass(2_000);
    assert_eq!(said(&mut world, bia)[1..], rows(&[("heard", "a1", 2)]));
    let all = said(&mut world, ana);
    assert_eq!(all[1..], rows(&[("ack", "a1", 2), ("heard", "a1", 2)]), "with the same place, so it can be dropped");
}

#[test]
fn who_comes_back_after_its_own_message_hears_nothing_twice() {
    let mut world = world();
    let (ana, epoch) = (world.join(ROOM, "ana"), world.epoch(ROOM));
    say(&mut world, ana, "a1");
    world.lose_signal(ana);
    world.tell(ROOM, 1);
    let ana = world.resume(ROOM, "ana", &epoch, 1);
    world.pass(100);
    assert_eq!(said(&mut world, ana).iter().map(|(_, _, seq)| *seq).collect::<Vec<_>>(), [2]);
    let ana = world.resume(ROOM, "ana", &epoch, 0);
    world.pass(100);
    assert_eq!(said(&mut world, ana)[0], rows(&[("heard", "a1", 1)])[0], "every later reader of the log gets it");
}

#[test]
fn who_is_behind_is_acknowledged_at_once_and_reads_its_own_message_in_its_turn() {
    let mut world = World::new(Limits { page_messages: 2, ..Limits::default() });
    let epoch = world.epoch(ROOM);
    world.tell(ROOM, 5);
    let ana = world.resume(ROOM, "ana", &epoch, 0);
    say(&mut world, ana, "a1");
    world.pass(1_000);
    let all = said(&mut world, ana);
    assert!(all.contains(&rows(&[("ack", "a1", 6)])[0]));
    let heard = all.iter().filter(|(kind, ..)| kind == "heard").map(|(_, _, seq)| *seq);
    assert_eq!(heard.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_client_that_confirms_counts_its_own_messages() {
    let mut world = World::new(Limits { unacked_messages: 2, ..Limits::default() });
    let ana = world.open(ROOM, "ana", &json!({"acks": true}));
    let bia = world.join(ROOM, "bia");
    for id in ["a1", "a2", "a3"] {
        say(&mut world, ana, id);
    }
    say(&mut world, bia, "b1");
    world.pass(100);
    assert_eq!(
        said(&mut world, ana),
        rows(&[("ack", "a1", 1), ("ack", "a2", 2), ("ack", "a3", 3)]),
        "it has had enough"
    );
    world.ack(ana, ROOM, 3);
    world.pass(100);
    assert_eq!(said(&mut world, ana), rows(&[("heard", "b1", 4)]));
    assert_eq!(world.status(ROOM, "a3"), (0, 1, 1));
}

#[test]
fn to_say_it_twice_is_to_say_it_once() {
    let mut world = world();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    ask(&mut world, ana, "m1", "Oi?");
    let ack = |duplicate: bool| match duplicate {
        true => json!({"id": "m1", "room": ROOM, "seq": 1, "duplicate": true}),
        false => json!({"id": "m1", "room": ROOM, "seq": 1}),
    };
    ask(&mut world, ana, "m1", "Oi?");
    world.evict(ROOM);
    ask(&mut world, ana, "m1", "Outra coisa, longa demais.".repeat(100).as_str());
    let phone = world.join(ROOM, "ana");
    ask(&mut world, phone, "m1", "Oi?");
    let acks = told(&mut world, ana, &["ack"]).into_iter().map(|(_, data)| data);
    assert_eq!(acks.collect::<Vec<_>>(), [ack(false), ack(true), ack(true)]);
    assert_eq!(told(&mut world, phone, &["ack"])[0].1, ack(true));
    assert_eq!((world.logged(ROOM), world.asked().len()), (vec![1], 1));
    assert_eq!(said(&mut world, bia).len(), 1);
}

#[test]
fn an_id_is_known_for_as_long_as_ids_are_even_if_its_message_is_gone() {
    let limits = Limits { log_messages: 4, segment_messages: 2, ..Limits::default() };
    let mut world = World::new(limits);
    let ana = world.join(ROOM, "ana");
    say(&mut world, ana, "a1");
    world.tell(ROOM, 20);
    assert!(!world.logged(ROOM).contains(&1));
    say(&mut world, ana, "a1");
    let acks = told(&mut world, ana, &["ack"]);
    assert_eq!(acks[1].1, json!({"id": "a1", "room": ROOM, "seq": 1, "duplicate": true}));
}

#[test]
fn an_id_of_somebody_elses_is_taken() {
    let mut world = world();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    ask(&mut world, ana, "m1", "Oi?");
    world.publish(ROOM, &json!({"type": "news", "id": "m2"})).unwrap();
    world.publish(ROOM, &json!({"type": "chat", "id": "m3", "data": ["bia"]})).unwrap();
    let answer = last_asked(&world).to_string();
    for id in ["m1", "m2", "m3", &answer] {
        world.frames(bia);
        say(&mut world, bia, id);
        let refused = told(&mut world, bia, &["ack", "error"]);
        let [(kind, data)] = &refused[..] else { panic!("{id}: {refused:?}") };
        assert_eq!(
            (kind.as_str(), &data["code"], &data["retry"]),
            ("error", &json!("ID_TAKEN"), &json!(false)),
            "{id}"
        );
        assert_eq!((&data["original_type"], &data["original_id"]), (&json!("chat"), &json!(id)));
    }
    let id = last_asked(&world);
    world.agent_adds(&id, "Olá!");
    world.agent_completes(&id);
    assert_eq!(ends(&mut world, bia), [("completed".to_owned(), "Olá!".to_owned())], "nobody took its place");
}

#[test]
fn an_answer_whose_id_a_publisher_has_used_is_kept_all_the_same() {
    let (mut world, ana, answer) = asked();
    world.publish(ROOM, &json!({"type": "news", "id": answer})).unwrap();
    world.agent_completes(&answer);
    assert_eq!(told(&mut world, ana, &["chat_complete"])[0].1["message_id"], json!(answer));
    assert_eq!(world.logged(ROOM), [1, 2, 3]);
}

#[test]
fn a_message_without_an_id_is_given_one() {
    let mut world = world();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    world.send(ana, &json!({"type": "chat", "data": {"message": "Oi?", "content": null, "session_id": 7}}));
    let id = told(&mut world, ana, &["ack"])[0].1["id"].clone();
    assert_eq!(said(&mut world, bia), rows(&[("heard", id.as_str().unwrap(), 1)]));
    assert_eq!(world.asked().len(), 1);
}

#[test]
fn the_agent_alone_sees_the_context() {
    let mut world = world();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    let text = r#"{"type":"chat","id":"m1","data":{"content":"Oi \"você\" 🌉\u0000","context":{"valor": 1.10, "t": "\u00e7"},"agent_id":"zumbi"}}"#;
    world.send_text(ana, text);
    let (_, data) = told(&mut world, bia, &["chat"]).remove(0);
    assert_eq!(data, json!({"role": "user", "content": "Oi \"você\" 🌉\u{0}", "user_id": "ana"}));
    let body = json!({"message": "Oi \"você\" 🌉\u{0}", "session_id": "s", "context": {"valor": 1.10, "t": "ç"}, "agent_id": "zumbi"});
    assert_eq!(world.asked()[0].1, body);
}

#[test]
fn what_is_for_the_people_asks_nobody() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    say(&mut world, ana, "a1");
    world.pass(60_000);
    assert_eq!((world.asked().len(), world.logged(ROOM)), (0, vec![1]));
}

#[test]
fn a_message_of_a_chat_is_bounded_in_characters_and_its_context_in_bytes() {
    let mut world = with(&[("CHAT_MAX_CHARS", "5")]);
    let ana = world.join(ROOM, "ana");
    let context = |bytes: usize| json!("x".repeat(bytes - 2));
    for (id, content, context, refused) in [
        ("1", "🌉🌉🌉🌉🌉", json!(null), false),
        ("2", "🌉🌉🌉🌉🌉🌉", json!(null), true),
        ("3", "Oi?", context(64 << 10), false),
        ("4", "Oi?", context((64 << 10) + 1), true),
    ] {
        world.frames(ana);
        world.send(ana, &json!({"type": "chat", "id": id, "data": {"content": content, "context": context}}));
        let codes = errors(&mut world, ana);
        assert_eq!(codes, if refused { vec!["TOO_LARGE"] } else { vec![] }, "{id}");
    }
    assert_eq!(world.logged(ROOM), [1, 2]);
}

#[test]
fn only_so_many_questions_wait() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    for n in 0..17 {
        ask(&mut world, ana, &format!("m{n}"), "Oi?");
    }
    let (_, data) = told(&mut world, ana, &["error"]).remove(0);
    assert_eq!((&data["code"], &data["retry"]), (&json!("TOO_MANY_QUESTIONS"), &json!(true)));
    assert_eq!(world.logged(ROOM).len(), 16, "what is not asked is not said");
    say(&mut world, ana, "people");
    ask(&mut world, ana, "m3", "Oi?");
    assert_eq!(errors(&mut world, ana), Vec::<String>::new(), "people may talk, and what was taken is known");
    let answer = last_asked(&world);
    world.agent_completes(&answer);
    ask(&mut world, ana, "m16", "Oi?");
    assert_eq!(errors(&mut world, ana), Vec::<String>::new());
}

#[test]
fn what_is_refused_is_named_however_wrong_it_is() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    let large = "x".repeat(1 << 20);
    for (frame, code, names) in [
        (json!({"type": "chat", "id": "m1", "data": {"content": " "}}), "INVALID_FRAME", json!(["chat", "m1", null])),
        (json!({"type": "chat", "id": "m2", "data": {"content": large}}), "TOO_LARGE", json!(["chat", "m2", null])),
        (json!({"type": "dance", "id": "m3", "data": 7}), "UNKNOWN_TYPE", json!(["dance", "m3", null])),
        (
            json!({"type": "presence", "id": "m4", "data": {"state": 7}}),
            "INVALID_FRAME",
            json!(["presence", "m4", null]),
        ),
        (json!({"type": "chat_cancel", "data": {"reply_to": "m1"}}), "NOT_FOUND", json!(["chat_cancel", null, "m1"])),
    ] {
        world.send(ana, &frame);
        let errors = told(&mut world, ana, &["error"]);
        let [(_, data)] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(data["code"], code);
        assert_eq!(json!([data["original_type"], data["original_id"], data["reply_to"]]), names);
    }
}

#[test]
fn nobody_chats_where_no_chat_is() {
    let mut world = world();
    for room in ["investigation:1", "analysis:1", "user:ana"] {
        let ana = world.join(room, "ana");
        ask(&mut world, ana, "m1", "Oi?");
        cancel(&mut world, ana, &json!({"reply_to": "m1"}));
        let errors = told(&mut world, ana, &["error"]).into_iter().map(|(_, data)| data);
        let errors: Vec<Value> =
            errors.map(|data| json!([data["code"], data["original_type"], data["original_id"]])).collect();
        assert_eq!(
            errors,
            [json!(["UNKNOWN_TYPE", "chat", "m1"]), json!(["UNKNOWN_TYPE", "chat_cancel", null])],
            "{room}"
        );
    }
}

#[test]
fn whoever_asked_stops_an_answer_that_is_being_said() {
    let mut world = world();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    world.agent_adds(&answer, "um ");
    world.agent_adds(&answer, "dois");
    for which in [json!({"message_id": answer}), json!({"reply_to": "m1"})] {
        cancel(&mut world, bia, &which);
    }
    cancel(&mut world, bia, &json!({"reply_to": "m2"}));
    assert_eq!(errors(&mut world, bia), ["FORBIDDEN", "FORBIDDEN", "NOT_FOUND"]);
    cancel(&mut world, ana, &json!({"message_id": answer}));
    cancel(&mut world, ana, &json!({"message_id": answer}));
    assert_eq!(errors(&mut world, ana), ["NOT_FOUND"], "it is stopped once");
    assert_eq!(ends(&mut world, bia), [("cancelled".to_owned(), "um dois".to_owned())]);
    assert!(world.is_hushed(&answer));
    assert_eq!(world.agent_adds(&answer, "três"), None);
}

#[test]
fn a_question_that_waits_is_never_asked_once_it_is_stopped() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    for id in ["m1", "m2", "m3"] {
        ask(&mut world, ana, id, id);
    }
    world.evict(ROOM);
    cancel(&mut world, ana, &json!({"reply_to": "m2"}));
    assert_eq!(ends(&mut world, ana), [("cancelled".to_owned(), String::new())]);
    let answer = last_asked(&world);
    world.agent_completes(&answer);
    let asked: Vec<&Value> = world.asked().iter().map(|(_, body)| &body["message"]).collect();
    assert_eq!(asked, ["m1", "m3"]);
}

#[test]
fn what_a_failing_storage_did_not_take_can_be_said_again() {
    for statement in 1..20 {
        let mut world = world();
        let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
        world.counts(ROOM);
        world.sql(ROOM).fail_after(statement);
        ask(&mut world, ana, "m1", "Oi?");
        let failed = errors(&mut world, ana) == ["INTERNAL"];
        world.sql(ROOM).fail_after(0);
        assert_eq!(world.asked().len(), usize::from(!failed), "{statement}");
        ask(&mut world, ana, "m1", "Oi?");
        let acks = told(&mut world, ana, &["ack"]);
        assert_eq!(acks[0].1.get("duplicate").is_some(), !failed, "{statement}");
        assert_eq!((said(&mut world, bia).len(), world.asked().len(), world.logged(ROOM)), (1, 1, vec![1]));
    }
}
