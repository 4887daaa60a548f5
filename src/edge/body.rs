//! Request bodies of bounded size.

use futures_util::StreamExt;
use worker::Request;

use super::header;
use crate::code::{Refusal, Reject};

/// Reads the whole body, or gives up as soon as it is known to be larger than `limit` bytes.
pub(super) async fn read(request: &mut Request, limit: u64) -> Result<Vec<u8>, Refusal> {
    let too_large = || Reject::TooLarge.because(format!("A body is at most {limit} bytes."));
    let announced = header(request, "content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    let Ok(mut stream) = request.stream() else { return Ok(body) };
    while let Some(chunk) = stream.next().await {
        body.extend(chunk.map_err(|_| Reject::InvalidJson.because("The body broke off."))?);
        if body.len() as u64 > limit {
            return Err(too_large());
        }
    }
    Ok(body)
}
