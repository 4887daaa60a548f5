//! The protocol of the Cidadão.AI backend: every event is an object with a `type`.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Agent, Event, MESSAGE_CHARS, NAME_CHARS, Stage, bounded, sse};
use crate::code::Reject;
use crate::json;

/// Most that a complete answer may have beside its text, in bytes of JSON.
const EXTRA_BYTES: usize = 16 << 10;

/// Fields of an answer that are not the agent's to set.
const OURS: [&str; 9] =
    ["type", "status", "role", "content", "message_id", "reply_to", "error", "agent_id", "agent_name"];

/// What is asked, as a request's body.
pub fn body(message: &str, session_id: &str, context: Option<&RawValue>, agent_id: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
        session_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        agent_id: Option<&'a str>,
    }
    serde_json::to_string(&Body { message, session_id, context, agent_id }).unwrap_or_default()
}

/// Reads the events of one answer, and knows who answers as far as they have said.
#[derive(Debug, Default)]
pub(super) struct Parser {
    agent: Agent,
}

impl Parser {
    /// What an event says. A type that is not known says nothing.
    pub(super) fn read(&mut self, event: &sse::Event) -> Option<Event> {
        let Ok(said) = json::object::<Map<String, Value>>(&event.data, Reject::InvalidJson) else {
            return Some(Event::unreadable());
        };
        self.meet(&said);
        match text(&said, "type").unwrap_or(&event.name) {
            "agent_selected" => Some(self.stage(Stage::AgentSelected, &said)),
            "chunk" => self.chunk(&said),
            "complete" => Some(Event::Done { extra: extra(said), agent: self.agent.clone() }),
            "detecting" => Some(self.stage(Stage::Detecting, &said)),
            "error" => Some(Event::failed(text(&said, "message"))),
            "intent" => Some(self.stage(Stage::Intent, &said)),
            "thinking" => Some(self.stage(Stage::Thinking, &said)),
            _ => None,
        }
    }

    /// Remembers who answers. Another agent does not go by the name of the one before.
    fn meet(&mut self, said: &Map<String, Value>) {
        let named = |field: &str| text(said, field).and_then(|text| bounded(text, NAME_CHARS));
        let (id, name) = (named("agent_id"), named("agent_name"));
        if id.is_some() && id != self.agent.id {
            self.agent = Agent { id, name: None };
        }
        self.agent.name = name.or_else(|| self.agent.name.take());
    }

    fn stage(&self, stage: Stage, said: &Map<String, Value>) -> Event {
        let message = text(said, "message").and_then(|text| bounded(text, MESSAGE_CHARS));
        Event::Stage { stage, message, agent: self.agent.clone() }
    }

    /// A part of the answer that is no text would be missing from it.
    fn chunk(&self, said: &Map<String, Value>) -> Option<Event> {
        match said.get("content").filter(|content| !content.is_null()).map(Value::as_str) {
            None | Some(Some("")) => None,
            Some(None) => Some(Event::unreadable()),
            Some(Some(text)) => Some(Event::Text { text: text.to_owned(), agent: self.agent.clone() }),
        }
    }
}

fn text<'a>(said: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    said.get(field).and_then(Value::as_str)
}

