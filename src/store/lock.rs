//! One server for a state directory: a file that is locked as long as the process lives, whatever ends it.

use super::StoreError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Name of the file in the state directory.
const FILE: &str = "dvms.lock";

/// The lock of a state directory; ends when dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Makes the folder if it is not there, and locks it.
    pub(super) fn take(state_dir: &Path) -> Result<Self, StoreError> {
        let refuse = |source| StoreError::Directory { path: state_dir.to_owned(), source };
        // Plans and definitions of VMs are nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(refuse)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(state_dir.join(FILE)).map_err(refuse)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut by = String::new();
                let known = file.read_to_string(&mut by).is_ok() && by.trim().parse::<u32>().is_ok();
                let by = if known { format!(" (process {})", by.trim()) } else { String::new() };
                return Err(StoreError::InUse { path: state_dir.to_owned(), by });
            }
            Err(TryLockError::Error(source)) => return Err(refuse(source)),
        }
        file.set_len(0).map_err(refuse)?;
        writeln!(file, "{}", std::process::id()).map_err(refuse)?;
        Ok(Self(file))
    }
}
