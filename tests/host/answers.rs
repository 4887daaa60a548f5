//! What agents answer in chats: what everybody hears as it grows, what the log keeps of it, and what becomes of it when
//! something breaks.

use cidadao_realtime::code::Reject;
use cidadao_realtime::id::Id;
use cidadao_realtime::limits::Limits;
use serde_json::{Value, json};

use crate::support::chats::{
    ROOM, Screen, Shown, answered, ask, asked, chunks, connect_agent, ends, last_asked, pairs, told, with, world,
};
use crate::support::world::World;

#[test]
fn an_answer_is_told_as_it_grows_and_kept_as_one_message() {
    let mut world = world();
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    let zumbi = json!({"type": "agent_selected", "agent_id": "zumbi", "agent_name": "Zumbi dos Palmares"});
    world.agent_says(&answer, &zumbi);
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
        let all = |field: &str, kind: &str| {
            let frames = frames.iter().filter(|(of, _)| of == kind);
            frames.map(|(_, data)| data[field].clone()).filter(|value| !value.is_null()).collect::<Vec<_>>()
        };
        assert_eq!(all("stage", "typing"), ["asking", "agent_selected"]);
        assert_eq!(all("isTyping", "typing"), [true, true, false]);
        assert_eq!(all("content", "chat"), ["Olá, ", "mundo", "!"]);
        let whole = json!({"status": "completed", "role": "assistant", "content": "Olá, mundo!", "message_id": answer,
            "reply_to": "m1", "agent_id": "zumbi", "agent_name": "Zumbi dos Palmares", "suggested_actions": ["more"]});
        assert_eq!(frames.last(), Some(&("chat_complete".to_owned(), whole)));
    }
    assert_eq!(world.logged(ROOM), [1, 2]);
    assert!(world.streams().is_empty());
}

#[test]
fn one_chunk_in_forty_milliseconds_has_all_that_came_meanwhile() {
    let (mut world, ana, answer) = asked();
    for n in 0..100 {
        world.agent_adds(&answer, &format!("{n} "));
        world.pass(10);
    }
    let chunks = chunks(&mut world, ana);
    assert_eq!(chunks.len(), 26);
    assert!(chunks[1..].iter().all(|(snapshot, _)| !snapshot));
}

#[test]
fn what_streams_costs_no_rows() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m0", "A primeira dá o título");
    let first = last_asked(&world);
    world.agent_completes(&first);
    world.pass(10_000);
    let said = world.sql(ROOM).changes();
    ask(&mut world, ana, "m1", "Oi?");
    let (answer, before) = (last_asked(&world), world.sql(ROOM).changes());
    assert_eq!(before - said, 3, "the message, the question, that it is asked");
    for _ in 0..1_000 {
        world.agent_adds(&answer, "palavra ");
        world.pass(19);
    }
    let kept = world.sql(ROOM).changes() - before;
    assert!(kept <= 1 + 19_000 / 2_000, "{kept} rows for 1,000 chunks in 19 s");
    assert!(chunks(&mut world, ana).len() > 400);
    world.agent_completes(&answer);
    world.pass(2_000);
    let ended = world.sql(ROOM).changes() - before - kept;
    assert!(ended <= 3, "{ended} rows for its end");
    assert_eq!(world.sql(ROOM).numbers("SELECT count(*) FROM answers"), [0]);
}

#[test]
fn who_comes_in_the_middle_gets_what_was_said_and_then_the_rest() {
    let (mut world, ana, answer) = asked();
    world.agent_adds(&answer, "um ");
    world.pass(100);
    let bia = world.join(ROOM, "bia");
    world.agent_adds(&answer, "dois ");
    world.pass(100);
    world.evict(ROOM);
    let caio = world.join(ROOM, "caio");
    assert_eq!(chunks(&mut world, caio), [(true, "um dois ".to_owned())], "also of a room that has just been loaded");
    world.agent_adds(&answer, "três");
    world.pass(100);
    world.agent_completes(&answer);
    world.pass(100);
    assert_eq!(chunks(&mut world, caio), [(false, "três".to_owned())]);
    for conn in [ana, bia] {
        let frames = world.frames(conn);
        assert_eq!(Screen::of(frames.clone()), answered(&answer, "um dois três"), "{frames:#?}");
    }
}

#[test]
fn who_comes_back_behind_gets_what_it_missed_and_then_the_answer_so_far() {
    let mut world = World::new(Limits { page_messages: 2, ..Limits::default() });
    connect_agent(&mut world, &[]);
    let (ana, epoch) = (world.join(ROOM, "ana"), world.epoch(ROOM));
    world.tell(ROOM, 5);
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    world.agent_adds(&answer, "um ");
    world.pass(100);
    let bia = world.resume(ROOM, "bia", &epoch, 0);
    world.agent_adds(&answer, "dois");
    world.pass(100);
    let frames = world.frames(bia);
    let order: Vec<&Value> = frames.iter().filter(|frame| frame["room"] == ROOM).map(|frame| &frame["type"]).collect();
    assert_eq!(order, ["news", "news", "news", "news", "news", "chat", "chat"]);
    assert_eq!(frames.last().unwrap()["data"]["content"], "um dois");
    assert_eq!(frames.last().unwrap()["data"]["snapshot"], true);
}

