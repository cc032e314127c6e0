//! One solve in `HiGHS`, which is given its model by `good_lp`.
//!
//! `good_lp` could run it as well, but it does not tell the proved bound, and of a solve that was cut it does
//! not tell why. So the model it has built is run through `highs` itself. (The start is given there too, as
//! `good_lp` does not hand it over with the model.)

use super::callback::{self, Listener};
use super::linear::{Linear, Term, activity};
use super::worker::Line;
use crate::backend::{End, GAP, News, Solved, Task};
use good_lp::{Expression, ProblemVariables, SolverModel, variable};
use highs::{HighsModelStatus, HighsSolutionStatus};

/// Factors of a row are brought below this by a power of two, so that the tolerances of `HiGHS` (1e-6) are
/// small beside them and nothing is rounded.
const LARGEST_FACTOR: i64 = 1 << 10;

/// What is to be solved, and how long.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) task: Task,
    pub(super) seconds: f64,
    /// Most nodes of the tree.
    pub(super) nodes: Option<u64>,
}

/// Whether what is said to be optimal has the value of the bound, and keeps the rows.
fn is_consistent(solved: &Solved, task: &Task) -> bool {
    let (Some(point), Some(bound)) = (&solved.point, solved.bound) else { return true };
    let value = activity(&task.goal, |column| point[column as usize]);
    let most = i128::from(bound) + task.gap.max(GAP) as i128;
    solved.end != End::Optimal || value <= most && task.linear.holds(point)
}

/// Tells on a line what `HiGHS` tells.
struct Teller<'a> {
    line: &'a Line<News>,
    /// The best that was told.
    bound: Option<i64>,
}

impl Listener for Teller<'_> {
    fn stops(&self) -> bool {
        self.line.stop().is_asked()
    }

    fn point(&mut self, columns: &[f64]) {
        self.line.tell(News::Point(whole(columns)));
    }

    fn bound(&mut self, bound: f64) {
        let bound = whole_bound(bound);
        if bound > self.bound {
            self.bound = bound;
            self.line.tell(News::Bound(bound.expect("it is more than another")));
        }
    }
}

fn whole(columns: &[f64]) -> Vec<i64> {
    columns.iter().map(|x| x.round() as i64).collect()
}

/// Solves on this thread, and counts simplex iterations; tells points and bounds on the line. Returns when `HiGHS`
/// does, which may be long after the time limit and after a request to stop.
pub(super) fn solve(order: &Order, line: &Line<News>) -> (Solved, u64) {
    let task = &order.task;
    if let Some(solved) = task.plain() {
        return (solved, 0);
    }
    let solved = run(order, task.start.as_deref(), line);
    if task.start.is_some() && solved.as_ref().is_some_and(|(solved, _)| !is_consistent(solved, task)) {
        // Seen in HiGHS 1.16: where presolve alone solves a model, the start comes back as its solution,
        // with the value and the bound of the optimum.
        return run(order, None, line).unwrap_or((Solved::without_point(End::Stopped), 0));
    }
    solved.unwrap_or((Solved::without_point(End::Stopped), 0))
}

/// `None` when `HiGHS` reports an error.
fn run(order: &Order, start: Option<&[i64]>, line: &Line<News>) -> Option<(Solved, u64)> {
    let task = &order.task;
    let mut model = build(&task.linear, &task.goal).try_into_inner().ok()?;
    model.make_quiet();
    // It gets one thread: other partitions are solved at the same time, and a solve that is left behind would leave
    // the others behind as well.
    model.try_set_option("random_seed", (task.seed % (1 << 31)) as i32).ok()?;
    model.try_set_option("mip_rel_gap", 0.0).ok()?;
    model.try_set_option("mip_abs_gap", task.gap.max(GAP)).ok()?;
    model.try_set_option("time_limit", order.seconds).ok()?;
    if let Some(nodes) = order.nodes {
        model.try_set_option("mip_max_nodes", i32::try_from(nodes).unwrap_or(i32::MAX)).ok()?;
    }
    if let Some(start) = start {
        let start: Vec<f64> = start.iter().map(|x| *x as f64).collect();
        model.try_set_solution(Some(&start), None, None, None).ok()?;
    }
    let solved = callback::solve(model, &mut Teller { line, bound: None }).ok()?;
    let end = match solved.status() {
        HighsModelStatus::Optimal => End::Optimal,
        // All columns are bounded.
        HighsModelStatus::Infeasible | HighsModelStatus::UnboundedOrInfeasible => End::Infeasible,
        _ => End::Stopped,
    };
    let iterations = solved.int_info_value(c"simplex_iteration_count").map_or(0, |n| n.max(0) as u64);
    if end == End::Infeasible {
        return Some((Solved::without_point(end), iterations));
    }
    // It works in floating point.
    let bound = solved.double_info_value(c"mip_dual_bound").ok().and_then(whole_bound);
    let feasible = solved.primal_solution_status() == HighsSolutionStatus::Feasible;
    let point = feasible.then(|| whole(solved.get_solution().columns()));
    Some((Solved { end, bound, point }, iterations))
}

