//! An experiment with several values for some settings, and what came out over all of them.

use super::{Axis, Experiment, Fault, Measured, read, scalars};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A file: one experiment, or one for each combination of what varies.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// What it is about.
    pub title: String,
    /// What varies; nothing where it is one experiment.
    pub axes: Vec<Axis>,
    /// Every combination; the last axis goes through its values first.
    pub points: Vec<Point>,
}

/// One combination.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its place along each axis.
    pub at: Vec<usize>,
    /// What there is, with these values.
    pub experiment: Experiment,
}

impl Study {
    /// Reads and validates TOML text.
    ///
    /// # Errors
    /// Every fault of the text, in order of lines.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Fault>> {
        read::study(text)
    }

    /// Keeps the points at which a setting has a value. Whether there are any.
    pub fn keep(&mut self, setting: &str, value: &str) -> bool {
        let has = |axes: &[Axis], point: &Point| {
            axes.iter().zip(&point.at).any(|(axis, place)| {
                let names = axis.settings.iter().zip(&axis.values[*place]);
                names.into_iter().any(|(name, it)| name == setting && is(it, value))
            })
        };
        let (axes, points) = (&self.axes, &mut self.points);
        points.retain(|point| has(axes, point));
        !points.is_empty()
    }

    /// What a point is, for people: `hosts.count=512 seed=23`.
    #[must_use]
    pub fn label(&self, point: &Point) -> String {
        let told = |(axis, place): (&Axis, &usize)| {
            format!("{}={}", axis.settings[0], told(&axis.values[*place][0]))
        };
        self.axes.iter().zip(&point.at).map(told).collect::<Vec<_>>().join(" ")
    }
}

fn told(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is(value: &Value, text: &str) -> bool {
    told(value) == text || value.as_f64().is_some_and(|value| text.parse() == Ok(value))
}

/// What came out of all points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudyReport {
    /// Of dvms.
    pub version: String,
    /// What it is about.
    pub title: String,
    /// What varies.
    pub vary: Vec<Axis>,
    /// In order; less than there are where it was interrupted.
    pub points: Vec<PointReport>,
    /// The same over all seeds.
    pub groups: Vec<Group>,
}

/// What came out of one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointReport {
    /// Its place along each axis.
    #[serde(skip)]
    pub places: Vec<usize>,
    /// The settings that vary.
    pub at: BTreeMap<String, Value>,
    /// What was run, with every setting.
    pub experiment: Experiment,
    /// In the order of the file.
    pub runs: Vec<Measured>,
}

/// Runs of one name at points that differ by chance only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Places along the axes; of those of chance 0.
    #[serde(skip)]
    pub places: Vec<usize>,
    /// The settings that vary, without seeds.
    pub at: BTreeMap<String, Value>,
    /// The name of the runs.
    pub run: String,
    /// Of every measure that is a figure, by its path in the JSON form. A run that was interrupted is not among them.
    pub measures: BTreeMap<String, Over>,
}

/// A measure over several seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Over {
    /// How many have it: the mean of nothing is none.
    pub count: usize,
    /// Of these.
    pub mean: f64,
    /// Standard deviation of the sample (n − 1); 0 of one.
    pub sd: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Over {
    /// `None` of nothing.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (count > 0).then_some(Self { count, mean, sd, min, max })
    }
}

impl StudyReport {
    /// Of runs of each point, in order.
    #[must_use]
    pub fn new(version: &str, study: Study, runs: Vec<Vec<Measured>>) -> Self {
        let Study { title, axes, points } = study;
        let report = |(point, runs): (Point, Vec<Measured>)| PointReport {
            at: settings(&axes, &point.at, |_| true),
            places: point.at,
            experiment: point.experiment,
            runs,
        };
        let points: Vec<PointReport> = points.into_iter().zip(runs).map(report).collect();
        let groups = groups(&axes, &points);
        Self { version: version.to_owned(), title, vary: axes, points, groups }
    }

