//! Chat completions, as OpenAI and whoever imitates it serve them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Agent, Event};
use crate::code::Reject;
use crate::json;

/// What stands in place of JSON when the answer is complete.
const DONE: &str = "[DONE]";

/// Who said something of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The agent.
    Assistant,
    /// Whoever runs it, about how to answer.
    System,
    /// A person.
    User,
}

/// Something that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Remark<'a> {
    /// By whom.
    pub role: Role,
    /// What.
    pub content: &'a str,
}

/// What is asked, as a request's body: how to answer, and the conversation with the question at its end.
pub fn body(model: &str, prompt: Option<&str>, remarks: &[Remark<'_>]) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        stream: bool,
        messages: Vec<Remark<'a>>,
    }
    let system = prompt.map(|content| Remark { role: Role::System, content });
    let messages = system.into_iter().chain(remarks.iter().copied()).collect();
    serde_json::to_string(&Body { model, stream: true, messages }).unwrap_or_default()
}

/// A complete answer. It names no agent: the model is known to who asked.
pub(super) fn done() -> Event {
    Event::Done { extra: Map::new(), agent: Agent::default() }
}

/// Reads the chunks of one answer, and knows whether they have said that its text is complete.
#[derive(Debug, Default)]
pub(super) struct Parser {
    finished: bool,
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

impl Parser {
    /// Whether it is complete if the stream ends here.
    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    /// What the data of an event say. One answer is asked for, so the first choice is it.
    pub(super) fn read(&mut self, data: &str) -> Option<Event> {
        if data.trim() == DONE {
            return Some(done());
        }
        let Ok(chunk) = json::object::<Chunk>(data, Reject::InvalidJson) else { return Some(Event::unreadable()) };
        match chunk.error {
            Some(error) => Some(Event::failed(reason(&error))),
            None => self.choice(chunk.choices.into_iter().flatten().next()?),
        }
    }

    fn choice(&mut self, choice: Choice) -> Option<Event> {
        self.finished |= choice.finish_reason.is_some_and(|reason| !reason.is_empty());
        let text = choice.delta?.content.filter(|text| !text.is_empty())?;
        Some(Event::Text { text, agent: Agent::default() })
    }
}

/// Why it failed: some say it in an object, some just so.
fn reason(error: &Value) -> Option<&str> {
    error.get("message").unwrap_or(error).as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(data: &Value) -> Option<Event> {
        Parser::default().read(&data.to_string())
    }

    fn failed(message: &str) -> Option<Event> {
        Some(Event::Failed(message.to_owned()))
    }

    fn says(text: &str) -> Option<Event> {
        Some(Event::Text { text: text.to_owned(), agent: Agent::default() })
    }

    #[test]
    fn the_first_choice_is_the_answer() {
        let chunk = json!({"id": "c", "model": "m", "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "Olá"}, "finish_reason": null},
            {"index": 1, "delta": {"content": "Oi"}, "finish_reason": null}]});
        assert_eq!(read(&chunk), says("Olá"));
    }

    #[test]
    fn an_answer_is_done_when_it_says_so() {
        assert_eq!(Parser::default().read("[DONE]"), Some(done()));
        assert_eq!(Parser::default().read("[DONE] "), Some(done()));
    }

    #[test]
    fn an_answer_is_finished_once_there_is_a_reason() {
        for (reason, finished) in
            [(json!("stop"), true), (json!("length"), true), (json!(null), false), (json!(""), false)]
        {
            let mut answer = Parser::default();
            let chunk = json!({"choices": [{"delta": {"content": "!"}, "finish_reason": reason}]});
            assert_eq!(answer.read(&chunk.to_string()), says("!"));
            assert_eq!(answer.read(r#"{"choices":[],"usage":{"total_tokens":9}}"#), None);
            assert_eq!(answer.read(r#"{"choices":[{"delta":{},"finish_reason":null}]}"#), None);
            assert_eq!(answer.finished(), finished, "{reason}");
        }
    }

    #[test]
    fn what_says_nothing_is_passed_over() {
        for chunk in [
            json!({}),
            json!({"choices": null, "error": null}),
            json!({"choices": [{}]}),
            json!({"choices": [{"delta": null}]}),
            json!({"choices": [{"delta": {"role": "assistant"}}]}),
            json!({"choices": [{"delta": {"content": null}}]}),
            json!({"choices": [{"delta": {"content": ""}}]}),
        ] {
            assert_eq!(read(&chunk), None, "{chunk}");
        }
    }

    #[test]
    fn a_failure_says_why_if_the_agent_does() {
        for (chunk, message) in [
            (json!({"error": {"message": "no such model", "type": "x"}}), "no such model"),
            (json!({"error": "no such model"}), "no such model"),
            (json!({"error": {"code": 7}}), "The agent failed."),
            (json!({"error": {}, "choices": [{"delta": {"content": "a"}}]}), "The agent failed."),
        ] {
            assert_eq!(read(&chunk), failed(message), "{chunk}");
        }
        assert_eq!(read(&json!({"error": "ã".repeat(10_000)})), failed(&"ã".repeat(500)));
    }

    #[test]
    fn what_cannot_be_read_is_a_failure() {
        for data in ["", "{", "7", "[[]]", r#"{"choices":7}"#, r#"{"choices":[{"delta":{"content":7}}]}"#] {
            assert_eq!(Parser::default().read(data), Some(Event::unreadable()), "{data}");
        }
    }

    #[test]
    fn a_question_goes_out_with_the_prompt_before_the_conversation() {
        let turn = |role, content| Remark { role, content };
        let remarks = [turn(Role::User, "Olá"), turn(Role::Assistant, "Oi!"), turn(Role::User, "E \"agora\"?")];
        assert_eq!(
            body("m", Some("Seja breve."), &remarks),
            r#"{"model":"m","stream":true,"messages":[{"role":"system","content":"Seja breve."},{"role":"user","content":"Olá"},{"role":"assistant","content":"Oi!"},{"role":"user","content":"E \"agora\"?"}]}"#
        );
        assert_eq!(
            body("m", None, &remarks[..1]),
            r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Olá"}]}"#
        );
    }
}
