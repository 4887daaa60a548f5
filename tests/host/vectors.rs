//! The golden vectors, which clients in other languages replay, against the code.
//!
//! `UPDATE_VECTORS=1` writes the bytes of `server-frames.json` anew instead of comparing them.

use std::collections::BTreeSet;

use cidadao_realtime::batch::Priority;
use cidadao_realtime::code::{CloseCode, Refusal, Reject};
use cidadao_realtime::grants::{self, Grants};
use cidadao_realtime::id::{Id, RoomName};
use cidadao_realtime::limits::Limits;
use cidadao_realtime::message::Draft;
use cidadao_realtime::protocol::{AUTO_RESPONSE, Announcement, ClientFrame, Original, Which, error_body};
use cidadao_realtime::route::Route;
use serde_json::{Map, Value, from_value, json};

use crate::support::chats;
use crate::support::frames::{batch, encode, moment, parsed, published, refusal};
use crate::support::golden::{cases, client_types, path, server_types, snake_case, text, variants, vectors};
use crate::support::world::World;

/// Runs every case: what comes of it is what the case says beside its name and what goes in.
fn replay(file: &str, list: &str, inputs: &[&str], run: impl Fn(&Value) -> Value) {
    let mut names = BTreeSet::new();
    for case in cases(file, list) {
        let mut expected = case.clone();
        expected.as_object_mut().unwrap().retain(|field, _| field != "name" && !inputs.contains(&field.as_str()));
        assert_eq!(run(&case), expected, "{file}, {list}: {case}");
        assert!(case.get("name").is_none_or(|name| names.insert(name.to_string())), "twice: {}", case["name"]);
    }
}

fn refused(refusal: &Refusal) -> Value {
    let mut verdict = json!({"refused": {"code": refusal.reject.code()}});
    refusal.headers().into_iter().for_each(|(name, value)| verdict["refused"][name] = value.into());
    verdict
}

// The vectors.

#[test]
fn the_codes_are_those_there_are() {
    let row = |reject: Reject| {
        json!({"code": reject.code(), "status": reject.status(), "retry": reject.retry(),
               "close": CloseCode::from(reject).number(), "meaning": reject.meaning()})
    };
    assert_eq!(cases("codes", "codes"), Reject::ALL.map(row));
}

#[test]
fn frames_of_clients_are_accepted_or_refused() {
    replay("client-frames", "cases", &["frame"], |case| match ClientFrame::decode(text(case, "frame")) {
        Ok(frame) => json!({"accepted": told(&frame)}),
        Err(refusal) => {
            let mut verdict = refused(&refusal);
            verdict["refused"].as_object_mut().unwrap().extend(names(&Original::of(text(case, "frame"))));
            verdict
        }
    });
}

/// What a refusal names of a frame.
fn names(Original { kind, id, file, room, answer, question }: &Original) -> Map<String, Value> {
    let all = json!({"original_type": kind, "original_id": id, "file_id": file, "room": room.as_ref().map(ToString::to_string),
        "message_id": answer, "reply_to": question});
    all.as_object().unwrap().clone().into_iter().filter(|(_, name)| !name.is_null()).collect()
}

/// The first word of a value's `Debug`: the name of its variant.
fn kind(value: &impl std::fmt::Debug) -> String {
    snake_case(format!("{value:?}").split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())
}

fn told(frame: &ClientFrame) -> Value {
    let mut told = json!({"kind": kind(frame)});
    if let ClientFrame::Subscribe(room, _) | ClientFrame::Unsubscribe(room) | ClientFrame::Ack(Some(room), _) = frame {
        told["room"] = room.to_string().into();
    }
    if let ClientFrame::Subscribe(_, Some(cursor)) = frame {
        (told["epoch"], told["since"]) = (json!(cursor.epoch), json!(cursor.seq));
    }
    if let ClientFrame::Ack(_, seq) = frame {
        told["seq"] = json!(seq);
    }
    if let ClientFrame::Refresh(token) = frame {
        told["token"] = token.as_str().into();
    }
    if let ClientFrame::Presence(state) = frame {
        told["state"] = state.as_str().into();
    }
    if let ClientFrame::Typing(typing) = frame {
        told["typing"] = json!(typing);
    }
    if let ClientFrame::Upload(Announcement { id, name, size, content_type, sha256 }) = frame {
        told = json!({"kind": "upload", "id": id, "name": name, "size": size, "content_type": content_type});
        sha256.iter().for_each(|hash| told["sha256"] = hash.as_str().into());
    }
    if let ClientFrame::UploadAbort(id) = frame {
        told["file_id"] = id.as_str().into();
    }
    told_of_chat(frame, &mut told);
    told
}

