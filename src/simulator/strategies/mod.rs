//! The strategies that are compared, one file each. What is said of each is what it does; what is ours where the source is
//! silent is named there.

pub mod balancer;
pub mod centralised;
pub mod drs;
pub mod dvms;
pub mod dvms_classic;
pub mod ecocloud;
pub mod gossip;
pub mod hierarchical;
pub mod manager;
pub mod mcda;
mod none;
pub mod overlay;
pub mod p2p;
mod relocation;
pub mod scouts;
pub mod snooze;
#[cfg(test)]
mod tests;

pub use none::Nothing;
pub use relocation::relocate;
