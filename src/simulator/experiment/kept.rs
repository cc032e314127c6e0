//! Runs that are complete, kept so that an experiment that was ended can go on with those that are not. What is kept of a run is
//! all that a report is made of; the state within a run is not kept: it is made again from the seed.

use super::csv::scalars;
use super::{Experiment, Measured, Run};
use crate::simulator::ids::HostId;
use crate::simulator::measures::{Cause, Sample, Violation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A complete run in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    version: String,
    /// The experiment with this run only.
    experiment: Value,
    /// Of the traces and the problem that it was given.
    given: String,
    run: Measured,
    series: Vec<Sample>,
    violations: Vec<Line>,
}

/// A violation; what did not come is not there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Line(u32, f64, Option<f64>, Option<f64>, Cause);

fn about(experiment: &Experiment, run: &Run) -> Value {
    let alone = Experiment { runs: vec![run.clone()], ..experiment.clone() };
    serde_json::to_value(alone).unwrap_or_default()
}

impl Kept {
    /// What a run has come to.
    #[must_use]
    pub fn new(version: &str, experiment: &Experiment, run: &Run, measured: &Measured) -> Self {
        let known = |time: f64| (!time.is_nan()).then_some(time);
        let line = |it: &Violation| Line(it.host.0, it.began, known(it.ended), known(it.detected), it.cause);
        Self {
            version: version.to_owned(),
            experiment: about(experiment, run),
            given: experiment.given(),
            run: measured.clone(),
            series: measured.series.clone(),
            violations: measured.log.iter().map(line).collect(),
        }
    }

    /// What the run has come to, if it is the same one: of the same version, with the same settings and the same files.
    ///
    /// # Errors
    /// What differs, for people.
    pub fn measured(
        self,
        version: &str,
        experiment: &Experiment,
        run: &Run,
    ) -> Result<Measured, Vec<String>> {
        let mut differs = Vec::new();
        if self.version != version {
            differs.push(format!("it is of dvms {}, this is {version}", self.version));
        }
        let now = about(experiment, run);
        if self.experiment != now {
            differs.extend(differences(&self.experiment, &now));
        }
        if self.given != experiment.given() {
            differs.push("the traces, or the problem that it starts with, were others".to_owned());
        }
        if !differs.is_empty() {
            return Err(differs);
        }
        let violation = |Line(host, began, ended, detected, cause): Line| {
            let [ended, detected] = [ended, detected].map(|time| time.unwrap_or(f64::NAN));
            Violation { host: HostId(host), began, ended, detected, cause }
        };
        let log = self.violations.into_iter().map(violation).collect();
        Ok(Measured { series: self.series, log, ..self.run })
    }
}

/// Settings that are not the same, some at most.
fn differences(there: &Value, here: &Value) -> Vec<String> {
    const SHOWN: usize = 5;
    let flat = |value: &Value| -> std::collections::BTreeMap<String, String> {
        scalars(value).into_iter().map(|(path, value)| (path, value.to_string())).collect()
    };
    let (old, new) = (flat(there), flat(here));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let none = "nothing".to_owned();
    let told = |name: &&String| {
        let (old, new) = (old.get(*name).unwrap_or(&none), new.get(*name).unwrap_or(&none));
        (old != new).then(|| format!("{name} was {old} there, and is {new} here"))
    };
    let all: Vec<String> = names.iter().filter_map(told).take(SHOWN).collect();
    // Lists (runs, kinds) have no such names.
    if all.is_empty() { vec!["settings of the run, or of kinds, are not the same".to_owned()] } else { all }
}

impl Experiment {
    /// A mark of what it was given besides its text: the same for the same traces and the same problem.
    fn given(&self) -> String {
        struct Hash(crate::fnv::Fnv);
        impl std::fmt::Write for Hash {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.bytes(text.bytes());
                Ok(())
            }
        }
        let mut hash = Hash(crate::fnv::Fnv::default());
        // Writing to it does not fail.
        let _ = std::fmt::Write::write_fmt(
            &mut hash,
            format_args!("{:?}{:?}", self.load.recorded(), self.start.as_ref().map(super::Start::given)),
        );
        format!("{:016x}", hash.0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::experiment::run;

    #[test]
    fn a_run_is_kept_with_everything_that_a_report_is_made_of() {
        for strategy in
            ["none", "centralised", "dvms", "dvms-classic", "ecocloud", "scouts", "mcda", "balancer"]
        {
            let text = format!(
                "seconds = 700\n[hosts]\ncount = 24\ncpu = 6400\n[faults]\ncrash_period_s = 5000\n[[run]]\nstrategy = '{strategy}'\n"
            );
            let it = Experiment::from_toml(&text).unwrap();
            let measured = run(&it, &it.runs[0], &mut |_| true).unwrap();
            let kept = serde_json::to_string(&Kept::new("1", &it, &it.runs[0], &measured)).unwrap();
            let kept: Kept = serde_json::from_str(&kept).unwrap();
            let again = kept.measured("1", &it, &it.runs[0]).unwrap();
            assert!(
                measured.log.iter().any(|it| it.ended.is_nan() || it.detected.is_nan()) || strategy != "none"
            );
            // What is not a number equals nothing: it is compared as text.
            assert_eq!(format!("{again:?}"), format!("{measured:?}"), "{strategy}");
        }
    }

    #[test]
    fn a_run_of_something_else_is_not_taken() {
        let read = |text: &str| Experiment::from_toml(text).unwrap();
        let text = "seconds = 60\n[hosts]\ncount = 4\n[[run]]\nstrategy = 'drs'\n";
        let it = read(text);
        let measured = run(&it, &it.runs[0], &mut |_| true).unwrap();
        let kept = Kept::new("1", &it, &it.runs[0], &measured);
        let differs = |version: &str, text: &str| {
            let other = read(text);
            kept.clone().measured(version, &other, &other.runs[0]).unwrap_err().join("; ")
        };
        assert_eq!(differs("2", text), "it is of dvms 1, this is 2");
        let other = text.replace("seconds = 60", "seed = 7\nseconds = 61");
        assert_eq!(
            differs("1", &other),
            "seconds was 60.0 there, and is 61.0 here; seed was 23 there, and is 7 here"
        );
        assert!(differs("1", &(text.to_owned() + "target = 0.1\n")).contains("settings of the run"));
        // Other runs of the file do not matter.
        let more = read(&(text.to_owned() + "[[run]]\nstrategy = 'none'\n"));
        assert!(kept.clone().measured("1", &more, &more.runs[0]).is_ok());
    }
}
