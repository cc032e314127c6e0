//! Any bytes as a problem: see `dvms_solver::testing::fuzz`.
#![no_main]

use dvms_solver::testing::fuzz;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

mod json;

fuzz_target!(|bytes: &[u8]| fuzz::problem(bytes));
fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| { json::mutate(bytes, size, most, seed) });
