//! Pages of programs and libraries that nobody uses any more after the start.

use std::fs;

/// A read-only mapping of a file, none of whose pages was ever changed: it can be read again at any time.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    length: usize,
}

/// Lets the kernel take the pages of code and constants of this process out of its memory, the libraries'
/// among them (libvirt brings some thirty). What is used again comes back page by page, from the page cache. Returns how many
/// bytes were mapped so; 0 where the kernel does not tell what may be taken.
///
/// Most of what an agent is resident with was only touched by the dynamic linker and by the set-up of libraries.
pub fn give_back_unused() -> usize {
    let Ok(text) = fs::read_to_string("/proc/self/smaps") else { return 0 };
    let mut given = 0;
    for (mapping, resident) in clean_mappings(&text) {
        // SAFETY: the range is one whole mapping of this process as the kernel has just told it, backed by a
        // file, not writable, and without a page of its own (`Anonymous` 0), so that each page reads the same
        // when it is faulted in again. Nothing in this process unmaps or changes libraries: none is closed,
        // and relocated pages are anonymous and thereby left alone.
        let result = unsafe { libc::madvise(mapping.start as *mut _, mapping.length, libc::MADV_DONTNEED) };
        if result == 0 {
            given += resident;
        }
    }
    given
}

/// The mappings of `/proc/PID/smaps` (see proc(5)) that can be read again, with their resident bytes.
fn clean_mappings(smaps: &str) -> Vec<(Mapping, usize)> {
    let mut found = Vec::new();
    let mut lines = smaps.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(mapping) = read_only_file(line) else { continue };
        let (mut resident, mut anonymous) = (None, None);
        while let Some(field) = lines.next_if(|line| !is_header(line)) {
            let kib = |name: &str| {
                let text = field.strip_prefix(name)?.trim().strip_suffix(" kB")?;
                text.parse::<usize>().ok()
            };
            resident = resident.or(kib("Rss:"));
            anonymous = anonymous.or(kib("Anonymous:"));
        }
        if let (Some(resident), Some(0)) = (resident, anonymous) {
            found.push((mapping, resident * 1024));
        }
    }
    found
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE PATH` begins a mapping; fields of one are `Name: …`.
fn is_header(line: &str) -> bool {
    line.split_whitespace().next().is_some_and(|word| !word.ends_with(':'))
}

fn read_only_file(line: &str) -> Option<Mapping> {
    if !is_header(line) {
        return None;
    }
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let permissions = words.next()?;
    let path = words.nth(3)?;
    if !(path.starts_with('/') && matches!(permissions, "r-xp" | "r--p")) {
        return None;
    }
    let start = usize::from_str_radix(start, 16).ok()?;
    let length = usize::from_str_radix(end, 16).ok()?.checked_sub(start)?;
    Some(Mapping { start, length })
}

#[cfg(test)]
mod tests {
    use super::{Mapping, clean_mappings, give_back_unused};

    #[test]
    fn only_unchanged_pages_of_files_are_taken() {
        let mapping = |head: &str, resident: usize, anonymous: usize| {
            format!("{head}\nSize: 8 kB\nRss: {resident} kB\nAnonymous: {anonymous} kB\nVmFlags: rd mr\n")
        };
        let smaps = [
            mapping("1000-3000 r-xp 00000000 08:01 7 /usr/lib/libvirt.so.0", 8, 0),
            mapping("3000-5000 r--p 00002000 08:01 7 /usr/lib/libvirt.so.0 (deleted)", 4, 0),
            mapping("5000-7000 r--p 00004000 08:01 7 /usr/lib/relocated.so", 8, 4),
            mapping("7000-9000 rw-p 00006000 08:01 7 /usr/lib/libvirt.so.0", 8, 0),
            mapping("9000-b000 r--s 00000000 08:01 9 /var/shared", 8, 0),
            mapping("b000-d000 r-xp 00000000 00:00 0 [vdso]", 8, 0),
            mapping("d000-f000 rw-p 00000000 00:00 0", 8, 8),
        ];
        let expected = vec![
            (Mapping { start: 0x1000, length: 0x2000 }, 8192),
            (Mapping { start: 0x3000, length: 0x2000 }, 4096),
        ];
        assert_eq!(clean_mappings(&smaps.concat()), expected);
        assert!(clean_mappings("").is_empty() && clean_mappings("Rss: 4 kB\nnonsense\n").is_empty());
    }

    #[test]
    fn the_process_goes_on_and_is_smaller() {
        let resident = || -> usize {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            text.split(' ').nth(1).unwrap().parse().unwrap()
        };
        let before = resident();
        assert!(give_back_unused() > 0);
        let after = resident();
        assert!(after < before, "{before} pages before, {after} after");
        assert_eq!("1 2 3".split(' ').map(|word| word.parse::<u32>().unwrap()).sum::<u32>(), 6);
    }
}
