//! What tests of chat sessions have in common: who asks, what is answered, what is stored.

use cidadao_realtime::asker::Asker;
use cidadao_realtime::chat_session::{Act, Title};
use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use cidadao_realtime::sql::{Sql, Value as Column};
use serde_json::{Value, json};

use super::rooms::CHAT;
use super::world::World;

/// A world whose chat sessions have owners.
pub(crate) fn world() -> World {
    World::with_owners(Limits::default())
}

/// Somebody whose token names no rooms.
pub(crate) fn user(name: &str) -> Asker {
    Asker { user: name.parse().unwrap(), service: false, granted: false }
}

pub(crate) fn service() -> Asker {
    Asker { service: true, ..user("backend") }
}

pub(crate) fn invite(name: &str) -> Act {
    Act::Invite(name.parse().unwrap())
}

pub(crate) fn dismiss(name: &str) -> Act {
    Act::Dismiss(name.parse().unwrap())
}

pub(crate) fn rename(title: &str) -> Act {
    Act::Rename(Title::parse(json!({ "title": title }).to_string().as_bytes()).unwrap())
}

/// What somebody is told of the session.
pub(crate) fn described(world: &mut World, asker: &Asker) -> Value {
    serde_json::to_value(world.obey(CHAT, asker, Act::Describe).unwrap()).unwrap()
}

pub(crate) fn owner(world: &mut World) -> Value {
    described(world, &service())["owner"].clone()
}

pub(crate) fn code(world: &mut World, conn: ConnId) -> Value {
    world.frames(conn).pop().unwrap()["data"]["code"].clone()
}

/// All that a room stores, but what is drawn anew with each room.
pub(crate) fn stored(world: &mut World, room: &str) -> Vec<(String, Vec<Vec<Column>>)> {
    let sql = world.sql(room);
    let names = sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", &[]).unwrap();
    let names = names.into_iter().map(|mut row| row.remove(0).text().unwrap());
    let columns =
        |name: &str| if name == "marks" { "one, version, sent, settled, occupied, clean" } else { "*" }.to_owned();
    let rows = |name: &str| sql.exec(&format!("SELECT {} FROM {name}", columns(name)), &[]).unwrap();
    names.map(|name| (name.clone(), rows(&name))).collect()
}
