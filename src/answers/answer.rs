//! One answer of an agent: what it has said so far, and how much of that was told.

use std::collections::VecDeque;

use serde::Serialize;

use crate::agent::{Agent, Event, Protocol, Reader, demo};
use crate::limits::Limits;
use crate::moment::Millis;

/// Milliseconds between two pieces of what the demonstration says.
const DEMO_PACE: u64 = 50;

/// Milliseconds between two times that what was said is written down.
const KEEPING: u64 = 2_000;

/// Bytes of a frame of an answer beside its text, who speaks and what went wrong, at most: ids may have 128 each.
const HEAD: u64 = 640;

/// An answer that is on its way.
#[derive(Debug)]
pub struct Answer {
    source: Source,
    agent: Agent,
    text: String,
    /// Bytes of the text as JSON.
    size: u64,
    /// Bytes of the text that were told.
    told: usize,
    /// Bytes of the text that are written down.
    kept: usize,
    began: Millis,
    /// When the agent last gave a sign of life.
    heard: Millis,
    /// When more of the text was last told.
    flushed: Millis,
    written: Millis,
}

/// Where the text comes from.
#[derive(Debug)]
enum Source {
    /// From an agent, of which so many bytes have been read.
    Agent(Reader, usize),
    /// From the demonstration, which says this next, then. It always says the same, so nothing of it is written down.
    Demo(VecDeque<String>, Millis),
}

impl Answer {
    /// The answer of an agent that was asked then. The platform, if it has bytes of it, gives them all again.
    pub fn of_agent(protocol: Protocol, asked: Millis, now: Millis, limits: &Limits) -> Self {
        let bytes = usize::try_from(limits.answer_bytes).unwrap_or(usize::MAX);
        Self { heard: now, written: now, ..Self::new(Source::Agent(Reader::new(protocol, bytes), 0), asked) }
    }

    /// The demonstration's answer to that question, which was asked then.
    pub fn of_demo(question: &str, asked: Millis) -> Self {
        Self::new(Source::Demo(demo::answer(question).into(), asked), asked)
    }

    fn new(source: Source, began: Millis) -> Self {
        let (agent, text) = (Agent::default(), String::new());
        let (size, told, kept) = (0, 0, 0);
        Self { source, agent, text, size, told, kept, began, heard: began, flushed: Millis(0), written: began }
    }

    /// Who says it.
    pub const fn agent(&self) -> &Agent {
        &self.agent
    }

    /// All that has been said.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many bytes of the agent's have been read; `None` if it is not an agent that speaks.
    pub const fn read(&self) -> Option<usize> {
        match self.source {
            Source::Agent(_, bytes) => Some(bytes),
            Source::Demo(..) => None,
        }
    }

    /// Takes more bytes of the agent's.
    pub fn push(&mut self, bytes: &[u8], now: Millis) -> Vec<Event> {
        self.heard = now;
        match &mut self.source {
            Source::Agent(reader, read) => {
                *read += bytes.len();
                reader.push(bytes)
            }
            Source::Demo(..) => Vec::new(),
        }
    }

    /// The agent says nothing more.
    pub fn end(&mut self) -> Option<Event> {
        match &mut self.source {
            Source::Agent(reader, _) => reader.end(),
            Source::Demo(..) => None,
        }
    }

    /// What the demonstration says next, if it has said it by now.
    pub fn play(&mut self, now: Millis) -> Option<Event> {
        let Source::Demo(rest, due) = &mut self.source else { return None };
        if now < *due {
            return None;
        }
        *due = due.plus(DEMO_PACE);
        let agent = demo::agent();
        Some(match rest.pop_front() {
            Some(text) => Event::Text { text, agent },
            None => Event::Done { extra: serde_json::Map::new(), agent },
        })
    }

    /// Takes note of who speaks, unless that is more than a frame has space for.
    pub fn meet(&mut self, agent: Agent, limits: &Limits) {
        let fits = json_bytes(&agent) <= space(limits) / 4;
        if agent != Agent::default() && fits {
            self.agent = agent;
        }
    }

    /// Adds to the text. `false`, if it has become too long.
    pub fn add(&mut self, text: &str, limits: &Limits) -> bool {
        let size = self.size.saturating_add(json_bytes(&text));
        let fits = size <= limits.answer_bytes.min(space(limits) / 2);
        if fits {
            self.text.push_str(text);
            self.size = size;
        }
        fits
    }

    /// What was told.
    pub fn told(&self) -> &str {
        self.text.get(..self.told).unwrap_or_default()
    }

    /// What was not told yet, if it is time to; from now on it is told.
    pub fn tell(&mut self, now: Millis, pause: u64) -> Option<String> {
        if now < self.due(pause)? {
            return None;
        }
        let news = self.text.get(self.told..).unwrap_or_default().to_owned();
        (self.told, self.flushed) = (self.text.len(), now);
        Some(news)
    }

    /// When to tell more, if there is more.
    fn due(&self, pause: u64) -> Option<Millis> {
        (self.told < self.text.len()).then(|| self.flushed.plus(pause))
    }

    /// The text, if it is time to write it down; from now on it is written.
    pub fn keep(&mut self, now: Millis) -> Option<&str> {
        if now < self.keeping()? {
            return None;
        }
        (self.kept, self.written) = (self.text.len(), now);
        Some(&self.text)
    }

    /// When to write more of the text down, if there is more.
    fn keeping(&self) -> Option<Millis> {
        let more = self.read().is_some() && self.kept < self.text.len();
        more.then(|| self.written.plus(KEEPING))
    }

    /// Whether the agent has said nothing for too long, or not come to an end.
    pub fn has_run_out(&self, now: Millis, limits: &Limits) -> bool {
        self.read().is_some() && self.runs_out(limits) <= now
    }

    fn runs_out(&self, limits: &Limits) -> Millis {
        self.heard.plus(limits.agent_silence).min(self.began.plus(limits.answer_time))
    }

    /// When something has to be done about it.
    pub fn deadline(&self, pause: u64, limits: &Limits) -> Millis {
        let next = match self.source {
            Source::Demo(_, due) => due,
            Source::Agent(..) => self.runs_out(limits),
        };
        [self.due(pause), self.keeping()].into_iter().flatten().fold(next, Millis::min)
    }
}

/// What an agent or a refusal says beside an answer, unless that is more than a frame has space for.
pub fn brief<'a>(words: &'a str, limits: &Limits) -> Option<&'a str> {
    (json_bytes(&words) <= space(limits) / 4).then_some(words)
}

/// How many bytes of JSON a frame has for what an agent says: half of it for the text, a quarter for who speaks, a
/// quarter for what went wrong.
const fn space(limits: &Limits) -> u64 {
    limits.message_bytes.saturating_sub(HEAD)
}

/// How long something is in JSON, without its quotes or brackets.
fn json_bytes(value: &impl Serialize) -> u64 {
    serde_json::to_string(value).map_or(0, |json| json.len().saturating_sub(2) as u64)
}
