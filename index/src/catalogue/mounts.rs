//! Where the folders of a library (its roots) are on this machine: `mounts.json` in the folder of the configuration.
//!
//! The catalogue has one path for a file, that on the machine that indexed its root first. On a machine where the root
//! is elsewhere, paths are translated when they are written and read.

use super::paths;
use super::private_file::create;
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{MAIN_SEPARATOR_STR, Path, PathBuf};

/// For each library, by its place, where its roots are.
type MountFile = BTreeMap<String, BTreeMap<String, PathBuf>>;

/// The longest such file that is read, in bytes.
const AT_MOST: u64 = 1 << 20;

/// Where the roots of a library are on this machine, as far as they are not where the catalogue has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mounts(Vec<Mount>);

/// A root that is elsewhere on this machine.
#[derive(Clone, Debug)]
struct Mount {
    /// Its path in the catalogue.
    stored: PathBuf,
    /// Where it is.
    here: PathBuf,
}

impl Mounts {
    /// Those of the library at a place.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn of(place: &Path) -> Result<Self> {
        let Some(file) = file() else { return Ok(Self::default()) };
        let mounts = read(&file)?.remove(&*key(place)).unwrap_or_default();
        let mount = |(stored, here): (String, PathBuf)| Mount { stored: stored.into(), here };
        let mut mounts: Vec<Mount> = mounts.into_iter().map(mount).collect();
        // Of roots inside others, the inner one counts.
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.stored.as_os_str().len()));
        Ok(Self(mounts))
    }

    /// Where a path of the catalogue is on this machine.
    pub(crate) fn here(&self, stored: &[u8]) -> PathBuf {
        self.moved(stored).unwrap_or_else(|| paths::from_bytes(stored))
    }

    /// As [`Mounts::here`]; `None` if it is where the catalogue has it.
    pub(crate) fn moved(&self, stored: &[u8]) -> Option<PathBuf> {
        let separator = MAIN_SEPARATOR_STR.as_bytes();
        if let Some(path) = stored.strip_prefix(separator).filter(|rest| rest.starts_with(separator)) {
            return Some(paths::from_bytes(path));
        }
        let inside = |mount: &Mount| {
            let rest = stored.strip_prefix(paths::bytes(&mount.stored))?;
            let is_inside = rest.is_empty() || mount.stored.parent().is_none();
            let rest = if is_inside { rest } else { rest.strip_prefix(separator)? };
            Some(joined(&mount.here, &paths::from_bytes(rest)))
        };
        self.0.iter().find_map(inside)
    }

    /// A path of this machine as the catalogue has it.
    pub(crate) fn stored<'p>(&self, path: &'p Path) -> Cow<'p, [u8]> {
        let inside = |mount: &Mount| Some(joined(&mount.stored, path.strip_prefix(&mount.here).ok()?));
        if let Some(path) = self.0.iter().find_map(inside) {
            return Cow::Owned(paths::bytes(&path).to_vec());
        }
        if self.0.iter().any(|mount| path.starts_with(&mount.stored)) {
            // It is not what the catalogue has under this path: a name that nothing has.
            return Cow::Owned([MAIN_SEPARATOR_STR.as_bytes(), paths::bytes(path)].concat());
        }
        Cow::Borrowed(paths::bytes(path))
    }

    /// A text to look for in the catalogue's folded paths: if it begins with where a root is, the path of that root.
    pub(crate) fn folded(&self, text: &str) -> String {
        let text = paths::fold(text);
        let folded = |path: &Path| paths::fold(&path.to_string_lossy());
        let inside = |mount: &Mount| {
            let rest = text.strip_prefix(&folded(&mount.here))?;
            (rest.is_empty() || rest.starts_with(MAIN_SEPARATOR_STR)).then(|| folded(&mount.stored) + rest)
        };
        self.0.iter().find_map(inside).unwrap_or(text)
    }

    /// Whether a folder of this machine can be added to the library.
    ///
    /// # Errors
    /// [`Error::Elsewhere`] or [`Error::AboveMount`]: it is in the way of a root that is elsewhere on this machine.
    pub(crate) fn allow(&self, folder: &Path) -> Result<()> {
        if self.0.iter().any(|mount| folder.starts_with(&mount.here)) {
            return Ok(());
        }
        let path = folder.to_path_buf();
        for Mount { stored, here } in &self.0 {
            if here.starts_with(folder) {
                return Err(Error::AboveMount { path, root: here.clone() });
            }
            if folder.starts_with(stored) || stored.starts_with(folder) {
                return Err(Error::Elsewhere { path, stored: stored.clone(), here: here.clone() });
            }
        }
        Ok(())
    }
}

