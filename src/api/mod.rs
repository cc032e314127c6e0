//! The gRPC edge: conversion, validation, errors. Wire types stop here.
//!
//! One file per service; `server` puts them on a listener.

mod agent_service;
mod cluster_service;
pub mod convert;
mod deadline;
pub mod error;
pub mod filter;
mod list;
mod observe;
pub mod page;
mod peers;
mod placement_service;
mod plan_service;
mod policy_service;
pub mod server;
mod stream;
mod unknown;
mod versions;

pub use observe::VERSION_HEADER;
pub use peers::{LOCAL_HEADER, SILENT_HEADER};