#[test]
fn who_was_stopped_for_confirming_nothing_gets_the_answer_once_it_does() {
    let mut world = World::new(Limits { unacked_messages: 2, ..Limits::default() });
    connect_agent(&mut world, &[]);
    let (ana, bia) = (world.open(ROOM, "ana", &json!({"acks": true})), world.join(ROOM, "bia"));
    ask(&mut world, bia, "m1", "Oi?");
    let answer = last_asked(&world);
    world.agent_adds(&answer, "um ");
    world.tell(ROOM, 2);
    world.agent_adds(&answer, "dois ");
    world.pass(100);
    assert_eq!(chunks(&mut world, ana), [(true, "um ".to_owned())]);
    world.ack(ana, ROOM, 3);
    world.pass(100);
    assert_eq!(chunks(&mut world, ana), [(true, "um dois ".to_owned())]);
    world.agent_adds(&answer, "três");
    world.pass(100);
    assert_eq!(chunks(&mut world, ana), [(false, "três".to_owned())]);
}

#[test]
fn a_question_is_heard_before_anything_of_its_answer() {
    let mut world = World::new(Limits { send_micros: 300_000, batch_window: 800, ..Limits::default() });
    let (ana, bia) = (world.join(ROOM, "ana"), world.join(ROOM, "bia"));
    world.tell(ROOM, 1);
    ask(&mut world, ana, "m1", "Um?");
    ask(&mut world, ana, "m2", "Dois?");
    world.pass(60_000);
    let mut heard: Vec<String> = Vec::new();
    for frame in world.frames(bia) {
        let (question, ended) = (frame["data"]["reply_to"].as_str(), heard.contains(&"m1 ended".to_owned()));
        assert!(question.is_none_or(|id| heard.contains(&id.to_owned())), "{frame}");
        assert!(question != Some("m2") || ended, "the first answer ends before the second is begun: {frame}");
        heard.extend(frame["id"].as_str().map(str::to_owned));
        heard.extend((frame["type"] == "chat_complete").then(|| format!("{} ended", question.unwrap())));
    }
    assert!(heard.contains(&"m2 ended".to_owned()));
}

#[test]
fn questions_are_answered_in_their_order() {
    let mut world = world();
    let ana = world.join(ROOM, "ana");
    for id in ["m1", "m2", "m3"] {
        ask(&mut world, ana, id, id);
    }
    for id in ["m1", "m2", "m3"] {
        let answer = last_asked(&world);
        assert_eq!(world.streams(), std::slice::from_ref(&answer));
        world.agent_adds(&answer, id);
        world.agent_completes(&answer);
    }
    assert_eq!(ends(&mut world, ana), pairs(&[("completed", "m1"), ("completed", "m2"), ("completed", "m3")]));
}

#[test]
fn answers_side_by_side_never_mix() {
    let mut world = with(&[("AGENT_CONCURRENCY", "3")]);
    let ana = world.join(ROOM, "ana");
    for id in ["m1", "m2", "m3", "m4"] {
        ask(&mut world, ana, id, id);
    }
    let answers: Vec<Id> = world.asked().iter().map(|(answer, _)| answer.clone()).collect();
    assert_eq!(answers.len(), 3);
    for n in 0..5 {
        for (answer, which) in answers.iter().zip(1..) {
            world.agent_adds(answer, &format!("{which}{n} "));
        }
        world.pass(50);
    }
    world.agent_completes(&answers[2]);
    assert_eq!(world.asked().len(), 4, "the next is asked when one has ended");
    world.agent_completes(&answers[0]);
    world.agent_completes(&answers[1]);
    let shown = Screen::of(world.frames(ana));
    let texts: Vec<&str> = shown.iter().map(|shown| &*shown.text).collect();
    assert_eq!(texts, ["10 11 12 13 14 ", "20 21 22 23 24 ", "30 31 32 33 34 "]);
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
        let error = json!({"code": reject.code(), "message": reject.meaning(), "retry": true, "message_id": answer,
            "reply_to": "m1"});
        assert_eq!(frames[0], ("error".to_owned(), error));
        assert_eq!((&frames[1].1["status"], &frames[1].1["error"]["code"]), (&json!("failed"), &json!(reject.code())));
        assert_eq!(world.logged(ROOM), [1, 2]);
    }
}

