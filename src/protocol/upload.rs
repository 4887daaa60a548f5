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

/// A binary frame: some bytes of a file, and where they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Which upload it belongs to.
    pub handle: u32,
    /// The place of its first byte in the file.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl<'a> Part<'a> {
    /// Reads a frame: the handle in 4 bytes, the place in 8, the most significant first, and then the file's bytes.
    pub fn decode(frame: &'a [u8]) -> Option<Self> {
        let (handle, rest) = frame.split_first_chunk()?;
        let (offset, bytes) = rest.split_first_chunk()?;
        let (handle, offset) = (u32::from_be_bytes(*handle), u64::from_be_bytes(*offset));
        (!bytes.is_empty()).then_some(Self { handle, offset, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_where_it_belongs_and_holds_a_byte_at_least() {
        let frame = [0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 7, 8];
        assert_eq!(Part::decode(&frame), Some(Part { handle: 258, offset: 772, bytes: &[7, 8] }));
        for length in 0..=12 {
            assert_eq!(Part::decode(&frame[..length]), None, "{length}");
        }
    }
}