/// What else there is, or nothing if it is too much.
fn extra(mut said: Map<String, Value>) -> Map<String, Value> {
    said.retain(|field, _| !OURS.contains(&field.as_str()));
    let bytes = serde_json::to_string(&said).map_or(usize::MAX, |text| text.len());
    if bytes > EXTRA_BYTES { Map::new() } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What comes of events, one after the other.
    fn read(events: &[Value]) -> Vec<Option<Event>> {
        let mut answer = Parser::default();
        events.iter().map(|event| answer.read(&message(&event.to_string()))).collect()
    }

    fn message(data: &str) -> sse::Event {
        sse::Event { name: "message".to_owned(), data: data.to_owned() }
    }

    fn agent(id: Option<&str>, name: Option<&str>) -> Agent {
        Agent { id: id.map(str::to_owned), name: name.map(str::to_owned) }
    }

    fn stage(stage: Stage, message: Option<&str>) -> Option<Event> {
        Some(Event::Stage { stage, message: message.map(str::to_owned), agent: Agent::default() })
    }

    fn says(text: &str, agent: Agent) -> Option<Event> {
        Some(Event::Text { text: text.to_owned(), agent })
    }

    fn extra_of(complete: &Value) -> Value {
        match read(std::slice::from_ref(complete)).remove(0) {
            Some(Event::Done { extra, .. }) => Value::Object(extra),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_stage_is_told_with_the_agents_words() {
        assert_eq!(
            read(&[
                json!({"type": "start", "timestamp": "2025-10-31T19:00:00Z", "session_id": "s"}),
                json!({"type": "detecting", "message": "Entendendo…"}),
                json!({"type": "intent", "intent": "contracts", "confidence": 0.9}),
                json!({"type": "thinking", "message": ""}),
            ]),
            [
                None,
                stage(Stage::Detecting, Some("Entendendo…")),
                stage(Stage::Intent, None),
                stage(Stage::Thinking, None)
            ]
        );
    }

    #[test]
    fn the_agent_is_remembered_until_another_one_speaks() {
        let zumbi = agent(Some("zumbi"), Some("Zumbi dos Palmares"));
        assert_eq!(
            read(&[
                json!({"type": "chunk", "content": "a"}),
                json!({"type": "agent_selected", "agent_id": "zumbi", "agent_name": "Zumbi dos Palmares"}),
                json!({"type": "chunk", "content": "b"}),
                json!({"type": "chunk", "content": "c", "agent_id": "zumbi"}),
                json!({"type": "chunk", "content": "d", "agent_id": "drummond"}),
                json!({"type": "complete", "agent_name": "Drummond"}),
            ]),
            [
                says("a", Agent::default()),
                Some(Event::Stage { stage: Stage::AgentSelected, message: None, agent: zumbi.clone() }),
                says("b", zumbi.clone()),
                says("c", zumbi),
                says("d", agent(Some("drummond"), None)),
                Some(Event::Done { extra: Map::new(), agent: agent(Some("drummond"), Some("Drummond")) }),
            ]
        );
    }

    #[test]
    fn a_complete_answer_keeps_what_it_has_beside_what_is_ours() {
        let complete = json!({"type": "complete", "status": "hacked", "role": "user", "content": "x", "message_id": "m",
            "reply_to": "r", "error": {}, "agent_id": "a", "agent_name": "b",
            "suggested_actions": ["ver_contratos"], "confidence": 0.87});
        assert_eq!(extra_of(&complete), json!({"suggested_actions": ["ver_contratos"], "confidence": 0.87}));
    }

    #[test]
    fn a_complete_answer_keeps_nothing_of_what_is_too_much() {
        let complete = |bytes: usize| json!({"type": "complete", "a": "x".repeat(bytes - r#"{"a":""}"#.len())});
        assert_eq!(extra_of(&complete(EXTRA_BYTES)).to_string().len(), EXTRA_BYTES);
        assert_eq!(extra_of(&complete(EXTRA_BYTES + 1)), json!({}));
    }

    #[test]
    fn a_failure_says_why_if_the_agent_does() {
        let failed = |text: &str| Some(Event::Failed(text.to_owned()));
        for (event, message) in [
            (json!({"type": "error", "message": "Sem dados."}), "Sem dados."),
            (json!({"type": "error", "message": ""}), "The agent failed."),
            (json!({"type": "error", "message": 7}), "The agent failed."),
            (json!({"type": "error"}), "The agent failed."),
        ] {
            assert_eq!(read(std::slice::from_ref(&event)), [failed(message)], "{event}");
        }
    }

    #[test]
    fn what_an_agent_says_beside_its_answer_is_bounded() {
        let long = "ã".repeat(10_000);
        let events = read(&[
            json!({"type": "agent_selected", "agent_id": long, "agent_name": long, "message": long}),
            json!({"type": "error", "message": long}),
        ]);
        let cut = |chars: usize| Some("ã".repeat(chars));
        let agent = Agent { id: cut(128), name: cut(128) };
        let selected = Event::Stage { stage: Stage::AgentSelected, message: cut(500), agent };
        assert_eq!(events, [Some(selected), cut(500).map(Event::Failed)]);
    }

    #[test]
    fn what_says_nothing_is_passed_over() {
        for event in [
            json!({}),
            json!({"type": "news", "content": "a", "message": {}}),
            json!({"type": 7}),
            json!({"type": "chunk"}),
            json!({"type": "chunk", "content": null}),
            json!({"type": "chunk", "content": ""}),
        ] {
            assert_eq!(read(std::slice::from_ref(&event)), [None], "{event}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_failure() {
        let nested = format!(r#"{{"type":"complete","a":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
        for data in ["", "{", "[DONE]", "7", "null", "[]", r#"{"type":"chunk","content":7}"#, &nested] {
            assert_eq!(Parser::default().read(&message(data)), Some(Event::unreadable()), "{data}");
        }
    }

    #[test]
    fn an_event_without_a_type_is_of_the_type_that_the_stream_names() {
        let event = |name: &str, data: &str| sse::Event { name: name.to_owned(), data: data.to_owned() };
        let read = |event: sse::Event| Parser::default().read(&event);
        assert_eq!(read(event("chunk", r#"{"content":"a"}"#)), says("a", Agent::default()));
        assert_eq!(read(event("error", r#"{"type":"chunk","content":"a"}"#)), says("a", Agent::default()));
    }

    #[test]
    fn a_question_goes_out_with_its_context_untouched() {
        let context: Box<RawValue> = serde_json::from_str(r#"{"valor": 1.10}"#).unwrap();
        assert_eq!(
            body("Olá \"IA\"", "s", Some(&context), Some("zumbi")),
            r#"{"message":"Olá \"IA\"","session_id":"s","context":{"valor": 1.10},"agent_id":"zumbi"}"#
        );
        assert_eq!(body("Olá", "s", None, None), r#"{"message":"Olá","session_id":"s"}"#);
    }
}
