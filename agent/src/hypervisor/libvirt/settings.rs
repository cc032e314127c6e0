//! What an operator may set of the libvirt driver.

/// Settings of [`super::LibvirtHypervisor`]; the default works on a host with a system libvirtd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibvirtSettings {
    /// Where this host's libvirtd is.
    pub uri: String,
    /// How often guests are asked for their memory figures, in seconds; 0 = leave their setting alone.
    pub balloon_period_s: u32,
    /// Memory QEMU needs besides the guest's own, for each VM.
    pub overhead_mib_per_vm: u64,
    /// Memory VMs may hold together, in 1/1000 of the host's: 1000 = no overcommit.
    pub memory_overcommit_permille: u64,
    /// Migrations out of this host at once, over which a further one is refused.
    pub max_migrations: usize,
}

impl Default for LibvirtSettings {
    fn default() -> Self {
        Self {
            uri: "qemu:///system".into(),
            balloon_period_s: 5,
            overhead_mib_per_vm: 64,
            memory_overcommit_permille: 1000,
            max_migrations: 4,
        }
    }
}
