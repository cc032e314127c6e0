//! Any bytes as a plan, judged beside some problems: see `dvms_solver::testing::fuzz`.
#![no_main]

use dvms_solver::file::Problem;
use dvms_solver::testing::fuzz;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::sync::LazyLock;

mod json;

static PROBLEMS: LazyLock<Vec<Problem>> = LazyLock::new(|| {
    let texts = [
        include_str!("../seeds/problem/overload.json"),
        include_str!("../seeds/problem/power.json"),
        include_str!("../seeds/problem/numa.json"),
        include_str!("../seeds/problem/rules-soft.json"),
        include_str!("../seeds/problem/rules-continuous.json"),
    ];
    texts.iter().map(|text| Problem::from_json(text).expect("a seed is a problem")).collect()
});

fuzz_target!(|bytes: &[u8]| fuzz::plan(bytes, &PROBLEMS));
fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| { json::mutate(bytes, size, most, seed) });
