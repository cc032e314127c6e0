//! What the tests of the agent share.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses a part of it")]

#[path = "../../../tests/testbed/testbed.rs"]
mod testbed;

pub use testbed::{Testbed, wait_for};
