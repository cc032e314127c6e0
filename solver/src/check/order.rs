//! The DAG of a plan.

use super::bits::Bits;
use super::tables::{Step, Tables};
use super::{EPSILON_S, Report};
use crate::file::Plan;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Order<'a> {
    /// Steps in an order that follows `after`.
    pub(super) steps: Vec<Step<'a>>,
    /// For each of them, positions of all steps that must have ended before it.
    pub(super) ancestors: Vec<Bits>,
}

impl<'a> Order<'a> {
    pub(super) fn new(plan: &Plan, tables: &Tables<'a>, report: &mut Report) -> Self {
        let by_id: BTreeMap<u64, &Step<'a>> = tables.steps.iter().map(|step| (step.id, step)).collect();
        let mut waiting: BTreeMap<u64, BTreeSet<u64>> =
            tables.steps.iter().map(|step| (step.id, step.after.iter().copied().collect())).collect();
        let mut followers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for step in &tables.steps {
            for &other in step.after.iter().collect::<BTreeSet<_>>() {
                followers.entry(other).or_default().push(step.id);
            }
        }
        let mut ready: BTreeSet<u64> =
            waiting.iter().filter(|(_, after)| after.is_empty()).map(|(id, _)| *id).collect();
        let mut steps = Vec::new();
        let mut position = BTreeMap::new();
        while let Some(id) = ready.pop_first() {
            position.insert(id, steps.len());
            steps.push(by_id[&id].clone());
            for follower in followers.get(&id).into_iter().flatten() {
                let left = waiting.get_mut(follower).map(|after| {
                    after.remove(&id);
                    after.len()
                });
                if left == Some(0) {
                    ready.insert(*follower);
                }
            }
        }
        if steps.len() < plan.actions.len() {
            report.add(4, "actions", "some actions wait for each other in a circle");
        }
        let mut ancestors: Vec<Bits> = Vec::with_capacity(steps.len());
        for step in &steps {
            let mut all = Bits::new(steps.len());
            for other in step.after {
                if let Some(&at) = position.get(other) {
                    all.insert(at);
                    all.add_all(&ancestors[at]);
                    if steps[at].end_s > step.start_s + EPSILON_S {
                        let (end, start) = (steps[at].end_s, step.start_s);
                        let subject = format!("actions[id={}]", step.id);
                        report.add(
                            4,
                            subject,
                            format!("starts at {start:.3} s, but {other} ends at {end:.3} s"),
                        );
                    }
                }
            }
            ancestors.push(all);
        }
        let order = Self { steps, ancestors };
        order.check_repeated(report);
        order
    }

    /// A VM that moves twice: each move comes after the one before it.
    fn check_repeated(&self, report: &mut Report) {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        let mut by_time: Vec<usize> =
            (0..self.steps.len()).filter(|i| self.steps[*i].power.is_none()).collect();
        by_time.sort_by(|&a, &b| self.steps[a].start_s.total_cmp(&self.steps[b].start_s).then(a.cmp(&b)));
        for i in by_time {
            let step = &self.steps[i];
            if let Some(first) = last.insert(step.vm, i)
                && !self.ancestors[i].contains(first)
            {
                let (vm, other) = (step.vm, self.steps[first].id);
                let message = format!("{vm} moves twice, and this action is not after {other}");
                report.add(4, format!("actions[id={}]", step.id), message);
            }
        }
    }
}
