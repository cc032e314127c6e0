//! Figures, not promises: `cargo test -p dvms-solver --lib lateness -- --ignored --nocapture`.

use super::limits::hard;
use crate::backend::{End, Exact, GAP, Task};
use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::cp::Cp;
use crate::milp::ends::Ends;
use crate::milp::highs::{self, Order};
use crate::milp::level::Level;
use crate::milp::model::{Arrivals, Model, Shape};
use crate::milp::worker::{Highs, Line};
use crate::model::{Objective, Problem};
use std::time::{Duration, Instant};

fn task(problem: &Problem) -> Task {
    let rules = Rules::new(problem);
    let ends = Ends::new(problem, &rules);
    let held = |_| None;
    let shape = Shape {
        held: &held,
        entered: None,
        arrivals: Arrivals::Each,
        apart: &|_| false,
        whole: true,
        named: false,
        most_columns: usize::MAX,
    };
    let model = Model::new(problem, &rules, &ends, &shape).unwrap();
    let goal = Level::new(&model, Objective::ActiveHosts).unwrap().terms;
    Task { linear: model.linear, goal, start: None, seed: 0, gap: GAP }
}

/// `HiGHS` solved on this thread, asked to stop after so long if it has no limit of its own.
fn alone(task: &Task, limit: f64, asks: bool) -> (f64, End) {
    let stop = Cancel::default();
    let asked = stop.clone();
    let began = Instant::now();
    if asks {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs_f64(limit));
            asked.now();
        });
    }
    let order = Order { task: task.clone(), seconds: if asks { 60.0 } else { limit }, nodes: None };
    let (solved, _) = highs::solve(&order, &Line::until(&stop));
    ((began.elapsed().as_secs_f64() - limit) * 1e3, solved.end)
}

/// `HiGHS` asked to end by its own time limit, by its callbacks, `HiGHS` left behind at the deadline, and CP that looks
/// at the clock.
#[test]
#[ignore = "a measurement"]
fn who_is_how_late() {
    for (hosts, vms) in [(20, 200), (40, 440), (60, 600)] {
        let task = task(&hard(hosts, vms));
        for limit in [0.1, 0.3, 1.0, 3.0] {
            let late = |began: Instant| (began.elapsed().as_secs_f64() - limit) * 1e3;
            let (own_late, end) = alone(&task, limit, false);
            let (asked_late, asked_end) = alone(&task, limit, true);
            let each: Vec<f64> = [&Highs as &dyn Exact, &Cp]
                .into_iter()
                .map(|by| {
                    let budget = Budget::new(Duration::from_secs_f64(limit), None, &Cancel::default());
                    let began = Instant::now();
                    let _ = by.solve(task.clone(), &budget, &budget, &mut drop);
                    late(began)
                })
                .collect();
            let done = |end| if end == End::Stopped { "" } else { " (it was done)" };
            println!(
                "{hosts} hosts, {vms} VMs, {limit} s: HiGHS by its own limit {own_late:.0} ms late{}, asked to stop \
                 {asked_late:.0} ms{}, left behind {:.0} ms, CP {:.0} ms",
                done(end),
                done(asked_end),
                each[0],
                each[1]
            );
        }
    }
}
