//! Which connections are alive, and for how long: their pings, their silence, the end of their tokens.

use super::Room;
use crate::code::Reject;
use crate::id::ConnId;
use crate::moment::Millis;
use crate::peer::{Expiry, Peer};
use crate::protocol::{ServerFrame, Topic};
use crate::sql::{Sql, StoreError};
use crate::turn::Turn;

/// When silent connections are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweep {
    /// In this turn: it is known when each was last heard.
    Now,
    /// Then, or when the room is loaded.
    At(Millis),
}

impl<S: Sql> Room<S> {
    /// Who sends something is alive.
    pub(super) fn heard_from(&mut self, conn: ConnId, now: Millis) {
        self.peers.entry(conn).and_modify(|peer| peer.pinged = peer.pinged.map(|_| now));
    }

    /// The platform says when it last answered a ping of these connections, of those that ever sent one.
    pub(super) fn looked_up(&mut self, conns: Vec<ConnId>, pings: Vec<(ConnId, Millis)>, now: Millis) {
        for conn in conns {
            self.peers.entry(conn).and_modify(|peer| peer.looked_up = now);
        }
        self.pinged(pings);
    }

    /// These connections were heard then.
    pub(super) fn pinged(&mut self, pings: Vec<(ConnId, Millis)>) {
        for (conn, heard) in pings {
            self.peers.entry(conn).and_modify(|peer| peer.pinged = peer.pinged.max(Some(heard)));
        }
    }

    /// Whether the platform should say, by [`Input::Swept`](crate::turn::Input::Swept), when each connection last pinged.
    pub fn sweep_is_due(&self, now: Millis) -> bool {
        self.next_sweep().is_some_and(|due| due <= now)
    }

    pub(super) fn next_sweep(&self) -> Option<Millis> {
        match self.sweep {
            Sweep::At(due) if !self.peers.is_empty() => Some(due),
            Sweep::At(_) | Sweep::Now => None,
        }
    }

    /// Ends the connections that have fallen silent, if it is known when each was last heard.
    pub(super) fn sweep(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let now = turn.moment.now;
        if self.sweep != Sweep::Now {
            return Ok(());
        }
        self.sweep = Sweep::At(now.plus(self.limits().sweep_interval));
        let silent = self.peers.values().filter(|peer| peer.is_silent(now, self.limits()));
        let silent: Vec<ConnId> = silent.map(|peer| peer.session.conn).collect();
        silent.iter().try_for_each(|conn| self.end(turn, *conn, Reject::Timeout))
    }

    /// Gives the transport something to fail on, where nothing else would tell a dead connection from a quiet one.
    pub(super) fn beat(&self, turn: &mut Turn) {
        let listeners: Vec<ConnId> =
            self.peers.values().filter(|peer| peer.pinged.is_none()).map(|peer| peer.session.conn).collect();
        self.tell(turn, listeners, &ServerFrame::Heartbeat { topic: Topic::from(&self.name), room: &self.name });
    }

    /// Warns those whose token is about to end, and ends those whose token has.
    pub(super) fn expire(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let (now, limits) = (turn.moment.now, &self.config.limits);
        let due = |peer: &Peer| (peer.session.conn, peer.expiry(now, limits), peer.session.expires);
        let due: Vec<_> = self.peers.values().map(due).filter(|(_, expiry, _)| *expiry != Expiry::Far).collect();
        for (conn, expiry, expires) in due {
            if expiry == Expiry::Past {
                self.end(turn, conn, Reject::TokenExpired)?;
                continue;
            }
            self.peers.entry(conn).and_modify(|peer| peer.warned = true);
            let expires_in_ms = expires.0.saturating_sub(now.0);
            self.tell(turn, [conn], &ServerFrame::TokenExpiring { expires_at: expires.to_rfc3339(), expires_in_ms });
        }
        Ok(())
    }
}
