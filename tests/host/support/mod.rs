//! What tests share. In its `world` there is no platform: real rooms, real SQL, no network and no clock.

pub(crate) mod chats;
pub(crate) mod files;
pub(crate) mod flights;
pub(crate) mod frames;
pub(crate) mod golden;
pub(crate) mod heard;
pub(crate) mod people;
pub(crate) mod random;
pub(crate) mod rooms;
pub(crate) mod sessions;
pub(crate) mod sql;
pub(crate) mod talkers;
pub(crate) mod tokens;
pub(crate) mod world;
