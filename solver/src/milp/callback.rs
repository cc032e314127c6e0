//! What `HiGHS` tells while it works, and how it is asked to stop: the only unsafe code of the solver.
//!
//! `HiGHS` calls back on the thread that solves (it is given one), from the nodes of its tree and the
//! iterations of its simplex, but not from presolve, the first relaxation and its own small trees: measured
//! (`milp/tests/lateness.rs`), a request to stop is heard seldom within milliseconds. So nobody waits for it, as
//! [`super::worker`] says; it is there so that what is left behind ends soon.

#![allow(unsafe_code, reason = "calls from C, which the crate highs does not offer")]

use highs::{HighsStatus, Model, SolvedModel};
use highs_sys::{
    Highs_setCallback, Highs_startCallback, HighsCallbackDataIn, HighsCallbackDataOut,
    kHighsCallbackMipImprovingSolution, kHighsCallbackMipInterrupt, kHighsCallbackSimplexInterrupt,
};
use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice};

/// Who listens to a solve. None of these may call `HiGHS`.
pub(super) trait Listener {
    /// Whether the solve is to end.
    fn stops(&self) -> bool;
    /// The columns of a point that is better than those before it.
    fn point(&mut self, columns: &[f64]);
    /// No point has a smaller goal than this.
    fn bound(&mut self, bound: f64);
}

/// What the calls find behind their pointer.
struct Heard<'a> {
    listener: &'a mut dyn Listener,
    /// It has panicked, and is not called again.
    broken: bool,
}

/// Solves on this thread alone, with somebody who listens. An error is one that `HiGHS` reports.
pub(super) fn solve(mut model: Model, listener: &mut dyn Listener) -> Result<SolvedModel, HighsStatus> {
    // Only with one thread of its own it calls back on this one.
    model.try_set_option("threads", 1).map_err(|_| HighsStatus::Error)?;
    let mut heard = Heard { listener, broken: false };
    let data = (&raw mut heard).cast::<c_void>();
    let highs = model.as_mut_ptr();
    // SAFETY: the pointer is that of a live model, which nobody else has. `data` points at `heard`, which lives until the
    // end of this function, and `HiGHS` calls only while it solves. Where a call back cannot be
    // set, the solve goes on without it.
    unsafe {
        Highs_setCallback(highs, Some(called), data);
        for kind in
            [kHighsCallbackSimplexInterrupt, kHighsCallbackMipInterrupt, kHighsCallbackMipImprovingSolution]
        {
            Highs_startCallback(highs, kind);
        }
    }
    let mut solved = model.try_solve()?;
    // SAFETY: as above; from here on `data` is not kept by anybody.
    unsafe { Highs_setCallback(solved.as_mut_ptr(), None, ptr::null_mut()) };
    Ok(solved)
}

/// Called by `HiGHS`.
unsafe extern "C" fn called(
    kind: c_int,
    _message: *const c_char,
    told: *const HighsCallbackDataOut,
    asked: *mut HighsCallbackDataIn,
    data: *mut c_void,
) {
    // SAFETY: `data` is what `solve` gave, which lives and is used by this thread alone while it solves. The others are
    // live for the length of the call, or null.
    let (heard, told, asked) = unsafe { (&mut *data.cast::<Heard<'_>>(), told.as_ref(), asked.as_mut()) };
    let mut stops = true;
    if !heard.broken {
        // A panic must not pass through C.
        let hear = AssertUnwindSafe(|| {
            if let Some(told) = told {
                tell(heard.listener, kind, told);
            }
            stops = heard.listener.stops();
        });
        heard.broken = catch_unwind(hear).is_err();
    }
    if let Some(asked) = asked {
        asked.user_interrupt = c_int::from(stops || heard.broken);
    }
}

/// Hands over what a call of this kind tells.
fn tell(listener: &mut dyn Listener, kind: c_int, told: &HighsCallbackDataOut) {
    if kind == kHighsCallbackMipInterrupt {
        listener.bound(told.mip_dual_bound);
    }
    let columns = usize::try_from(told.mip_solution_size).unwrap_or(0);
    if kind == kHighsCallbackMipImprovingSolution && !told.mip_solution.is_null() && columns > 0 {
        // SAFETY: so many columns are there for the length of the call.
        listener.point(unsafe { slice::from_raw_parts(told.mip_solution, columns) });
    }
}

#[cfg(test)]
mod tests {
    use super::{Listener, solve};
    use highs::{HighsModelStatus, RowProblem, Sense};

    /// Notes all that it hears.
    #[derive(Default)]
    struct Notes {
        points: Vec<Vec<f64>>,
        bounds: Vec<f64>,
        stops: bool,
        panics: bool,
    }

    impl Listener for Notes {
        fn stops(&self) -> bool {
            assert!(!self.panics, "as the test asks for");
            self.stops
        }

        fn point(&mut self, columns: &[f64]) {
            self.points.push(columns.to_vec());
        }

        fn bound(&mut self, bound: f64) {
            self.bounds.push(bound);
        }
    }

    const ITEMS: usize = 40;
    const BINS: usize = 22;

    /// Items into bins of which each costs something else: `HiGHS` needs its tree for it, and more time than it gets.
    fn packing() -> highs::Model {
        let sizes: Vec<f64> = (0..ITEMS).map(|i| (2900 + i * 377 % 2600) as f64).collect();
        let (bins, room) = (BINS, 10_000.0);
        let mut problem = RowProblem::default();
        let cost = |bin: usize| (100 + bin * 31 % 17) as f64;
        let used: Vec<_> = (0..bins).map(|bin| problem.add_integer_column(cost(bin), 0..=1)).collect();
        let mut within: Vec<Vec<_>> = used.iter().map(|used| vec![(*used, -room)]).collect();
        for size in sizes {
            let cells: Vec<_> = (0..bins).map(|_| problem.add_integer_column(0.0, 0..=1)).collect();
            for (row, cell) in within.iter_mut().zip(&cells) {
                row.push((*cell, size));
            }
            problem.add_row(1..=1, cells.into_iter().map(|cell| (cell, 1.0)));
        }
        for row in within {
            problem.add_row(..=0, row);
        }
        let mut model = problem.optimise(Sense::Minimise);
        model.make_quiet();
        model.set_option("time_limit", 60.0);
        model
    }

    #[test]
    fn points_and_bounds_are_told() {
        let mut notes = Notes::default();
        let mut model = packing();
        model.set_option("time_limit", 2.0);
        let solved = solve(model, &mut notes).unwrap();
        let best = notes.points.last().expect("a point is told");
        assert_eq!(best.len(), BINS + ITEMS * BINS);
        let value: f64 = (0..BINS).map(|bin| best[bin] * (100 + bin * 31 % 17) as f64).sum();
        assert!((value - solved.objective_value()).abs() < 1e-6, "{value}");
        assert!(notes.bounds.iter().all(|bound| *bound <= value + 1e-6), "{:?}", notes.bounds);
        assert!(notes.bounds.iter().any(|bound| bound.is_finite()), "{:?}", notes.bounds);
    }

    #[test]
    fn who_asks_to_stop_is_heard() {
        let mut notes = Notes { stops: true, ..Notes::default() };
        let solved = solve(packing(), &mut notes).unwrap();
        assert_eq!(solved.status(), HighsModelStatus::ReachedInterrupt);
    }

    #[test]
    fn a_listener_that_panics_ends_the_solve_only() {
        let mut notes = Notes { panics: true, ..Notes::default() };
        let solved = solve(packing(), &mut notes).unwrap();
        assert_eq!(solved.status(), HighsModelStatus::ReachedInterrupt);
    }
}
