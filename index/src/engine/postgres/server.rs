//! A connection to a library on a server: it is made again when it is lost, as long as no transaction was open.

use super::address::Address;
use super::dialect::translate;
use super::schema::{FUNCTIONS, MIGRATIONS, VERSION, step};
use super::server_error::{ServerError, is_lost};
use super::wire::{Received, Sent};
use postgres::config::SslMode;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::ToSql;
use postgres::{Client, NoTls};
use rusqlite::types::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;
use std::time::{Duration, Instant};
use tokio_postgres_rustls::MakeRustlsConnect;
use xxhash_rust::xxh3::xxh3_64;

/// How long a server that does not answer is waited for, once it has answered.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a connection that ends may keep its locks.
const LINGERING: Duration = Duration::from_secs(10);
/// The pause before a lock is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// The most statements that are kept prepared.
const PREPARED: usize = 256;

/// A connection, bound to the schema of one library.
pub(crate) struct Server {
    address: Address,
    client: RefCell<Client>,
    /// Prepared statements by their text as it is written for SQLite.
    prepared: RefCell<HashMap<String, postgres::Statement>>,
    is_in_transaction: Cell<bool>,
    /// How many commits to the library were made over this connection.
    pub(crate) own_commits: Cell<i64>,
    /// Keys of the locks that are held, which a new connection takes again.
    held: RefCell<Vec<i64>>,
    /// Keys of the locks that are shared with others over this connection.
    shared: RefCell<Vec<i64>>,
    /// Whether the server tells this connection of commits.
    is_listening: Cell<bool>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Connects to a library, makes it if there is none and `may_create`, and brings its tables up to date.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub(crate) fn open(address: &Address, may_create: bool) -> Result<Self, ServerError> {
        let mut tries = 0;
        let client = loop {
            let mut client = connect(address)?;
            match prepare(&mut client, address, may_create) {
                Ok(()) => break client,
                // It was there a moment ago.
                Err(ServerError::Unreachable { .. }) if tries < 5 => tries += 1,
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            address: address.clone(),
            client: RefCell::new(client),
            prepared: RefCell::default(),
            is_in_transaction: Cell::new(false),
            own_commits: Cell::default(),
            held: RefCell::default(),
            shared: RefCell::default(),
            is_listening: Cell::new(false),
        })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn execute(&self, sql: &str, values: &[Value]) -> rusqlite::Result<usize> {
        let changed = self.run(|client| {
            let statement = self.statement(client, sql)?;
            client.execute(&statement, &marks(&sent(values)))
        })?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(crate) fn query(&self, sql: &str, values: &[Value]) -> rusqlite::Result<Vec<Vec<Value>>> {
        self.run(|client| {
            let statement = self.statement(client, sql)?;
            let rows = client.query(&statement, &marks(&sent(values)))?;
            rows.iter().map(values_in).collect()
        })
    }

    /// Gives `take` one row after the other, without holding all of them, until it returns `false`. It must not use the
    /// connection.
    pub(crate) fn for_each(
        &self,
        sql: &str,
        values: &[Value],
        take: &mut dyn FnMut(&[Value]) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<()> {
        let failed = |error: postgres::Error| raised(ServerError::of(&self.address, &error));
        let statement = self.run(|client| self.statement(client, sql))?;
        let mut client = self.client.borrow_mut();
        let mut rows = client.query_raw(&statement, marks(&sent(values))).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if !take(&values_in(&row).map_err(failed)?)? {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn execute_batch(&self, sql: &str) -> rusqlite::Result<()> {
        let done = self.run(|client| client.batch_execute(sql));
        if matches!(sql, "COMMIT" | "ROLLBACK") {
            self.is_in_transaction.set(false);
        }
        done
    }

    /// Counts the tables anew: until the server has done so by itself, it takes those that have grown for small ones,
    /// and reads them from beginning to end.
    pub(crate) fn analyze(&self) -> rusqlite::Result<()> {
        self.execute_batch("ANALYZE")
    }

    /// Lets a table give ids after its largest one, once rows with ids were written.
    pub(crate) fn continue_after(&self, table: &str, id: &str) -> rusqlite::Result<()> {
        let largest =
            format!("SELECT setval(pg_get_serial_sequence(?1, ?2), max({id})) FROM {table} HAVING max({id}) > 0");
        let qualified = format!("{}.{table}", self.address.schema);
        self.query(&largest, &[Value::Text(qualified), Value::Text(id.to_owned())]).map(drop)
    }

    pub(crate) fn begin(&self, sql: &str) -> rusqlite::Result<()> {
        self.run(|client| client.batch_execute(sql))?;
        self.is_in_transaction.set(true);
        Ok(())
    }

    /// Waits until no other transaction writes to the library; the lock is that of the transaction.
    pub(crate) fn lock_for_writing(&self) -> rusqlite::Result<()> {
        self.query("SELECT 1 FROM pg_advisory_xact_lock(?1)", &[Value::Integer(self.key("write"))]).map(drop)
    }

    /// Takes a lock by its name, which is held as long as the connection or until [`Server::unlock`].
    ///
    /// # Errors
    /// The inner one: another connection, or this one, holds it; with the id of its process, if it is known.
    pub(crate) fn try_lock(&self, name: &str) -> rusqlite::Result<Result<i64, Option<u32>>> {
        let key = self.key(name);
        let started = Instant::now();
        while self.held.borrow().contains(&key) || !self.run(|client| take(client, key))? {
            let holder = "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = ?1 AND l.objid::bigint = ?2";
            let found = self.query(holder, &halves(key))?.into_iter().flatten().next();
            let name = found.and_then(|value| if let Value::Text(name) = value { Some(name) } else { None });
            // Whoever has no name any more is about to let go.
            if name.is_some() || started.elapsed() > LINGERING {
                return Ok(Err(name.and_then(|name| name.strip_prefix("snapseek ")?.parse().ok())));
            }
            std::thread::sleep(AGAIN);
        }
        self.held.borrow_mut().push(key);
        Ok(Ok(key))
    }

    pub(crate) fn unlock(&self, key: i64) {
        self.held.borrow_mut().retain(|held| *held != key);
        // A connection that is lost has lost its locks too.
        let _ = self.client.borrow_mut().query("SELECT pg_advisory_unlock($1)", &[&key]);
    }

    /// Takes part in a lock that others may have at the same time, as long as the connection lasts.
    pub(crate) fn share(&self, name: &str) -> rusqlite::Result<()> {
        let key = self.key(name);
        if !self.shared.borrow().contains(&key) {
            self.query("SELECT pg_try_advisory_lock_shared(?1)", &[Value::Integer(key)])?;
            self.shared.borrow_mut().push(key);
        }
        Ok(())
    }

    /// Whether anybody takes part in such a lock.
    pub(crate) fn is_shared(&self, name: &str) -> rusqlite::Result<bool> {
        let sql =
            "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database()
            AND l.locktype = 'advisory' AND l.granted AND l.classid::bigint = ?1 AND l.objid::bigint = ?2 LIMIT 1";
        Ok(!self.query(sql, &halves(self.key(name)))?.is_empty())
    }

    /// Wakes those who wait for commits, once the transaction that is open is committed.
    pub(crate) fn tell_of_commit(&self) -> rusqlite::Result<()> {
        self.query("SELECT 1 FROM pg_notify(?1, '')", &[Value::Text(self.channel())]).map(drop)
    }

    /// Waits for a commit to the library, at most so long; returns whether there was one, or may have been.
    pub(crate) fn wait_for_commit(&self, at_most: Duration) -> rusqlite::Result<bool> {
        if !self.is_listening.get() {
            self.run(|client| client.batch_execute(&format!("LISTEN {}", self.channel())))?;
            self.is_listening.set(true);
            return Ok(true);
        }
        let mut client = self.client.borrow_mut();
        let mut told = client.notifications();
        let first = told.timeout_iter(at_most).next();
        match first {
            Ok(first) => {
                // Those that have come meanwhile say no more.
                while let Ok(Some(_)) = told.iter().next() {}
                Ok(first.is_some())
            }
            // The next statement connects again.
            Err(_) => {
                self.is_listening.set(false);
                Ok(true)
            }
        }
    }

    /// By which the server tells of commits to this library.
    fn channel(&self) -> String {
        format!("snapseek_{:016x}", self.key("commit"))
    }

    /// The id of the transaction that is open.
    pub(crate) fn transaction_id(&self) -> rusqlite::Result<String> {
        self.text("SELECT pg_current_xact_id()::text", &[])
    }

    /// Whether this transaction was committed, of which the server could not tell any more.
    pub(crate) fn has_committed(&self, transaction: String) -> rusqlite::Result<bool> {
        let status = "SELECT coalesce(pg_xact_status(?1::text::xid8), '')";
        Ok(self.text(status, &[Value::Text(transaction)])? == "committed")
    }

    fn text(&self, sql: &str, values: &[Value]) -> rusqlite::Result<String> {
        match self.query(sql, values)?.into_iter().flatten().next() {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(rusqlite::Error::QueryReturnedNoRows),
        }
    }

    /// Runs `work` again as long as the server is lost in the middle of it.
    pub(crate) fn retry<T>(&self, mut work: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let started = Instant::now();
        loop {
            match work() {
                Err(rusqlite::Error::UserFunctionError(cause))
                    if matches!(cause.downcast_ref(), Some(ServerError::Unreachable { .. }))
                        && started.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                done => return done,
            }
        }
    }

    /// The number of a lock of this library.
    fn key(&self, name: &str) -> i64 {
        xxh3_64(format!("snapseek {} {name}", self.address.schema).as_bytes()) as i64
    }

    /// Runs `work`, again on a new connection if the old one was lost and no transaction was open.
    pub(super) fn run<T>(&self, work: impl Fn(&mut Client) -> Result<T, postgres::Error>) -> rusqlite::Result<T> {
        let started = Instant::now();
        loop {
            let error = match work(&mut self.client.borrow_mut()) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if !is_lost(&error) || self.is_in_transaction.get() || started.elapsed() > PATIENCE {
                return Err(raised(ServerError::of(&self.address, &error)));
            }
            self.reconnect(started).map_err(raised)?;
        }
    }

    /// Connects again, with ever longer pauses, and takes the locks again that were held.
    fn reconnect(&self, started: Instant) -> Result<(), ServerError> {
        let mut pause = Duration::from_millis(100);
        let mut client = loop {
            match connect(&self.address).and_then(|mut client| enter(&mut client, &self.address).map(|()| client)) {
                Ok(client) => break client,
                Err(error @ ServerError::Unreachable { .. }) if started.elapsed() + pause < PATIENCE => drop(error),
                Err(error) => return Err(error),
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(5));
        };
        let connected = Instant::now();
        for key in self.held.borrow().iter() {
            while !take(&mut client, *key).map_err(|error| ServerError::of(&self.address, &error))? {
                // The server may not have ended the lost connection yet, which has the lock.
                if connected.elapsed() < LINGERING {
                    std::thread::sleep(AGAIN);
                    continue;
                }
                return Err(ServerError::Unreachable {
                    address: self.address.to_string(),
                    reason: "the connection was lost, and another snapseek has taken its place meanwhile".into(),
                });
            }
        }
        self.prepared.borrow_mut().clear();
        self.shared.borrow_mut().clear();
        self.is_listening.set(false);
        *self.client.borrow_mut() = client;
        Ok(())
    }

    fn statement(&self, client: &mut Client, sql: &str) -> Result<postgres::Statement, postgres::Error> {
        if let Some(statement) = self.prepared.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = client.prepare(&translate(sql))?;
        let mut prepared = self.prepared.borrow_mut();
        if prepared.len() >= PREPARED {
            prepared.clear();
        }
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// The two halves of a lock's key, as the server lists them.
fn halves(key: i64) -> [Value; 2] {
    [key >> 32 & 0xffff_ffff, key & 0xffff_ffff].map(Value::Integer)
}

fn values_in(row: &postgres::Row) -> Result<Vec<Value>, postgres::Error> {
    (0..row.len()).map(|at| row.try_get::<_, Received>(at).map(|value| value.0)).collect()
}

fn sent(values: &[Value]) -> Vec<Sent<'_>> {
    values.iter().map(Sent).collect()
}

fn marks<'s>(values: &'s [Sent<'s>]) -> Vec<&'s (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// An error of a server as one of rusqlite, which the index takes apart again.
fn raised(error: ServerError) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(Box::new(error))
}

fn take(client: &mut Client, key: i64) -> Result<bool, postgres::Error> {
    client.query_one("SELECT pg_try_advisory_lock($1)", &[&key])?.try_get(0)
}

fn connect(address: &Address) -> Result<Client, ServerError> {
    let failed = |error: postgres::Error| ServerError::of(address, &error);
    if address.is_local() || address.config.get_ssl_mode() == SslMode::Disable {
        return address.config.connect(NoTls).map_err(failed);
    }
    address.config.connect(MakeRustlsConnect::new(trust(address)?)).map_err(failed)
}

/// Whose certificates are trusted: those of the address, or else those of the system.
fn trust(address: &Address) -> Result<rustls::ClientConfig, ServerError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let refused = |reason: String| ServerError::address(&address.to_string(), reason);
    let mut roots = rustls::RootCertStore::empty();
    match &address.root_certificate {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(file) => {
            let unread = |error: &dyn Display| refused(format!("sslrootcert {}: {error}", crate::escape::path(file)));
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unread(&error))? {
                let certificate = certificate.map_err(|error| unread(&error))?;
                roots.add(certificate).map_err(|error| unread(&error))?;
            }
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|error| refused(error.to_string()))?.with_root_certificates(roots).with_no_client_auth())
}

/// Makes the library's schema the one that names are looked up in, and the user's day that of the server.
fn enter(client: &mut Client, address: &Address) -> Result<(), ServerError> {
    let failed = |error: postgres::Error| ServerError::of(address, &error);
    // Before PostgreSQL's own functions, of which `random` is another.
    client
        .batch_execute(&format!("SET search_path = {}, pg_catalog; SET client_min_messages = warning", address.schema))
        .map_err(failed)?;
    // A zone that the server does not know leaves its own.
    if let Some(zone) = time_zone() {
        let _ = client.query("SELECT set_config('TimeZone', $1, false)", &[&zone]);
    }
    Ok(())
}

/// The name of this machine's time zone.
fn time_zone() -> Option<String> {
    if let Some(zone) = std::env::var("TZ").ok().filter(|zone| !zone.is_empty()) {
        return Some(zone.trim_start_matches(':').to_owned());
    }
    let link = std::fs::read_link("/etc/localtime").ok()?;
    link.to_str()?.split_once("zoneinfo/").map(|(_, zone)| zone.to_owned())
}

fn prepare(client: &mut Client, address: &Address, may_create: bool) -> Result<(), ServerError> {
    let failed = |error: postgres::Error| ServerError::of(address, &error);
    let schema = &address.schema;
    let mut found = version(client, address)?;
    if found > VERSION {
        return Err(ServerError::Newer { address: address.to_string(), found });
    }
    if found == 0 && !may_create {
        return Err(ServerError::NoLibrary { address: address.to_string() });
    }
    if found < VERSION {
        let mut transaction = client.transaction().map_err(failed)?;
        // Another process may have done it by now.
        let key = xxh3_64(format!("snapseek {schema} migrate").as_bytes()) as i64;
        transaction.query("SELECT 1 FROM pg_advisory_xact_lock($1)", &[&key]).map_err(failed)?;
        transaction
            .batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path = {schema}, pg_catalog"))
            .map_err(failed)?;
        transaction
            .batch_execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
            .map_err(failed)?;
        let rows = transaction.query("SELECT version FROM schema_version", &[]).map_err(failed)?;
        found = rows.first().map_or(0, |row| u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX));
        transaction.batch_execute(FUNCTIONS).map_err(failed)?;
        for text in MIGRATIONS.iter().skip(found as usize) {
            transaction.batch_execute(&step(text)).map_err(failed)?;
        }
        transaction
            .batch_execute(&format!("DELETE FROM schema_version; INSERT INTO schema_version VALUES ({VERSION})"))
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    enter(client, address)
}

/// The version of the tables; 0 if there are none.
fn version(client: &mut Client, address: &Address) -> Result<u32, ServerError> {
    let failed = |error: postgres::Error| ServerError::of(address, &error);
    let table = format!("{}.schema_version", address.schema);
    let exists = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).map_err(failed)?;
    if !exists.get::<_, bool>(0) {
        return Ok(0);
    }
    let rows = client.query(&format!("SELECT version FROM {table}"), &[]).map_err(failed)?;
    Ok(rows.first().map_or(0, |row| u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX)))
}
