//! How a solve went: each better plan with its time, what found it, its levels and what was proved of them; the last one
//! again each time that more is proved of it.

use dvms_solver::file::{Plan, Problem, Statistic, Status};
use serde_json::{Value, json};

/// A better plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// Seconds since the solve began.
    pub(crate) time_s: f64,
    /// What was being tried.
    pub(crate) phase: String,
    pub(crate) actions: usize,
    /// By level.
    pub(crate) values: Vec<f64>,
    pub(crate) bounds: Vec<f64>,
}

/// A solve from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Trace {
    pub(crate) levels: Vec<String>,
    pub(crate) points: Vec<Point>,
    /// What was given out: its last point, where there is a plan, and the status.
    pub(crate) end: Option<(Option<Point>, Status)>,
}

impl Trace {
    /// A better plan is there, or more is proved of the last one.
    pub(crate) fn better(&mut self, plan: &Plan) {
        self.name_levels(plan);
        self.points.push(point(plan));
    }

    /// The solve is over.
    pub(crate) fn end(&mut self, plan: &Plan) {
        self.name_levels(plan);
        let last = plan.status.has_plan().then(|| Point { phase: "end".to_owned(), ..point(plan) });
        self.end = Some((last, plan.status));
    }

    fn name_levels(&mut self, plan: &Plan) {
        if self.levels.is_empty() {
            self.levels = plan.objectives.iter().map(|level| level.name.clone()).collect();
        }
    }

    /// All points, that of the end last.
    pub(crate) fn all(&self) -> Vec<&Point> {
        let end = self.end.as_ref().and_then(|(point, _)| point.as_ref());
        self.points.iter().chain(end).collect()
    }

    /// The levels that are not zero all the time; the first of all if there is none.
    pub(crate) fn telling_levels(&self) -> Vec<usize> {
        let all = self.all();
        let is_telling = |i: &usize| all.iter().any(|point| point.values.get(*i).is_some_and(|v| *v != 0.0));
        let telling: Vec<usize> = (0..self.levels.len()).filter(is_telling).collect();
        if telling.is_empty() { (0..self.levels.len().min(1)).collect() } else { telling }
    }

    pub(crate) fn value(&self, problem: &Problem) -> Value {
        let point = |point: &Point| {
            json!({
                "time_s": point.time_s,
                "phase": point.phase,
                "actions": point.actions,
                "values": point.values,
                "bounds": point.bounds,
            })
        };
        let mut value = json!({
            "problem": problem.name,
            "levels": self.levels,
            "points": self.points.iter().map(point).collect::<Vec<_>>(),
        });
        if let Some((last, status)) = &self.end {
            value["end"] = last.as_ref().map_or_else(|| json!({}), point);
            value["end"]["status"] = json!(status);
        }
        value
    }
}

fn point(plan: &Plan) -> Point {
    let time_s = match plan.statistics.get("solve_s") {
        Some(Statistic::Number(seconds)) => *seconds,
        _ => 0.0,
    };
    let phase = match plan.statistics.get("phase") {
        Some(Statistic::Text(phase)) => phase.clone(),
        _ => String::new(),
    };
    Point {
        time_s,
        phase,
        actions: plan.actions.len(),
        values: plan.objectives.iter().map(|level| level.value).collect(),
        bounds: plan.objectives.iter().map(|level| level.bound.unwrap_or(0.0)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(time_s: f64, values: [f64; 2], bound: f64) -> Plan {
        let text = format!(
            r#"{{"status": "FEASIBLE", "objectives": [{{"name": "A", "value": {}, "bound": 0}}, {{"name": "B", "value": {},
                "bound": {bound}}}], "statistics": {{"solve_s": {time_s}, "phase": "greedy"}}}}"#,
            values[0], values[1]
        );
        Plan::from_json(&text).unwrap()
    }

    #[test]
    fn a_solve_is_told_from_its_beginning_to_its_end() {
        let mut trace = Trace::default();
        trace.better(&plan(0.1, [0.0, 9.0], 2.0));
        trace.better(&plan(0.2, [0.0, 7.0], 2.0));
        trace.end(&plan(0.5, [0.0, 7.0], 7.0));
        assert_eq!(trace.telling_levels(), [1]);
        let value = trace.value(&Problem { name: "p".into(), ..Problem::default() });
        assert_eq!(value["levels"], json!(["A", "B"]));
        assert_eq!(
            value["points"][1],
            json!({"time_s": 0.2, "phase": "greedy", "actions": 0, "values": [0.0, 7.0], "bounds": [0.0, 2.0]})
        );
        assert_eq!((&value["end"]["status"], &value["end"]["bounds"][1]), (&"FEASIBLE".into(), &7.0.into()));
        let mut nothing = Trace::default();
        nothing.better(&plan(0.1, [0.0, 0.0], 0.0));
        assert_eq!(nothing.telling_levels(), [0]);
        let mut none = Trace::default();
        assert!(none.telling_levels().is_empty());
        none.end(&Plan { status: Status::Infeasible, ..Plan::default() });
        assert_eq!(none.value(&Problem::default())["end"], json!({"status": "INFEASIBLE"}));
    }
}
