//! Work on a library's photos that machines share: who works on which photo, and until when that counts.
//!
//! A lease that ran out goes to whoever asks next. What was computed under it is written all the same when it comes: a
//! lost lease costs work, never correctness. A photo whose leases ran out twice has probably ended two processes, and is
//! not handed out again.

use super::server::Server;
use rusqlite::types::Value;

/// How many seconds a lease lasts after its holder was heard of last.
const SECONDS: i64 = 600;
/// How many leases of a photo may run out.
const STRIKES: i64 = 2;

/// Leases that ran out so often that nobody gets them any more.
const LEFT_OUT: &str = "l.until <= unixepoch() AND l.strikes + 1 >= ?1";

/// The photos that are left out, because the processes that had them ended: the work, and the first path of the photo.
///
/// # Errors
/// The server cannot be asked.
pub(crate) fn left_out(server: &Server) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
    let sql = format!(
        "SELECT l.work, min(f.path) FROM lease l JOIN file f ON f.photo = l.photo WHERE {LEFT_OUT}
         GROUP BY l.work, l.photo ORDER BY 1, 2"
    );
    let rows = server.query(&sql, &[Value::Integer(STRIKES)])?;
    let read = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(work), Value::Blob(path)]) => Some((work, path)),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Lets them be tried again.
///
/// # Errors
/// The server cannot be asked.
pub(crate) fn pardon(server: &Server) -> rusqlite::Result<()> {
    server.execute(&format!("DELETE FROM lease AS l WHERE {LEFT_OUT}"), &[Value::Integer(STRIKES)]).map(drop)
}

/// The leases of one process for one kind of work.
#[derive(Debug)]
pub(crate) struct Leases {
    work: &'static str,
    holder: String,
}

impl Leases {
    /// # Errors
    /// The server cannot be asked.
    pub(crate) fn new(server: &Server, work: &'static str) -> rusqlite::Result<Self> {
        let rows = server.query("SELECT gen_random_uuid()::text", &[])?;
        match rows.into_iter().flatten().next() {
            Some(Value::Text(holder)) => Ok(Self { work, holder }),
            _ => Err(rusqlite::Error::QueryReturnedNoRows),
        }
    }

    /// Leases at most `n` photos that nobody else has, of those that satisfy the condition on `photo p` with its values,
    /// and lengthens all leases that are held.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) fn take(
        &self,
        server: &Server,
        condition: &str,
        values: &[Value],
        order: &str,
        n: usize,
    ) -> rusqlite::Result<Vec<i64>> {
        let at = values.len();
        let (work, holder, seconds, strikes) = (at + 1, at + 2, at + 3, at + 4);
        let sql = format!(
            "INSERT INTO lease (work, photo, holder, until, strikes)
             SELECT ?{work}, p.id, ?{holder}, unixepoch() + ?{seconds}, 0 FROM photo p WHERE {condition}
             AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id)
             AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.work = ?{work} AND l.photo = p.id
             AND (l.until > unixepoch() OR l.strikes + 1 >= ?{strikes})) {order} LIMIT {n}
             ON CONFLICT (work, photo) DO UPDATE SET holder = excluded.holder, until = excluded.until,
             strikes = lease.strikes + 1 RETURNING photo"
        );
        let mut all = values.to_vec();
        all.extend([Value::Text(self.work.into()), Value::Text(self.holder.clone())]);
        all.extend([SECONDS, STRIKES].map(Value::Integer));
        let taken = server.retry(|| {
            server.begin("BEGIN")?;
            let taken = server.lock_for_writing().and_then(|()| self.lengthen(server));
            let taken = taken.and_then(|()| server.query(&sql, &all));
            let ended = server.execute_batch(if taken.is_ok() { "COMMIT" } else { "ROLLBACK" });
            taken.and_then(|taken| ended.map(|()| taken))
        });
        let ids = taken?.into_iter().flatten();
        Ok(ids.filter_map(|value| if let Value::Integer(id) = value { Some(id) } else { None }).collect())
    }

    fn lengthen(&self, server: &Server) -> rusqlite::Result<()> {
        let sql = "UPDATE lease SET until = unixepoch() + ?1 WHERE holder = ?2";
        server.execute(sql, &[Value::Integer(SECONDS), Value::Text(self.holder.clone())]).map(drop)
    }

    /// The work on a photo is written, in the transaction that is open.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) fn close(&self, server: &Server, photo: i64) -> rusqlite::Result<()> {
        let sql = "DELETE FROM lease WHERE work = ?1 AND photo = ?2 AND holder = ?3";
        let values = [Value::Text(self.work.into()), Value::Integer(photo), Value::Text(self.holder.clone())];
        server.execute(sql, &values).map(drop)
    }

    /// Gives all leases back.
    pub(crate) fn release(&self, server: &Server) {
        // Without a server they run out.
        let _ = server.execute("DELETE FROM lease WHERE holder = ?1", &[Value::Text(self.holder.clone())]);
    }
}
