//! The seeds of the fuzz targets, and what is nearly one of them.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not there")]

use dvms_solver::file::Problem;
use dvms_solver::testing::{fuzz, mutate::mutated};
use proptest::prelude::*;
use std::path::Path;

/// Texts of a folder of seeds, with their names, in order.
fn seeds(target: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seed = |path: std::path::PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(seed).collect()
}

fn problems() -> Vec<Problem> {
    seeds("problem").iter().filter_map(|(_, text)| Problem::from_json(text).ok()).collect()
}

#[test]
fn every_seed_is_read_solved_and_judged_or_refused() {
    let texts = seeds("problem");
    assert!(texts.len() > 40);
    for (name, text) in &texts {
        println!("{name}");
        fuzz::problem(text.as_bytes());
    }
    for (name, text) in seeds("plan") {
        println!("{name}");
        fuzz::plan(text.as_bytes(), &problems());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6 * ProptestConfig::default().cases, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nearly_a_problem_is_solved_or_refused(which in 0..1000_usize, seed in any::<u64>()) {
        let texts = seeds("problem");
        let text = mutated(&texts[which % texts.len()].1, seed);
        println!("{text}");
        fuzz::problem(text.as_bytes());
    }

    #[test]
    fn what_is_nearly_a_plan_is_judged_or_refused(which in 0..1000_usize, seed in any::<u64>()) {
        let texts = seeds("plan");
        let text = mutated(&texts[which % texts.len()].1, seed);
        println!("{text}");
        fuzz::plan(text.as_bytes(), &problems()[..8]);
    }
}
