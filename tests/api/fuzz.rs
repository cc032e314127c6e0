//! The seeds of the fuzz targets as messages, and what is nearly one of them.

use dvms::api::convert::fuzz;
use dvms_proto::v1 as pb;
use proptest::prelude::*;
use prost::Message as _;
use std::path::Path;

/// Messages of all seeds that are some, in order.
fn messages() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/problem");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let message = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        dvms::json::from_text::<pb::Problem>(&text).ok().map(|problem| problem.encode_to_vec())
    };
    files.iter().filter_map(message).collect()
}

#[test]
fn every_seed_is_a_message_that_is_solved_or_refused() {
    let all = messages();
    assert!(all.len() > 40, "{} seeds are messages", all.len());
    for bytes in &all {
        fuzz::problem(bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6 * ProptestConfig::default().cases, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nearly_a_message_is_solved_or_refused(
        which in 0..1000_usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let all = messages();
        let mut bytes = all[which % all.len()].clone();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => _ = bytes.remove(at),
                2 => bytes.truncate(at),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => bytes.push(byte),
            }
        }
        println!("{bytes:?}");
        fuzz::problem(&bytes);
    }
}
