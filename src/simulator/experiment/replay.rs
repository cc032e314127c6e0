//! A run once more, to look closely at a part of it: the same file, seed and version give the same run, so that nothing need be
//! kept to see again what happened.

use super::run::begin;
use super::{Experiment, Played, Progress, Refused, Run};
use crate::simulator::engine::Entry;

/// Seconds before and after a violation that are looked at, too.
pub(super) const MARGIN_S: f64 = 10.0;
/// Events between two questions whether to go on.
const OFTEN: u32 = 4096;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Around {
    /// A violation, from 1 in the order in which they began, with ten seconds before and after.
    Violation(usize),
    /// From when to when, seconds.
    Window(f64, f64),
}

/// There is nothing to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The run cannot begin.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is no such violation.
    #[error("there is no violation {wanted}: the run has {have}")]
    Violation {
        /// Its number.
        wanted: usize,
        /// How many there are.
        have: usize,
    },
    /// It was told to end before.
    #[error("it was interrupted before it came there")]
    Interrupted,
}

/// Plays a run until the end of what is looked at, and tells all that happens in it, in order. `go_on` is asked each some
/// thousand events; `tell` says whether to go on, too.
///
/// # Errors
/// There is nothing to look at, or it was interrupted.
pub fn replay(
    experiment: &Experiment,
    run: &Run,
    around: Around,
    go_on: &mut dyn FnMut(Progress) -> bool,
    tell: &mut dyn FnMut(&Entry) -> bool,
) -> Result<(), Missing> {
    let (from, to) = match around {
        Around::Window(from, to) => (from, to),
        Around::Violation(wanted) => {
            let (from, to) = find(experiment, run, wanted, go_on)?;
            (from - MARGIN_S, to + MARGIN_S)
        }
    };
    let mut interrupted = false;
    begin(experiment, run, &mut |played| {
        interrupted = !on(played, from, go_on);
        if interrupted {
            return false;
        }
        played.note(true);
        let mut asked: u32 = 0;
        while played.next_time() <= to && played.step() {
            asked += 1;
            let told = played.noted().iter().all(&mut *tell);
            if !told || (asked.is_multiple_of(OFTEN) && !go_on(played.progress())) {
                interrupted = true;
                return false;
            }
        }
        true
    })?;
    if interrupted { Err(Missing::Interrupted) } else { Ok(()) }
}

/// Plays until the next thing is not before this time. Whether nobody wanted it to end.
fn on(played: &mut dyn Played, from: f64, go_on: &mut dyn FnMut(Progress) -> bool) -> bool {
    let mut asked: u32 = 0;
    while played.next_time() < from && played.step() {
        asked += 1;
        if asked.is_multiple_of(OFTEN) && !go_on(played.progress()) {
            return false;
        }
    }
    true
}

