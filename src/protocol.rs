//! The frames of a connection: what clients send, what the server answers. Published messages are `message`'s.

mod answer;
mod chat;
mod client;
mod server;
mod upload;

pub(crate) use answer::whole_chunk;
pub use answer::{About, Fault, Said, Status};
pub use chat::{Chat, Which};
pub use client::{ClientFrame, Original};
pub use server::{ErrorData, ServerFrame, Start, Topic, error_body};
pub use upload::{Announcement, Part};

/// The subprotocol a client may ask for. Browsers that offer any must be answered with one of them.
pub const SUBPROTOCOL: &str = "cidadao.v1";

/// What the runtime answers by itself, while the room sleeps: exactly these bytes with exactly those.
pub const AUTO_RESPONSE: (&str, &str) = (r#"{"type":"ping"}"#, r#"{"type":"pong","data":{}}"#);
