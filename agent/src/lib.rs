//! The light process on a hypervisor: reports what the host and its VMs use, carries out actions.

pub mod hypervisor;