/// From when to when a violation lasts.
fn find(
    experiment: &Experiment,
    run: &Run,
    wanted: usize,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<(f64, f64), Missing> {
    let (mut found, mut have, mut interrupted) = (None, 0, false);
    begin(experiment, run, &mut |played| {
        let mut asked: u32 = 0;
        loop {
            let it = wanted.checked_sub(1).and_then(|at| played.violations().get(at));
            if let Some(it) = it.filter(|it| !it.ended.is_nan()) {
                found = Some((it.began, it.ended));
                return false;
            }
            if !played.step() {
                // One that lasts at the end.
                found = it_lasts(played, wanted, experiment.seconds);
                have = played.violations().len();
                return true;
            }
            asked += 1;
            if asked.is_multiple_of(OFTEN) && !go_on(played.progress()) {
                interrupted = true;
                return false;
            }
        }
    })?;
    match found {
        Some(found) => Ok(found),
        None if interrupted => Err(Missing::Interrupted),
        None => Err(Missing::Violation { wanted, have }),
    }
}

fn it_lasts(played: &dyn Played, wanted: usize, end: f64) -> Option<(f64, f64)> {
    let it = wanted.checked_sub(1).and_then(|at| played.violations().get(at))?;
    Some((it.began, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::engine::Happening as H;

    fn experiment(strategy: &str) -> Experiment {
        let text =
            format!("seconds = 900\n[hosts]\ncount = 32\ncpu = 6600\n[[run]]\nstrategy = '{strategy}'\n");
        Experiment::from_toml(&text).unwrap()
    }

    fn told(it: &Experiment, around: Around) -> Vec<Entry> {
        let mut entries = Vec::new();
        replay(it, &it.runs[0], around, &mut |_| true, &mut |entry| {
            entries.push(entry.clone());
            true
        })
        .unwrap();
        entries
    }

    #[test]
    fn a_violation_is_told_from_before_it_began_to_after_it_ended() {
        let it = experiment("dvms");
        let measured = super::super::run(&it, &it.runs[0], &mut |_| true).unwrap();
        let third = measured.log[2];
        let entries = told(&it, Around::Violation(3));
        let at =
            |is: &dyn Fn(&H) -> bool| entries.iter().find(|entry| is(&entry.what)).map(|entry| entry.time_s);
        assert_eq!(at(&|it| matches!(it, H::Over { violation: 3, .. })), Some(third.began));
        assert_eq!(at(&|it| matches!(it, H::Known { violation: 3, .. })), Some(third.detected));
        assert_eq!(at(&|it| matches!(it, H::Relieved { violation: 3, .. })), Some(third.ended));
        // Who decided what, what was carried out, and what moved.
        let host = third.host.0;
        let leaves = |it: &H| matches!(it, H::MigrationEnds { from, well: true, .. } if *from == host);
        assert_eq!(at(&leaves), Some(third.ended));
        assert!(at(&|it| matches!(it, H::Decides { verdict: "plan", .. })).is_some());
        assert!(at(&|it| matches!(it, H::Plan { moves, .. } if moves[0].from == host)).is_some());
        let says = format!("report of host {host}: ");
        assert!(at(&|it| matches!(it, H::Message { says: word, .. } if word.starts_with(&says))).is_some());
        let (first, last) = (entries[0].time_s, entries[entries.len() - 1].time_s);
        assert!(first >= third.began - MARGIN_S && last <= third.ended + MARGIN_S, "{first} to {last}");
        assert!(entries.windows(2).all(|pair| pair[0].time_s <= pair[1].time_s));
    }

    #[test]
    fn all_of_a_run_is_told_and_nothing_changes_by_it() {
        for strategy in ["centralised", "dvms-classic", "mcda"] {
            let it = experiment(strategy);
            let measured = super::super::run(&it, &it.runs[0], &mut |_| true).unwrap();
            let entries = told(&it, Around::Window(0.0, 900.0));
            let count = |is: fn(&H) -> bool| entries.iter().filter(|entry| is(&entry.what)).count() as u64;
            assert_eq!(count(|it| matches!(it, H::Over { .. })), measured.violations.all.count, "{strategy}");
            assert_eq!(
                count(|it| matches!(it, H::MigrationEnds { well: true, .. })),
                measured.migrations.done.count
            );
            let plans = measured.rounds.plan.count;
            assert_eq!(count(|it| matches!(it, H::Decides { verdict: "plan", .. })), plans, "{strategy}");
            // Hosts that are asked are one entry, and a message and an answer each.
            let asked: usize = entries
                .iter()
                .map(|entry| if let H::Asks { hosts, .. } = &entry.what { 2 * hosts.len() } else { 0 })
                .sum();
            let sent = count(|it| matches!(it, H::Message { .. } | H::Heartbeat { .. })) + asked as u64;
            assert!(sent == measured.traffic.messages, "{strategy}: {sent} of {}", measured.traffic.messages);
        }
    }

    #[test]
    fn what_is_not_there_is_not_told() {
        let it = experiment("none");
        let look = |around, go: bool| {
            replay(&it, &it.runs[0], around, &mut |_| go, &mut |_| true).map_err(|it| it.to_string())
        };
        let missing = look(Around::Violation(5000), true).unwrap_err();
        assert!(missing.starts_with("there is no violation 5000: the run has "), "{missing}");
        assert_eq!(look(Around::Window(2000.0, 3000.0), true), Ok(()));
    }
}
