//! The way to the agent: one request for an answer, whose bytes go to the room as they come.

use std::rc::Rc;

use futures_util::StreamExt;
use worker::wasm_bindgen::JsValue;
use worker::{
    AbortController, AbortSignal, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, Result,
    console_error,
};

use super::object::Object;
use super::{binding, config};
use crate::agent::address::{Address, Remote};
use crate::code::Reject;
use crate::id::Id;
use crate::turn::{Fetched, Input};

/// How often an answer is handed to a room that fails, a second apart.
const TRIES: usize = 5;

/// An answer that is being read. All of it is kept, for a room that is loaded again meanwhile.
#[derive(Default)]
pub(super) struct Stream {
    abort: AbortController,
    bytes: Vec<u8>,
}

impl Object {
    /// Asks the agent, and hands the room what comes of it. That it is being asked is known at once.
    pub(super) fn ask_agent(self: Rc<Self>, answer: Id, body: String) -> impl Future<Output = ()> {
        let stream = Stream::default();
        let signal = stream.abort.signal();
        self.streams.borrow_mut().insert(answer.clone(), stream);
        async move {
            let last = self.read_agent(&answer, &body, &signal).await;
            self.hand(&answer, Some(last)).await;
            self.hush_agent(&answer);
        }
    }

    /// Nobody waits for that answer any more.
    pub(super) fn hush_agent(&self, answer: &Id) {
        if let Some(stream) = self.streams.borrow_mut().remove(answer) {
            stream.abort.abort();
        }
    }

    /// Reads an answer to its end, which is what is returned.
    async fn read_agent(self: &Rc<Self>, answer: &Id, body: &str, signal: &AbortSignal) -> Fetched {
        let mut response = match self.call_agent(body, signal).await {
            Ok(response) if response.status_code() == 200 => response,
            Ok(response) => return unavailable(&format!("status {}", response.status_code())),
            Err(error) => return unavailable(&error.to_string()),
        };
        let Ok(mut chunks) = response.stream() else { return Fetched::End };
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else { return Fetched::Failed(Reject::AgentFailed) };
            let Some(()) = self.keep(answer, &chunk) else { break };
            self.hand(answer, None).await;
        }
        Fetched::End
    }

    async fn call_agent(&self, body: &str, signal: &AbortSignal) -> Result<Response> {
        let config = config(&self.env);
        let Address::Remote(remote) = &config.agent else { return Err("no agent is set".into()) };
        Fetch::Request(request(remote, body)?).send_with_signal(signal).await
    }

    /// What has been read of each answer.
    pub(super) fn read_so_far(&self) -> Vec<(Id, Vec<u8>)> {
        self.streams.borrow().iter().map(|(answer, stream)| (answer.clone(), stream.bytes.clone())).collect()
    }

    /// Adds to what was read of an answer, if anybody still waits for it. A room that fails does not stop what is too long.
    fn keep(&self, answer: &Id, chunk: &[u8]) -> Option<()> {
        let most = config(&self.env).limits.agent_bytes;
        let mut streams = self.streams.borrow_mut();
        let stream = streams.get_mut(answer).filter(|stream| stream.bytes.len() <= most)?;
        stream.bytes.extend(chunk);
        Some(())
    }

    /// Hands the room what it has not read of an answer, and what came last.
    async fn hand(self: &Rc<Self>, answer: &Id, last: Option<Fetched>) {
        for _ in 0..TRIES {
            let handed = self.run(|loaded, turn| {
                let Some(read) = loaded.room.read_of(answer) else { return Ok(()) };
                let rest =
                    self.streams.borrow().get(answer).and_then(|stream| Some(stream.bytes.get(read..)?.to_vec()));
                let bytes = rest.filter(|rest| !rest.is_empty()).map(Fetched::Bytes);
                for fetched in bytes.into_iter().chain(last.clone()) {
                    loaded.room.handle(turn, Input::Answered(answer.clone(), fetched))?;
                }
                Ok(())
            });
            match handed.await {
                Ok(()) => return,
                Err(refusal) => console_error!("an agent's answer: {refusal}"),
            }
            binding::sleep(1_000).await;
        }
    }
}

fn request(remote: &Remote, body: &str) -> Result<Request> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("accept", "text/event-stream")?;
    remote.token.as_ref().map_or(Ok(()), |token| headers.set("authorization", &format!("Bearer {token}")))?;
    let mut init = RequestInit::new();
    // An agent that moved is not followed: the token is for this one.
    init.with_method(Method::Post).with_headers(headers).with_redirect(RequestRedirect::Manual);
    init.with_body(Some(JsValue::from_str(body)));
    Request::new_with_init(&remote.url, &init)
}

fn unavailable(why: &str) -> Fetched {
    console_error!("agent: {why}");
    Fetched::Failed(Reject::AgentUnavailable)
}
