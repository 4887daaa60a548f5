//! Files over HTTP. The room says whether; the bytes go between the client and the bucket, past the room.

use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::stream::{self, Stream, TakeUntil};
use worker::{ByteStream, Env, Method, Request, Response, ResponseBody, Result, console_error};

use super::reply::{json_text, with_headers};
use super::{binding, bucket, hand, header, internal, now, to_json};
use crate::asker::Asker;
use crate::code::{Refusal, Reject};
use crate::config::Config;
use crate::files::download::{self, Conditions, Held};
use crate::files::sniff::{HEAD, Kind, Seen};
use crate::files::{Offer, invalid, late};
use crate::gate::Brought;
use crate::id::{Id, RoomName};
use crate::moment::Millis;
use crate::room::{Ask, Place};

/// A body, as far as it comes in time.
type Body = TakeUntil<ByteStream, Pin<Box<dyn Future<Output = ()>>>>;

/// Takes a file. Of what is put where files are kept the room has written before that it goes unless it hears of it: so
/// nothing is left there, whatever ends this.
pub(super) async fn bring(
    env: &Env,
    config: &Config,
    mut request: Request,
    room: &RoomName,
    asker: Asker,
    brought: Brought,
) -> std::result::Result<Response, Refusal> {
    let offer = offer(&request, &asker, brought)?;
    let (mut body, end) = body_in_time(&mut request, config.limits.put_time)?;
    let head = head(&mut body, offer.size).await.map_err(|refusal| unless_late(end, refusal))?;
    if let Err(refusal) = offer.settle_type(Kind::of(&head), config) {
        spill(body, config, offer.size).await;
        return Err(refusal);
    }
    let mut permit = ask(env, room, &Ask::Admit(asker.clone(), offer.clone())).await?;
    // The room says where to put it, that it is not to come, or that it is here.
    let text = if permit.status_code() == 200 { permit.text().await.map_err(internal)? } else { String::new() };
    let Ok(place) = serde_json::from_str::<Place>(&text) else {
        spill(body, config, offer.size).await;
        return if text.is_empty() { Ok(permit) } else { json_text(200, text).map_err(internal) };
    };
    let bytes = stream::iter([Ok(head)]).chain(body);
    let seen = store(env, &place.key, offer.size, bytes).await.map_err(|refusal| unless_late(end, refusal))?;
    #[cfg(feature = "fault-injection")]
    super::fault::end_here(&request);
    ask(env, room, &Ask::Brought(asker, offer, place, seen)).await
}

/// What the request says of the file.
fn offer(request: &Request, asker: &Asker, brought: Brought) -> std::result::Result<Offer, Refusal> {
    let length = header(request, "content-length").and_then(|length| length.parse().ok());
    let size = length.ok_or_else(|| invalid("A file comes with a Content-Length."))?;
    let content_type = header(request, "content-type").unwrap_or_default();
    let sha256 = header(request, "x-content-sha256").map(|hash| hash.trim().to_ascii_lowercase());
    let Brought { id, name } = brought;
    Ok(Offer { id, user: asker.user.clone(), name, size, content_type, sha256 })
}

/// The body, which ends after so many milliseconds, and when that is. The room waits twice as long before it removes what
/// has been put: so there is nothing to be put then.
fn body_in_time(request: &mut Request, millis: u64) -> std::result::Result<(Body, Millis), Refusal> {
    let body = request.stream().map_err(|_| invalid("A file has a body."))?;
    Ok((body.take_until(Box::pin(binding::sleep(millis))), now().plus(millis)))
}

fn unless_late(end: Millis, refusal: Refusal) -> Refusal {
    if now() < end { refusal } else { late() }
}

/// The beginning of a body, long enough to tell what it is; or all of it.
async fn head(body: &mut Body, size: u64) -> std::result::Result<Vec<u8>, Refusal> {
    let mut head = Vec::new();
    while head.len() < HEAD {
        match body.next().await {
            Some(chunk) => head.extend(chunk.map_err(|_| invalid("The body broke off."))?),
            None => break,
        }
    }
    let length = head.len() as u64;
    if length > size || (head.len() < HEAD && length < size) {
        return Err(invalid("The body is not as long as Content-Length says."));
    }
    Ok(head)
}

/// Puts the body into the bucket.
async fn store(
    env: &Env,
    key: &str,
    size: u64,
    bytes: impl Stream<Item = Result<Vec<u8>>> + 'static,
) -> std::result::Result<Seen, Refusal> {
    let broken = |error: worker::Error| {
        console_error!("a file that did not come through: {error}");
        Refusal::from(Reject::FilesUnavailable)
    };
    bucket::put(&bucket::open(env).map_err(broken)?, key, size, bytes).await.map_err(broken)
}

/// Reads what nobody wants, so that its sender hears why: over HTTP/1.1 it would see a broken connection. What is far too
/// large is not read.
async fn spill(mut body: Body, config: &Config, size: u64) {
    if size > config.limits.file_bytes.saturating_mul(2) {
        return;
    }
    let mut left = size;
    while let Some(Ok(chunk)) = body.next().await {
        left = left.saturating_sub(chunk.len() as u64);
        if left == 0 {
            return;
        }
    }
}

/// Gives a file.
pub(super) async fn give(
    env: &Env,
    request: &Request,
    room: &RoomName,
    asker: Asker,
    id: Id,
) -> std::result::Result<Response, Refusal> {
    let mut found = ask(env, room, &Ask::Find(asker, id)).await?;
    if found.status_code() != 200 {
        return Ok(found);
    }
    let held: Held = found.json().await.map_err(internal)?;
    let [none_match, if_range, range] = ["if-none-match", "if-range", "range"].map(|name| header(request, name));
    let conditions =
        Conditions { none_match: none_match.as_deref(), if_range: if_range.as_deref(), range: range.as_deref() };
    let answer = download::answer(&held, conditions);
    let body = match answer.bytes {
        Some(bytes) if request.method() == Method::Get => body(env, &held.key, bytes).await?,
        Some(_) | None => ResponseBody::Empty,
    };
    let response = Response::from_body(body).map_err(internal)?.with_status(answer.status);
    with_headers(response, answer.headers).map_err(internal)
}

async fn body(env: &Env, key: &str, (offset, length): (u64, u64)) -> std::result::Result<ResponseBody, Refusal> {
    let lost = || {
        console_error!("there is nothing at {key}");
        Refusal::from(Reject::FilesUnavailable)
    };
    let bucket = bucket::open(env).map_err(|_| Reject::FilesUnavailable)?;
    let range = worker::Range::OffsetWithLength { offset, length };
    let object = bucket.get(key).range(range).execute().await.map_err(|_| lost())?.ok_or_else(lost)?;
    object.body().ok_or_else(lost)?.response_body().map_err(internal)
}

/// Asks the room.
async fn ask(env: &Env, room: &RoomName, ask: &Ask) -> std::result::Result<Response, Refusal> {
    hand(env, room, "file", &to_json(ask)?).await
}
