//! Live updates for Cidadão.AI: a room is a log with sockets and followers.
//!
//! The core is everything but `edge`. It knows no platform, reads no clock and draws no randomness: the platform tells
//! a [`room::Room`] what happened and when, the room writes to its storage and says what is to be done.
//!
//! A newcomer reads [`protocol`], [`room`] and then whatever is of interest.

pub mod agent;
pub mod answers;
pub mod asker;
pub mod auth;
pub mod batch;
pub mod chat_session;
pub mod code;
pub mod config;
pub mod connections;
pub mod disconnect;
#[cfg(target_arch = "wasm32")]
mod edge;
pub mod files;
pub mod flow;
pub mod followers;
pub mod gate;
pub mod grants;
pub mod health;
pub mod history;
pub mod id;
mod json;
pub mod limits;
pub mod link;
pub mod log;
pub mod marks;
pub mod members;
pub mod message;
pub mod meter;
pub mod moment;
pub mod origin;
pub mod peer;
pub mod presence;
pub mod protocol;
pub mod query;
pub mod reach;
pub mod room;
pub mod route;
mod schema;
pub mod session;
pub mod sql;
pub mod subscriptions;
pub mod tickets;
pub mod turn;
pub mod typing;
