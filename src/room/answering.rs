//! What agents say in a chat: from the question on its way to the answer in the log.

use serde_json::{Map, Value};

use super::{Failure, Room};
use crate::agent::address::Address;
use crate::agent::openai::{Remark, Role};
use crate::agent::question::Question;
use crate::agent::{Agent, Event, Protocol, Stage};
use crate::answers::answer::{Answer, brief};
use crate::answers::{Pending, Standing};
use crate::code::{Refusal, Reject};
use crate::id::{ConnId, Id, Seq};
use crate::message::Draft;
use crate::protocol::{About, Fault, Said, Status};
use crate::sql::{Sql, StoreError};
use crate::turn::{Fetched, Turn};

impl<S: Sql> Room<S> {
    /// How many bytes of an agent's have been read here; `None` if nobody waits for more.
    pub fn read_of(&self, answer: &Id) -> Option<usize> {
        self.answers.running().find(|(id, ..)| *id == answer).and_then(|(_, _, answer)| answer.read())
    }

    /// Takes what was read of an agent's answer.
    pub(super) fn fetched(&mut self, turn: &mut Turn, id: &Id, fetched: Fetched) -> Result<(), StoreError> {
        let now = turn.moment.now;
        let most = self.limits().agent_bytes;
        let Some((_, answer)) = self.answers.get_mut(id) else { return Ok(()) };
        let events = match fetched {
            Fetched::Bytes(bytes) => answer.push(&bytes, now),
            Fetched::End => answer.end().into_iter().collect(),
            Fetched::Failed(reject) => return self.fail(turn, id, &reject.into()),
        };
        let too_much = answer.read().is_some_and(|read| read > most);
        events.into_iter().try_for_each(|event| self.happened(turn, id, event))?;
        if too_much { self.fail(turn, id, &Reject::AgentFailed.because("The agent sent too much.")) } else { Ok(()) }
    }

    /// Goes on with all answers: tells what is new of them, ends those that cannot be had, asks what waits.
    pub(super) fn go_on_answering(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        for id in self.answers.lost() {
            self.finish(turn, &id, Status::Interrupted, None)?;
        }
        self.under_way().iter().try_for_each(|id| self.advance(turn, id))?;
        let most = usize::try_from(self.limits().answers_at_once).unwrap_or(1);
        while let Some((id, question)) = self.answers.next(most) {
            self.ask(turn, &id, &question)?;
        }
        // At last it is known how many there are, and so how long news wait.
        let pause = self.answer_pause();
        self.under_way().iter().try_for_each(|id| {
            self.tell_news(turn, id, pause);
            self.answers.keep(id, turn.moment.now)
        })
    }

    fn under_way(&self) -> Vec<Id> {
        self.answers.running().map(|(id, ..)| id.clone()).collect()
    }

    /// Does what time does to an answer: it has been waited for too long, or the demonstration has said more.
    fn advance(&mut self, turn: &mut Turn, id: &Id) -> Result<(), StoreError> {
        let (now, config) = (turn.moment.now, self.config.clone());
        while let Some((_, answer)) = self.answers.get_mut(id) {
            if answer.has_run_out(now, &config.limits) {
                return self.fail(turn, id, &Reject::AgentTimeout.into());
            }
            let Some(event) = answer.play(now) else { return Ok(()) };
            self.happened(turn, id, event)?;
        }
        Ok(())
    }

    /// Asks whoever answers here. What waits goes first: nobody hears of an answer before the question.
    fn ask(&mut self, turn: &mut Turn, id: &Id, question: &Question) -> Result<(), StoreError> {
        self.flush_now(turn);
        let (now, config) = (turn.moment.now, self.config.clone());
        let begin = match config.agent.protocol() {
            None => Answer::of_demo(&question.content, now),
            Some(protocol) => Answer::of_agent(protocol, now, now, &config.limits),
        };
        self.answers.begin(id, begin, now)?;
        self.say_typing(turn, id, Some(Stage::Asking), None);
        match &config.agent {
            Address::Demo => self.advance(turn, id),
            Address::Nobody => self.fail(turn, id, &Reject::AgentUnavailable.into()),
            Address::Remote(remote) => {
                let said = if remote.protocol == Protocol::OpenAi { self.recall(question)? } else { Vec::new() };
                let remarks = said.iter().map(|(role, content)| Remark { role: *role, content });
                turn.ask(id.clone(), remote.body(self.name.id(), question, &remarks.collect::<Vec<_>>()));
                Ok(())
            }
        }
    }

