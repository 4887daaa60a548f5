//! What the core promises, shown on the host, without a platform, a network or a clock. One crate, linked once: each
//! file is a module whose first lines say what it claims, and `cargo test --test host recovery::` runs that one.
//!
//! - **The door.** `gate` is who may do what, `connections` how many a user has, how long and how fast; `fuzz`:
//!   whatever comes from outside, nothing panics.
//! - **A room.** `room` is who hears what, `log` what is kept of it, `upkeep` what is kept of members and followers.
//! - **Between rooms.** `following` is what a subscription promises, `system` what is for everybody.
//! - **Nothing is missed.** `recovery` goes on from cursors, `offline` without them, `pace` as fast as a client
//!   confirms; `crash` kills the runtime.
//! - **Chats.** `chat` is what people say, `answers` and `broken_answers` what agents do, `agent` how their bytes are
//!   read; `presence` and `typing` are who is there; `sessions` and `deletion` are whose a chat is and how it ends;
//!   `uploads` and `files` are what is sent to it; `interplay` is what these do to one another.
//! - **In any order.** `simulation`, `chat_simulation` and `properties` draw what happens, and look at what holds.
//! - **What others read.** `vectors` and `documents` hold the protocol's files against the code, `contract` the README,
//!   the settings and the entry.
//!
//! `support` is what they share: a world of real rooms on real SQL, in which calls are lost and time passes when it is
//! told to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and its numbers are small"
)]

mod agent;
mod answers;
mod broken_answers;
mod chat;
mod chat_simulation;
mod connections;
mod contract;
mod crash;
mod deletion;
mod documents;
mod every_chunk;
mod files;
mod following;
mod fuzz;
mod gate;
mod interplay;
mod log;
mod offline;
mod pace;
mod presence;
mod properties;
mod recovery;
mod room;
mod sessions;
mod simulation;
mod support;
mod system;
mod typing;
mod upkeep;
mod uploads;
mod vectors;
