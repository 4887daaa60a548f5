//! The answers that a chat waits for: which agents are at, and which they have still to be asked for.

pub mod answer;

use crate::agent::Agent;
use crate::agent::question::Question;
use crate::answers::answer::Answer;
use crate::config::Config;
use crate::id::Id;
use crate::limits::Limits;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value};

/// An answer that is waited for, and what it answers.
#[derive(Debug)]
pub struct Pending {
    /// Its id: that of the message which it will be.
    pub id: Id,
    /// What was asked.
    pub question: Question,
    /// How far it is.
    pub standing: Standing,
}

/// How far an answer is.
#[derive(Debug)]
pub enum Standing {
    /// Others go before it.
    Waiting,
    /// An agent is at it.
    Running(Box<Answer>),
    /// An agent was at it when the runtime died, and had said so much.
    Lost(String, Agent),
}

/// The answers of one chat, in the order of their questions. Each is a row until it is in the log.
#[derive(Debug)]
pub struct Answers<S> {
    sql: S,
    all: Vec<Pending>,
}

impl<S: Sql> Answers<S> {
    /// In a room that is no chat there are none, and no table for them.
    pub const fn none(sql: S) -> Self {
        Self { sql, all: Vec::new() }
    }

    /// Reads which there are. Of these the platform still holds the streams.
    pub fn open(sql: S, streams: &[Id], config: &Config, now: Millis) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT id, question, asked, agent, text FROM answers", &[])?;
        let read = |row| Self::read(row, streams, config, now);
        let mut all: Vec<Pending> = rows.into_iter().filter_map(read).collect();
        all.sort_by_key(|pending| pending.question.seq);
        Ok(Self { sql, all })
    }

    fn read(row: Vec<Value>, streams: &[Id], config: &Config, now: Millis) -> Option<Pending> {
        let [id, question, asked, agent, text] = <[Value; 5]>::try_from(row).ok()?;
        let (id, text): (Id, String) = (id.text()?.parse().ok()?, text.text()?);
        let question: Question = serde_json::from_str(&question.text()?).ok()?;
        let standing = match (asked.number().map(Millis), config.agent.protocol()) {
            (None, _) => Standing::Waiting,
            // The demonstration writes nothing down: what is there, an agent said that is no longer set.
            (Some(asked), None) if text.is_empty() => {
                Standing::Running(Answer::of_demo(&question.content, asked).into())
            }
            (Some(asked), Some(protocol)) if streams.contains(&id) => {
                Standing::Running(Answer::of_agent(protocol, asked, now, &config.limits).into())
            }
            (Some(_), _) => Standing::Lost(text, serde_json::from_str(&agent.text()?).ok()?),
        };
        Some(Pending { id, question, standing })
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// Those that an agent is at.
    pub fn running(&self) -> impl Iterator<Item = (&Id, &Question, &Answer)> {
        self.all.iter().filter_map(|pending| match &pending.standing {
            Standing::Running(answer) => Some((&pending.id, &pending.question, &**answer)),
            Standing::Waiting | Standing::Lost(..) => None,
        })
    }

    /// Those that no agent will go on with.
    pub fn lost(&self) -> Vec<Id> {
        let lost = |pending: &&Pending| matches!(pending.standing, Standing::Lost(..));
        self.all.iter().filter(lost).map(|pending| pending.id.clone()).collect()
    }

    /// The next question to be asked, if so many may run at once.
    pub fn next(&self, most: usize) -> Option<(Id, Question)> {
        let waits = |pending: &&Pending| matches!(pending.standing, Standing::Waiting);
        let next = self.all.iter().find(waits).filter(|_| self.running().count() < most)?;
        Some((next.id.clone(), next.question.clone()))
    }

    /// The answer that an agent is at, if it is.
    pub fn get_mut(&mut self, id: &Id) -> Option<(&Question, &mut Answer)> {
        let pending = self.all.iter_mut().find(|pending| pending.id == *id)?;
        match &mut pending.standing {
            Standing::Running(answer) => Some((&pending.question, answer)),
            Standing::Waiting | Standing::Lost(..) => None,
        }
    }

    /// The answer of which that is so.
    pub fn find(&self, is: impl Fn(&Pending) -> bool) -> Option<&Pending> {
        self.all.iter().find(|pending| is(pending))
    }

    /// Adds a question.
    pub fn add(&mut self, id: Id, question: Question) -> Result<(), StoreError> {
        let statement = "INSERT INTO answers (id, question, agent, text) VALUES (?, ?, '{}', '')";
        self.sql.exec(statement, &[(&id).into(), (&*to_json(&question)).into()])?;
        self.all.push(Pending { id, question, standing: Standing::Waiting });
        Ok(())
    }

    /// An agent is asked.
    pub fn begin(&mut self, id: &Id, answer: Answer, now: Millis) -> Result<(), StoreError> {
        self.sql.exec("UPDATE answers SET asked = ? WHERE id = ?", &[now.0.into(), id.into()])?;
        if let Some(pending) = self.all.iter_mut().find(|pending| pending.id == *id) {
            pending.standing = Standing::Running(Box::new(answer));
        }
        Ok(())
    }

    /// Writes down what an agent has said, if it is time.
    pub fn keep(&mut self, id: &Id, now: Millis) -> Result<(), StoreError> {
        let sql = self.sql.clone();
        let Some((_, answer)) = self.get_mut(id) else { return Ok(()) };
        let agent = to_json(answer.agent());
        let Some(text) = answer.keep(now) else { return Ok(()) };
        let statement = "UPDATE answers SET text = ?, agent = ? WHERE id = ?";
        sql.exec(statement, &[text.into(), (&*agent).into(), id.into()]).map(drop)
    }

    /// Takes an answer out that has come to its end.
    pub fn remove(&mut self, id: &Id) -> Result<Option<Pending>, StoreError> {
        let Some(place) = self.all.iter().position(|pending| pending.id == *id) else { return Ok(None) };
        self.sql.exec("DELETE FROM answers WHERE id = ?", &[id.into()])?;
        Ok(Some(self.all.remove(place)))
    }

    /// When something has to be done about one of them.
    pub fn deadline(&self, pause: u64, limits: &Limits) -> Option<Millis> {
        self.running().map(|(_, _, answer)| answer.deadline(pause, limits)).min()
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