/// What is said in a chat, or which answer is meant.
fn told_of_chat(frame: &ClientFrame, told: &mut Value) {
    let mut tell = |field: &str, text: Option<&str>| text.into_iter().for_each(|text| told[field] = text.into());
    if let ClientFrame::ChatCancel(Which::Answer(id)) = frame {
        tell("message_id", Some(id.as_str()));
    }
    if let ClientFrame::ChatCancel(Which::To(id)) = frame {
        tell("reply_to", Some(id.as_str()));
    }
    let ClientFrame::Chat(chat) = frame else { return };
    tell("id", chat.id.as_ref().map(Id::as_str));
    tell("content", Some(&chat.content));
    tell("context", chat.context.as_deref());
    tell("agent_id", chat.agent.as_ref().map(Id::as_str));
    if !chat.ask {
        told["ask"] = false.into();
    }
}

#[test]
fn bodies_are_accepted_or_refused() {
    let run = |case: &Value| match Draft::parse(&body(case), &Limits::default()) {
        Ok(drafts) => {
            let priorities: Vec<&str> = drafts.iter().map(|draft| priority(draft.priority())).collect();
            json!({"accepted": {"count": drafts.len(), "priorities": priorities}})
        }
        Err(refusal) => refused(&refusal),
    };
    replay("messages", "cases", &["body", "body_hex"], run);
}

fn body(case: &Value) -> Vec<u8> {
    let Some(hex) = case.get("body_hex") else { return text(case, "body").into() };
    let digits: Vec<char> = hex.as_str().unwrap().chars().collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

const fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "critical",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

#[test]
fn ids_and_names_of_rooms_are_valid_or_not() {
    let valid = |case: &Value| json!({"valid": text(case, "id").parse::<Id>().is_ok()});
    replay("ids", "ids", &["id"], valid);
    replay("ids", "rooms", &["room"], |case| match text(case, "room").parse::<RoomName>() {
        Ok(room) => json!({"valid": true, "kind": room.kind().as_str(), "id": room.id()}),
        Err(_) => json!({"valid": false}),
    });
}

#[test]
fn a_token_opens_a_room_or_not() {
    replay("grants", "cases", &["claims", "room"], |case| {
        let rooms: Option<Grants> = case["claims"].get("rooms").map(|rooms| from_value(rooms.clone()).unwrap());
        json!({"allowed": grants::check(rooms.as_ref(), &parsed(case, "room")).is_ok()})
    });
    for case in cases("grants", "bad") {
        assert!(from_value::<Grants>(case["claims"]["rooms"].clone()).is_err(), "{case}");
    }
}

#[test]
fn paths_have_their_routes() {
    use Route::{BringFile, Connect, Disconnect, Dismiss, Erase, File, History, Invite, Publish, Rename, Status};
    replay("routes", "cases", &["method", "path"], |case| {
        let route = match Route::parse(text(case, "method"), text(case, "path")) {
            Ok(route) => route,
            Err(refusal) => return refused(&refusal),
        };
        let mut told = json!({"kind": kind(&route)});
        if let Connect(room) | Disconnect(room) | Erase(room) | History(room) | Publish(room) | Rename(room) = &route {
            told["room"] = room.to_string().into();
        }
        if let Dismiss(room, user) | Invite(room, user) = &route {
            (told["room"], told["user"]) = (room.to_string().into(), user.as_str().into());
        }
        if let Status(room, message) = &route {
            (told["room"], told["message"]) = (room.to_string().into(), message.as_str().into());
        }
        if let File(room, file) | BringFile(room, file) = &route {
            (told["room"], told["file"]) = (room.to_string().into(), file.as_str().into());
        }
        json!({"route": told})
    });
}

/// The bytes of every case of a list, as they are and as the code makes them.
fn made(list: &str, make: fn(&Value) -> String) -> Vec<(String, String)> {
    cases("server-frames", list).iter().map(|case| (text(case, "bytes").to_owned(), make(case))).collect()
}

#[test]
fn the_server_sends_exactly_these_bytes() {
    let frames = made("frames", |case| encode(text(case, "type"), &case["data"]));
    let http = made("http", |case| error_body(&refusal(case)));
    let all = [frames, made("messages", published), made("batches", batch), http].concat();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        return update(&all);
    }
    for (expected, bytes) in all {
        assert_eq!(bytes, expected);
    }
}

/// Writes the bytes into the file, which keeps its form, and is whole whenever another test reads it.
fn update(all: &[(String, String)]) {
    let quoted = |text: &str| format!("\"bytes\": {}", json!(text));
    let mut file = std::fs::read_to_string(path("server-frames")).unwrap();
    for (old, new) in all.iter().filter(|(old, new)| old != new) {
        file = file.replacen(&quoted(old), &quoted(new), 1);
    }
    let new = path("server-frames").with_extension("new");
    std::fs::write(&new, file).unwrap();
    std::fs::rename(new, path("server-frames")).unwrap();
}

#[test]
fn the_bytes_of_a_frame_say_what_its_vector_says() {
    for case in cases("server-frames", "frames") {
        let frame: Value = serde_json::from_str(text(&case, "bytes")).unwrap();
        assert_eq!((&frame["type"], &frame["data"]), (&case["type"], &case["data"]));
        assert_eq!((&frame["timestamp"], &frame["id"]), (&json!(moment().now.to_rfc3339()), &json!(moment().uuid())));
    }
    let pong = &vectors("server-frames")["pong"];
    assert_eq!((text(pong, "ping"), text(pong, "bytes")), AUTO_RESPONSE);
}

