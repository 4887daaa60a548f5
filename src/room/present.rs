//! Who is here, told to those who watch; and who is typing, told to the others of a chat.

use std::collections::BTreeMap;

use super::Room;
use crate::code::Reject;
use crate::id::{ConnId, Id, Kind};
use crate::json;
use crate::moment::Millis;
use crate::peer::Peer;
use crate::presence::{Crowd, News, Presence};
use crate::protocol::ServerFrame;
use crate::session::{Session, State};
use crate::sql::{Sql, StoreError};
use crate::turn::Turn;
use crate::typing::{Notice, Typing};

impl<S: Sql> Room<S> {
    /// The room was loaded. What its watchers know, their sockets say; whoever knows something else is told. What they
    /// have in common is what they knew before somebody's grace ended, if that explains it.
    pub(super) fn watch_on(&mut self, now: Millis) -> Result<(), StoreError> {
        let typists = self.peers.values().filter_map(|Peer { session, .. }| Some((&session.user, session.typing?)));
        self.typing = Typing::open(typists, &self.config.limits);
        if !self.peers.values().any(|peer| peer.session.presence.is_some()) {
            return Ok(());
        }
        let grace = self.limits().presence_grace;
        let mut presence = self.look_around(Millis(now.0.saturating_sub(grace.saturating_mul(2))))?;
        let before = self.crowd(&presence);
        presence.let_go(now, &self.config.limits);
        let after = self.crowd(&presence);
        let (was, is) = (before.print(), after.print());
        let is_known = self.watchers().any(|told| told == was);
        if self.watchers().any(|told| told != is) {
            presence.overdue(now);
        }
        presence.known(if is_known { before } else { after });
        self.presence = Some(presence);
        Ok(())
    }

    /// The users of the sockets that are open, and those who went after that.
    fn look_around(&self, since: Millis) -> Result<Presence, StoreError> {
        let sockets = self.peers.values().map(|Peer { session, .. }| (&session.user, session.presence.is_some()));
        Ok(Presence::new(sockets, self.members.gone_since(&self.name, since)?))
    }

    /// What each watcher was last told.
    fn watchers(&self) -> impl Iterator<Item = u64> {
        self.peers.values().filter_map(|peer| peer.session.presence)
    }

    /// Somebody comes. If it watches, it is to be welcomed with this.
    pub(super) fn appear(&mut self, session: &mut Session, now: Millis) -> Result<Option<Crowd>, StoreError> {
        let watches = session.presence.is_some();
        let mut presence = match self.presence.take() {
            Some(presence) => presence,
            None if watches => self.look_around(Millis(now.0.saturating_sub(self.limits().presence_grace)))?,
            None => return Ok(None),
        };
        let is_new = presence.came(&session.user, watches);
        let crowd = watches.then(|| self.crowd(&presence));
        session.presence = crowd.as_ref().map(Crowd::print);
        match &crowd {
            Some(crowd) if presence.watchers() == 1 => presence.known(crowd.clone()),
            Some(_) | None if is_new => presence.changed(now, self.limits()),
            Some(_) | None => {}
        }
        self.presence = Some(presence);
        Ok(crowd)
    }

    /// A socket has closed.
    pub(super) fn disappear(&mut self, turn: &mut Turn, session: &Session) {
        let now = turn.moment.now;
        if session.typing.is_some() && !self.sockets_of(&session.user).any(|peer| peer.session.typing.is_some()) {
            self.stopped_typing(turn, &session.user);
        }
        let Some(presence) = &mut self.presence else { return };
        presence.went(&session.user, session.presence.is_some(), now);
        if session.state.is_some() {
            presence.changed(now, &self.config.limits);
        }
        if presence.watchers() == 0 {
            self.presence = None;
        }
    }

    /// Somebody wants this to be shown with its name.
    pub(super) fn show(&mut self, turn: &mut Turn, conn: ConnId, state: String) {
        let limits = &self.config.limits;
        if state.len() as u64 > limits.presence_state_bytes || json::depth(&state) > limits.json_depth {
            let (bytes, depth) = (limits.presence_state_bytes, limits.json_depth);
            let most = format!("A state has at most {bytes} bytes and nests at most {depth} levels deep.");
            return self.refuse(turn, conn, &Reject::InvalidFrame.because(most), Some("presence"));
        }
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.session.state = Some(State { json: state, set: turn.moment.now });
        turn.attach(peer.session.clone());
        if let Some(presence) = &mut self.presence {
            presence.changed(turn.moment.now, &self.config.limits);
        }
    }

