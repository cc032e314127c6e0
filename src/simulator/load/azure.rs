//! VMs of Azure as they came and went in 2017 (`AzurePublicDatasetV1`; Cortez et al., SOSP 2017), in the form that
//! `huaweicloud/trace_generation_rnn` has them: a line for each five minutes with the flavours that came, `|` after the VMs of
//! one tenant, and a file that mirrors it with how long each stayed. What they needed is not told: Gaussian steps.

use super::trace::{Row, Text, TextFault, Trace};
use super::{Gaussian, Load, Need, Needs, STREAM};
use crate::simulator::engine::Life;
use crate::simulator::random::Random;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const STEP_S: f64 = 300.0;

/// VMs that come and go as those of Azure did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Azure {
    /// Where its files are.
    pub folder: String,
    /// How the file of those that came is called, without `.txt`; that of how long they stayed begins so, and `.c`.
    pub day: String,
    /// Seconds of the trace that have passed at the start: whoever came in these and is still there, is there.
    pub from_s: f64,
    /// Of the tenants' batches so many are taken, drawn.
    pub part: f64,
    /// Percent, before it is cut.
    pub mean: f64,
    /// Percent.
    pub sd: f64,
    /// Seconds between two steps of a VM.
    pub period_s: f64,
    /// What was read.
    #[serde(skip)]
    pub trace: Arc<Trace>,
}

impl Default for Azure {
    fn default() -> Self {
        let Gaussian { mean, sd, period_s } = Gaussian::default();
        let (folder, day) = (String::new(), "v1.dev".to_owned());
        Self { folder, day, from_s: 0.0, part: 1.0, mean, sd, period_s, trace: Arc::default() }
    }
}

impl Load for Azure {
    fn needs(&self, vms: u32, until: f64, seed: u64) -> Needs {
        let ends = |row: &Row| row.ends.unwrap_or(f64::INFINITY);
        let ends: Vec<f64> = self.trace.rows.iter().map(ends).collect();
        let steps = Gaussian { mean: self.mean, sd: self.sd, period_s: self.period_s };
        // What it needs before it comes is what it comes with.
        let stays_yet = move |need: &Need| need.time < ends[need.vm as usize];
        Box::new(steps.needs(vms, until, seed).filter(stays_yet))
    }

    fn lives(&self, vms: u32, until: f64, seed: u64) -> Vec<Life> {
        self.trace.lives(vms, until, seed)
    }
}

/// Reads who is there at the start, and who comes before `until`. Who came within a step did so at a time that is drawn, all of
/// a batch at once; how long a VM stays is drawn within what its file tells: five minutes for a short one, some days for a
/// long one. Who was there at the end of the trace stays.
///
/// # Errors
/// Files that are missing, and the first line of each that is not so.
pub fn azure(files: &[Text], how: &Azure, until: f64, seed: u64) -> Result<Trace, Vec<TextFault>> {
    let day = how.day.as_str();
    let is = |file: &&Text, name: &str| file.name.rsplit('/').next() == Some(name);
    let find = |what: &str, fits: &dyn Fn(&&Text) -> bool| {
        files.iter().find(fits).ok_or_else(|| TextFault {
            file: files.first().map(|file| folder_of(&file.name)).unwrap_or_default(),
            line: None,
            message: format!("has no file {what}"),
        })
    };
    let begins =
        |file: &&Text, name: &str| file.name.rsplit('/').next().is_some_and(|it| it.starts_with(name));
    let found = [
        find(&format!("{day}.txt"), &|file| is(file, &format!("{day}.txt"))),
        find(&format!("{day}.c….txt, which tells how long each stayed"), &|file| {
            begins(file, &format!("{day}.c"))
        }),
        find("flav_map.txt", &|file| is(file, "flav_map.txt")),
        find("….interval_map.txt", &|file| file.name.ends_with("interval_map.txt")),
    ];
    let faults: Vec<TextFault> = found.iter().filter_map(|it| it.as_ref().err()).cloned().collect();
    let [Ok(came), Ok(stayed), Ok(flavours), Ok(bins)] = found else { return Err(faults) };
    let (flavours, bins) = (flavours_of(flavours), bins_of(bins));
    let faults = [flavours.as_ref().err(), bins.as_ref().err()].into_iter().flatten().cloned().collect();
    let (Ok(flavours), Ok(bins)) = (flavours, bins) else { return Err(faults) };
    let mut reading =
        Reading { how, until, flavours, bins, random: Random::new(seed, 3 * STREAM), rows: Vec::new() };
    reading.all(came, stayed).map_err(|fault| vec![fault])?;
    if reading.rows.is_empty() {
        return Err(vec![came.fault(None, "tells of no VM in this time; from_s or part leave none")]);
    }
    Ok(Trace { rows: reading.rows })
}

fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or(".", |(folder, _)| folder).to_owned()
}

/// Milli-cores and MiB of each flavour.
fn flavours_of(file: &Text) -> Result<BTreeMap<&str, (u32, u32)>, TextFault> {
    let mut flavours = BTreeMap::new();
    for (line, text) in file.lines() {
        let read = || {
            let (size, name) = text.trim().split_once(' ')?;
            let (cores, gib) = size.split_once(',')?;
            let (cores, gib) = (cores.parse::<f64>().ok()?, gib.parse::<f64>().ok()?);
            let within = (0.001..=10_000.0).contains(&cores) && (0.001..=100_000.0).contains(&gib);
            within.then(|| (name.trim(), ((cores * 1000.0).round() as u32, (gib * 1024.0).round() as u32)))
        };
        let (name, size) = read().ok_or_else(|| {
            file.fault(
                Some(line),
                format!("{:?} is no flavour; `8,14 m` were 8 cores and 14 GiB called m", text.trim()),
            )
        })?;
        flavours.insert(name, size);
    }
    Ok(flavours)
}

