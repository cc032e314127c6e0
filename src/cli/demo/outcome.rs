//! What the acts came to, and the summary of it.

use super::story::Act;
use crate::cli::format::{count, seconds};
use crate::cli::line::{Line, wrap};
use crate::cli::paint::Tone;
use serde_json::{Value, json};
use std::time::Duration;

/// What was to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Goal {
    /// In words.
    pub(super) what: String,
    pub(super) met: bool,
    /// The figures.
    pub(super) seen: String,
}

/// Since the beginning of the act; `None` = did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Times {
    /// dvms has noticed.
    pub(super) noticed: Option<Duration>,
    /// The first plan is there.
    pub(super) planned: Option<Duration>,
    /// The first migration has begun.
    pub(super) moving: Option<Duration>,
}

/// What an act came to. Pairs are before and after.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ActReport {
    pub(super) act: Act,
    /// Things that were wrong.
    pub(super) faults: (usize, usize),
    /// Hosts that run a VM.
    pub(super) hosts: (usize, usize),
    /// Migrations.
    pub(super) moves: usize,
    pub(super) times: Times,
    /// When the world showed that all was well again, since the beginning of the act.
    pub(super) well_after: Option<Duration>,
    pub(super) goals: Vec<Goal>,
}

/// A figure of an act, in words.
type Figure<'f> = Box<dyn Fn(&ActReport) -> String + 'f>;

/// What the story came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    pub(super) acts: Vec<ActReport>,
    /// Those of no act of its own.
    pub(super) goals: Vec<Goal>,
    /// All acts were played.
    pub(super) complete: bool,
    pub(super) took: Duration,
}

impl Outcome {
    /// Whether every goal was met.
    pub(super) fn is_good(&self) -> bool {
        self.complete && self.all_goals().all(|goal| goal.met)
    }

    fn all_goals(&self) -> impl Iterator<Item = &Goal> {
        self.acts.iter().flat_map(|act| &act.goals).chain(&self.goals)
    }

    /// The same for programs; times in seconds.
    pub(super) fn to_json(&self) -> Value {
        let goal = |goal: &Goal| json!({"goal": goal.what, "met": goal.met, "seen": goal.seen});
        let time = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let act = |act: &ActReport| {
            json!({
                "act": act.act.name(),
                "violations": {"before": act.faults.0, "after": act.faults.1},
                "hosts_in_use": {"before": act.hosts.0, "after": act.hosts.1},
                "moves": act.moves,
                "noticed_s": time(act.times.noticed),
                "planned_s": time(act.times.planned),
                "first_move_s": time(act.times.moving),
                "well_s": time(act.well_after),
                "goals": act.goals.iter().map(goal).collect::<Vec<_>>(),
            })
        };
        json!({
            "met": self.is_good(),
            "acts": self.acts.iter().map(act).collect::<Vec<_>>(),
            "goals": self.goals.iter().map(goal).collect::<Vec<_>>(),
            "took_s": self.took.as_secs_f64(),
        })
    }

    /// The summary, in lines of about `width` characters.
    pub(super) fn lines(&self, width: usize) -> Vec<Line> {
        let mut lines = self.table();
        lines.push(Line::default());
        lines.push(Line::default().toned(Tone::Strong, "goals"));
        for goal in self.all_goals() {
            let (tone, mark) = if goal.met { (Tone::Good, "met    ") } else { (Tone::Bad, "NOT MET") };
            let text = match goal.seen.as_str() {
                "" => goal.what.clone(),
                seen => format!("{}: {seen}", goal.what),
            };
            for (i, part) in wrap(&text, width.saturating_sub(11).max(20)).into_iter().enumerate() {
                let line = Line::default().text("  ");
                let line = if i == 0 { line.toned(tone, mark) } else { line.text("       ") };
                lines.push(line.text("  ").text(part));
            }
        }
        lines.push(Line::default());
        let took = seconds(self.took.as_secs_f64());
        let missed = self.all_goals().filter(|goal| !goal.met).count();
        lines.push(if self.is_good() {
            Line::default().toned(Tone::Good, format!("All goals were met, in {took}."))
        } else if missed > 0 {
            Line::default().toned(Tone::Bad, format!("{} not met, after {took}.", count(missed, "goal")))
        } else {
            Line::default().toned(Tone::Bad, format!("Not all acts were played, after {took}."))
        });
        lines
    }

