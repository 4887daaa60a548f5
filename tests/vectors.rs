//! The golden vectors, which clients in other languages replay, against the code.
//!
//! `UPDATE_VECTORS=1` writes the bytes of `server-frames.json` anew instead of comparing them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "support/golden.rs"]
mod golden;
mod support;

use std::collections::BTreeSet;
use std::rc::Rc;

use cidadao_realtime::batch::{Priority, pack};
use cidadao_realtime::code::{CloseCode, Refusal, Reject};
use cidadao_realtime::files::Complete;
use cidadao_realtime::grants::{self, Grants};
use cidadao_realtime::id::{ConnId, Id, RoomName, Seq};
use cidadao_realtime::limits::Limits;
use cidadao_realtime::message::Draft;
use cidadao_realtime::moment::{Millis, Moment};
use cidadao_realtime::presence::{Crowd, News};
use cidadao_realtime::protocol::{
    AUTO_RESPONSE, Announcement, ClientFrame, ErrorData, ServerFrame, Start, Topic, error_body,
};
use cidadao_realtime::route::Route;
use cidadao_realtime::session::ConnectionType;
use golden::{cases, client_types, path, server_types, snake_case, text, variants, vectors};
use serde_json::{Value, from_value, json};
use support::world::World;

fn parsed<T: std::str::FromStr>(case: &Value, field: &str) -> T {
    text(case, field).parse().ok().unwrap_or_else(|| panic!("bad {field} in {case}"))
}

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
        Err(bad) => {
            let mut verdict = refused(&bad.refusal);
            if let Some(original_type) = bad.original_type {
                verdict["refused"]["original_type"] = original_type.into();
            }
            verdict
        }
    });
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
    told
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

// What the server sends.

fn moment() -> Moment {
    let all = vectors("server-frames");
    let random = u128::from_str_radix(text(&all, "random"), 16).unwrap();
    Moment::new(Millis(all["now"].as_u64().unwrap()), random.to_be_bytes())
}

fn number(data: &Value, field: &str) -> u64 {
    data[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {data}"))
}

fn sentence(data: &Value, field: &str) -> &'static str {
    text(data, field).to_owned().leak()
}

/// The frame of that type that says this.
fn encode(kind: &str, data: &Value) -> String {
    let mut moment = moment();
    let expires_at = || text(data, "expires_at").to_owned();
    let frame = match kind {
        "connection" | "connection_established" => return welcome(kind, data, &mut moment),
        "error" => return error(data, &mut moment),
        "heartbeat" | "subscribed" | "unsubscribed" => return subscription(kind, data, &mut moment),
        "upload_aborted" | "upload_complete" | "upload_progress" | "upload_ready" => {
            return upload(kind, data, &mut moment);
        }
        "pong" => ServerFrame::Pong {},
        "presence" => return presence(data, &mut moment),
        "refreshed" => ServerFrame::Refreshed { expires_at: expires_at() },
        "token_expiring" => {
            ServerFrame::TokenExpiring { expires_at: expires_at(), expires_in_ms: number(data, "expires_in_ms") }
        }
        _ => panic!("no such frame is known here: {kind}"),
    };
    frame.encode(&mut moment)
}

fn welcome(kind: &str, data: &Value, moment: &mut Moment) -> String {
    let (room, start) = (&parsed::<RoomName>(data, "room"), start(data));
    let connection_id = ConnId(parsed(data, "connection_id"));
    let presence = data.get("presence").map(crowd);
    let presence = presence.as_ref();
    let (message, reconnect_within_ms) = (sentence(data, "message"), number(data, "reconnect_within_ms"));
    if kind == "connection" {
        let (status, session_id) = (sentence(data, "status"), &parsed::<Id>(data, "session_id"));
        return ServerFrame::Connection {
            status,
            session_id,
            message,
            connection_id,
            room,
            start,
            reconnect_within_ms,
            presence,
        }
        .encode(moment);
    }
    let user_id = &parsed::<Id>(data, "user_id");
    let connection_type = ConnectionType::parse(text(data, "connection_type")).unwrap();
    ServerFrame::ConnectionEstablished {
        message,
        user_id,
        connection_type,
        connection_id,
        room,
        start,
        reconnect_within_ms,
        presence,
    }
    .encode(moment)
}

/// These users, each with what it shows.
fn users(list: &Value) -> impl Iterator<Item = (Id, Option<String>)> {
    let users = list.as_array().into_iter().flatten();
    users.map(|user| (parsed(user, "user_id"), user.get("state").map(Value::to_string)))
}

fn crowd(data: &Value) -> Crowd {
    match data.get("users") {
        Some(list) => Crowd::named(users(list).collect()),
        None => Crowd::counted(number(data, "count") as usize),
    }
}

/// Everything, or what is different from before: then others are there, of whom nothing is said.
fn presence(data: &Value, moment: &mut Moment) -> String {
    let room = &parsed::<RoomName>(data, "room");
    let lists = ["joined", "updated"].map(|list| users(&data[list]).collect::<Vec<_>>());
    let left: Vec<Id> = from_value(data["left"].clone()).unwrap_or_default();
    if lists.concat().is_empty() && left.is_empty() {
        return ServerFrame::Presence { room, news: News::Snapshot(&crowd(data)) }.encode(moment);
    }
    let others = lists.concat().len()..number(data, "count") as usize;
    let others = others.map(|n| (format!("other-{n}").parse::<Id>().unwrap(), None));
    let [joined, updated] = &lists;
    let changed = updated.iter().map(|(user, state)| (user.clone(), state.is_none().then(|| "{}".to_owned())));
    let before = others.clone().chain(changed).chain(left.into_iter().map(|user| (user, None))).collect();
    let now = others.chain(joined.iter().chain(updated).cloned()).collect();
    ServerFrame::Presence { room, news: Crowd::named(now).since(&Crowd::named(before)) }.encode(moment)
}

