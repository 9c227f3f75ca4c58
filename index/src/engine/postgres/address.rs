//! Where a library on a server is, from an address such as `postgres://snapseek@nas/photos?library=family`.

use super::server_error::ServerError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The schema of a library whose address names none.
const LIBRARY: &str = "snapseek";

/// The address of a library on a server.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) config: postgres::Config,
    /// The schema that holds the library's tables.
    pub(super) schema: String,
    /// A certificate authority to trust, where the system's are not meant.
    pub(super) root_certificate: Option<PathBuf>,
    /// The address without its password.
    shown: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Whether a place of a library is on a server.
pub(crate) fn is_address(place: &Path) -> bool {
    place.to_str().is_some_and(|text| text.starts_with("postgres://") || text.starts_with("postgresql://"))
}

/// The place of a library as it may be shown: an address without its password, or the folder.
#[must_use]
pub fn shown(place: &Path) -> PathBuf {
    match place.to_str().filter(|_| is_address(place)) {
        Some(address) => without_password(address).into(),
        None => place.to_path_buf(),
    }
}

/// The address without its password, as it may be shown.
pub(crate) fn without_password(address: &str) -> String {
    let (address, query) = address.split_once('?').map_or((address, None), |(address, query)| (address, Some(query)));
    let kept = query.map(|query| {
        let parts = query.split('&').filter(|part| !part.to_ascii_lowercase().starts_with("password="));
        parts.collect::<Vec<_>>().join("&")
    });
    let shown = match address.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            // A password may hold an @ that nobody has written as %40.
            let host = match host.rsplit_once('@') {
                Some((user, host)) => format!("{}@{host}", user.split_once(':').map_or(user, |(user, _)| user)),
                None => host.to_owned(),
            };
            format!("{scheme}://{host}{}", path.map(|path| format!("/{path}")).unwrap_or_default())
        }
        None => address.to_owned(),
    };
    match kept {
        Some(query) if !query.is_empty() => format!("{shown}?{query}"),
        _ => shown,
    }
}

impl Address {
    /// Reads an address. What it lacks of user and password comes from `PGUSER`, `PGPASSWORD` and the password file
    /// (`PGPASSFILE`, `~/.pgpass`), as with every client of PostgreSQL.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn read(text: &str) -> Result<Self, ServerError> {
        let refused = |reason: String| ServerError::address(&without_password(text), reason);
        let (address, query) = text.split_once('?').map_or((text, ""), |(address, query)| (address, query));
        let (mut schema, mut root_certificate, mut kept) = (LIBRARY.to_owned(), None, Vec::new());
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("library", name)) => name.clone_into(&mut schema),
                Some(("sslrootcert", file)) => root_certificate = Some(PathBuf::from(decoded(file))),
                // What a client that checks certificates calls by these names is all that this one does.
                Some(("sslmode", "verify-full" | "verify-ca")) => kept.push("sslmode=require"),
                _ => kept.push(part),
            }
        }
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if schema.is_empty() || schema.len() > 63 || !schema.chars().all(is_name) || schema.starts_with("pg_") {
            return Err(refused("the name of a library has 1 to 63 of the characters a-z, 0-9 and _".into()));
        }
        let address = if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) };
        let mut config = postgres::Config::from_str(&address).map_err(|error| refused(error.to_string()))?;
        if config.get_user().is_none()
            && let Some(user) = std::env::var("PGUSER").ok().filter(|user| !user.is_empty())
        {
            config.user(&user);
        }
        if config.get_password().is_none() {
            let password = std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty());
            if let Some(password) = password.or_else(|| from_password_file(&config)) {
                config.password(password);
            }
        }
        config.application_name(&format!("snapseek {}", std::process::id()));
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(10));
        }
        Ok(Self { config, schema, root_certificate, shown: without_password(text) })
    }

    /// Whether every host of the address is this machine.
    pub(super) fn is_local(&self) -> bool {
        self.config.get_hosts().iter().all(|host| match host {
            postgres::config::Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
            #[cfg(unix)]
            postgres::config::Host::Unix(_) => true,
        })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.first_chunk::<2>().and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The password for a server in the user's password file, whose lines are `host:port:database:user:password`. A file
/// that others may read does not count, as with libpq.
fn from_password_file(config: &postgres::Config) -> Option<String> {
    let file = match std::env::var_os("PGPASSFILE").filter(|file| !file.is_empty()) {
        Some(file) => PathBuf::from(file),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".pgpass"),
    };
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).ok()?.permissions()) & 0o077 != 0 {
        return None;
    }
    password_in(&std::fs::read_to_string(file).ok()?, config)
}

fn password_in(text: &str, config: &postgres::Config) -> Option<String> {
    let host = match config.get_hosts().first() {
        Some(postgres::config::Host::Tcp(name)) => name.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    let wanted = [host.as_str(), port.as_str(), database, user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields_of(line);
        let password = fields.split_off(4.min(fields.len())).into_iter().next()?;
        let fits = |(field, wanted): (&String, &str)| field == "*" || field == wanted;
        fields.iter().zip(wanted).all(fits).then_some(password)
    })
}

/// The five fields of a line; a backslash stands before a colon or a backslash that belongs to a field.
fn fields_of(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '\\' => fields[last].extend(chars.next()),
            ':' if fields.len() < 5 => fields.push(String::new()),
            _ => fields[last].push(c),
        }
    }
    fields
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (address, shown) in [
            ("postgres://nas/photos", "postgres://nas/photos"),
            ("postgres://me@nas/photos", "postgres://me@nas/photos"),
            ("postgres://me:secret@nas:5433/photos", "postgres://me@nas:5433/photos"),
            ("postgres://me:se:c@ret@nas/photos?library=a", "postgres://me@nas/photos?library=a"),
            ("postgres://me:secret@nas", "postgres://me@nas"),
            ("postgres://nas/photos?user=me&password=secret&library=a", "postgres://nas/photos?user=me&library=a"),
            ("postgres://nas/photos?Password=secret", "postgres://nas/photos"),
        ] {
            assert_eq!(without_password(address), shown);
            if let Ok(address) = Address::read(address) {
                assert!(!format!("{address:?} {address}").contains("secret"));
            }
        }
        let error = Address::read("postgres://me:secret@nas/photos?nonsense=1").unwrap_err().to_string();
        assert!(error.contains("nonsense") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_library_has_a_plain_name() {
        assert_eq!(Address::read("postgres://nas/photos").unwrap().schema, "snapseek");
        assert_eq!(Address::read("postgres://nas/photos?library=family_1").unwrap().schema, "family_1");
        for name in ["", "a\"b", "A", "a;drop", "pg_catalog", &"a".repeat(64)] {
            assert!(Address::read(&format!("postgres://nas/photos?library={name}")).is_err(), "{name}");
        }
    }

    #[test]
    fn the_first_line_of_a_password_file_that_fits_counts() {
        let text = "# a comment\nother:*:*:*:wrong\nnas:5433:*:*:port\nnas:*:photos:me:a\\:b\\\\c\n*:*:*:*:any\n";
        let config = |address: &str| postgres::Config::from_str(address).unwrap();
        assert_eq!(password_in(text, &config("postgres://me@nas/photos")).unwrap(), "a:b\\c");
        assert_eq!(password_in(text, &config("postgres://you@nas/photos")).unwrap(), "any");
        assert_eq!(password_in(text, &config("postgres://me@nas:5433/photos")).unwrap(), "port");
        assert_eq!(password_in("nas:*:photos", &config("postgres://me@nas/photos")), None);
    }
}