#[test]
fn an_answer_that_is_too_long_fails_with_what_fits() {
    let mut world = World::new(Limits { answer_bytes: 100, agent_bytes: 1_000, ..Limits::default() });
    connect_agent(&mut world, &[("AGENT_CONCURRENCY", "3")]);
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Oi?");
    let answer = last_asked(&world);
    for _ in 0..5 {
        world.agent_adds(&answer, &"\"".repeat(10));
    }
    assert_eq!(ends(&mut world, ana), [], "100 bytes as JSON");
    world.agent_adds(&answer, "x");
    assert_eq!(ends(&mut world, ana), pairs(&[("failed", &*"\"".repeat(50))]));
    ask(&mut world, ana, "m2", "Oi?");
    let answer = last_asked(&world);
    for _ in 0..101 {
        world.agent_sends(&answer, b": hello\n\n\n");
    }
    assert_eq!(ends(&mut world, ana), pairs(&[("failed", "")]), "there is a bound for what says nothing, too");
    assert_eq!(world.agent_adds(&answer, "x"), None);
}

#[test]
fn no_frame_of_an_answer_is_larger_than_a_frame_may_be() {
    let (room, id) = (format!("chat:{}", "s".repeat(128)), "m".repeat(128));
    let long = "\u{1}".repeat(1_000);
    let stage = json!({"type": "agent_selected", "agent_id": long, "agent_name": long, "message": long});
    for last in [
        json!({"type": "complete", "more": long, "suggested_actions": [long]}),
        json!({"type": "error", "message": long}),
        json!({"type": "chunk", "content": long}),
    ] {
        let mut world = with(&[("MAX_MESSAGE_BYTES", "1024")]);
        let ana = world.join(&room, "ana");
        ask(&mut world, ana, &id, "Oi?");
        let answer = last_asked(&world);
        world.agent_says(&answer, &stage);
        world.agent_says(&answer, &json!({"type": "thinking", "agent_id": "i".repeat(79), "message": "m".repeat(96)}));
        for _ in 0..32 {
            world.agent_adds(&answer, "\u{1}");
        }
        world.agent_says(&answer, &last);
        let ends: Vec<Value> = world.frames(ana);
        assert!(ends.iter().any(|frame| frame["type"] == "chat_complete"), "{ends:#?}");
        for frame in &ends {
            assert!(frame.to_string().len() <= 1_024, "{} bytes: {frame}", frame.to_string().len());
        }
        assert_eq!(world.logged(&room), [1, 2]);
    }
}

#[test]
fn many_answers_in_a_large_room_never_want_to_be_told_in_the_past() {
    let mut world = World::new(Limits { send_micros: 5_000, ..Limits::default() });
    connect_agent(&mut world, &[("AGENT_CONCURRENCY", "3")]);
    let ana = world.join(ROOM, "ana");
    for n in 0..5 {
        world.join(ROOM, &format!("user-{n}"));
    }
    for id in ["m1", "m2", "m3", "m4"] {
        ask(&mut world, ana, id, id);
    }
    let answers: Vec<Id> = world.asked().iter().map(|(answer, _)| answer.clone()).collect();
    for n in 0..50 {
        for answer in &answers {
            world.agent_adds(answer, "palavra ");
        }
        world.pass(1 + n % 7);
    }
    for answer in answers {
        world.agent_completes(&answer);
        world.pass(1);
    }
}

#[test]
fn the_demonstration_answers_where_no_agent_is_set() {
    let mut world = World::default();
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Oi?");
    world.pass(60_000);
    let frames = world.frames(ana);
    let [Shown { text, status, .. }] = &Screen::of(frames.clone())[..] else { panic!("{frames:#?}") };
    assert!(text.contains("demonstração"), "{text}");
    assert_eq!(status, "completed");
    assert!(frames.iter().filter(|frame| frame["data"]["chunk"] == true).count() > 10);
}

#[test]
fn an_agent_that_remembers_nothing_is_told_what_led_to_the_question() {
    let mut world = with(&[("AGENT_KIND", "openai"), ("AGENT_PROMPT", "Seja breve.")]);
    let ana = world.join(ROOM, "ana");
    ask(&mut world, ana, "m1", "Um?");
    ask(&mut world, ana, "m2", "Dois?");
    world.tell(ROOM, 2);
    for text in ["1.", "2."] {
        let answer = last_asked(&world);
        let chunk = json!({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]});
        world.agent_says(&answer, &chunk);
        world.agent_ends(&answer);
    }
    let turns: Vec<Value> = [("system", "Seja breve."), ("user", "Um?"), ("assistant", "1."), ("user", "Dois?")]
        .map(|(role, content)| json!({"role": role, "content": content}))
        .into();
    assert_eq!(world.asked()[1].1["messages"], json!(turns));
    assert_eq!(ends(&mut world, ana), pairs(&[("completed", "1."), ("completed", "2.")]));
}

#[test]
fn a_client_of_today_that_missed_an_answer_gets_it_as_a_chunk() {
    let (mut world, ana, answer) = asked();
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
