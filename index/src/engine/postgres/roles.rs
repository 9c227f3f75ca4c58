//! The roles that a library's users may be given: those who read it, and those who also write.

use super::server::Server;
use postgres::error::SqlState;

/// Makes the roles, if the server has none of these names, and lets them use the library's tables, those of later
/// releases too. `SCHEMA` stands for the library's.
const ROLES: &str = "
DO $$ BEGIN
    BEGIN CREATE ROLE snapseek_read NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    BEGIN CREATE ROLE snapseek_write NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
END $$;
GRANT USAGE ON SCHEMA SCHEMA TO snapseek_read, snapseek_write;
GRANT SELECT ON ALL TABLES IN SCHEMA SCHEMA TO snapseek_read, snapseek_write;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA SCHEMA TO snapseek_write;
GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA SCHEMA TO snapseek_write;
REVOKE INSERT, UPDATE, DELETE ON SCHEMA.schema_version FROM snapseek_write;
ALTER DEFAULT PRIVILEGES IN SCHEMA SCHEMA GRANT SELECT ON TABLES TO snapseek_read, snapseek_write;
ALTER DEFAULT PRIVILEGES IN SCHEMA SCHEMA GRANT INSERT, UPDATE, DELETE ON TABLES TO snapseek_write;
ALTER DEFAULT PRIVILEGES IN SCHEMA SCHEMA GRANT SELECT, UPDATE ON SEQUENCES TO snapseek_write;";

/// Returns whether that was done: this user may not be allowed to.
///
/// # Errors
/// The server cannot be asked.
pub(crate) fn make(server: &Server) -> rusqlite::Result<bool> {
    let sql = ROLES.replace("SCHEMA SCHEMA", &format!("SCHEMA {}", server.address().schema));
    let sql = sql.replace("SCHEMA.", &format!("{}.", server.address().schema));
    server.run(|client| match client.batch_execute(&format!("BEGIN; {sql} COMMIT")) {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            client.batch_execute("ROLLBACK").map(|()| false)
        }
        done => done.map(|()| true),
    })
}
