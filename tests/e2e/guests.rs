//! Where guests are, asked of libvirt and not of dvms.

use crate::cluster::Cluster;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

impl Cluster {
    /// The guests that a hypervisor has in any state, those on their way to it too.
    pub(crate) fn domains(&self, host: usize) -> BTreeSet<String> {
        let output = self.bed.virsh(host, &["list", "--all", "--name"]);
        assert!(output.status.success(), "virsh on hv{host}: {}", String::from_utf8_lossy(&output.stderr));
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        names.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Does something while looking, again and again, that no hypervisor ever has two of the guests. Returns how
    /// often was looked.
    pub(crate) fn apart(&self, guests: &[&str], hosts: usize, act: impl FnOnce(&Self)) -> usize {
        let (ended, looked) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    for host in 1..=hosts {
                        let there = self.domains(host);
                        let together: Vec<_> =
                            guests.iter().filter(|guest| there.contains(**guest)).collect();
                        assert!(together.len() < 2, "{together:?} were on hv{host} together");
                    }
                    looked.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(self)));
            ended.store(true, Ordering::SeqCst);
            watch.join().expect("the guests were apart all the time");
            acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        looked.load(Ordering::SeqCst)
    }
}
