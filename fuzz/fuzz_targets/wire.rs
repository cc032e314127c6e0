//! Any bytes as a message of the API: see `dvms::api::convert::fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| dvms::api::convert::fuzz::problem(bytes));
