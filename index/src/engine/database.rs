//! A connection to either engine, with the interface of rusqlite, and its values and errors.

use super::postgres::server::Server;
use crate::catalogue::mounts::Mounts;
use crate::catalogue::paths;
use rusqlite::types::{FromSql, FromSqlError, Type, Value, ValueRef};
use rusqlite::{Result, ToSql};
use std::borrow::Cow;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// A connection to the catalogue.
#[derive(Debug)]
pub(crate) struct Database {
    engine: Engine,
    mounts: Mounts,
}

#[derive(Debug)]
enum Engine {
    /// A file.
    Sqlite(rusqlite::Connection),
    /// A schema of a server's database.
    Postgres(Box<Server>),
}

impl Database {
    pub(crate) fn of_file(db: rusqlite::Connection) -> Self {
        Self { engine: Engine::Sqlite(db), mounts: Mounts::default() }
    }

    pub(crate) fn of_server(server: Server) -> Self {
        Self { engine: Engine::Postgres(Box::new(server)), mounts: Mounts::default() }
    }

    /// As this connection, with paths translated by where the library's folders are on this machine.
    pub(crate) fn with_mounts(self, mounts: Mounts) -> Self {
        Self { mounts, ..self }
    }

    /// Where the library's folders are on this machine.
    pub(crate) fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// A path of this machine as the catalogue has it.
    pub(crate) fn stored<'p>(&self, path: &'p Path) -> Cow<'p, [u8]> {
        self.mounts.stored(path)
    }

    /// The half-open range of the catalogue's paths below a folder of this machine.
    pub(crate) fn below(&self, folder: &Path) -> (Vec<u8>, Vec<u8>) {
        paths::below(&self.stored(folder))
    }

    /// The server, if it is one.
    pub(crate) fn server(&self) -> Option<&Server> {
        match &self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(server) => Some(server),
        }
    }

    /// The SQLite connection, if it is one.
    pub(crate) fn sqlite(&self) -> Option<&rusqlite::Connection> {
        match &self.engine {
            Engine::Sqlite(db) => Some(db),
            Engine::Postgres(_) => None,
        }
    }

    pub(crate) fn execute(&self, sql: &str, values: impl SqlValues) -> Result<usize> {
        match &self.engine {
            Engine::Sqlite(db) => db.execute(sql, values.into_sqlite()),
            Engine::Postgres(server) => server.execute(sql, &values.into_values()?),
        }
    }

    /// Runs statements without values.
    pub(crate) fn execute_batch(&self, sql: &str) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(db) => db.execute_batch(sql),
            Engine::Postgres(server) => server.execute_batch(sql),
        }
    }

    pub(crate) fn query_row<T>(
        &self,
        sql: &str,
        values: impl SqlValues,
        read: impl FnOnce(&SqlRow<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare(sql)?.query_row(values, read)
    }

    pub(crate) fn prepare(&self, sql: &str) -> Result<SqlStatement<'_>> {
        let kind = match &self.engine {
            Engine::Sqlite(db) => StatementKind::Sqlite(db.prepare(sql)?),
            Engine::Postgres(server) => StatementKind::Postgres { server, sql: sql.to_owned() },
        };
        Ok(SqlStatement { kind, mounts: &self.mounts })
    }

    /// As [`Database::prepare`], for statements that are run again and again.
    pub(crate) fn prepare_cached(&self, sql: &str) -> Result<SqlStatement<'_>> {
        let kind = match &self.engine {
            Engine::Sqlite(db) => StatementKind::Cached(db.prepare_cached(sql)?),
            Engine::Postgres(server) => StatementKind::Postgres { server, sql: sql.to_owned() },
        };
        Ok(SqlStatement { kind, mounts: &self.mounts })
    }

    /// Begins a transaction that reads one moment.
    pub(crate) fn begin_reading(&self) -> Result<SqlTransaction<'_>> {
        self.begin("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    /// Begins a transaction that writes; one at a time does, and the others wait.
    pub(crate) fn begin_writing(&self) -> Result<SqlTransaction<'_>> {
        let transaction = self.begin("BEGIN IMMEDIATE", "BEGIN")?;
        if let Engine::Postgres(server) = &self.engine {
            server.lock_for_writing()?;
        }
        Ok(transaction)
    }

    fn begin(&self, sqlite: &str, postgres: &str) -> Result<SqlTransaction<'_>> {
        match &self.engine {
            Engine::Sqlite(db) => db.execute_batch(sqlite)?,
            Engine::Postgres(server) => server.begin(postgres)?,
        }
        Ok(SqlTransaction { db: self, is_open: true })
    }

    /// Begins a snapshot that lasts as long as the connection.
    pub(crate) fn begin_snapshot(&self) -> Result<()> {
        self.begin_reading().map(SqlTransaction::keep)
    }
}