fn subscription(kind: &str, data: &Value, moment: &mut Moment) -> String {
    let room = &parsed::<RoomName>(data, "room");
    let topic = Topic::from(room);
    match kind {
        "heartbeat" => return ServerFrame::Heartbeat { topic, room }.encode(moment),
        "unsubscribed" => return ServerFrame::Unsubscribed { topic, room }.encode(moment),
        _ => {}
    }
    let (message, start) = (sentence(data, "message"), start(data));
    ServerFrame::Subscribed { topic, message, room, start }.encode(moment)
}

fn upload(kind: &str, data: &Value, moment: &mut Moment) -> String {
    let file_id = &parsed::<Id>(data, "file_id");
    let size = || number(data, "size");
    let owned = |field: &str| text(data, field).to_owned();
    let frame = match kind {
        "upload_aborted" => ServerFrame::UploadAborted { file_id },
        "upload_complete" => {
            let (file_id, seq, duplicate) = (file_id.clone(), Seq(number(data, "seq")), false);
            let [content_type, sha256, url] = ["content_type", "sha256", "url"].map(owned);
            let complete = Complete { file_id, size: size(), content_type, sha256, url, seq, duplicate };
            return ServerFrame::UploadComplete(&complete).encode(moment);
        }
        "upload_progress" => ServerFrame::UploadProgress { file_id, offset: number(data, "offset"), size: size() },
        _ => ServerFrame::UploadReady {
            file_id,
            handle: number(data, "handle").try_into().unwrap(),
            offset: number(data, "offset"),
            size: size(),
            window_bytes: number(data, "window_bytes"),
            frame_bytes: number(data, "frame_bytes").try_into().unwrap(),
        },
    };
    frame.encode(moment)
}

fn start(data: &Value) -> Start {
    Start { epoch: parsed(data, "epoch"), seq: Seq(number(data, "seq")), recovered: data["recovered"].as_bool() }
}

fn error(data: &Value, moment: &mut Moment) -> String {
    let refusal = refusal(data);
    let file = data["file_id"].as_str().map(|id| id.parse::<Id>().unwrap());
    let error = ErrorData::new(&refusal, data["original_type"].as_str());
    ServerFrame::Error(error.of_file(file.as_ref(), data["offset"].as_u64())).encode(moment)
}

/// A refusal with that code, and with a sentence and a time to wait if there are any.
fn refusal(data: &Value) -> Refusal {
    let reject = Reject::ALL.into_iter().find(|reject| reject.code() == text(data, "code")).unwrap();
    let refusal = match data["message"].as_str() {
        Some(message) => reject.because(message.to_owned()),
        None => reject.into(),
    };
    Refusal { wait: data["retry_after_ms"].as_u64(), ..refusal }
}

fn published(case: &Value) -> String {
    let draft = Draft::parse(text(case, "body").as_bytes(), &Limits::default()).unwrap().remove(0);
    let id: Id = draft.id.clone().unwrap_or_else(|| Id::from(moment().uuid()));
    assert_eq!(json!(id), case["id"], "{case}");
    draft.into_frame(&id, &parsed(case, "room"), case["seq"].as_u64().map(Seq), &moment().now.to_rfc3339())
}

fn batch(case: &Value) -> String {
    let messages: Vec<Rc<str>> =
        case["messages"].as_array().unwrap().iter().map(|m| m.as_str().unwrap().into()).collect();
    pack(&messages, moment().now, &Limits::default()).concat()
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

/// Writes the bytes into the file, which keeps its form.
fn update(all: &[(String, String)]) {
    let quoted = |text: &str| format!("\"bytes\": {}", json!(text));
    let mut file = std::fs::read_to_string(path("server-frames")).unwrap();
    for (old, new) in all.iter().filter(|(old, new)| old != new) {
        file = file.replacen(&quoted(old), &quoted(new), 1);
    }
    std::fs::write(path("server-frames"), file).unwrap();
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

#[test]
fn nothing_is_without_a_vector() {
    let frames = cases("client-frames", "cases");
    let accepted: Vec<&Value> = frames.iter().filter(|case| case.get("accepted").is_some()).collect();
    let kinds = accepted.iter().map(|case| text(&case["accepted"], "kind").to_owned()).collect();
    assert_covered(&variants(include_str!("../src/protocol/client.rs"), "ClientFrame"), &kinds);
    let sent = accepted.iter().filter_map(|case| serde_json::from_str::<Value>(text(case, "frame")).ok());
    assert_covered(&client_types(), &sent.map(|frame| text(&frame, "type").to_owned()).collect());

    let lists = ["frames", "batches"].map(|list| cases("server-frames", list)).concat();
    let sent = lists.iter().map(|case| serde_json::from_str::<Value>(text(case, "bytes")).unwrap());
    assert_covered(&server_types(), &sent.map(|frame| text(&frame, "type").to_owned()).collect());

    let routes = cases("routes", "cases");
    let kinds = routes.iter().filter_map(|case| case["route"]["kind"].as_str().map(str::to_owned)).collect();
    assert_covered(&variants(include_str!("../src/route.rs"), "Route"), &kinds);
}

fn assert_covered(all: &BTreeSet<String>, covered: &BTreeSet<String>) {
    assert!(all.len() > 1, "{all:?}");
    assert_eq!(all.difference(covered).collect::<Vec<_>>(), Vec::<&String>::new(), "without a vector");
}