    /// What was said before a question, and the question.
    fn recall(&self, question: &Question) -> Result<Vec<(Role, String)>, StoreError> {
        let (count, bytes) = (self.limits().recalled_messages, self.limits().recalled_bytes);
        let entries = self.log.before(self.log.head().next(), count, bytes)?;
        let earlier = entries.iter().filter_map(|entry| remark(entry.seq, &entry.frame, question.seq));
        Ok(earlier.chain([(Role::User, question.content.clone())]).collect())
    }

    /// Something happened to an answer.
    fn happened(&mut self, turn: &mut Turn, id: &Id, event: Event) -> Result<(), StoreError> {
        let config = self.config.clone();
        let Some((_, answer)) = self.answers.get_mut(id) else { return Ok(()) };
        match event {
            Event::Text { text, agent } => {
                answer.meet(agent, &config.limits);
                if answer.add(&text, &config.limits) {
                    return Ok(());
                }
                self.fail(turn, id, &Reject::AgentFailed.because("The answer is longer than an answer may be."))
            }
            Event::Stage { stage, message, agent } => {
                answer.meet(agent, &config.limits);
                let message = message.as_deref().and_then(|message| brief(message, &config.limits));
                self.say_typing(turn, id, Some(stage), message);
                Ok(())
            }
            Event::Done { extra, agent } => {
                answer.meet(agent, &config.limits);
                self.complete(turn, id, Status::Completed, None, &extra)
            }
            Event::Failed(message) => self.fail(turn, id, &Reject::AgentFailed.because(message)),
        }
    }

    fn fail(&mut self, turn: &mut Turn, id: &Id, refusal: &Refusal) -> Result<(), StoreError> {
        let refusal = match brief(&refusal.message, self.limits()) {
            Some(_) => refusal,
            None => &Refusal::from(refusal.reject),
        };
        self.finish(turn, id, Status::Failed, Some(refusal))
    }

    /// Ends an answer of which there will be no more.
    pub(super) fn finish(
        &mut self,
        turn: &mut Turn,
        id: &Id,
        status: Status,
        refusal: Option<&Refusal>,
    ) -> Result<(), StoreError> {
        self.complete(turn, id, status, refusal, &Map::new())
    }

    /// Puts an answer into the log as it is, and lets go of whoever says it.
    fn complete(
        &mut self,
        turn: &mut Turn,
        id: &Id,
        status: Status,
        refusal: Option<&Refusal>,
        extra: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        self.tell_news(turn, id, 0);
        self.say_typing(turn, id, None, None);
        let Some(Pending { question, standing, .. }) = self.answers.remove(id)? else { return Ok(()) };
        self.peers.values_mut().for_each(|peer| peer.lose(id));
        let (content, agent) = spoken(turn, id, standing);
        let about = About { message_id: id, reply_to: &question.id };
        if let Some(refusal) = refusal {
            let retry = refusal.reject.retry();
            self.say(turn, &Said::Error { fault: Fault::from(refusal), retry, about });
        }
        let (role, content, error) = ("assistant", &*content, refusal.map(Fault::from));
        let said = |extra| Said::Complete { status, role, content, about, agent: &agent, error: error.clone(), extra };
        self.put_what_fits(turn, id, &said(extra), &said(&Map::new()))?;
        // It does not wait: who comes meanwhile would hear of it without a chunk, and its like may know chunks alone.
        self.flush_now(turn);
        Ok(())
    }

    /// Puts an answer into the log: with all that its agent says beside it, or if that is too much, alone.
    fn put_what_fits(&mut self, turn: &mut Turn, id: &Id, all: &Said<'_>, alone: &Said<'_>) -> Result<(), StoreError> {
        let put = match self.put(turn, all, id) {
            Err(Failure::Refused(_)) => self.put(turn, alone, id),
            put => put,
        };
        put.map_err(|failure| match failure {
            Failure::Refused(refusal) => StoreError(refusal.to_string()),
            Failure::Broken(error) => error,
        })
    }

    /// Puts an answer into the log, under its id unless a publisher has used that.
    fn put(&mut self, turn: &mut Turn, said: &Said<'_>, id: &Id) -> Result<(), Failure> {
        let taken = self.post(turn, Draft::new(said.kind(), said, id.clone()), None)?;
        if taken.duplicate {
            let id = Id::from(turn.moment.uuid());
            self.post(turn, Draft::new(said.kind(), said, id), None)?;
        }
        Ok(())
    }

