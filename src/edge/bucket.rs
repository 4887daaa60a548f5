//! Where files are kept: R2. Bytes go through in a stream, a part at a time, and are looked at on their way.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::stream::{Stream, StreamExt, try_unfold};
use worker::{Bucket, Env, Error, FixedLengthStream, HttpMetadata, Result, SqlStorage};

use crate::files::sniff::{Inspection, Seen};
use crate::files::uploads;
use crate::turn::{Errand, Outcome};

/// The binding of the bucket in wrangler.toml.
const FILES: &str = "FILES";

/// The bucket, if there is one.
pub(super) fn open(env: &Env) -> Result<Bucket> {
    env.bucket(FILES)
}

/// Does what a room asks for.
pub(super) async fn run(env: &Env, sql: SqlStorage, errand: &Errand) -> Result<Outcome> {
    match errand {
        Errand::Discard { prefix, .. } => discard(&open(env)?, prefix).await.map(|()| Outcome::Discarded),
        Errand::Store { handle, key, size } => {
            put(&open(env)?, key, *size, parts(sql, *handle, *size)).await.map(Outcome::Stored)
        }
    }
}

/// The parts of an upload, one after the other.
fn parts(sql: SqlStorage, handle: u32, size: u64) -> impl Stream<Item = Result<Vec<u8>>> + 'static {
    try_unfold((sql, 0), move |(sql, offset)| async move {
        if offset >= size {
            return Ok(None);
        }
        let part = uploads::part(&sql, handle, offset).map_err(|error| Error::RustError(error.to_string()))?;
        let next = offset.saturating_add(part.len() as u64);
        Ok(Some((part, (sql, next))))
    })
}

/// Puts so many bytes under a key, and says what they were. Other than so many, nothing is put.
pub(super) async fn put(
    bucket: &Bucket,
    key: &str,
    size: u64,
    bytes: impl Stream<Item = Result<Vec<u8>>> + 'static,
) -> Result<Seen> {
    let inspection = Rc::new(RefCell::new(Inspection::default()));
    let inspector = inspection.clone();
    let inspected = bytes.map(move |part| part.inspect(|part| inspector.borrow_mut().push(part)));
    let stream = FixedLengthStream::wrap(inspected, size);
    // The type is what the room says when it is asked for.
    let metadata =
        HttpMetadata { content_type: Some("application/octet-stream".to_owned()), ..HttpMetadata::default() };
    bucket.put(key, stream).http_metadata(metadata).execute().await?;
    Ok(inspection.take().finish())
}

/// Removes all whose key begins like this.
async fn discard(bucket: &Bucket, prefix: &str) -> Result<()> {
    loop {
        let found = bucket.list().prefix(prefix).execute().await?;
        let keys: Vec<String> = found.objects().iter().map(worker::Object::key).collect();
        if keys.is_empty() {
            return Ok(());
        }
        bucket.delete_multiple(keys).await?;
    }
}
