//! What a client says of a file before it sends it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{fields, frame_id};
use crate::code::{Refusal, Reject};
use crate::id::Id;

/// A file that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The client's id of it: announced again, it goes on where it was.
    pub id: Id,
    /// Its name, as its user knows it.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// What its sender takes it for.
    pub content_type: String,
    /// Its SHA-256 in hexadecimal, if its sender knows.
    pub sha256: Option<String>,
}

impl Announcement {
    pub(super) fn read(id: Option<&RawValue>, data: Option<&RawValue>) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Data {
            name: String,
            size: u64,
            #[serde(default)]
            content_type: String,
            sha256: Option<String>,
        }
        let id = frame_id(id)?.ok_or_else(|| Reject::InvalidFrame.because("An upload has an `id`."))?;
        let shape = |_| Reject::InvalidFrame.because("`data` holds the file's `name`, `size` and `content_type`.");
        let Data { name, size, content_type, sha256 } = fields(data).map_err(shape)?;
        Ok(Self { id, name, size, content_type, sha256 })
    }
}