    /// A line for each run of each point: version, settings that vary, and every measure, named as in the JSON form.
    #[must_use]
    pub fn runs_csv(&self) -> String {
        let names: Vec<&String> = self.vary.iter().flat_map(|axis| &axis.settings).collect();
        let mut text = String::new();
        for point in &self.points {
            let cells = names.iter().map(|name| told(&point.at[*name]));
            let head: Vec<String> = std::iter::once(self.version.clone()).chain(cells).collect();
            for run in &point.runs {
                let columns = run.cells();
                if text.is_empty() {
                    let head = std::iter::once("version").chain(names.iter().map(|name| name.as_str()));
                    let all = head.chain(columns.iter().map(|(name, _)| name.as_str()));
                    text = all.collect::<Vec<_>>().join(",") + "\n";
                }
                let all = head.iter().chain(columns.iter().map(|(_, cell)| cell));
                text += &(all.map(String::as_str).collect::<Vec<_>>().join(",") + "\n");
            }
        }
        text
    }

    /// The same with types: version, settings that vary, and all measures of each run.
    pub fn rows(&self) -> impl Iterator<Item = Vec<(String, Value)>> {
        let names = || self.vary.iter().flat_map(|axis| &axis.settings);
        self.points.iter().flat_map(move |point| {
            let at = move || names().map(|name| (name.clone(), point.at[name].clone()));
            point.runs.iter().map(move |run| self.row(at()).chain(run.columns()).collect())
        })
    }

    fn row(&self, at: impl Iterator<Item = (String, Value)>) -> impl Iterator<Item = (String, Value)> {
        std::iter::once(("version".to_owned(), Value::from(self.version.as_str()))).chain(at)
    }

    /// As in [`groups_csv`](Self::groups_csv), with types.
    pub fn group_rows(&self) -> impl Iterator<Item = Vec<(String, Value)>> {
        let plain = self.vary.iter().filter(|axis| !axis.is_chance());
        let names: Vec<&String> = plain.flat_map(|axis| &axis.settings).collect();
        self.groups.iter().flat_map(move |group| {
            let at: Vec<_> = names.iter().map(|name| ((*name).clone(), group.at[*name].clone())).collect();
            group.measures.iter().map(move |(measure, over)| {
                let Over { count, mean, sd, min, max } = over;
                let more = [
                    ("run", Value::from(group.run.as_str())),
                    ("measure", Value::from(measure.as_str())),
                    ("count", Value::from(*count)),
                    ("mean", Value::from(*mean)),
                    ("sd", Value::from(*sd)),
                    ("min", Value::from(*min)),
                    ("max", Value::from(*max)),
                ];
                let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
                self.row(at.clone().into_iter()).chain(more).collect()
            })
        })
    }

    /// A line for each group and measure: version, settings that vary but for seeds, run, measure, and what it is over seeds.
    #[must_use]
    pub fn groups_csv(&self) -> String {
        let plain = self.vary.iter().filter(|axis| !axis.is_chance());
        let names: Vec<&String> = plain.flat_map(|axis| &axis.settings).collect();
        let head = std::iter::once("version").chain(names.iter().map(|name| name.as_str()));
        let head: Vec<&str> = head.chain(["run", "measure", "count", "mean", "sd", "min", "max"]).collect();
        let mut text = head.join(",") + "\n";
        for group in &self.groups {
            let cells: Vec<String> = names.iter().map(|name| told(&group.at[*name]) + ",").collect();
            for (measure, Over { count, mean, sd, min, max }) in &group.measures {
                let (version, cells, run) = (&self.version, cells.concat(), &group.run);
                let _ = writeln!(text, "{version},{cells}{run},{measure},{count},{mean},{sd},{min},{max}");
            }
        }
        text
    }
}

fn settings(axes: &[Axis], places: &[usize], want: impl Fn(&Axis) -> bool) -> BTreeMap<String, Value> {
    let wanted = axes.iter().zip(places).filter(|(axis, _)| want(axis));
    let of = |(axis, place): (&Axis, &usize)| {
        axis.settings.iter().cloned().zip(axis.values[*place].iter().cloned()).collect::<Vec<_>>()
    };
    wanted.flat_map(of).collect()
}

