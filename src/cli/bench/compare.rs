//! dvms against another engine on the same problem.

use super::run::Run;
use serde::Serialize;
use std::cmp::Ordering;

/// Values closer than this are equal.
const EQUAL: f64 = 1e-6;

/// What another engine came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Answer {
    /// An end, judged like ours but without the way to it. The levels are those but `MAKESPAN`.
    Placed { values: Vec<f64>, moves: usize, seconds: f64 },
    /// An end that breaks what must hold.
    Invalid { why: String, seconds: f64 },
    /// It has found nothing, or has failed.
    Nothing { why: String },
    /// The problem has what it has no words for.
    Cannot { why: String },
}

/// One engine on one problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Duel {
    pub(super) row: String,
    pub(super) problem: String,
    pub(super) peer: String,
    pub(super) levels: Vec<String>,
    /// Our values on these levels; `None` = no plan.
    pub(super) ours: Option<Vec<f64>>,
    pub(super) moves: usize,
    pub(super) seconds: f64,
    /// Ours are proved to be the best.
    pub(super) proved: bool,
    pub(super) answer: Answer,
}

impl Duel {
    pub(super) fn new(row: &str, run: &Run, peer: &str, answer: Answer) -> Self {
        let levels = || run.levels.iter().filter(|level| level.name != "MAKESPAN");
        let plan = !run.levels.is_empty() && run.faults.is_empty();
        Self {
            row: row.to_owned(),
            problem: run.problem.clone(),
            peer: peer.to_owned(),
            levels: levels().map(|level| level.name.clone()).collect(),
            ours: plan.then(|| levels().map(|level| level.value).collect()),
            moves: run.moves,
            seconds: run.solve_s,
            proved: run.is_closed(),
            answer,
        }
    }

    /// `Less` = ours is better, on the first so many levels.
    fn verdict(&self, levels: usize) -> Option<Ordering> {
        match (&self.ours, &self.answer) {
            (_, Answer::Cannot { .. }) => None,
            (Some(ours), Answer::Placed { values, .. }) => {
                let pairs = ours.iter().zip(values).take(levels);
                let apart = pairs.filter(|(a, b)| (*a - *b).abs() > EQUAL).map(|(a, b)| a.total_cmp(b));
                Some(apart.into_iter().next().unwrap_or(Ordering::Equal))
            }
            (None, Answer::Placed { .. }) => Some(Ordering::Greater),
            (Some(_), _) => Some(Ordering::Less),
            (None, _) => Some(Ordering::Equal),
        }
    }

    /// `Less` = ours moves fewer VMs, where both are equal on the first level and the goal.
    fn on_moves(&self) -> Option<Ordering> {
        match &self.answer {
            Answer::Placed { moves, .. } if self.verdict(2) == Some(Ordering::Equal) => {
                Some(self.moves.cmp(moves))
            }
            _ => None,
        }
    }

    /// Whether it is better on some level.
    pub(super) fn is_lost(&self) -> bool {
        self.verdict(usize::MAX) == Some(Ordering::Greater)
    }

    /// The two sides in one line.
    pub(super) fn in_words(&self) -> String {
        let values = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        let ours = self.ours.as_deref().map_or_else(|| "no plan".to_owned(), values);
        let theirs = match &self.answer {
            Answer::Placed { values: theirs, moves, seconds } => {
                format!("{} with {moves} moves in {seconds:.2} s", values(theirs))
            }
            other => format!("{other:?}"),
        };
        format!(
            "{} ({}): dvms {ours} with {} moves in {:.2} s, {} {theirs}",
            self.problem,
            self.levels.join(", "),
            self.moves,
            self.seconds,
            self.peer
        )
    }
}

/// An engine over all problems: wins, ties and losses of dvms.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub(super) struct Record {
    pub(super) peer: String,
    pub(super) problems: usize,
    pub(super) first: [usize; 3],
    pub(super) goal: [usize; 3],
    pub(super) levels: [usize; 3],
    pub(super) moves: [usize; 3],
    pub(super) invalid: usize,
    pub(super) nothing: usize,
    pub(super) cannot: usize,
}

