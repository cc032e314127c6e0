//! How late solves come back: `late [--limits S,S…] [--cancel S,S…] [--backend B] [--threads N] FILE…`. For each file and limit,
//! and for each time after which the solve is cancelled, a line: how much later it came back, and what there was by then.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for whoever works on the solver")]

mod arguments;

use dvms_solver::{Cancel, Options, bench, file, solve};
use std::time::{Duration, Instant};

fn seconds(text: &str) -> Vec<f64> {
    text.split(',').map(|s| s.parse().unwrap()).collect()
}

fn main() {
    let mut options = Options::default();
    let (mut limits, mut cancels) = (vec![0.1, 0.3, 1.0, 3.0], Vec::new());
    let mut args = std::env::args().skip(1);
    println!(
        "{:<34} {:<8} {:>7} {:>9} {:<10} {:>9} left",
        "problem", "", "after s", "late ms", "status", "first s"
    );
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap();
        match arg.as_str() {
            "--limits" => limits = seconds(&value()),
            "--cancel" => (limits, cancels) = (Vec::new(), seconds(&value())),
            "--threads" => options.threads = value().parse().unwrap(),
            "--backend" => options.backend = arguments::backend(&value()),
            path => {
                let problem = file::Problem::from_json(&std::fs::read_to_string(path).unwrap()).unwrap();
                for limit in &limits {
                    one(path, "limit", &problem, &options, *limit);
                }
                for after in &cancels {
                    one(path, "cancel", &problem, &options, *after);
                }
            }
        }
    }
}

/// One solve, to be over after so many seconds.
fn one(path: &str, how: &str, problem: &file::Problem, options: &Options, after: f64) {
    let after = Duration::from_secs_f64(after);
    let cancels = how == "cancel";
    let time_limit = if cancels { Duration::from_mins(10) } else { after };
    let options = Options { time_limit, ..options.clone() };
    let cancel = Cancel::default();
    let begun = Instant::now();
    let mut first = None;
    let plan = std::thread::scope(|scope| {
        if cancels {
            let cancel = cancel.clone();
            scope.spawn(move || {
                std::thread::sleep(after);
                cancel.now();
            });
        }
        let plan = solve(problem, &options, &cancel, &mut |_| {
            first.get_or_insert(begun.elapsed().as_secs_f64());
        });
        (plan.unwrap(), begun.elapsed())
    });
    let (plan, taken) = plan;
    let late = (taken.as_secs_f64() - after.as_secs_f64()) * 1e3;
    let name = std::path::Path::new(path).file_stem().unwrap().to_string_lossy().into_owned();
    let first = first.map_or_else(|| "-".to_owned(), |first| format!("{first:.3}"));
    let left = bench::left_behind();
    let (after, status) = (after.as_secs_f64(), plan.status.name());
    println!("{name:<34} {how:<8} {after:>7.3} {late:>9.1} {status:<10} {first:>9} {left}");
}