/// A transaction, which ends without effect unless it is committed.
pub(crate) struct SqlTransaction<'d> {
    db: &'d Database,
    is_open: bool,
}

impl SqlTransaction<'_> {
    pub(crate) fn commit(mut self) -> Result<()> {
        self.is_open = false;
        let committed = self.db.execute_batch("COMMIT");
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    fn keep(mut self) {
        self.is_open = false;
    }

    fn roll_back(&self) {
        // Where SQLite has ended it already, there is nothing left to undo.
        let _ = self.db.execute_batch("ROLLBACK");
    }
}

impl Deref for SqlTransaction<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.db
    }
}

impl Drop for SqlTransaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.roll_back();
        }
    }
}

/// A statement that can be run with values.
pub(crate) struct SqlStatement<'d> {
    kind: StatementKind<'d>,
    mounts: &'d Mounts,
}

enum StatementKind<'d> {
    Sqlite(rusqlite::Statement<'d>),
    Cached(rusqlite::CachedStatement<'d>),
    Postgres { server: &'d Server, sql: String },
}

impl SqlStatement<'_> {
    pub(crate) fn execute(&mut self, values: impl SqlValues) -> Result<usize> {
        match &mut self.kind {
            StatementKind::Sqlite(statement) => statement.execute(values.into_sqlite()),
            StatementKind::Cached(statement) => statement.execute(values.into_sqlite()),
            StatementKind::Postgres { server, sql } => server.execute(sql, &values.into_values()?),
        }
    }

    pub(crate) fn query(&mut self, values: impl SqlValues) -> Result<SqlRows<'_>> {
        let kind = match &mut self.kind {
            StatementKind::Sqlite(statement) => RowsKind::Sqlite(statement.query(values.into_sqlite())?),
            StatementKind::Cached(statement) => RowsKind::Sqlite(statement.query(values.into_sqlite())?),
            StatementKind::Postgres { server, sql } => {
                RowsKind::Postgres { rows: server.query(sql, &values.into_values()?)?.into_iter(), current: Vec::new() }
            }
        };
        Ok(SqlRows { kind, mounts: self.mounts })
    }

    /// Gives `take` one row after the other until it returns `false`: for results that are large. It must not use the
    /// connection.
    pub(crate) fn for_each(
        &mut self,
        values: impl SqlValues,
        mut take: impl FnMut(&SqlRow<'_>) -> Result<bool>,
    ) -> Result<()> {
        if let StatementKind::Postgres { server, sql } = &self.kind {
            let mounts = self.mounts;
            let each = &mut |row: &[Value]| take(&SqlRow { kind: RowKind::Postgres(row), mounts });
            return server.for_each(sql, &values.into_values()?, each);
        }
        let mut rows = self.query(values)?;
        while let Some(row) = rows.next()? {
            if !take(&row)? {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn query_map<T, F>(&mut self, values: impl SqlValues, read: F) -> Result<MappedSqlRows<'_, F>>
    where
        F: FnMut(&SqlRow<'_>) -> Result<T>,
    {
        Ok(MappedSqlRows { rows: self.query(values)?, read })
    }

    pub(crate) fn query_row<T>(
        &mut self,
        values: impl SqlValues,
        read: impl FnOnce(&SqlRow<'_>) -> Result<T>,
    ) -> Result<T> {
        match self.query(values)?.next()? {
            Some(row) => read(&row),
            None => Err(rusqlite::Error::QueryReturnedNoRows),
        }
    }

    pub(crate) fn exists(&mut self, values: impl SqlValues) -> Result<bool> {
        Ok(self.query(values)?.next()?.is_some())
    }
}

/// The rows that a statement gives, one after the other.
pub(crate) struct SqlRows<'s> {
    kind: RowsKind<'s>,
    mounts: &'s Mounts,
}

enum RowsKind<'s> {
    Sqlite(rusqlite::Rows<'s>),
    Postgres { rows: IntoIter<Vec<Value>>, current: Vec<Value> },
}

impl SqlRows<'_> {
    pub(crate) fn next(&mut self) -> Result<Option<SqlRow<'_>>> {
        let kind = match &mut self.kind {
            RowsKind::Sqlite(rows) => rows.next()?.map(RowKind::Sqlite),
            RowsKind::Postgres { rows, current } => rows.next().map(|row| {
                *current = row;
                RowKind::Postgres(current)
            }),
        };
        Ok(kind.map(|kind| SqlRow { kind, mounts: self.mounts }))
    }
}

/// Rows as values of the caller.
pub(crate) struct MappedSqlRows<'s, F> {
    rows: SqlRows<'s>,
    read: F,
}

impl<T, F: FnMut(&SqlRow<'_>) -> Result<T>> Iterator for MappedSqlRows<'_, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(Some(row)) => Some((self.read)(&row)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// A row of a result.
pub(crate) struct SqlRow<'r> {
    kind: RowKind<'r>,
    mounts: &'r Mounts,
}

enum RowKind<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r [Value]),
}

impl SqlRow<'_> {
    /// The value of a column.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    pub(crate) fn get<I: ColumnNumber, T: FromSql>(&self, at: I) -> Result<T> {
        let at = at.number();
        match &self.kind {
            RowKind::Sqlite(row) => row.get(at),
            RowKind::Postgres(_) => {
                let value = self.get_ref(at)?;
                T::column_result(value).map_err(|error| conversion(error, at, value.data_type()))
            }
        }
    }

    pub(crate) fn get_ref(&self, at: usize) -> Result<ValueRef<'_>> {
        match &self.kind {
            RowKind::Sqlite(row) => row.get_ref(at),
            RowKind::Postgres(row) => row.get(at).map(ValueRef::from).ok_or(rusqlite::Error::InvalidColumnIndex(at)),
        }
    }

    /// The path in a column, where it is on this machine.
    ///
    /// # Errors
    /// As for [`SqlRow::get`].
    pub(crate) fn path(&self, at: usize) -> Result<PathBuf> {
        Ok(self.mounts.here(self.get_ref(at)?.as_blob()?))
    }

    /// The path in a column as the catalogue has it, which is the same on all machines.
    ///
    /// # Errors
    /// As for [`SqlRow::get`].
    pub(crate) fn stored_path(&self, at: usize) -> Result<PathBuf> {
        Ok(paths::from_bytes(self.get_ref(at)?.as_blob()?))
    }

    /// As [`SqlRow::path`]; `None` if there is none.
    pub(crate) fn path_or_null(&self, at: usize) -> Result<Option<PathBuf>> {
        Ok(self.get_ref(at)?.as_blob_or_null()?.map(|path| self.mounts.here(path)))
    }
}