    fn columns(&self, figure: impl Fn(&ActReport) -> String) -> String {
        self.acts.iter().map(|act| format!("{:>12}", figure(act))).collect::<Vec<_>>().concat()
    }

    fn table(&self) -> Vec<Line> {
        let pair = |(before, after): (usize, usize)| format!("{before} -> {after}");
        let time = |time: Option<Duration>| {
            time.map_or("-".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
        };
        let rows: [(&str, Figure<'_>); 8] = [
            ("violations", Box::new(|act| pair(act.faults))),
            ("hosts in use", Box::new(|act| pair(act.hosts))),
            ("hosts freed", Box::new(|act| act.hosts.0.saturating_sub(act.hosts.1).to_string())),
            ("moves", Box::new(|act| act.moves.to_string())),
            ("noticed after", Box::new(|act| time(act.times.noticed))),
            ("planned after", Box::new(|act| time(act.times.planned))),
            ("first move after", Box::new(|act| time(act.times.moving))),
            ("all well after", Box::new(|act| time(act.well_after))),
        ];
        let heading = self.columns(|act| act.act.name().to_owned());
        let mut lines = vec![Line::default().toned(Tone::Strong, format!("{:<18}{heading}", "summary"))];
        for (name, figure) in rows {
            let figures = self.columns(figure);
            lines.push(Line::default().text(format!("  {name:<16}{figures}")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(act: Act, met: bool) -> ActReport {
        let after = |ms| Some(Duration::from_millis(ms));
        let goal =
            Goal { what: "hv03 is within its limit again".into(), met, seen: "98 % before, 74 % now".into() };
        ActReport {
            act,
            faults: (1, 0),
            hosts: (12, 12),
            moves: 2,
            times: Times { noticed: after(2600), planned: after(2650), moving: after(2700) },
            well_after: after(4800),
            goals: vec![goal],
        }
    }

    fn outcome(met: bool) -> Outcome {
        let watched = Goal { what: "no VM ever ran on two hosts".into(), met: true, seen: String::new() };
        Outcome {
            acts: vec![report(Act::Overload, true), report(Act::Drain, met)],
            goals: vec![watched],
            complete: true,
            took: Duration::from_secs(42),
        }
    }

    #[test]
    fn the_summary_has_figures_of_each_act_and_every_goal() {
        let expected = "\
summary               overload       drain
  violations            1 -> 0      1 -> 0
  hosts in use        12 -> 12    12 -> 12
  hosts freed                0           0
  moves                      2           2
  noticed after          2.6 s       2.6 s
  planned after          2.6 s       2.6 s
  first move after       2.7 s       2.7 s
  all well after         4.8 s       4.8 s

goals
  met      hv03 is within its limit again: 98 % before, 74 % now
  NOT MET  hv03 is within its limit again: 98 % before, 74 % now
  met      no VM ever ran on two hosts

1 goal not met, after 42 s.
";
        let text: String = outcome(false).lines(80).iter().map(|line| line.plain() + "\n").collect();
        assert_eq!(text, expected);
        assert!(!outcome(false).is_good());
    }

    #[test]
    fn it_is_good_only_when_every_goal_of_every_act_was_met() {
        assert!(outcome(true).is_good());
        assert_eq!(outcome(true).lines(80).last().unwrap().plain(), "All goals were met, in 42 s.");
        let cut = Outcome { complete: false, ..outcome(true) };
        assert!(!cut.is_good());
        assert_eq!(cut.lines(80).last().unwrap().plain(), "Not all acts were played, after 42 s.");
    }

    #[test]
    fn long_goals_are_wrapped() {
        let lines = outcome(true).lines(50);
        let goal = lines.iter().position(|line| line.plain().starts_with("  met")).unwrap();
        assert_eq!(lines[goal].plain(), "  met      hv03 is within its limit again: 98 %");
        assert_eq!(lines[goal + 1].plain(), "           before, 74 % now");
    }
}
