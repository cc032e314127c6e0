//! Problems with the timeline that is expected of their plans, as people reviewed it. After a change that is meant,
//! `DVMS_BLESS=1 cargo test -p dvms-solver --test timelines` writes them anew.

use dvms_solver::check::check;
use dvms_solver::file::{ActionKind, Problem};
use dvms_solver::timeline::Timeline;
use dvms_solver::{Backend, Cancel, Options, solve};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// The same plan everywhere.
fn options() -> Options {
    Options {
        time_limit: Duration::from_mins(10),
        threads: 1,
        backend: Backend::Heuristic,
        work_limit: Some(300_000),
        ..Options::default()
    }
}

fn timeline(problem: &Problem) -> String {
    let plan = solve(problem, &options(), &Cancel::default(), &mut |_| {}).expect("a problem");
    assert!(plan.status.has_plan(), "{}: {}", plan.status.name(), plan.reason);
    assert_eq!(check(problem, &plan).violations, []);
    let model = dvms_solver::Problem::new(problem).expect("a problem");
    let told = Timeline::new(&model, &plan, None).expect("a plan of it");
    let mut text = String::new();
    for bar in &told.actions {
        let action = &bar.action;
        let what = match action.kind {
            ActionKind::Migrate => format!("{} {} → {}", action.vm, action.source, action.destination),
            ActionKind::Start => format!("start {} on {}", action.vm, action.destination),
            ActionKind::Boot => format!("boot {}", action.destination),
            ActionKind::Shutdown => format!("shut down {}", action.source),
        };
        let rate =
            if bar.rate_mib_s > 0.0 { format!("  {:.0} MiB/s", bar.rate_mib_s) } else { String::new() };
        let after: Vec<String> = action.after.iter().map(ToString::to_string).collect();
        let after = if after.is_empty() { String::new() } else { format!("  after {}", after.join(" ")) };
        let _ = writeln!(
            text,
            "{:>2} {:8.2} – {:8.2}  {what}{rate}{after}",
            action.id, action.start_s, action.end_s
        );
    }
    let bound = told.bound().map_or(0.0, |bound| bound.seconds);
    let _ = writeln!(text, "makespan {:.2} s, bound {bound:.2} s", told.makespan_s);
    text
}

#[test]
fn timelines_are_as_reviewed() {
    let bless = std::env::var_os("DVMS_BLESS").is_some();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/timelines");
    let mut problems: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("problems").map(|e| e.expect("a file").path()).collect();
    problems.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    problems.sort();
    assert!(problems.len() >= 15, "problems are missing");
    for path in problems {
        let problem =
            Problem::from_json(&std::fs::read_to_string(&path).expect("a problem")).expect("a problem");
        let now = timeline(&problem);
        let expected = path.with_extension("txt");
        if bless {
            std::fs::write(expected, now).expect("written");
        } else {
            let before = std::fs::read_to_string(&expected).unwrap_or_default();
            assert_eq!(
                before,
                now,
                "{}: another timeline; if it is meant, DVMS_BLESS=1 writes it",
                path.display()
            );
        }
    }
}