fn groups(axes: &[Axis], points: &[PointReport]) -> Vec<Group> {
    let without_chance = |places: &[usize]| -> Vec<usize> {
        let place = |(axis, place): (&Axis, &usize)| if axis.is_chance() { 0 } else { *place };
        axes.iter().zip(places).map(place).collect()
    };
    let mut found: BTreeMap<(Vec<usize>, usize), Found> = BTreeMap::new();
    for point in points {
        for run in point.runs.iter().filter(|run| run.complete) {
            // In the order of the points, and of the runs of the file.
            let number =
                point.experiment.runs.iter().position(|it| it.name == run.name).unwrap_or(usize::MAX);
            let group = found.entry((without_chance(&point.places), number)).or_default();
            group.run.clone_from(&run.name);
            for (path, value) in figures_of(run) {
                group.figures.entry(path).or_default().push(value);
            }
        }
    }
    let group = |((places, _), Found { run, figures }): ((Vec<usize>, usize), Found)| {
        let at = settings(axes, &places, |axis| !axis.is_chance());
        let over = |(path, values): (String, Vec<f64>)| Some((path, Over::of(&values)?));
        Group { at, places, run, measures: figures.into_iter().filter_map(over).collect() }
    };
    found.into_iter().map(group).collect()
}

/// Runs of a group.
#[derive(Default)]
struct Found {
    run: String,
    figures: BTreeMap<String, Vec<f64>>,
}