/// The smallest whole number that is surely not below a bound in floating point: its error is within the
/// tolerances of `HiGHS`, 1e-6 and less.
fn whole_bound(bound: f64) -> Option<i64> {
    let safe = bound - 1e-3 - 1e-8 * bound.abs();
    (safe.abs() < 1e15).then(|| safe.ceil() as i64)
}

fn build(linear: &Linear, goal: &[Term]) -> good_lp::solvers::highs::HighsProblem {
    let mut columns = ProblemVariables::new();
    let columns_of: Vec<_> = (linear.lower.iter().zip(&linear.upper))
        .map(|(lower, upper)| columns.add(variable().integer().min(*lower as f64).max(*upper as f64)))
        .collect();
    let sum = |terms: &[Term], scale: f64| {
        let mut sum = Expression::with_capacity(terms.len());
        for (column, factor) in terms {
            sum.add_mul(*factor as f64 * scale, columns_of[*column as usize]);
        }
        sum
    };
    let goal = sum(goal, 1.0);
    let mut model = columns.minimise(goal).using(good_lp::solvers::highs::highs);
    for row in &linear.rows {
        let scale = scale(&row.terms);
        let (sum, rhs) = (sum(&row.terms, scale), row.rhs as f64 * scale);
        model.add_constraint(if row.equal { sum.eq(rhs) } else { sum.leq(rhs) });
    }
    model
}

/// A power of two.
fn scale(terms: &[Term]) -> f64 {
    let largest = terms.iter().map(|(_, factor)| factor.unsigned_abs()).max().unwrap_or(1);
    let mut scale = 1.0;
    while largest as f64 * scale > LARGEST_FACTOR as f64 {
        scale /= 2.0;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::{End, GAP, Linear, Order, Solved, Task, whole_bound};
    use crate::milp::worker::Line;

    fn solve(linear: Linear, goal: Vec<(u32, i64)>) -> Solved {
        let task = Task { linear, goal, start: None, seed: 0, gap: GAP };
        super::solve(&Order { task, seconds: 10.0, nodes: None }, &Line::idle()).0
    }

    #[test]
    fn a_knapsack_is_solved_and_its_bound_told() {
        let mut linear = Linear::default();
        let columns: Vec<_> = (0..5).map(|_| linear.column(1)).collect();
        let weights = [4000, 6000, 5000, 7000, 3000];
        linear.at_most(columns.iter().copied().zip(weights).collect(), 12_500);
        let goal: Vec<_> = columns.iter().copied().zip([-40, -65, -50, -70, -20]).collect();
        let solved = solve(linear.clone(), goal);
        assert_eq!((solved.end, solved.bound), (End::Optimal, Some(-120)));
        let point = solved.point.unwrap();
        assert!(linear.holds(&point));
        assert_eq!(point, [0, 0, 1, 1, 0]);
    }

    #[test]
    fn no_point_is_told_as_such() {
        let mut linear = Linear::default();
        let (a, b) = (linear.column(3), linear.column(3));
        linear.equal(vec![(a, 2), (b, 4)], 7);
        assert_eq!(solve(linear, vec![(a, 1)]).end, End::Infeasible);
        let mut linear = Linear::default();
        linear.at_most(Vec::new(), -1);
        assert_eq!(solve(linear, Vec::new()).end, End::Infeasible);
    }

    #[test]
    fn bounds_are_rounded_to_the_safe_side() {
        for (bound, whole) in [(2.0, 2), (2.0005, 2), (2.002, 3), (-0.9, 0), (-1.0, -1), (1e7, 10_000_000)] {
            assert_eq!(whole_bound(bound), Some(whole), "{bound}");
        }
        assert_eq!(whole_bound(f64::NEG_INFINITY), None);
        assert_eq!(whole_bound(f64::NAN), None);
    }
}
