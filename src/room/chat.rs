//! What people say in a chat: it goes into the log, and to the agent if that is asked; and they may stop the answer.

use serde::Serialize;
use serde_json::Value;

use super::{Failure, Room, Taken};
use crate::agent::question::Question;
use crate::code::{Refusal, Reject};
use crate::id::{ConnId, Id, Kind, Seq};
use crate::message::Draft;
use crate::protocol::{Chat, ServerFrame, Status, Which};
use crate::sql::{Sql, StoreError};
use crate::turn::Turn;

/// What is published of something that a person said.
#[derive(Serialize)]
struct Words<'a> {
    role: &'static str,
    content: &'a str,
    user_id: &'a Id,
}

impl<S: Sql> Room<S> {
    /// Somebody says something. It is in the log before its sender hears so.
    pub(super) fn chat(&mut self, turn: &mut Turn, conn: ConnId, chat: Chat) -> Result<(), StoreError> {
        match self.take_chat(turn, conn, chat) {
            Ok(Taken { id, seq, duplicate }) => {
                let seq = seq.unwrap_or_default();
                self.tell(turn, [conn], &ServerFrame::Ack { id: &id, room: &self.name, seq, duplicate });
                Ok(())
            }
            Err(Failure::Refused(refusal)) => {
                self.refuse(turn, conn, &refusal, Some("chat"));
                Ok(())
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    fn take_chat(&mut self, turn: &mut Turn, conn: ConnId, chat: Chat) -> Result<Taken, Failure> {
        let user = self.speaker(conn, "chat")?;
        let id = chat.id.clone().unwrap_or_else(|| Id::from(turn.moment.uuid()));
        if let Some(seq) = self.log.find(&id)? {
            return self.said_before(&user, id, seq);
        }
        if self.answers.find(|pending| pending.id == id).is_some() || self.uploads.find(&id).is_some() {
            return Err(Refusal::from(Reject::IdTaken).into());
        }
        self.check_chat(&chat)?;
        let said = Words { role: "user", content: &chat.content, user_id: &user };
        let taken = self.post(turn, Draft::new("chat", &said, id), Some(conn))?;
        self.stopped_typing(turn, &user);
        if let (true, Some(seq)) = (chat.ask, taken.seq) {
            let Chat { content, context, agent, .. } = chat;
            self.note_question(turn, &content)?;
            let question = Question { id: taken.id.clone(), seq, user, content, context, agent };
            self.answers.add(Id::from(turn.moment.uuid()), question)?;
        }
        Ok(taken)
    }

    /// The user of a connection, if this is a chat.
    pub(super) fn speaker(&self, conn: ConnId, frame: &str) -> Result<Id, Refusal> {
        if self.name.kind() != Kind::Chat {
            return Err(Reject::UnknownType.because(format!("`{frame}` is for chats.")));
        }
        self.peers.get(&conn).map(|peer| peer.session.user.clone()).ok_or_else(|| Reject::Internal.into())
    }

    fn check_chat(&self, Chat { content, context, ask, .. }: &Chat) -> Result<(), Refusal> {
        let (most, questions, bytes) = (self.limits().chat_chars, self.limits().questions, self.limits().context_bytes);
        if content.chars().count() as u64 > most {
            return Err(Reject::TooLarge.because(format!("A message of a chat has at most {most} characters.")));
        }
        if context.as_ref().is_some_and(|context| context.len() > bytes) {
            return Err(Reject::TooLarge.because(format!("The context of a question has at most {bytes} bytes.")));
        }
        if *ask && self.answers.count() >= questions {
            return Err(Reject::TooManyQuestions.because(format!("{questions} questions wait for an answer.")));
        }
        Ok(())
    }

    /// The log has, or had, a message of that id: it is this one, unless it can be seen that somebody else wrote it.
    fn said_before(&self, user: &Id, id: Id, seq: Seq) -> Result<Taken, Failure> {
        let entries = self.log.after(Seq(seq.0.saturating_sub(1)), seq, 1, usize::MAX)?;
        match entries.first().is_none_or(|entry| is_of(&entry.frame, user)) {
            true => Ok(Taken { id, seq: Some(seq), duplicate: true }),
            false => Err(Refusal::from(Reject::IdTaken).into()),
        }
    }

    /// Somebody wants no answer any more.
    pub(super) fn cancel(&mut self, turn: &mut Turn, conn: ConnId, which: &Which) -> Result<(), StoreError> {
        match self.may_cancel(conn, which) {
            Ok(id) => self.finish(turn, &id, Status::Cancelled, None),
            Err(refusal) => {
                self.refuse(turn, conn, &refusal, Some("chat_cancel"));
                Ok(())
            }
        }
    }

    fn may_cancel(&self, conn: ConnId, which: &Which) -> Result<Id, Refusal> {
        let user = self.speaker(conn, "chat_cancel")?;
        let pending = self.answers.find(|pending| match which {
            Which::Answer(id) => pending.id == *id,
            Which::To(id) => pending.question.id == *id,
        });
        let pending = pending.ok_or_else(|| Reject::NotFound.because("No such answer is under way."))?;
        match pending.question.user == user || self.owns(&user) {
            true => Ok(pending.id.clone()),
            false => Err(Reject::Forbidden.because("Only who asked, or whose session it is, may stop an answer.")),
        }
    }
}

/// Whether a message of the log is what that user said.
fn is_of(frame: &str, user: &Id) -> bool {
    let written: Value = serde_json::from_str(frame).unwrap_or_default();
    let author = written.get("data").and_then(|data| data.get("user_id"));
    written.get("type").is_some_and(|kind| kind == "chat") && author.is_some_and(|author| author == user.as_str())
}
