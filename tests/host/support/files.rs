//! Files that people send, and what a chat keeps of them.

use cidadao_realtime::files::Offer;
use cidadao_realtime::files::sniff::Inspection;
use cidadao_realtime::id::ConnId;
use cidadao_realtime::room::{Failure, Permit, Place};
use serde_json::{Value, json};

use super::rooms::CHAT;
use super::world::World;

pub(crate) const FRAME: usize = 256 << 10;

/// A PDF of so many bytes, no two parts of which are the same.
pub(crate) fn pdf(size: usize) -> Vec<u8> {
    let noise = (0..size).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8);
    let mut bytes = b"%PDF-1.7\n".to_vec();
    bytes.extend(noise.skip(9));
    bytes.truncate(size);
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut inspection = Inspection::default();
    inspection.push(bytes);
    inspection.finish().sha256
}

pub(crate) fn about(bytes: &[u8]) -> Value {
    json!({"name": "nota.pdf", "size": bytes.len(), "content_type": "application/pdf", "sha256": sha256(bytes)})
}

/// A file that somebody brings over HTTP.
pub(crate) fn offer(user: &str, id: &str, bytes: &[u8]) -> Offer {
    let (name, content_type) = ("nota.pdf".to_owned(), "application/pdf".to_owned());
    let (id, user, size) = (id.parse().unwrap(), user.parse().unwrap(), bytes.len() as u64);
    Offer { id, user, name, size, content_type, sha256: Some(sha256(bytes)) }
}

/// Where a file that may come is to be put.
pub(crate) fn place(permit: Result<Permit, Failure>) -> Place {
    match permit {
        Ok(Permit::Place(place)) => place,
        other => panic!("{other:?}"),
    }
}

/// Sends all that is missing of a file.
pub(crate) fn send(world: &mut World, conn: ConnId, id: &str, bytes: &[u8]) {
    let Some((handle, offset)) = world.announce(conn, id, &about(bytes)) else { return };
    for (place, part) in bytes.chunks(FRAME).enumerate() {
        let start = place * FRAME;
        let known = (offset as usize).saturating_sub(start).min(part.len());
        if known < part.len() {
            world.send_part(conn, handle, (start + known) as u64, &part[known..]);
        }
    }
}

/// How often the room's log tells of a file.
pub(crate) fn told(world: &mut World, id: &str) -> usize {
    let epoch = world.epoch(CHAT);
    let late = world.resume(CHAT, "late", &epoch, 0);
    world.pass(1_000);
    let frames = world.frames(late);
    world.leave(late);
    frames.iter().filter(|frame| frame["type"] == "file" && frame["id"] == id).count()
}

/// What a chat keeps of files that are not there.
pub(crate) fn leftovers(world: &mut World) -> Vec<u64> {
    let tables = ["uploads", "discards", "sqlite_schema WHERE name GLOB 'upload_*'"];
    tables.iter().flat_map(|table| world.sql(CHAT).numbers(&format!("SELECT count(*) FROM {table}"))).collect()
}