/// Remembers where a root of the library at a place is on this machine; with `None` it is where the catalogue has it.
///
/// # Errors
/// A path is not UTF-8, or the file cannot be read or written.
pub(crate) fn remember(place: &Path, stored: &Path, here: Option<&Path>) -> Result<()> {
    let path = file().ok_or_else(|| Error::Refused {
        what: "where a folder is".into(),
        reason: "no folder is known for settings: set HOME or XDG_CONFIG_HOME".into(),
    })?;
    let mut mounts = read(&path)?;
    let of_library = mounts.entry(key(place).into_owned()).or_default();
    let text = |path: &Path| match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::Refused { what: crate::escape::path(path), reason: "it is not UTF-8".into() }),
    };
    match here {
        Some(here) => of_library.insert(text(stored)?, text(here)?.into()),
        None => of_library.remove(&text(stored)?),
    };
    mounts.retain(|_, roots| !roots.is_empty());
    let folder = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let draft = path.with_extension(format!("json.{}", std::process::id()));
    let written = serde_json::to_string_pretty(&mounts).map_err(std::io::Error::from).and_then(|text| {
        let mut file = create(&draft)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&draft, &path)
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&draft);
        Error::io(&path)(error)
    })
}

/// The folder that a variable names, or the one in the home folder that stands for it.
pub(crate) fn user_folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    folder(variable).or_else(|| folder("HOME").map(|home| home.join(in_home)))
}

fn file() -> Option<PathBuf> {
    Some(user_folder("XDG_CONFIG_HOME", ".config")?.join("snapseek/mounts.json"))
}

fn key(place: &Path) -> Cow<'_, str> {
    place.to_string_lossy()
}

fn read(path: &Path) -> Result<MountFile> {
    let length = match std::fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(MountFile::new()),
        Err(error) => return Err(Error::io(path)(error)),
    };
    let refused = |reason: String| Error::Refused { what: crate::escape::path(path), reason };
    if length > AT_MOST {
        return Err(refused("it is too long to be what snapseek wrote there".into()));
    }
    let text = std::fs::read(path).map_err(Error::io(path))?;
    serde_json::from_slice(&text).map_err(|error| {
        refused(format!("it does not say where folders are ({error}); delete it, and use `snapseek root map` again"))
    })
}

/// Without a separator at the end where there is nothing to join.
fn joined(folder: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { folder.to_path_buf() } else { folder.join(rest) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn mounts() -> Mounts {
        let mount = |stored: &str, here: &str| Mount { stored: stored.into(), here: here.into() };
        Mounts(vec![mount("/mnt/photos/phone", "/media/phone"), mount("/mnt/photos", "/Volumes/Photos")])
    }

    #[test]
    fn what_is_written_is_read_where_it_is() {
        let mounts = mounts();
        for (stored, here) in [
            ("/mnt/photos/2019/a.jpg", "/Volumes/Photos/2019/a.jpg"),
            ("/mnt/photos", "/Volumes/Photos"),
            ("/mnt/photos/phone/b.jpg", "/media/phone/b.jpg"),
            ("/mnt/photos2/a.jpg", "/mnt/photos2/a.jpg"),
            ("/home/anna/c.jpg", "/home/anna/c.jpg"),
        ] {
            assert_eq!(mounts.here(stored.as_bytes()), Path::new(here));
            assert_eq!(mounts.stored(Path::new(here)), stored.as_bytes());
        }
        assert_eq!(mounts.here(&mounts.stored(Path::new("/mnt/photos/x.jpg"))), Path::new("/mnt/photos/x.jpg"));
        assert_eq!(mounts.here(b"/mnt/photos/\xff"), paths::from_bytes(b"/Volumes/Photos/\xff"));
        assert_eq!(mounts.here(b"/mnt/photos/../x"), Path::new("/Volumes/Photos/../x"), "only names are looked at");
    }

    #[test]
    fn another_file_at_the_path_of_the_catalogue_is_not_that_file() {
        let mounts = mounts();
        assert_eq!(mounts.stored(Path::new("/mnt/photos/2019/a.jpg")), b"//mnt/photos/2019/a.jpg".as_slice());
        let allowed = |folder: &str| match mounts.allow(Path::new(folder)) {
            Ok(()) => "fits",
            Err(Error::Elsewhere { .. }) => "elsewhere",
            Err(Error::AboveMount { .. }) => "above",
            Err(_) => "fails",
        };
        let found = ["/mnt/photos", "/mnt/photos/x", "/mnt", "/Volumes", "/Volumes/Photos/2019", "/home"].map(allowed);
        assert_eq!(found, ["elsewhere", "elsewhere", "elsewhere", "above", "fits", "fits"]);
    }

    #[test]
    fn a_text_to_look_for_may_begin_with_where_a_root_is() {
        let mounts = mounts();
        assert_eq!(mounts.folded("/volumes/photos/2019"), "/mnt/photos/2019");
        assert_eq!(mounts.folded("/Volumes/Photos"), "/mnt/photos");
        assert_eq!(mounts.folded("/Volumes/Photos2"), "/volumes/photos2");
        assert_eq!(mounts.folded("Beach"), "beach");
    }
}