    /// Tells what is new of an answer, if it is time. Who has not heard it from its beginning hears all of it.
    fn tell_news(&mut self, turn: &mut Turn, id: &Id, pause: u64) {
        let Some((_, answer)) = self.answers.get_mut(id) else { return };
        let Some(news) = answer.tell(turn.moment.now, pause) else { return };
        let (mut follow, mut join) = (Vec::new(), Vec::new());
        for peer in self.peers.values_mut() {
            match (peer.is_live(), peer.follows(id)) {
                (true, true) => follow.push(peer.session.conn),
                (true, false) => join.push(peer.session.conn),
                (false, _) => peer.lose(id),
            }
        }
        self.say_chunk(turn, id, follow, Some(&news));
        self.say_chunk(turn, id, join, None);
    }

    /// Tells newcomers what has been said of the answers that are under way.
    pub(super) fn catch_up_on_answers(&mut self, turn: &mut Turn) {
        let begun = self.answers.running().filter(|(_, _, answer)| !answer.told().is_empty());
        for id in begun.map(|(id, ..)| id.clone()).collect::<Vec<_>>() {
            let lacks = self.peers.values().filter(|peer| peer.is_live() && !peer.follows(&id));
            let lacks = lacks.map(|peer| peer.session.conn).collect();
            self.say_chunk(turn, &id, lacks, None);
        }
    }

    /// Sends news of an answer, or (`None`) all that was told of it so far.
    fn say_chunk(&mut self, turn: &mut Turn, id: &Id, to: Vec<ConnId>, news: Option<&str>) {
        let Some((_, question, answer)) = self.answers.running().find(|(running, ..)| *running == id) else { return };
        if to.is_empty() {
            return;
        }
        let (snapshot, content) = (news.is_none(), news.unwrap_or_else(|| answer.told()));
        let about = About { message_id: id, reply_to: &question.id };
        let said = Said::Chunk { role: "assistant", content, chunk: true, snapshot, about, agent: answer.agent() };
        let frame = self.mentioned(turn, said.kind(), &said);
        for conn in &to {
            self.peers.entry(*conn).and_modify(|peer| peer.follow(id.clone()));
        }
        turn.send(to, frame);
    }

    /// Says that an agent is at an answer, or (without a stage) is no more.
    fn say_typing(&self, turn: &mut Turn, id: &Id, stage: Option<Stage>, message: Option<&str>) {
        let Some((_, question, answer)) = self.answers.running().find(|(running, ..)| *running == id) else { return };
        let about = About { message_id: id, reply_to: &question.id };
        let (agent, typing, who) = ("processing", stage.is_some(), answer.agent());
        self.say(turn, &Said::Typing { agent, typing, stage, message, about, who });
    }

    fn say(&self, turn: &mut Turn, said: &Said<'_>) {
        self.mention(turn, said.kind(), said);
    }

    /// How long more of an answer waits, in milliseconds.
    pub(super) fn answer_pause(&self) -> u64 {
        self.limits().answer_pause(self.peers.len(), self.answers.running().count())
    }
}

/// What was said of an answer that has come to its end, and by whom. Who is still saying it is told to stop.
fn spoken(turn: &mut Turn, id: &Id, standing: Standing) -> (String, Agent) {
    match standing {
        Standing::Waiting => (String::new(), Agent::default()),
        Standing::Lost(text, agent) => (text, agent),
        Standing::Running(answer) => {
            if answer.read().is_some() {
                turn.hush(id.clone());
            }
            (answer.text().to_owned(), answer.agent().clone())
        }
    }
}

/// What a message of the log is in a conversation that leads to the question at that place.
fn remark(seq: Seq, frame: &str, question: Seq) -> Option<(Role, String)> {
    let frame: Value = serde_json::from_str(frame).ok()?;
    let data = frame.get("data")?;
    let role = match frame.get("type")?.as_str()? {
        "chat" if seq < question && data.get("role").is_some_and(|role| role == "assistant") => Role::Assistant,
        "chat" if seq < question => Role::User,
        "chat_complete" => Role::Assistant,
        _ => return None,
    };
    let content = data.get("content")?.as_str()?.to_owned();
    (!content.is_empty()).then_some((role, content))
}
