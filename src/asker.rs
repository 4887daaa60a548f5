//! Who asks something of a room, as far as the room has to know.

use serde::{Deserialize, Serialize};

use crate::grants::Grants;
use crate::id::{Id, RoomName};

/// Whoever stands behind a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// Whose token it is.
    pub user: Id,
    /// Whether it is a service's.
    pub service: bool,
    /// Whether its claim `rooms` names the room, or all of its kind. A token without the claim names none.
    pub granted: bool,
}

impl Asker {
    /// Who comes to that room with what a token says.
    pub fn new(user: &Id, service: bool, rooms: Option<&Grants>, room: &RoomName) -> Self {
        Self { user: user.clone(), service, granted: rooms.is_some_and(|rooms| rooms.allows(room)) }
    }
}
