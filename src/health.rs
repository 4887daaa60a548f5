//! How the worker says how it is.

use serde::Serialize;

use crate::config::Config;
use crate::id::RoomName;
use crate::room::Counts;

/// The answer of the health route.
#[derive(Debug, Serialize)]
pub struct Health<'a> {
    status: &'static str,
    /// Open sockets of `scope`.
    connections: Option<usize>,
    /// Their subscriptions.
    subscriptions: Option<usize>,
    /// Seconds since this isolate of the worker answered for the first time.
    uptime: u64,
    /// What was counted: the named room; nothing when none was named, since to count is to wake.
    scope: Option<RoomName>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    problems: &'a [String],
}

impl<'a> Health<'a> {
    /// The worker with these settings, up for so many seconds, and what a room answered that was asked.
    pub fn new(config: &'a Config, uptime: u64, room: Option<(RoomName, Counts)>) -> Self {
        Self {
            status: if config.problems.is_empty() { "healthy" } else { "misconfigured" },
            connections: room.as_ref().map(|(_, counts)| counts.connections),
            subscriptions: room.as_ref().map(|(_, counts)| counts.subscriptions),
            uptime,
            scope: room.map(|(room, _)| room),
            problems: &config.problems,
        }
    }

    /// 200 when all is well, 503 when a setting is wrong.
    pub fn http_status(&self) -> u16 {
        if self.problems.is_empty() { 200 } else { 503 }
    }
}
