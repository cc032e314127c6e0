//! The files of a command: none is written over one that it reads or writes for something else.

use super::failure::Failure;
use super::out_file::OutFile;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The files that a command reads, and those that it is going to write.
#[derive(Debug, Default)]
pub(crate) struct OutFiles {
    read: Vec<(String, Identity)>,
    /// With the option that each is for.
    written: Vec<(String, Identity)>,
}

/// What a file is, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    /// It is there: device and number.
    There(u64, u64),
    /// It is yet to be made.
    New(PathBuf),
    /// A device, a pipe: nothing in it is lost.
    Special,
}

impl OutFiles {
    /// Of a command that reads these; `-` = standard input, which may be a file as well.
    pub(crate) fn beside<'a>(read: impl IntoIterator<Item = &'a str>) -> Self {
        let mut files = Self::default();
        read.into_iter().for_each(|path| files.reads(path));
        files
    }

    /// This is read, too.
    pub(crate) fn reads(&mut self, path: &str) {
        let identity = Identity::of(Path::new(if path == "-" { "/dev/stdin" } else { path }));
        let name = if path == "-" { "standard input" } else { path };
        if identity != Identity::Special && !self.read.iter().any(|(_, known)| *known == identity) {
            self.read.push((name.to_owned(), identity));
        }
    }

    /// The file that is written for an option, if it can be and nothing is lost by it.
    ///
    /// # Errors
    /// It is one that is read or written already, or it cannot be written.
    pub(crate) fn take(&mut self, option: &str, path: &Path) -> Result<OutFile, Failure> {
        self.take_of(option, path, path)
    }

    /// The same, where the option need not be given.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn take_any(
        &mut self,
        option: &str,
        path: Option<&PathBuf>,
    ) -> Result<Option<OutFile>, Failure> {
        path.map(|path| self.take(option, path)).transpose()
    }

    /// The same of a file that goes with what was given for the option.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn take_of(&mut self, option: &str, given: &Path, path: &Path) -> Result<OutFile, Failure> {
        self.claim(option, given, path)?;
        OutFile::prepare(path)
    }

    /// Makes sure that nothing is lost by a file that is written in another way.
    ///
    /// # Errors
    /// It is one that is read or written already.
    pub(crate) fn claim(&mut self, option: &str, given: &Path, path: &Path) -> Result<(), Failure> {
        let identity = Identity::of(path);
        if identity == Identity::Special {
            return Ok(());
        }
        let same = |(_, known): &&(String, Identity)| *known == identity;
        let which = if given == path { String::new() } else { format!("{} ", path.display()) };
        let refused = |why: String| {
            Err(Failure::bad_input(format!(
                "{option} {}: {which}would be written over {why}",
                given.display()
            )))
        };
        if let Some((file, _)) = self.read.iter().find(same) {
            return refused(format!("{file}, which is read"));
        }
        if let Some((other, _)) = self.written.iter().find(same) {
            return refused(format!("what is written for {other}"));
        }
        self.written.push((option.to_owned(), identity));
        Ok(())
    }
}

impl Identity {
    fn of(path: &Path) -> Self {
        match path.metadata() {
            Ok(there) if there.is_file() => Self::There(there.dev(), there.ino()),
            // What is a folder is refused when it is to be written.
            Ok(_) => Self::Special,
            Err(_) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
                Self::New(folder.join(path.file_name().unwrap_or_default()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with writing these, one after the other, where `problem.json` is read.
    fn said(folder: &Path, written: &[(&str, &str)]) -> Vec<String> {
        let read = folder.join("problem.json").display().to_string();
        let mut files = OutFiles::beside([read.as_str(), "-"]);
        let taken = written.iter().map(|(option, name)| files.take(option, &folder.join(name)));
        taken.filter_map(Result::err).map(|failure| failure.message()).collect()
    }

    #[test]
    fn nothing_is_written_over_what_is_read_or_written_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::write(folder.join("problem.json"), "{}").unwrap();
        std::fs::write(folder.join("other.json"), "{}").unwrap();
        std::fs::create_dir(folder.join("inner")).unwrap();
        std::os::unix::fs::symlink("problem.json", folder.join("link")).unwrap();
        std::os::unix::fs::symlink(".", folder.join("here")).unwrap();
        std::fs::hard_link(folder.join("problem.json"), folder.join("hard")).unwrap();
        for name in ["problem.json", "link", "here/problem.json", "inner/../problem.json", "hard"] {
            let said = said(folder, &[("--out", name)]);
            assert!(said[0].starts_with("--out ") && said[0].ends_with("which is read"), "{name}: {said:?}");
        }
        for (first, second) in
            [("new", "new"), ("new", "here/new"), ("new", "inner/../new"), ("other.json", "here/other.json")]
        {
            let said = said(folder, &[("--out", first), ("--plot", second)]);
            assert_eq!(said.len(), 1, "{second}");
            assert!(said[0].starts_with("--plot "), "{said:?}");
            assert!(said[0].ends_with("would be written over what is written for --out"), "{said:?}");
        }
        assert!(
            said(folder, &[("--out", "new"), ("--plot", "other.json"), ("--trace", "inner/new")]).is_empty()
        );
        assert_eq!(std::fs::read_to_string(folder.join("problem.json")).unwrap(), "{}");
    }

    #[test]
    fn devices_take_as_much_as_there_is() {
        let mut files = OutFiles::beside(["/dev/null"]);
        for option in ["--out", "--plot"] {
            files.take(option, Path::new("/dev/null")).unwrap();
        }
    }

    #[test]
    fn a_file_that_goes_with_another_is_told_by_both() {
        let mut files = OutFiles::beside(["/tmp/is-not-there/runs.csv"]);
        let (given, path) =
            (Path::new("/tmp/is-not-there/page.html"), Path::new("/tmp/is-not-there/runs.csv"));
        let said = files.claim("--report", given, path).unwrap_err().message();
        let expected = "--report /tmp/is-not-there/page.html: /tmp/is-not-there/runs.csv would be written over \
            /tmp/is-not-there/runs.csv, which is read";
        assert_eq!(said, expected);
    }
}
