//! A chat session: who may come in, what it is called, and its end.

use serde::Serialize;

use super::{Failure, Room};
use crate::asker::Asker;
use crate::chat_session::{Act, ChatSession, Description, Done, Order, Participant, Title};
use crate::code::{CloseCode, Refusal, Reject};
use crate::config::ChatAccess;
use crate::id::{Id, RoomName};
use crate::link::Call;
use crate::moment::Millis;
use crate::protocol::{ErrorData, ServerFrame};
use crate::schema;
use crate::session::Session;
use crate::sql::{Sql, StoreError};
use crate::turn::Turn;

impl<S: Sql> Room<S> {
    /// Whether somebody may open a socket here, and read what was said. As long as nobody owns a session, those who were
    /// invited may, or else anybody.
    pub(super) fn may_enter(&self, asker: &Asker) -> Result<bool, StoreError> {
        let Some(session) = &self.chat_session else { return Ok(true) };
        if self.config.chat_access == ChatAccess::Open || asker.service || asker.granted || self.owns(&asker.user) {
            return Ok(true);
        }
        Ok(session.is_invited(&asker.user)? || (session.owner().is_none() && !session.has_invited()?))
    }

    /// Refuses who may not enter.
    pub fn let_in(&self, asker: &Asker) -> Result<(), Failure> {
        if self.may_enter(asker)? {
            return Ok(());
        }
        Err(Reject::Forbidden.because("This chat session is somebody else's, who has not invited this user.").into())
    }

    /// Whether that user owns the session.
    pub(super) fn owns(&self, user: &Id) -> bool {
        self.chat_session.as_ref().and_then(ChatSession::owner) == Some(user)
    }

    /// Does what somebody wants of the session. Who is refused has changed nothing.
    pub fn obey(&mut self, turn: &mut Turn, order: Order) -> Result<Done, Failure> {
        let Order { asker, act } = order;
        let done = match act {
            Act::Describe => self.describe(&asker)?,
            Act::Dismiss(user) => self.dismiss(turn, &asker, user)?,
            Act::Erase => self.erase(turn, &asker)?,
            Act::Invite(user) => self.invite(&asker, user, turn.moment.now)?,
            Act::Rename(title) => self.rename(turn, &asker, &title)?,
        };
        self.settle(turn)?;
        Ok(done)
    }

    /// Notes who is about to open a socket: the first user owns the session. Says whether the socket may be opened:
    /// somebody may have come first since that was asked.
    pub(super) fn visit(&mut self, turn: &mut Turn, visitor: &Session) -> Result<bool, StoreError> {
        if !self.may_enter(&visitor.asker(&self.name))? {
            self.show_out(turn, visitor);
            return Ok(false);
        }
        let (now, most) = (turn.moment.now, self.config.limits.participants_per_session);
        match &mut self.chat_session {
            Some(session) if visitor.service => session.begin(now)?,
            Some(session) => session.visit(&visitor.user, now, most)?,
            None => {}
        }
        Ok(true)
    }

    /// Closes a socket that was never welcomed.
    fn show_out(&self, turn: &mut Turn, visitor: &Session) {
        let (conn, reject) = (visitor.conn, Reject::Forbidden);
        let frame = ServerFrame::Error(ErrorData::new(&reject.into(), None)).encode(&mut turn.moment);
        turn.send([conn], frame);
        turn.close(conn, CloseCode::from(reject), reject.code());
        self.release(turn, visitor);
    }

    /// A question gives the session its title, if it has none.
    pub fn note_question(&mut self, turn: &mut Turn, content: &str) -> Result<(), StoreError> {
        let untitled = self.chat_session.as_ref().is_some_and(|session| session.title().is_none());
        match Title::of_question(content).filter(|_| untitled) {
            Some(title) => self.entitle(turn, &title),
            None => Ok(()),
        }
    }

