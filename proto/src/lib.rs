//! The wire messages and services of dvms, generated from `proto/dvms/v1`. The comments in the `.proto`
//! files are the API reference.
#![forbid(unsafe_code)]

/// Version 1 of the API.
pub mod v1 {
    #![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
    tonic::include_proto!("dvms.v1");

    /// Encoded `FileDescriptorSet` with comments, for reflection and tools.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
