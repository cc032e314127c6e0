//! Cells, what is asked for them, what the solver is told, and what no longer fits.

mod ask;
mod fresh;
mod problem;
mod properties;

use super::*;
use crate::coordinator::detect::{Detector, Key, Trouble};
use crate::coordinator::testing::{World, at};
use crate::record::EventKind;
use dvms_solver::file::Problem;
use std::collections::BTreeSet;

/// What is due after all hold times.
fn due(world: &World) -> Vec<Trouble> {
    let mut detector = Detector::default();
    detector.observe(&world.cell, &world.settings, at(0.0));
    detector.observe(&world.cell, &world.settings, at(1e6));
    detector.due(at(1e6))
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn key(kind: EventKind, subject: &str) -> Key {
    (kind, subject.to_owned())
}

/// The problem of some hosts, validated.
fn problem_of(world: &World, hosts: &[&str], answers: &[Key]) -> Problem {
    let nobody = |_: &str| false;
    let made = problem(&world.cell, &set(hosts), "REPAIR", None, answers, &nobody, &world.settings);
    if let Err(rejected) = dvms_solver::Problem::new(&made) {
        panic!("{rejected}\n{}", serde_json::to_string_pretty(&made).expect("a problem is JSON"));
    }
    made
}