impl Record {
    /// One for each engine, in the order of their first problem.
    pub(super) fn all(duels: &[Duel]) -> Vec<Self> {
        let mut records: Vec<Self> = Vec::new();
        for duel in duels {
            let at = records.iter().position(|record| record.peer == duel.peer).unwrap_or_else(|| {
                records.push(Self { peer: duel.peer.clone(), ..Self::default() });
                records.len() - 1
            });
            records[at].add(duel);
        }
        records
    }

    fn add(&mut self, duel: &Duel) {
        let count = |counts: &mut [usize; 3], order: Option<Ordering>| {
            if let Some(order) = order {
                counts[[Ordering::Less, Ordering::Equal, Ordering::Greater]
                    .iter()
                    .position(|other| *other == order)
                    .unwrap_or(1)] += 1;
            }
        };
        self.problems += 1;
        count(&mut self.first, duel.verdict(1));
        count(&mut self.goal, duel.verdict(2));
        count(&mut self.levels, duel.verdict(usize::MAX));
        count(&mut self.moves, duel.on_moves());
        match duel.answer {
            Answer::Placed { .. } => {}
            Answer::Invalid { .. } => self.invalid += 1,
            Answer::Nothing { .. } => self.nothing += 1,
            Answer::Cannot { .. } => self.cannot += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duel(ours: Option<&[f64]>, moves: usize, answer: Answer) -> Duel {
        Duel {
            row: "r".into(),
            problem: "p".into(),
            peer: "x".into(),
            levels: vec!["VIOLATIONS".into(), "ACTIVE_HOSTS".into(), "MIGRATION_COST".into()],
            ours: ours.map(<[f64]>::to_vec),
            moves,
            seconds: 1.0,
            proved: false,
            answer,
        }
    }

    fn placed(values: &[f64], moves: usize) -> Answer {
        Answer::Placed { values: values.to_vec(), moves, seconds: 1.0 }
    }

    #[test]
    fn wins_ties_and_losses_are_counted_by_level() {
        let nothing = || Answer::Nothing { why: "late".into() };
        let duels = [
            duel(Some(&[0.0, 5.0, 9.0]), 3, placed(&[0.0, 5.0, 9.0], 4)),
            duel(Some(&[0.0, 5.0, 9.0]), 3, placed(&[0.0, 5.0, 8.0], 2)),
            duel(Some(&[0.0, 5.0, 9.0]), 3, placed(&[0.0, 6.0, 1.0], 1)),
            duel(Some(&[0.0, 5.0, 9.0]), 3, placed(&[100.0, 1.0, 1.0], 1)),
            duel(Some(&[9.0, 5.0, 9.0]), 3, placed(&[0.0, 7.0, 1.0], 1)),
            duel(Some(&[0.0, 5.0, 9.0]), 3, Answer::Invalid { why: "full".into(), seconds: 1.0 }),
            duel(Some(&[0.0, 5.0, 9.0]), 3, Answer::Cannot { why: "numa".into() }),
            duel(None, 0, placed(&[0.0, 6.0, 1.0], 1)),
            duel(None, 0, nothing()),
        ];
        let records = Record::all(&duels);
        let expected = Record {
            peer: "x".into(),
            problems: 9,
            first: [2, 4, 2],
            goal: [3, 3, 2],
            levels: [3, 2, 3],
            moves: [1, 0, 1],
            invalid: 1,
            nothing: 1,
            cannot: 1,
        };
        assert_eq!(records, [expected]);
        let lost: Vec<bool> = duels.iter().map(Duel::is_lost).collect();
        assert_eq!(lost, [false, true, false, false, true, false, false, true, false]);
        assert!(duels[1].in_words().contains("0, 5, 9 with 3 moves"), "{}", duels[1].in_words());
    }
}
