//! The port to SQL, on the object's own SQLite.

use worker::{SqlStorage, SqlStorageValue};

use crate::sql::{Sql, StoreError, Value};

impl Sql for SqlStorage {
    fn exec(&self, statement: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let broken = |error: worker::Error| StoreError(error.to_string());
        let values: Result<Vec<SqlStorageValue>, StoreError> = values.iter().map(bind).collect();
        let cursor = Self::exec(self, statement, values?).map_err(broken)?;
        let rows = cursor.raw().map(|row| Ok(row.map_err(broken)?.into_iter().map(column).collect())).collect();
        #[cfg(feature = "fault-injection")]
        super::bill::rows(cursor.rows_read(), cursor.rows_written());
        rows
    }
}

fn bind(value: &Value) -> Result<SqlStorageValue, StoreError> {
    match value {
        Value::Blob(bytes) => Ok(SqlStorageValue::Blob(bytes.clone())),
        Value::Integer(number) => SqlStorageValue::try_from_i64(*number).map_err(|error| StoreError(error.to_string())),
        Value::Null => Ok(SqlStorageValue::Null),
        Value::Text(text) => Ok(SqlStorageValue::String(text.clone())),
    }
}

fn column(value: SqlStorageValue) -> Value {
    match value {
        SqlStorageValue::Blob(bytes) => Value::Blob(bytes),
        SqlStorageValue::Integer(number) => Value::Integer(number),
        SqlStorageValue::String(text) => Value::Text(text),
        SqlStorageValue::Boolean(_) | SqlStorageValue::Float(_) | SqlStorageValue::Null => Value::Null,
    }
}
