//! Agents that answer in chat rooms: what is sent to one, and what its answer says as the bytes of it come.
//!
//! There are two protocols, the backend's own and the one that OpenAI's interface made common, and a demonstration
//! that needs neither. Nothing here connects to anybody.

pub mod address;
pub mod backend;
pub mod demo;
pub mod openai;
pub mod question;
pub mod sse;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Longest id and name of an agent, in characters.
const NAME_CHARS: usize = 128;

/// Longest message that an agent has for people beside its answer, in characters.
const MESSAGE_CHARS: usize = 500;

/// Which protocol an agent speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// That of the Cidadão.AI backend, `POST /api/v1/chat/stream`.
    Backend,
    /// Chat completions, `POST /v1/chat/completions`.
    OpenAi,
}

/// Who answers, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// For programs: `zumbi`.
    #[serde(rename = "agent_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For people: `Zumbi dos Palmares`.
    #[serde(rename = "agent_name", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How far an agent is that has not said anything yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It has been chosen who answers.
    AgentSelected,
    /// The question is on its way. No agent says so: whoever asks does.
    Asking,
    /// It looks for what the question is about.
    Detecting,
    /// It has found that.
    Intent,
    /// It works on the answer.
    Thinking,
}

/// Something that an agent does, whichever protocol it speaks.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer is complete.
    Done {
        /// What else the agent says of it, such as `suggested_actions`.
        extra: Map<String, Value>,
        /// Who answered.
        agent: Agent,
    },
    /// There will be no more of the answer; why, for a person.
    Failed(String),
    /// It has come this far.
    Stage {
        /// How far.
        stage: Stage,
        /// The agent's own words for it.
        message: Option<String>,
        /// Who answers.
        agent: Agent,
    },
    /// More of the answer.
    Text {
        /// To be appended to what there is. Never empty.
        text: String,
        /// Who says it.
        agent: Agent,
    },
}

impl Event {
    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Done { .. } | Self::Failed(_) => true,
            Self::Stage { .. } | Self::Text { .. } => false,
        }
    }

    /// What came is not what was agreed on.
    fn unreadable() -> Self {
        Self::Failed("The agent sent what cannot be read.".to_owned())
    }

    /// The agent says that it failed, and perhaps why.
    fn failed(message: Option<&str>) -> Self {
        Self::Failed(
            message.and_then(|text| bounded(text, MESSAGE_CHARS)).unwrap_or_else(|| "The agent failed.".into()),
        )
    }
}

/// What has been read of one answer. Its last event is [`Event::Done`] or [`Event::Failed`], and there is one.
#[derive(Debug)]
pub struct Reader {
    stream: sse::Decoder,
    parser: Parser,
    over: bool,
}

#[derive(Debug)]
enum Parser {
    Backend(backend::Parser),
    OpenAi(openai::Parser),
}

impl Reader {
    /// The answer of an agent that speaks that protocol, of which one event may have so many bytes.
    pub fn new(protocol: Protocol, event_bytes: usize) -> Self {
        let parser = match protocol {
            Protocol::Backend => Parser::Backend(backend::Parser::default()),
            Protocol::OpenAi => Parser::OpenAi(openai::Parser::default()),
        };
        Self { stream: sse::Decoder::new(event_bytes), parser, over: false }
    }

    /// What the next bytes say, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        if self.over {
            return Vec::new();
        }
        let mut parts = Vec::new();
        let outcome = self.stream.push(bytes, &mut parts);
        let mut events: Vec<Event> = parts.iter().filter_map(|part| self.read(part)).collect();
        if outcome.is_err() {
            events.extend(self.close(Event::Failed("The agent sent too much at once.".to_owned())));
        }
        events
    }

    /// What it says that the stream has ended. Nothing, if the answer had ended before.
    pub fn end(&mut self) -> Option<Event> {
        let whole = match &self.parser {
            Parser::Backend(_) => false,
            Parser::OpenAi(parser) => parser.finished(),
        };
        self.close(if whole { openai::done() } else { Event::Failed("The agent's answer broke off.".to_owned()) })
    }

    fn read(&mut self, part: &sse::Event) -> Option<Event> {
        if self.over {
            return None;
        }
        let event = match &mut self.parser {
            Parser::Backend(parser) => parser.read(part),
            Parser::OpenAi(parser) => parser.read(&part.data),
        };
        self.over = event.as_ref().is_some_and(Event::is_last);
        event
    }

    fn close(&mut self, event: Event) -> Option<Event> {
        let first = !std::mem::replace(&mut self.over, true);
        first.then_some(event)
    }
}

/// The beginning of a text, if there is any.
fn bounded(text: &str, chars: usize) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: &[u8] = b"data: {\"type\":\"chunk\",\"content\":\"a\"}\n\n";

    fn text(text: &str) -> Event {
        Event::Text { text: text.to_owned(), agent: Agent::default() }
    }

    fn failed(message: &str) -> Event {
        Event::Failed(message.to_owned())
    }

    #[test]
    fn an_answer_ends_once() {
        let mut reader = Reader::new(Protocol::Backend, 1_000);
        assert_eq!(reader.push(b"data: {\"type\":\"error\",\"message\":\"no\"}\n\ndata: {}\n\n"), [failed("no")]);
        assert_eq!(reader.push(CHUNK), []);
        assert_eq!(reader.end(), None);
        assert_eq!(reader.end(), None);
    }

    #[test]
    fn a_stream_that_ends_before_the_answer_does_broke_off() {
        for protocol in [Protocol::Backend, Protocol::OpenAi] {
            let mut reader = Reader::new(protocol, 1_000);
            assert_eq!(reader.push(b""), []);
            assert_eq!(reader.end(), Some(failed("The agent's answer broke off.")));
            assert_eq!((reader.push(CHUNK), reader.end()), (vec![], None));
        }
    }

    #[test]
    fn an_event_without_end_fails_and_what_came_before_it_counts() {
        let mut reader = Reader::new(Protocol::Backend, 100);
        let flood = [CHUNK, b"data: ", &[b'a'; 100]].concat();
        assert_eq!(reader.push(&flood), [text("a"), failed("The agent sent too much at once.")]);
        assert_eq!(reader.push(CHUNK), []);
        assert_eq!(reader.end(), None);
    }

    #[test]
    fn an_answer_that_is_complete_is_so_whatever_follows() {
        let mut reader = Reader::new(Protocol::OpenAi, 100);
        let flood = [b"data: [DONE]\n\ndata: ", &[b'a'; 200][..]].concat();
        assert_eq!(reader.push(&flood), [openai::done()]);
        assert_eq!(reader.end(), None);
    }

    #[test]
    fn a_text_is_bounded_in_characters() {
        assert_eq!(bounded("ação", 3).as_deref(), Some("açã"));
        assert_eq!(bounded("ação", 4).as_deref(), Some("ação"));
        assert_eq!(bounded("", 4), None);
    }

    #[test]
    fn who_answers_is_named_as_clients_know_it() {
        let agent = Agent { id: Some("zumbi".to_owned()), name: None };
        assert_eq!(serde_json::to_string(&agent).unwrap(), r#"{"agent_id":"zumbi"}"#);
        assert_eq!(serde_json::to_string(&Stage::AgentSelected).unwrap(), r#""agent_selected""#);
    }
}
