//! Faults on purpose, in the tests' own build alone: `GET /fault/{room}/{panic|overflow|slow|lose}`, or `entry` for
//! the room (but not to `lose` it). `GET /fault/meter`: what the rooms have cost. And a `PUT` of a file with the header
//! `x-fault: panic` ends when the file has been put, before the room hears of it.

use worker::{Env, Request, Response, Result};

use super::call::room_stub;
use super::{bill, binding, reply};
use crate::id::RoomName;

/// Where a fault is asked for, if it is: in a room, or (`None`) in the entry.
pub(super) fn target(request: &Request) -> Option<Option<RoomName>> {
    let path = request.path();
    let room = path.strip_prefix("/fault/")?.split('/').next()?;
    Some(room.parse().ok())
}

/// Hands the fault to its target.
pub(super) async fn inject(env: &Env, room: &Option<RoomName>, request: &Request) -> Result<Response> {
    let path = request.path();
    let fault = path.rsplit('/').next().unwrap_or_default();
    match room {
        Some(room) => room_stub(env, room)?.fetch_with_str(&format!("https://room/{fault}")).await,
        None => strike(&format!("/{fault}")).await,
    }
}

/// Commits the fault, or says what was counted.
#[expect(clippy::panic, reason = "that is what it is for")]
pub(super) async fn strike(path: &str) -> Result<Response> {
    match path {
        "/panic" => panic!("provoked"),
        "/meter" => reply::json(200, &bill::take()),
        "/overflow" => Response::ok(overflow(1).to_string()),
        _ => {
            binding::sleep(1_500).await;
            Response::ok("slow")
        }
    }
}

/// The end of a request that asks for it.
#[expect(clippy::panic, reason = "that is what it is for")]
pub(super) fn end_here(request: &Request) {
    if super::header(request, "x-fault").as_deref() == Some("panic") {
        panic!("provoked");
    }
}

/// Uses up the stack: each call's result is needed after the next returns.
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> u64 {
    std::hint::black_box(overflow(std::hint::black_box(depth.wrapping_add(1)))).wrapping_add(depth)
}
