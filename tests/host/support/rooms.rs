//! The rooms of most tests.

use cidadao_realtime::limits::Limits;

pub(crate) const CHAT: &str = "chat:s";
pub(crate) const HOME: &str = "user:ana";
pub(crate) const ROOM: &str = "investigation:1";
pub(crate) const SYSTEM: &str = "system:all";

/// Pages of three messages.
pub(crate) fn paged() -> Limits {
    Limits { page_messages: 3, ..Limits::default() }
}
