//! Chats with agents: what is asked, what everybody hears of the answer, and what the log keeps of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use cidadao_realtime::code::Reject;
use cidadao_realtime::id::{ConnId, Id};
use serde_json::{Value, json};
use support::world::World;

const ROOM: &str = "chat:s";

/// A world with an agent of the backend's kind.
fn world() -> World {
    let mut world = World::default();
    world.set(&[("AGENT_URL", "http://agent.test/api/v1/chat/stream")]);
    world
}

fn ask(world: &mut World, conn: ConnId, id: &str, content: &str) {
    world.send(conn, &json!({"type": "chat", "id": id, "data": {"content": content}}));
}

/// The answer that was asked for last.
fn last_asked(world: &World) -> Id {
    world.asked().last().unwrap().0.clone()
}

/// The frames of these types since this was last asked, as type and data.
fn told(world: &mut World, conn: ConnId, types: &[&str]) -> Vec<(String, Value)> {
    let frames = world.frames(conn).into_iter();
    let frames = frames.filter(|frame| types.contains(&frame["type"].as_str().unwrap()));
    frames.map(|frame| (frame["type"].as_str().unwrap().to_owned(), frame["data"].clone())).collect()
}

/// The answers as a client shows them: what chunks added up to, and how each ended.
fn shown(frames: &[Value]) -> Vec<(String, String, String)> {
    let mut answers: Vec<(String, String, String)> = Vec::new();
    for frame in frames {
        let data = &frame["data"];
        let Some(id) = data["message_id"].as_str() else { continue };
        let place = answers.iter().position(|(known, ..)| known == id).unwrap_or_else(|| {
            answers.push((id.to_owned(), String::new(), String::new()));
            answers.len() - 1
        });
        let (_, text, status) = &mut answers[place];
        let content = data["content"].as_str().unwrap_or_default();
        match frame["type"].as_str().unwrap() {
            "chat" if data["snapshot"] == true => content.clone_into(text),
            "chat" => text.push_str(content),
            "chat_complete" => {
                assert!(content.starts_with(&**text), "{text:?} is no beginning of {content:?}");
                data["status"].as_str().unwrap().clone_into(status);
                content.clone_into(text);
            }
            _ => {}
        }
    }
    answers
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
fn an_answer_is_told_as_it_grows_and_kept_as_one_message() {
    let mut world = world();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    world.agent_says(
        &answer,
        &json!({"type": "agent_selected", "agent_id": "zumbi", "agent_name": "Zumbi dos Palmares"}),
    );
    world.agent_adds(&answer, "Olá, ");
    world.agent_adds(&answer, "mun");
    world.agent_adds(&answer, "do");
    world.pass(1_000);
    world.agent_adds(&answer, "!");
    world.agent_completes(&answer);
    world.pass(1_000);
    for conn in [ana, bia] {
        let frames = told(&mut world, conn, &["typing", "chat", "chat_complete"]);
        let frames: Vec<(String, Value)> = frames.into_iter().filter(|(_, data)| data["role"] != "user").collect();
        let stages: Vec<&Value> =
            frames.iter().map(|(_, data)| &data["stage"]).filter(|stage| stage.is_string()).collect();
        assert_eq!(stages, ["asking", "agent_selected"]);
        let chunks: Vec<&str> = frames
            .iter()
            .filter(|(kind, _)| kind == "chat")
            .map(|(_, data)| data["content"].as_str().unwrap())
            .collect();
        assert_eq!(chunks, ["Olá, ", "mundo", "!"]);
        let whole = json!({"status": "completed", "role": "assistant", "content": "Olá, mundo!", "message_id": answer,
            "reply_to": "m1", "agent_id": "zumbi", "agent_name": "Zumbi dos Palmares", "suggested_actions": ["more"]});
        assert_eq!(frames.last(), Some(&("chat_complete".to_owned(), whole)));
        assert_eq!(frames[frames.len() - 2].1["isTyping"], false);
    }
    assert_eq!(world.logged(ROOM), [1, 2]);
    assert!(world.streams().is_empty());
}

#[test]
fn who_comes_in_the_middle_gets_what_was_said_and_then_the_rest() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    world.agent_adds(&answer, "um ");
    world.pass(100);
    let bia = world.join(ROOM, "bia");
    world.agent_adds(&answer, "dois ");
    world.pass(100);
    world.evict(ROOM);
    let caio = world.join(ROOM, "caio");
    world.agent_adds(&answer, "três");
    world.pass(100);
    world.agent_completes(&answer);
    world.pass(100);
    for conn in [ana, bia, caio] {
        let frames = world.frames(conn);
        assert_eq!(
            shown(&frames),
            [(answer.to_string(), "um dois três".to_owned(), "completed".to_owned())],
            "{frames:#?}"
        );
    }
}

#[test]
fn an_answer_that_died_with_the_runtime_is_closed_on_return() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Oi?");
    let (answer, epoch) = (last_asked(&world), world.epoch(ROOM));
    world.agent_adds(&answer, "um ");
    world.pass(3_000);
    world.agent_adds(&answer, "dois");
    world.crash(ROOM);
    let ana = world.resume(ROOM, "ana", &epoch, 1);
    world.pass(100);
    let ends = told(&mut world, ana, &["chat_complete"]);
    assert_eq!((&ends[0].1["status"], &ends[0].1["content"]), (&json!("interrupted"), &json!("um ")));
    assert_eq!(world.agent_adds(&answer, "x"), None);
}

#[test]
fn an_agent_that_cannot_be_had_is_an_error_and_an_end() {
    for reject in [Reject::AgentUnavailable, Reject::AgentFailed] {
        let mut world = world();
        let ana = world.join(ROOM, "ana");
        ask(&mut world, ana, "m1", "Oi?");
        let answer = last_asked(&world);
        world.agent_breaks(&answer, reject);
        let frames = told(&mut world, ana, &["error", "chat_complete"]);
        assert_eq!((&frames[0].1["code"], &frames[0].1["reply_to"]), (&json!(reject.code()), &json!("m1")));
        assert_eq!((&frames[1].1["status"], &frames[1].1["error"]["code"]), (&json!("failed"), &json!(reject.code())));
    }
}

#[test]
fn the_demonstration_answers_where_no_agent_is_set() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Oi?");
    world.pass(60_000);
    let frames = world.frames(ana);
    let [(_, text, status)] = &shown(&frames)[..] else { panic!("{frames:#?}") };
    assert!(text.contains("demonstração"), "{text}");
    assert_eq!(status, "completed");
    assert!(frames.iter().filter(|frame| frame["data"]["chunk"] == true).count() > 10);
}

#[test]
fn a_client_of_today_that_missed_an_answer_gets_it_as_a_chunk() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    world.leave(ana);
    world.agent_adds(&answer, "Olá!");
    world.agent_completes(&answer);
    world.pass(1_000);
    let (old, new) = (world.join(ROOM, "ana"), world.open(ROOM, "ana", &json!({"batches": true})));
    world.pass(1_000);
    let kinds = |frames: Vec<(String, Value)>| {
        frames.into_iter().map(|(kind, data)| (kind, data["content"].clone())).collect::<Vec<_>>()
    };
    let [chunk, complete] = ["chat", "chat_complete"].map(|kind| (kind.to_owned(), json!("Olá!")));
    assert_eq!(kinds(told(&mut world, old, &["chat", "chat_complete"])), [chunk, complete.clone()]);
    assert_eq!(kinds(told(&mut world, new, &["chat", "chat_complete"])), [complete]);
}
