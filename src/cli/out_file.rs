//! Files that are written whole or not at all.

use super::failure::Failure;
use super::input::plain;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file to be written. That it can be is known from the start, so that a solve is not for nothing; what it
/// held stays until the new content is complete.
pub(crate) struct OutFile {
    path: PathBuf,
    way: Way,
}

enum Way {
    /// Replaced by a file made beside it, with this mode.
    Replace(u32),
    /// A pipe, a terminal, `/dev/null`: never to be replaced. Or a file in a folder that is not ours.
    InPlace(File),
}

impl OutFile {
    /// Makes sure that the file can be written.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) fn prepare(path: &Path) -> Result<Self, Failure> {
        let refuse = |error: io::Error| {
            let why = plain(&error);
            Failure::new(format!("cannot write {}: {why}; nothing was begun", path.display()))
        };
        // Through a link, the file that it names.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let present = path.metadata().ok();
        if present.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            return Err(refuse(io::Error::other("it is a directory")));
        }
        let mode = present.as_ref().map_or(0o666, |present| present.permissions().mode() & 0o777);
        let special = present.as_ref().is_some_and(|present| !present.is_file());
        let way = match beside(&path, mode) {
            // What was made is removed again: nothing is left behind whatever ends the process.
            Ok(_) if !special => Way::Replace(mode),
            Err(error) if present.is_none() => return Err(refuse(error)),
            _ => Way::InPlace(OpenOptions::new().write(true).open(&path).map_err(refuse)?),
        };
        Ok(Self { path, way })
    }

    /// Writes the content.
    ///
    /// # Errors
    /// The disk is full, or the like.
    pub(crate) fn write(self, content: &str) -> Result<(), Failure> {
        self.write_bytes(content.as_bytes())
    }

    /// The same, of what is no text.
    ///
    /// # Errors
    /// The disk is full, or the like.
    pub(crate) fn write_bytes(self, content: &[u8]) -> Result<(), Failure> {
        let written = match self.way {
            Way::Replace(mode) => beside(&self.path, mode).and_then(|mut file| {
                file.write_all(content)?;
                file.as_file().sync_all()?;
                file.persist(&self.path).map_err(|error| error.error)?;
                Ok(())
            }),
            Way::InPlace(mut file) => file
                .metadata()
                .and_then(|metadata| if metadata.is_file() { file.set_len(0) } else { Ok(()) })
                .and_then(|()| file.write_all(content)),
        };
        written
            .map_err(|error| Failure::new(format!("cannot write {}: {}", self.path.display(), plain(&error))))
    }
}

fn beside(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".dvms-").permissions(Permissions::from_mode(mode)).tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let file = OutFile::prepare(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        file.write("new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_not_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(OutFile::prepare(&folder.path().join("plan.json")).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn devices_are_written_to_and_links_followed() {
        OutFile::prepare(Path::new("/dev/null")).unwrap().write("x").unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        OutFile::prepare(&link).unwrap().write("new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new");
    }

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(OutFile::prepare(folder.path()).is_err());
        assert!(OutFile::prepare(&folder.path().join("no/such/folder")).is_err());
    }
}
