//! The frames of the server, made from what the vectors say of them.

use std::rc::Rc;

use cidadao_realtime::batch::pack;
use cidadao_realtime::code::{Refusal, Reject};
use cidadao_realtime::files::Complete;
use cidadao_realtime::id::{ConnId, Id, RoomName, Seq};
use cidadao_realtime::limits::Limits;
use cidadao_realtime::message::Draft;
use cidadao_realtime::moment::{Millis, Moment};
use cidadao_realtime::presence::{Crowd, News};
use cidadao_realtime::protocol::{ErrorData, Original, ServerFrame, Start, Topic};
use cidadao_realtime::session::ConnectionType;
use serde_json::{Value, from_value, json};

use super::golden::{text, vectors};

pub(crate) fn parsed<T: std::str::FromStr>(case: &Value, field: &str) -> T {
    text(case, field).parse().ok().unwrap_or_else(|| panic!("bad {field} in {case}"))
}

pub(crate) fn moment() -> Moment {
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
pub(crate) fn encode(kind: &str, data: &Value) -> String {
    let mut moment = moment();
    let expires_at = || text(data, "expires_at").to_owned();
    let frame = match kind {
        "ack" => return ack(data, &mut moment),
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

fn ack(data: &Value, moment: &mut Moment) -> String {
    let (id, room) = (&parsed::<Id>(data, "id"), &parsed::<RoomName>(data, "room"));
    let (seq, duplicate) = (Seq(number(data, "seq")), data["duplicate"] == true);
    ServerFrame::Ack { id, room, seq, duplicate }.encode(moment)
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
            title: data["title"].as_str(),
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
    let named = |field: &str| data[field].as_str().map(|id| id.parse::<Id>().unwrap());
    let original = Original {
        kind: data["original_type"].as_str().map(str::to_owned),
        id: named("original_id"),
        file: named("file_id"),
        room: data["room"].as_str().map(|room| room.parse::<RoomName>().unwrap()),
        answer: named("message_id"),
        question: named("reply_to"),
    };
    let error = ErrorData::new(&refusal, None).of_file(None, data["offset"].as_u64());
    ServerFrame::Error(error.about(&original)).encode(moment)
}

/// A refusal with that code, and with a sentence and a time to wait if there are any.
pub(crate) fn refusal(data: &Value) -> Refusal {
    let reject = Reject::ALL.into_iter().find(|reject| reject.code() == text(data, "code")).unwrap();
    let refusal = match data["message"].as_str() {
        Some(message) => reject.because(message.to_owned()),
        None => reject.into(),
    };
    Refusal { wait: data["retry_after_ms"].as_u64(), ..refusal }
}

pub(crate) fn published(case: &Value) -> String {
    let draft = Draft::parse(text(case, "body").as_bytes(), &Limits::default()).unwrap().remove(0);
    let id: Id = draft.id.clone().unwrap_or_else(|| Id::from(moment().uuid()));
    assert_eq!(json!(id), case["id"], "{case}");
    draft.into_frame(&id, &parsed(case, "room"), case["seq"].as_u64().map(Seq), &moment().now.to_rfc3339())
}

pub(crate) fn batch(case: &Value) -> String {
    let messages: Vec<Rc<str>> =
        case["messages"].as_array().unwrap().iter().map(|m| m.as_str().unwrap().into()).collect();
    pack(&messages, moment().now, &Limits::default()).concat()
}
