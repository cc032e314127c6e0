//! A `virsh` that stays and is asked again and again: a thousandth of a second for each look, where a new one
//! takes twenty.

use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

/// It ends every answer with this, and waits.
const PROMPT: &str = "virsh # ";

/// A session with one libvirt daemon.
pub(super) struct Virsh {
    child: Child,
}

impl Virsh {
    /// Connects.
    ///
    /// # Errors
    /// virsh cannot be run, or does not come to its prompt.
    pub(super) fn connect(uri: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("virsh");
        command.args(["--quiet", "--connect", uri]).env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut this = Self { child: command.spawn().context("cannot run virsh")? };
        this.answer()?;
        Ok(this)
    }

    /// The VMs that are there, and whether they run: those on their way to here are there and do not.
    ///
    /// # Errors
    /// The daemon has gone.
    pub(super) fn list(&mut self) -> anyhow::Result<BTreeMap<String, bool>> {
        Ok(read_list(&self.ask("list\n")?))
    }

    /// Nanoseconds of processor time that each VM has used on this host.
    ///
    /// # Errors
    /// The daemon has gone.
    pub(super) fn cpu_ns(&mut self) -> anyhow::Result<BTreeMap<String, u64>> {
        Ok(read_cpu(&self.ask("domstats --cpu-total --nowait\n")?))
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        let stdin = self.child.stdin.as_mut().context("virsh has ended")?;
        stdin.write_all(question.as_bytes()).context("virsh has ended")?;
        stdin.flush().context("virsh has ended")?;
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let stdout = self.child.stdout.as_mut().context("virsh has ended")?;
        let mut said = Vec::new();
        let mut part = [0; 4096];
        while !said.ends_with(PROMPT.as_bytes()) {
            match stdout.read(&mut part).context("virsh has ended")? {
                0 => bail!("virsh has ended"),
                length => said.extend_from_slice(&part[..length]),
            }
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Virsh {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines ` 1   web-1   running`, behind an echo of the question.
fn read_list(text: &str) -> BTreeMap<String, bool> {
    let vm = |line: &str| {
        let mut words = line.split_whitespace();
        let (id, name, state) = (words.next()?, words.next()?, words.collect::<Vec<_>>().join(" "));
        id.parse::<u32>().ok()?;
        Some((name.to_owned(), state == "running"))
    };
    text.lines().filter_map(vm).collect()
}

/// `Domain: 'web-1'`, then lines `  cpu.time=1234`.
fn read_cpu(text: &str) -> BTreeMap<String, u64> {
    let mut used = BTreeMap::new();
    let mut vm = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("Domain: '").and_then(|rest| rest.strip_suffix('\'')) {
            vm = Some(name.to_owned());
        } else if let Some(time) = line.strip_prefix("cpu.time=").and_then(|time| time.parse().ok()) {
            used.extend(vm.take().map(|vm| (vm, time)));
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whatever_is_around_it() {
        let text = "list\n 1    web-1   running\n 12   vm-2    paused\n 13   vm-3    in shutdown\n\nvirsh # ";
        let expected = [("web-1", true), ("vm-2", false), ("vm-3", false)];
        assert_eq!(read_list(text), expected.map(|(name, runs)| (name.to_owned(), runs)).into());
        assert_eq!(read_list("list\nvirsh # "), BTreeMap::new());
    }

    #[test]
    fn counters_are_read() {
        let text = "domstats --cpu-total\nDomain: 'web-1'\n  cpu.time=12\n  cpu.user=3\n\nDomain: 'vm-2'\n\n\
            Domain: 'vm-3'\n  cpu.time=7\nvirsh # ";
        assert_eq!(read_cpu(text), BTreeMap::from([("web-1".to_owned(), 12), ("vm-3".to_owned(), 7)]));
    }
}