/// A frame's data without what is different each time.
fn lasting(data: &Value) -> Value {
    let mut data = data.clone();
    let conn = data["connection_id"].clone();
    let drawn =
        |name: &str, value: &Value| matches!(name, "epoch" | "seq") || name.ends_with("_within_ms") || *value == conn;
    data.as_object_mut().unwrap().retain(|name, value| !drawn(name, value));
    data
}

#[test]
fn a_room_says_what_the_vectors_say() {
    let mut world = World::default();
    let (chat, general) = (world.join("chat:sessao-1", "ana"), world.connect("ana"));
    let investigation = world.join("investigation:inv-123", "ana");
    world.follow(general, "investigation:inv-123");
    world.unsubscribe(general, "investigation:inv-123");
    let known: Vec<Value> = cases("server-frames", "frames").iter().map(|case| lasting(&case["data"])).collect();
    for frame in [chat, general, investigation].into_iter().flat_map(|conn| world.frames(conn)) {
        assert!(known.contains(&lasting(&frame["data"])), "{frame}");
    }
}

/// What a frame of a chat has: its type, how it ended if it did, and the names of its fields.
fn shape(frame: &Value) -> (String, Value, Vec<String>) {
    let data = &frame["data"];
    let fields = data.as_object().into_iter().flat_map(|data| data.keys().cloned()).collect();
    (text(frame, "type").to_owned(), data["status"].clone(), fields)
}

#[test]
fn a_chat_says_what_the_vectors_say() {
    let mut world = chats::with(&[("AGENT_CONCURRENCY", "4")]);
    let (ana, bia) = (world.join("chat:sessao-1", "ana"), world.join("chat:sessao-1", "bia"));
    for id in ["msg_1", "msg_1", "msg_2", "msg_3", "msg_4"] {
        chats::ask(&mut world, ana, id, "Quanto custou a ponte?");
    }
    chats::say(&mut world, bia, "msg_1");
    chats::cancel(&mut world, ana, &json!({"reply_to": "msg_9"}));
    let answers: Vec<Id> = world.asked().iter().map(|(answer, _)| answer.clone()).collect();
    let zumbi =
        json!({"type": "agent_selected", "agent_id": "zumbi", "agent_name": "Zumbi dos Palmares", "message": "!"});
    for answer in [&answers[0], &answers[3]] {
        world.agent_says(answer, &zumbi);
        world.agent_adds(answer, "A ponte ");
        world.pass(2_500);
        world.agent_adds(answer, "custou ");
    }
    world.agent_completes(&answers[0]);
    chats::cancel(&mut world, ana, &json!({"message_id": answers[1]}));
    world.agent_breaks(&answers[2], Reject::AgentTimeout);
    let before = [ana, bia].into_iter().flat_map(|conn| world.frames(conn)).collect::<Vec<Value>>();
    let epoch = world.epoch("chat:sessao-1");
    world.crash("chat:sessao-1");
    let ana = world.resume("chat:sessao-1", "ana", &epoch, 0);
    world.pass(1_000);
    let lists = ["frames", "messages"].map(|list| cases("server-frames", list)).concat();
    let known = lists.iter().filter_map(|case| serde_json::from_str::<Value>(text(case, "bytes")).ok());
    let known: BTreeSet<String> = known.map(|frame| format!("{:?}", shape(&frame))).collect();
    let said = before.into_iter().chain(world.frames(ana));
    let said: BTreeSet<String> = said.map(|frame| format!("{:?}", shape(&frame))).collect();
    assert_covered(&said, &known);
}

#[test]
fn nothing_is_without_a_vector() {
    let frames = cases("client-frames", "cases");
    let accepted: Vec<&Value> = frames.iter().filter(|case| case.get("accepted").is_some()).collect();
    let kinds = accepted.iter().map(|case| text(&case["accepted"], "kind").to_owned()).collect();
    assert_covered(&variants(include_str!("../../src/protocol/client.rs"), "ClientFrame"), &kinds);
    let sent = accepted.iter().filter_map(|case| serde_json::from_str::<Value>(text(case, "frame")).ok());
    assert_covered(&client_types(), &sent.map(|frame| text(&frame, "type").to_owned()).collect());

    let lists = ["frames", "batches"].map(|list| cases("server-frames", list)).concat();
    let sent = lists.iter().map(|case| serde_json::from_str::<Value>(text(case, "bytes")).unwrap());
    assert_covered(&server_types(), &sent.map(|frame| text(&frame, "type").to_owned()).collect());

    let routes = cases("routes", "cases");
    let kinds = routes.iter().filter_map(|case| case["route"]["kind"].as_str().map(str::to_owned)).collect();
    assert_covered(&variants(include_str!("../../src/route.rs"), "Route"), &kinds);
}

fn assert_covered(all: &BTreeSet<String>, covered: &BTreeSet<String>) {
    assert!(all.len() > 1, "{all:?}");
    assert_eq!(all.difference(covered).collect::<Vec<_>>(), Vec::<&String>::new(), "without a vector");
}
