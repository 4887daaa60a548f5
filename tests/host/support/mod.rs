//! A world of rooms without a platform: real rooms, real SQL, no network and no clock.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and no test uses all of this"
)]

pub(crate) mod chats;
pub(crate) mod files;
pub(crate) mod people;
pub(crate) mod random;
pub(crate) mod sessions;
pub(crate) mod sql;
pub(crate) mod talkers;
pub(crate) mod world;
