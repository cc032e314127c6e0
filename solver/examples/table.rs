//! Solves problem files and prints a line for each: `table [--limit S] [--work N] [--threads N] [--backend B] [--out DIR] FILE…`.
//! With `--out` each problem's last plan is written to that folder.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for whoever works on the solver")]

mod arguments;

use dvms_solver::{Cancel, Options, file, solve};
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn main() {
    let mut options = Options::default();
    let mut out: Option<PathBuf> = None;
    let mut args = std::env::args().skip(1);
    println!(
        "{:<34} {:<10} {:>8} {:>8} {:>6}  value/bound of each level",
        "problem", "status", "first s", "total s", "moves"
    );
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap();
        match arg.as_str() {
            "--limit" => options.time_limit = Duration::from_secs_f64(value().parse().unwrap()),
            "--work" => options.work_limit = Some(value().parse().unwrap()),
            "--threads" => options.threads = value().parse().unwrap(),
            "--seed" => options.seed = value().parse().unwrap(),
            "--out" => out = Some(value().into()),
            "--backend" => options.backend = arguments::backend(&value()),
            path => one(path, &options, out.as_deref()),
        }
    }
}

fn one(path: &str, options: &Options, out: Option<&std::path::Path>) {
    let problem = file::Problem::from_json(&std::fs::read_to_string(path).unwrap()).unwrap();
    let begun = Instant::now();
    let mut first = None;
    let mut better = |plan: &file::Plan| {
        let at = begun.elapsed().as_secs_f64();
        first.get_or_insert(at);
        if std::env::var_os("VERBOSE").is_some() {
            let values: Vec<_> = plan.objectives.iter().map(|o| o.value).collect();
            println!("  {at:.3} s: {} actions, {values:?}", plan.actions.len());
        }
    };
    let plan = solve(&problem, options, &Cancel::default(), &mut better).unwrap();
    let total = begun.elapsed().as_secs_f64();
    let levels: Vec<_> = (plan.objectives.iter())
        .map(|o| format!("{} {:.2}/{:.2} (was {:.0})", o.name, o.value, o.bound.unwrap_or(0.0), o.before))
        .collect();
    let name = std::path::Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
    println!(
        "{name:<34} {:<10} {:>8.3} {total:>8.3} {:>6}  {} {}",
        plan.status.name(),
        first.unwrap_or(f64::NAN),
        plan.actions.len(),
        levels.join(", "),
        plan.reason
    );
    if let Some(out) = out {
        std::fs::write(out.join(&name), plan.to_json()).unwrap();
    }
}