    /// Tells the watchers what has changed, if it is time: in few words who knows what was announced before.
    pub(super) fn tell_presence(&mut self, turn: &mut Turn) {
        let now = turn.moment.now;
        let Some(mut presence) = self.presence.take() else { return };
        if presence.deadline(self.limits()).is_some_and(|due| due <= now) {
            presence.let_go(now, self.limits());
            let crowd = self.crowd(&presence);
            let before = presence.announced(crowd, now);
            self.tell_watchers(turn, &before, presence.told());
        }
        self.presence = Some(presence);
    }

    fn tell_watchers(&mut self, turn: &mut Turn, before: &Crowd, crowd: &Crowd) {
        let (known, print) = (before.print(), crowd.print());
        let (mut follow, mut lost) = (Vec::new(), Vec::new());
        for Peer { session, .. } in self.peers.values_mut() {
            let Some(told) = session.presence.filter(|told| *told != print) else { continue };
            if told == known {
                follow.push(session.conn)
            } else {
                lost.push(session.conn)
            }
            session.presence = Some(print);
            turn.attach(session.clone());
        }
        let room = &self.name;
        if !follow.is_empty() {
            self.tell(turn, follow, &ServerFrame::Presence { room, news: crowd.since(before) });
        }
        if !lost.is_empty() {
            self.tell(turn, lost, &ServerFrame::Presence { room, news: News::Snapshot(crowd) });
        }
    }

    /// Who is present, as watchers of this room see it.
    fn crowd(&self, presence: &Presence) -> Crowd {
        if self.name.kind() != Kind::Chat || presence.count() > self.limits().presence_users {
            return Crowd::counted(presence.count());
        }
        let mut states: BTreeMap<&Id, &State> = BTreeMap::new();
        for Session { user, state, .. } in self.peers.values().map(|peer| &peer.session) {
            let Some(state) = state else { continue };
            let latest = states.entry(user).or_insert(state);
            *latest = if latest.set < state.set { state } else { latest };
        }
        let shown = |user: &Id| (user.clone(), states.get(user).map(|state| state.json.clone()));
        Crowd::named(presence.users().map(shown).collect())
    }

    /// Somebody says whether it is typing.
    pub(super) fn type_on(&mut self, turn: &mut Turn, conn: ConnId, typing: bool) {
        if self.name.kind() != Kind::Chat {
            return self.refuse(turn, conn, &Reject::UnknownType.into(), Some("typing"));
        }
        let Some(user) = self.peers.get(&conn).map(|peer| peer.session.user.clone()) else { return };
        if !typing {
            return self.stopped_typing(turn, &user);
        }
        let now = turn.moment.now;
        if self.others(&user).is_empty() || !self.typing.types(&user, now, &self.config.limits) {
            return;
        }
        let timeout = self.limits().typing_timeout;
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.session.typing = Some(now.plus(timeout));
            turn.attach(peer.session.clone());
        }
        self.notice(turn, &Notice::new(&user, Some(timeout)), &user);
    }

    /// Somebody types no more: it has said so or sent what it typed, or is gone, or silent.
    pub(super) fn stopped_typing(&mut self, turn: &mut Turn, user: &Id) {
        if !self.typing.stops(user) {
            return;
        }
        for Peer { session, .. } in self.peers.values_mut().filter(|peer| peer.session.user == *user) {
            if session.typing.take().is_some() {
                turn.attach(session.clone());
            }
        }
        self.notice(turn, &Notice::new(user, None), user);
    }

    /// Those who fell silent type no more.
    pub(super) fn end_typing(&mut self, turn: &mut Turn) {
        let silent = self.typing.silent(turn.moment.now);
        silent.iter().for_each(|user| self.stopped_typing(turn, user));
    }

    fn notice(&self, turn: &mut Turn, notice: &Notice<'_>, user: &Id) {
        let frame = self.mentioned(turn, "typing", notice);
        turn.send(self.others(user), frame);
    }

    /// The sockets of everybody else that hear what is not kept.
    fn others(&self, user: &Id) -> Vec<ConnId> {
        let others = self.peers.values().filter(|peer| peer.session.user != *user && peer.is_live());
        others.map(|peer| peer.session.conn).collect()
    }

    pub(super) fn sockets_of<'a>(&'a self, user: &'a Id) -> impl Iterator<Item = &'a Peer> {
        self.peers.values().filter(|peer| peer.session.user == *user)
    }
}