/// Of each bin, from when to when VMs of it ended, seconds after they came.
fn bins_of(file: &Text) -> Result<BTreeMap<u32, (f64, f64)>, TextFault> {
    let mut bins: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for (line, text) in file.lines() {
        let read = text
            .trim()
            .split_once(' ')
            .and_then(|(seconds, bin)| Some((seconds.parse::<u32>().ok()?, bin.trim().parse::<u32>().ok()?)));
        let (seconds, bin) = read.ok_or_else(|| {
            file.fault(Some(line), format!("{:?} is not seconds and a bin: `300 1`", text.trim()))
        })?;
        let (from, to) = (f64::from(seconds), f64::from(seconds) + STEP_S);
        let range = bins.entry(bin).or_insert((from, to));
        *range = (range.0.min(from), range.1.max(to));
    }
    Ok(bins)
}

struct Reading<'a> {
    how: &'a Azure,
    until: f64,
    flavours: BTreeMap<&'a str, (u32, u32)>,
    bins: BTreeMap<u32, (f64, f64)>,
    random: Random,
    rows: Vec<Row>,
}

impl Reading<'_> {
    fn all(&mut self, came: &Text, stayed: &Text) -> Result<(), TextFault> {
        let mut begin = None;
        let (mut ends, mut before) = (stayed.lines(), f64::NEG_INFINITY);
        for (line, text) in came.lines() {
            let (seconds, flavours) = step(came, line, text)?;
            let (other, text) = ends.next().ok_or_else(|| {
                stayed.fault(None, format!("ends before line {line} of {}, which it mirrors", came.name))
            })?;
            let (mirrored, lives) = step(stayed, other, text)?;
            if seconds.total_cmp(&mirrored).is_ne() {
                return Err(stayed.fault(
                    Some(other),
                    format!("is of second {mirrored}, but line {line} of {} of {seconds}", came.name),
                ));
            }
            if seconds <= before {
                return Err(came.fault(Some(line), "is not later than the line before"));
            }
            before = seconds;
            let start = *begin.get_or_insert(seconds) + self.how.from_s;
            self.step(seconds - start, (came, line, flavours), (stayed, other, lives))?;
        }
        match ends.next() {
            Some((line, _)) => {
                Err(stayed.fault(Some(line), format!("has no line in {}, which it mirrors", came.name)))
            }
            None => Ok(()),
        }
    }

    /// Five minutes of it, which begin at a time of the experiment.
    fn step(
        &mut self,
        begins: f64,
        (came, line, flavours): (&Text, usize, &str),
        (stayed, other, lives): (&Text, usize, &str),
    ) -> Result<(), TextFault> {
        let mut lives = lives.split(',');
        let (mut taken, mut comes) = self.batch(begins);
        for flavour in flavours.split(',').map(str::trim) {
            let stay = lives.next().map(str::trim).unwrap_or_default();
            if (flavour == "|") != (stay == "|") || stay.is_empty() {
                let message = format!("{stay:?} stands where line {line} of {} has {flavour:?}", came.name);
                return Err(stayed.fault(Some(other), message));
            }
            if flavour == "|" {
                (taken, comes) = self.batch(begins);
                continue;
            }
            let size = self.flavours.get(flavour).copied();
            let (cpu, memory) = size.ok_or_else(|| {
                came.fault(Some(line), format!("{flavour:?} is no flavour that flav_map.txt names"))
            })?;
            let stays = self.stays(stay).ok_or_else(|| {
                let message =
                    format!("{stay:?} is not how long a VM stayed; `U4` has ended in bin 4, `C4` had not");
                stayed.fault(Some(other), message)
            })?;
            let goes = comes + stays;
            if taken && comes < self.until && goes > 0.0 {
                let name = format!("{flavour}{}", self.rows.len());
                let points = vec![(comes.max(0.0), 0.0)];
                let ends = (goes < self.until).then_some(goes);
                self.rows.push(Row { name, cpu: Some(cpu), memory: Some(memory), points, ends });
            }
        }
        match lives.next() {
            Some(more) if !more.trim().is_empty() => {
                Err(stayed
                    .fault(Some(other), format!("has more than line {line} of {}: {more:?}", came.name)))
            }
            _ => Ok(()),
        }
    }

    /// Whether the next batch is taken, and when it comes.
    fn batch(&mut self, begins: f64) -> (bool, f64) {
        let taken = self.random.fraction() < self.how.part;
        (taken, begins + STEP_S * self.random.fraction())
    }

    /// Seconds that a VM stays.
    fn stays(&mut self, life: &str) -> Option<f64> {
        let (ended, bin) = match life.split_at_checked(1)? {
            ("U", bin) => (true, bin),
            ("C", bin) => (false, bin),
            _ => return None,
        };
        let (from, to) = self.bins.get(&bin.parse().ok()?).copied()?;
        let drawn = from + (to - from) * self.random.fraction();
        Some(if ended { drawn } else { f64::INFINITY })
    }
}

/// The time of a line, and what it lists.
fn step<'t>(file: &Text, line: usize, text: &'t str) -> Result<(f64, &'t str), TextFault> {
    let parts =
        text.trim().split_once(' ').and_then(|(seconds, list)| Some((seconds.parse::<u32>().ok()?, list)));
    parts
        .map(|(seconds, list)| (f64::from(seconds), list))
        .ok_or_else(|| file.fault(Some(line), "is not a time in seconds and a list, by a space"))
}
