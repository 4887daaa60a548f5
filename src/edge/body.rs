//! Request bodies of bounded size.

use futures_util::StreamExt;
use worker::Request;

use super::header;
use crate::code::{Refusal, Reject};

/// How many times the limit of a body is read, and dropped, before its sender is cut off: 16.
///
/// Over HTTP/1.1 a client that is still sending when the connection ends sees that, and not why it was refused. So what
/// is a few times too large is read to its end, in constant memory; what goes on for ever is not.
const PATIENCE: u64 = 16;

/// Reads the whole body, if it is not larger than `limit` bytes.
pub(super) async fn read(request: &mut Request, limit: u64) -> Result<Vec<u8>, Refusal> {
    let too_large = || Reject::TooLarge.because(format!("A body is at most {limit} bytes."));
    let bound = limit.saturating_mul(PATIENCE);
    let announced = header(request, "content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bound) {
        return Err(too_large());
    }
    let (mut body, mut length) = (Vec::new(), 0);
    let Ok(mut stream) = request.stream() else { return Ok(body) };
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Reject::InvalidJson.because("The body broke off."))?;
        length += chunk.len() as u64;
        match length {
            _ if length > bound => return Err(too_large()),
            _ if length > limit => body = Vec::new(),
            _ => body.extend(chunk),
        }
    }
    if length > limit { Err(too_large()) } else { Ok(body) }
}