/// Every figure of a run, by its path. Where nothing was counted, there is no mean, deviation or greatest.
fn figures_of(run: &Measured) -> Vec<(String, f64)> {
    let value = serde_json::to_value(run).unwrap_or_default();
    let all: BTreeMap<String, f64> =
        scalars(&value).into_iter().filter_map(|(path, value)| Some((path, value.as_f64()?))).collect();
    let nothing = |path: &str| {
        let of = path.rsplit_once('.').filter(|(_, last)| ["mean", "sd", "max"].contains(last));
        of.is_some_and(|(of, _)| all.get(&format!("{of}.count")).is_some_and(|count| *count <= 0.0))
    };
    all.iter().filter(|(path, _)| !nothing(path)).map(|(path, value)| (path.clone(), *value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::experiment::run;

    const TEXT: &str = "title = 'Several'\nseconds = 400\n[hosts]\nmemory = 20000\n[[vary]]\nhosts.count = [8, 4]\n[[vary]]\n\
                        load.mean = [60, 70.5]\nload.sd = [20, 30]\nhosts.cpu = [6500, 7500]\n[[vary]]\nseed = [1, 2, 3]\n\
                        [[run]]\nstrategy = 'none'\n[[run]]\nstrategy = 'drs'\n";

    #[test]
    fn every_combination_is_a_point_and_what_goes_along_together_does() {
        let study = Study::from_toml(TEXT).unwrap();
        let told = |point: &Point| {
            let it = &point.experiment;
            (it.hosts.count, it.hosts.cpu, it.vms.count, it.seed)
        };
        let points: Vec<_> = study.points.iter().map(told).collect();
        assert_eq!(points.len(), 12);
        assert_eq!(points[..4], [(8, 6500, 80, 1), (8, 6500, 80, 2), (8, 6500, 80, 3), (8, 7500, 80, 1)]);
        assert_eq!(points[11], (4, 7500, 40, 3));
        let crate::simulator::experiment::What::Vmplaces(load) = &study.points[11].experiment.load.what
        else {
            panic!("the load is that of VMPlaceS");
        };
        assert_eq!((load.mean, load.sd, study.points[11].experiment.hosts.memory), (70.5, 30.0, 20_000));
        assert_eq!(study.label(&study.points[11]), "hosts.count=4 load.mean=70.5 seed=3");
        let chance: Vec<_> = study.axes.iter().map(Axis::is_chance).collect();
        assert_eq!(chance, [false, false, true]);
        let mut some = study.clone();
        assert!(some.keep("load.sd", "30") && some.keep("seed", "2"));
        assert_eq!(some.points.iter().map(told).collect::<Vec<_>>(), [(8, 7500, 80, 2), (4, 7500, 40, 2)]);
        assert!(!some.keep("seed", "1") && some.points.is_empty());
        // Without anything that varies it is one experiment.
        let one = Study::from_toml("[[run]]\nstrategy = 'none'\n").unwrap();
        assert_eq!((one.axes.len(), one.points.len()), (0, 1));
        assert_eq!(Experiment::from_toml(TEXT).unwrap_err()[0].path, "vary");
    }

    #[test]
    fn what_varies_wrongly_is_refused_where_it_is() {
        let run = "[[run]]\nstrategy = 'none'\n";
        for (text, line, path, says) in [
            ("vary = 3\n", 1, "vary", "must be a list of tables"),
            ("[[vary]]\n", 1, "vary[0]", "no setting with a list"),
            ("[[vary]]\nseed = 3\n", 2, "vary[0].seed", "must be a list of values"),
            ("[[vary]]\nseed = []\n", 2, "vary[0].seed", "one at least"),
            (
                "[[vary]]\nseed = [1, 2]\nhosts.count = [4]\n",
                3,
                "vary[0].hosts.count",
                "has 1 values, but seed",
            ),
            ("seed = 4\n[[vary]]\nseed = [1, 2]\n", 3, "vary[0].seed", "elsewhere"),
            ("[[vary]]\nseed = [1]\n[[vary]]\n\nseed = [2]\n", 5, "vary[1].seed", "elsewhere"),
            ("[[vary]]\nrun = [1]\n", 2, "vary[0].run", "a [[run]] each"),
            ("[[vary]]\nseed = [1]\nhosts.cores = [1]\n", 3, "hosts.cores", "unknown field"),
            ("[[vary]]\nseed = [\n1,\n-1]\n", 4, "seed", "-1"),
            ("[[vary]]\nhosts.boot_s = [\n4,\n-1]\n", 4, "hosts.boot_s", "between 0 and"),
            ("[[vary]]\nload.mean = [60, 70,\n500]\n", 3, "load.mean", "between 0 and 100"),
        ] {
            let faults = Study::from_toml(&format!("{text}{run}")).unwrap_err();
            let it = &faults[0];
            assert_eq!(
                (faults.len(), it.line, it.path.as_str()),
                (1, Some(line), path),
                "{text}: {faults:?}"
            );
            assert!(it.message.contains(says), "{text}: {faults:?}");
        }
        let many = (0..200).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
        let text = format!("[[vary]]\nseed = [{many}]\n[[vary]]\nload.seed = [{many}]\n{run}");
        assert!(Study::from_toml(&text).unwrap_err()[0].message.contains("40000 combinations"));
    }

    #[test]
    fn groups_are_means_and_deviations_over_seeds() {
        let mut study = Study::from_toml(TEXT).unwrap();
        assert!(study.keep("hosts.cpu", "6500"));
        let all = |point: &Point| {
            let it = &point.experiment;
            it.runs.iter().map(|which| run(it, which, &mut |_| true).unwrap()).collect::<Vec<_>>()
        };
        let mut runs: Vec<_> = study.points.iter().map(all).collect();
        // One was interrupted.
        runs[5][1].complete = false;
        let report = StudyReport::new("1", study, runs);
        assert_eq!(report.groups.len(), 4);
        let names: Vec<_> =
            report.groups.iter().map(|it| (it.at["hosts.count"].clone(), it.run.as_str())).collect();
        assert_eq!(names, [(8.into(), "none"), (8.into(), "drs"), (4.into(), "none"), (4.into(), "drs")]);
        let events = report.groups[0].measures["events"];
        let of = |point: usize| report.points[point].runs[0].events as f64;
        assert_eq!((events.count, events.mean), (3, (of(0) + of(1) + of(2)) / 3.0));
        assert!(events.min < events.mean && events.sd > 0.0);
        assert_eq!(report.groups[3].measures["events"].count, 2);
        assert!(!report.groups[0].measures.contains_key("rounds.plan.mean"), "no strategy, no plan");
        let csv = report.runs_csv();
        assert!(csv.starts_with("version,hosts.count,load.mean,load.sd,hosts.cpu,seed,name,"), "{csv}");
        assert!(csv.lines().nth(12).unwrap().starts_with("1,4,60,20,6500,3,drs,false,"), "{csv}");
        let csv = report.groups_csv();
        assert!(csv.starts_with(
            "version,hosts.count,load.mean,load.sd,hosts.cpu,run,measure,count,mean,sd,min,max\n"
        ));
        assert!(csv.contains("\n1,8,60,20,6500,none,events,3,"), "{csv}");
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let over = Over::of(&[1.0, 3.0, 5.0]).unwrap();
        assert_eq!((over.count, over.mean, over.sd, over.min, over.max), (3, 3.0, 2.0, 1.0, 5.0));
        assert_eq!((Over::of(&[7.0]).unwrap().sd, Over::of(&[])), (0.0, None));
    }
}