    /// Calls the session that, and tells everybody if that is new.
    fn entitle(&mut self, turn: &mut Turn, title: &Title) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Updated<'a> {
            session_id: &'a Id,
            title: &'a str,
        }
        let Some(session) = &mut self.chat_session else { return Ok(()) };
        if session.rename(title)? {
            let session_id = &self.name.id().clone();
            self.mention(turn, "session_updated", &Updated { session_id, title: title.as_str() });
        }
        Ok(())
    }

    fn describe(&self, asker: &Asker) -> Result<Done, Failure> {
        let (session, created) = self.existing()?;
        self.let_in(asker)?;
        let present = |user: &Id| self.peers.values().any(|peer| peer.session.user == *user);
        let participant = |(user_id, since): (Id, Millis)| {
            let present = present(&user_id);
            Participant { user_id, since: since.to_rfc3339(), present }
        };
        Ok(Done::Session(Box::new(Description {
            session_id: self.name.id().clone(),
            room: self.name.clone(),
            title: session.title().map(|title| title.as_str().to_owned()),
            owner: session.owner().cloned(),
            created_at: created.to_rfc3339(),
            last_activity_at: self.log.latest().max(created).to_rfc3339(),
            epoch: self.marks.epoch(),
            seq: self.log.head(),
            participants: session.participants()?.into_iter().map(participant).collect(),
            answering: self.answers.running().map(|(id, ..)| id.clone()).collect(),
        })))
    }

    fn rename(&mut self, turn: &mut Turn, asker: &Asker, title: &Title) -> Result<Done, Failure> {
        self.check_keeper(asker)?;
        self.existing()?;
        self.entitle(turn, title)?;
        self.describe(asker)
    }

    fn invite(&self, asker: &Asker, user_id: Id, now: Millis) -> Result<Done, Failure> {
        self.check_keeper(asker)?;
        let (session, most) = (self.chat_session.as_ref().ok_or_else(unknown)?, self.limits().participants_per_session);
        if !self.owns(&user_id) && !session.invite(&user_id, now, most)? {
            return Err(Reject::Forbidden.because(format!("A chat session has up to {most} participants.")).into());
        }
        Ok(Done::Participant { user_id, participant: true })
    }

    fn dismiss(&mut self, turn: &mut Turn, asker: &Asker, user_id: Id) -> Result<Done, Failure> {
        self.check_keeper(asker)?;
        if self.owns(&user_id) {
            return Err(Reject::Forbidden.because("A chat session's owner stays; the session can be deleted.").into());
        }
        self.chat_session.as_ref().ok_or_else(unknown)?.dismiss(&user_id)?;
        for conn in self.sockets_of(&user_id).map(|peer| peer.session.conn).collect::<Vec<_>>() {
            self.end(turn, conn, Reject::Disconnected)?;
        }
        self.drop_uploads_of(turn, &user_id)?;
        self.members.expel(&user_id)?;
        Ok(Done::Participant { user_id, participant: false })
    }

    /// Forgets all that there is: the room is as if it had never been, in a new epoch. While nobody owns the session, who
    /// could come in and own it may do that too.
    fn erase(&mut self, turn: &mut Turn, asker: &Asker) -> Result<Done, Failure> {
        let ownerless = self.chat_session.as_ref().is_some_and(|session| session.owner().is_none());
        if !(ownerless && self.may_enter(asker)?) {
            self.check_keeper(asker)?;
        }
        let sql = self.chat_session.as_ref().ok_or_else(unknown)?.sql().clone();
        self.let_go(turn)?;
        let files = self.left_behind(turn.moment.now)?;
        schema::erase(&sql)?;
        let (name, config) = (self.name.clone(), self.config.clone());
        let fresh = Self::open(name, config, sql, Vec::new(), &[], &mut turn.moment)?;
        let hung_up = std::mem::take(&mut self.hung_up);
        *self = Self { hung_up, ..fresh };
        self.leave_behind(files, turn.moment.now)?;
        Ok(Done::Deleted { deleted: true })
    }

    /// Lets go of all that a session has outside its own storage: its sockets, and the rooms that it follows or that
    /// somebody here may come back for.
    fn let_go(&self, turn: &mut Turn) -> Result<(), StoreError> {
        let reject = Reject::SessionDeleted;
        for peer in self.peers.values() {
            let conn = peer.session.conn;
            self.refuse(turn, conn, &reject.into(), None);
            turn.close(conn, CloseCode::from(reject), reject.code());
            self.release(turn, &peer.session);
        }
        self.answers.running().for_each(|(id, ..)| turn.hush(id.clone()));
        // What is asked from now on is asked by the room that comes after this one, and holds.
        let asked = Millis(turn.moment.now.0.saturating_sub(1));
        let followed = self.subscriptions.followed().chain(self.members.elsewhere(&self.name)?);
        for room in followed.collect::<std::collections::BTreeSet<RoomName>>() {
            turn.call(room, Call::Unfollow { follower: self.name.clone(), asked });
        }
        Ok(())
    }

    /// Only the owner and services change a session.
    fn check_keeper(&self, asker: &Asker) -> Result<(), Refusal> {
        if asker.service || self.owns(&asker.user) {
            return Ok(());
        }
        match &self.chat_session {
            Some(session) if session.has_begun() => {
                Err(Reject::Forbidden.because("That is for the chat session's owner, or a service."))
            }
            Some(_) | None => Err(unknown()),
        }
    }

    /// The session, if there is one, and when it began.
    fn existing(&self) -> Result<(&ChatSession<S>, Millis), Refusal> {
        let session = self.chat_session.as_ref();
        session.and_then(|session| Some((session, session.created()?))).ok_or_else(unknown)
    }
}

fn unknown() -> Refusal {
    Reject::NotFound.because("There is no chat session of that id.")
}
