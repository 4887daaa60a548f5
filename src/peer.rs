//! One socket of a room: who it is, and what this instance of the room remembers of it.

use std::collections::BTreeSet;

use crate::flow::Flow;
use crate::id::{Id, RoomName, Seq};
use crate::limits::Limits;
use crate::meter::Meter;
use crate::moment::Millis;
use crate::reach::Reach;
use crate::session::Session;

/// One socket. What is not in its session may be forgotten: it then has its full allowance again, and may be warned twice.
#[derive(Debug)]
pub struct Peer {
    /// Who it is.
    pub session: Session,
    /// What it has used up.
    pub meter: Meter,
    /// When it was last heard, if it has ever sent a ping: who pings is expected to go on, or to say something else.
    pub pinged: Option<Millis>,
    /// When the platform last said when it had answered a ping: what came later is not known here.
    pub looked_up: Millis,
    /// Whether it has been told that its token is about to end.
    pub warned: bool,
    /// What it has been sent and has not confirmed, if it confirms.
    pub flow: Flow,
    /// The answers of which it has been told all that was told.
    pub answers: BTreeSet<Id>,
}

/// How long, in milliseconds, a message may be on its way until it arrives: so much older than a ping, it has arrived.
const LATENCY: u64 = 2_000;

/// What a client that does not confirm has got, of what it was sent since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// All of it.
    Everything,
    /// What was taken by then: it was sent at once.
    Until(Millis),
    /// What is sure, of that what had been taken by then.
    Doubtful(Option<Millis>),
}

impl Heard {
    /// What of a room has arrived at a socket that is so far in it: up to which message, and of that, if it says so, only
    /// what had been taken by then.
    pub const fn place(self, Reach { seq, sure, behind }: Reach, acks: bool) -> (Seq, Option<Millis>) {
        match self {
            _ if acks => (sure, None),
            Self::Everything => (seq, None),
            Self::Until(alive) if !behind => (seq, Some(alive)),
            Self::Until(alive) => (sure, Some(alive)),
            Self::Doubtful(alive) => (sure, alive),
        }
    }
}

/// What has to be done about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing yet.
    Far,
    /// The client is to be told.
    Near,
    /// The connection is to be closed.
    Past,
}

impl Peer {
    /// A socket that has done nothing yet.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            meter: Meter::default(),
            pinged: None,
            looked_up: Millis(0),
            warned: false,
            flow: Flow::default(),
            answers: BTreeSet::new(),
        }
    }

    /// Whether it has been told all that was told of that answer.
    pub fn follows(&self, answer: &Id) -> bool {
        self.answers.contains(answer)
    }

    /// It has been told all that was told of that answer.
    pub fn follow(&mut self, answer: Id) {
        self.answers.insert(answer);
    }

    /// It was not told something of that answer, or there is no more of it.
    pub fn lose(&mut self, answer: &Id) {
        self.answers.remove(answer);
    }

    /// Whether it hears the room it was opened in as it speaks, having missed nothing.
    pub fn is_live(&self) -> bool {
        self.session.behind.is_none() && !self.flow.is_stopped()
    }

    /// What it has been sent that has arrived, if its connection should be dead without our knowing: a client that pings
    /// has got what was sent well before. One that never did has got everything, unless it had only just come when that
    /// was looked up.
    pub fn heard(&self, limits: &Limits) -> Heard {
        let since = self.session.live_since;
        match self.pinged.map(|at| Millis(at.0.saturating_sub(LATENCY))) {
            Some(alive) if since <= alive => Heard::Until(alive),
            None if since.plus(limits.silence) <= self.looked_up => Heard::Everything,
            alive => Heard::Doubtful(alive),
        }
    }

    /// It is about to be sent messages of which the oldest was taken then. If that is long ago, it does not say when they
    /// were sent: what is sure is what was sent before. Of its own room that is everything up to `own`.
    pub fn about_to_send(&mut self, taken: Millis, now: Millis, own: Seq, limits: &Limits) {
        if self.session.acks || now <= taken.plus(LATENCY / 2) {
            return;
        }
        if !matches!(self.heard(limits), Heard::Doubtful(_)) {
            self.session.sure = self.session.behind.unwrap_or(own);
            self.session.reaches.settle();
        }
        self.session.live_since = now;
    }

    /// Stops at that place of its own room, if it has left too much unconfirmed: it goes on reading from there.
    pub fn stop_if_full(&mut self, at: Seq) {
        if self.flow.is_stopped() {
            self.session.behind.get_or_insert(at);
        }
    }

    /// Takes note of messages of a room that it is sent, if it confirms them.
    pub fn note_sent(&mut self, room: &RoomName, sizes: &[(Seq, usize)], limits: &Limits) {
        if self.session.acks {
            sizes.iter().for_each(|(seq, bytes)| self.flow.push(room, *seq, *bytes, limits));
        }
    }

    /// Whether it has fallen silent.
    pub fn is_silent(&self, now: Millis, limits: &Limits) -> bool {
        self.pinged.is_some_and(|heard| heard.plus(limits.silence) <= now)
    }

    /// What has to be done about its token.
    pub fn expiry(&self, now: Millis, limits: &Limits) -> Expiry {
        if self.session.expires <= now {
            Expiry::Past
        } else if !self.warned && self.warning(limits) <= now {
            Expiry::Near
        } else {
            Expiry::Far
        }
    }

    /// When something has to be done about its token.
    pub fn deadline(&self, limits: &Limits) -> Millis {
        if self.warned { self.session.expires } else { self.warning(limits) }
    }

    fn warning(&self, limits: &Limits) -> Millis {
        Millis(self.session.expires.0.saturating_sub(limits.expiry_warning))
    }
}
