//! The port to SQL, on an SQLite in memory that can be told to fail.

use std::cell::Cell;
use std::rc::Rc;

use cidadao_realtime::sql::{Sql, StoreError, Value};
use rusqlite::types::{Value as Bound, ValueRef};
use rusqlite::{Connection, params_from_iter};

/// One database. Clones are handles to it.
#[derive(Clone)]
pub(crate) struct Sqlite(Rc<Inner>);

struct Inner {
    connection: Connection,
    statements: Cell<u64>,
    rows: Cell<u64>,
    /// How many statements it takes until one fails; 0 when none will.
    fuse: Cell<u64>,
}

impl Default for Sqlite {
    fn default() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        Self(Rc::new(Inner { connection, statements: Cell::default(), rows: Cell::default(), fuse: Cell::default() }))
    }
}

impl Sqlite {
    /// Makes the `n`-th statement from here fail, before it does anything. 0 takes that back.
    pub(crate) fn fail_after(&self, n: u64) {
        self.0.fuse.set(n);
    }

    /// How many statements there have been.
    pub(crate) fn statements(&self) -> u64 {
        self.0.statements.get()
    }

    /// How many rows were ever returned.
    pub(crate) fn read(&self) -> u64 {
        self.0.rows.get()
    }

    /// How many rows were ever written.
    pub(crate) fn changes(&self) -> u64 {
        self.0.connection.total_changes()
    }

    /// Keeps all that `act` writes, or none of it if it fails.
    pub(crate) fn transact<T, E>(&self, act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.0.connection.execute_batch("BEGIN").unwrap();
        let result = act();
        self.0.connection.execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).unwrap();
        result
    }

    /// The numbers in the first column, or none if there is no such table yet.
    pub(crate) fn numbers(&self, statement: &str) -> Vec<u64> {
        let rows = self.run(statement, &[]).unwrap_or_default();
        rows.iter().filter_map(|row| row[0].number()).collect()
    }

    fn burns_out(&self) -> bool {
        let left = self.0.fuse.get();
        self.0.fuse.set(left.saturating_sub(1));
        left == 1
    }

    fn run(&self, statement: &str, values: &[Value]) -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut statement = self.0.connection.prepare_cached(statement)?;
        let width = statement.column_count();
        let mut rows = statement.query(params_from_iter(values.iter().map(bind)))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let columns = (0..width).map(|place| row.get_ref(place).map(column));
            all.push(columns.collect::<rusqlite::Result<_>>()?);
        }
        Ok(all)
    }
}

impl Sql for Sqlite {
    fn exec(&self, statement: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.0.statements.set(self.statements() + 1);
        if self.burns_out() {
            return Err(StoreError("told to fail".to_owned()));
        }
        let rows = self.run(statement, values).map_err(|error| StoreError(error.to_string()))?;
        self.0.rows.set(self.read() + rows.len() as u64);
        Ok(rows)
    }
}

fn bind(value: &Value) -> Bound {
    match value {
        Value::Blob(bytes) => Bound::Blob(bytes.clone()),
        Value::Integer(number) => Bound::Integer(*number),
        Value::Null => Bound::Null,
        Value::Text(text) => Bound::Text(text.clone()),
    }
}

fn column(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).unwrap().to_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
    }
}
