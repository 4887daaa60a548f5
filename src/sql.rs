//! The one port: a synchronous SQL database. The object's own SQLite in production, rusqlite in the host's tests,
//! the same statements in both.

use std::fmt;

/// A value that goes into a statement or comes out of a row. Integers are exact up to 2^53, as in JavaScript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// BLOB.
    Blob(Vec<u8>),
    /// INTEGER.
    Integer(i64),
    /// NULL, or a type that no statement of ours returns.
    Null,
    /// TEXT.
    Text(String),
}

impl Value {
    /// The number, if it is one and not negative.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Blob(_) | Self::Null | Self::Text(_) => None,
        }
    }

    /// The text, if it is one.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Blob(_) | Self::Integer(_) | Self::Null => None,
        }
    }

    /// The bytes, if it is a blob.
    pub fn blob(self) -> Option<Vec<u8>> {
        match self {
            Self::Blob(bytes) => Some(bytes),
            Self::Integer(_) | Self::Null | Self::Text(_) => None,
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Null, Self::Integer)
    }
}

impl<T: fmt::Display + ?Sized> From<&T> for Value {
    fn from(text: &T) -> Self {
        Self::Text(text.to_string())
    }
}

/// The database failed, or held what we never wrote. The input that met it is undone and answered as an internal error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage: {}", self.0)
    }
}

/// A synchronous SQL database. Clones are handles to the same one.
pub trait Sql: Clone {
    /// Runs one statement with its `?` bound in order and returns all rows.
    fn exec(&self, statement: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError>;
}

/// The only column of the only row, for statements that return one value.
pub(crate) fn one(rows: Vec<Vec<Value>>) -> Value {
    rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null)
}
