//! `dvms demo`: what it takes.

/// Shows a cluster at work: an overload is repaired, a host is drained, the night empties hosts
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
A coordinator and 12 simulated hypervisors with about 100 VMs run in this process and speak gRPC on loopback; no
root, no libvirt, less than a minute. On a terminal it is a picture, otherwise lines. State lives in a temporary
directory.

Exit status: 0 every goal was met; 1 some was not, or it was interrupted.

Examples:
  dvms demo
  dvms demo --keep            goes on afterwards, for dvms hosts, dvms plans, grpcurl
  dvms demo --libvirt         with QEMU guests on libvirt, as root; see make demo-libvirt")]
pub(crate) struct Arguments {
    /// Leave it running after the last act, until Ctrl-C
    #[arg(long)]
    pub(super) keep: bool,
    /// Which VMs there are and what they do; the same seed gives the same ones
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
    /// Port of the server on 127.0.0.1; another one is taken when it is in use
    #[arg(long, value_name = "PORT", default_value_t = 7600)]
    pub(super) port: u16,
    /// Real QEMU guests on real libvirt daemons instead of simulated ones. Needs root
    #[arg(long)]
    pub(super) libvirt: bool,
}
