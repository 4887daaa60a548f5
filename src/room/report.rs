//! What the room says of its messages to who asks over HTTP.

use super::{Failure, Room};
use crate::history::{History, Range, Status};
use crate::id::Id;
use crate::sql::{Sql, StoreError};

impl<S: Sql> Room<S> {
    /// A page of the log.
    pub fn history(&self, _range: Range) -> Result<History, Failure> {
        Err(StoreError(self.name.to_string()).into())
    }

    /// What became of the message of that id.
    pub fn status(&self, _id: &Id) -> Result<Status, Failure> {
        Err(StoreError(self.name.to_string()).into())
    }
}