/// A column by its number, so that `row.get::<_, T>(0)` is written as with rusqlite.
pub(crate) trait ColumnNumber {
    fn number(&self) -> usize;
}

impl ColumnNumber for usize {
    fn number(&self) -> usize {
        *self
    }
}

/// As rusqlite says that a value is not what was asked for.
fn conversion(error: FromSqlError, at: usize, found: Type) -> rusqlite::Error {
    match error {
        FromSqlError::InvalidType => rusqlite::Error::InvalidColumnType(at, String::new(), found),
        FromSqlError::OutOfRange(value) => rusqlite::Error::IntegralValueOutOfRange(at, value),
        other => rusqlite::Error::FromSqlConversionFailure(at, found, Box::new(other)),
    }
}

/// The values of a statement.
pub(crate) trait SqlValues {
    /// As SQLite takes them.
    fn into_sqlite(self) -> impl rusqlite::Params;

    /// As PostgreSQL takes them.
    ///
    /// # Errors
    /// A value has no counterpart in SQL.
    fn into_values(self) -> Result<Vec<Value>>;
}

macro_rules! arrays {
    ($($length:literal)*) => {$(
        impl<T: ToSql> SqlValues for [T; $length] {
            fn into_sqlite(self) -> impl rusqlite::Params {
                rusqlite::params_from_iter(self)
            }

            fn into_values(self) -> Result<Vec<Value>> {
                self.iter().map(owned).collect()
            }
        }
    )*};
}

// Not of length 0, or nobody would know of which type the values of `[]` are.
arrays!(1 2 3 4 5 6 7 8);

impl SqlValues for [&(dyn ToSql + Send + Sync); 0] {
    fn into_sqlite(self) -> impl rusqlite::Params {
        []
    }

    fn into_values(self) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }
}

impl SqlValues for &[&dyn ToSql] {
    fn into_sqlite(self) -> impl rusqlite::Params {
        self
    }

    fn into_values(self) -> Result<Vec<Value>> {
        self.iter().map(owned).collect()
    }
}

/// Values of which only the caller knows how many there are.
pub(crate) struct ValueList<I>(I);

/// Makes values of a list.
pub(crate) fn values_of<I: IntoIterator<Item: ToSql>>(values: I) -> ValueList<I> {
    ValueList(values)
}

impl<I: IntoIterator<Item: ToSql>> SqlValues for ValueList<I> {
    fn into_sqlite(self) -> impl rusqlite::Params {
        rusqlite::params_from_iter(self.0)
    }

    fn into_values(self) -> Result<Vec<Value>> {
        self.0.into_iter().map(|value| owned(&value)).collect()
    }
}

fn owned(value: &(impl ToSql + ?Sized)) -> Result<Value> {
    use rusqlite::types::ToSqlOutput;
    match value.to_sql()? {
        ToSqlOutput::Borrowed(value) => {
            Value::try_from(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
        }
        ToSqlOutput::Owned(value) => Ok(value),
        _ => Err(rusqlite::Error::ToSqlConversionFailure("a value of an unknown kind".into())),
    }
}
