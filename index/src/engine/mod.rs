//! What the SQL of this crate runs on: SQLite for a library in a folder, PostgreSQL for one that machines share.
//!
//! There is one text of every statement. It is written in what both engines understand; the little in which they
//! differ (marks of values, `INSERT OR REPLACE`) is rewritten by `postgres/dialect.rs`, and the functions of SQLite
//! that our SQL uses are defined there in SQL (`postgres/schema.rs`).

pub(crate) mod database;
pub(crate) mod postgres;
pub(crate) mod sqlite;

pub(crate) use database::{Database, SqlRow, SqlRows, SqlTransaction, SqlValues, values_of};
