//! How a partition of the ring has become what it is, for people.

use super::bars::bar;
use super::format::{amount, count, safe, seconds, system_time};
use super::paint::Tone;
use dvms_proto::v1::Partition;
use dvms_proto::v1::partition::Step;

/// A step, in words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShownStep {
    /// Since the partition began: `+0.3 s`.
    pub(crate) after: String,
    /// Why it has other hosts than before, or waits.
    pub(crate) why: String,
    /// Hosts and members that it had then.
    pub(crate) size: String,
    /// How that is to be taken.
    pub(crate) tone: Tone,
    /// Hosts then, as a part of a full bar.
    share: f64,
}

impl ShownStep {
    /// Its hosts as a bar of so many characters.
    pub(crate) fn bar(&self, width: usize) -> String {
        bar(self.share, width)
    }
}

/// The most hosts that a partition has had, as far as is kept.
pub(crate) fn most(partition: &Partition) -> u32 {
    let steps = partition.steps.iter().map(|step| step.hosts);
    steps.chain([partition.host_count]).max().unwrap_or(0)
}

/// The steps of a partition, oldest first; a full bar is so many hosts.
pub(crate) fn steps(partition: &Partition, most: u32) -> Vec<ShownStep> {
    let most = most.max(1);
    let mut shown: Vec<ShownStep> =
        partition.steps.iter().map(|step| shown_step(partition, step, most)).collect();
    if partition.steps_left_out > 0 && !shown.is_empty() {
        let left_out = ShownStep {
            after: String::new(),
            why: format!("{} not kept", count(partition.steps_left_out as usize, "step")),
            size: String::new(),
            tone: Tone::Faint,
            share: 0.0,
        };
        shown.insert(1, left_out);
    }
    shown
}

fn shown_step(partition: &Partition, step: &Step, most: u32) -> ShownStep {
    let begin = partition.began.and_then(system_time);
    let passed = step.time.and_then(system_time).zip(begin);
    let passed = passed.and_then(|(time, begin)| time.duration_since(begin).ok()).unwrap_or_default();
    let with = safe(&step.with.join(", "));
    let (tone, why) = match step.why.as_str() {
        "BEGAN" if with.is_empty() => (Tone::Busy, "began without hosts".to_owned()),
        "BEGAN" => (Tone::Busy, format!("began with hosts of {with}")),
        "ASKED" => (Tone::Busy, format!("asked {with}")),
        "MERGED" => {
            (Tone::Busy, format!("merged with {with}, for {} now", count(step.events as usize, "event")))
        }
        "BLOCKED" => (Tone::Warning, "blocked: others hold what is lacking".to_owned()),
        "RESUMED" => (Tone::Busy, "resumed".to_owned()),
        "LOST" => (Tone::Bad, format!("lost hosts of {with}")),
        "RELEASED" => (Tone::Good, format!("gave back what the plan does not need, of {with}")),
        // One of a newer version.
        other => (Tone::Faint, format!("{} {with}", safe(other)).trim_end().to_owned()),
    };
    let times = if step.times > 1 { format!(", {} times", step.times) } else { String::new() };
    let of = if step.members > 1 {
        format!(" of {}", count(step.members as usize, "member"))
    } else {
        String::new()
    };
    ShownStep {
        after: format!("+{}", seconds((passed.as_secs_f64() * 10.0).round() / 10.0)),
        why: why + &times,
        size: count(step.hosts as usize, "host") + &of,
        tone,
        share: f64::from(step.hosts) / f64::from(most),
    }
}

/// The stage with whom it is about.
pub(crate) fn stage(partition: &Partition) -> (Tone, String) {
    let tone = match partition.stage.as_str() {
        "BLOCKED" | "OFFERING" => Tone::Warning,
        "EXECUTING" => Tone::Good,
        _ => Tone::Busy,
    };
    let with = match partition.stage.as_str() {
        _ if partition.with.is_empty() => "",
        "GATHERING" => " from ",
        "OFFERING" => " to ",
        _ => " ",
    };
    (tone, safe(&format!("{}{with}{}", partition.stage, partition.with)))
}

/// What a partition lacks; empty = nothing that is known.
pub(crate) fn lack(partition: &Partition) -> String {
    let Some(lack) = partition.lacking else { return String::new() };
    let room = [("cpu", lack.cpu_millicores), ("memory", lack.memory_mib)];
    let room =
        room.into_iter().filter(|(_, lacking)| *lacking > 0).map(|(what, lacking)| amount(what, lacking));
    let hosts = (lack.hosts > 0).then(|| count(lack.hosts as usize, "host"));
    room.chain(hosts).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvms_proto::v1::partition::Lack;

    #[test]
    fn steps_are_told_with_their_times_and_as_bars() {
        let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        let step = |time, why: &str, with: &[&str], hosts, members| Step {
            time,
            why: why.into(),
            with: with.iter().map(|name| (*name).to_owned()).collect(),
            hosts,
            members,
            events: 2,
            times: if why == "BLOCKED" { 3 } else { 1 },
        };
        let partition = Partition {
            began: at(100, 0),
            steps: vec![
                step(at(100, 0), "BEGAN", &["east"], 2, 1),
                step(at(100, 340_000_000), "ASKED", &["north", "west\u{1b}"], 4, 3),
                step(at(101, 0), "BLOCKED", &[], 4, 3),
                step(at(220, 0), "MERGED", &["9.west.1"], 8, 3),
            ],
            steps_left_out: 5,
            ..Partition::default()
        };
        let told: Vec<String> = steps(&partition, most(&partition))
            .iter()
            .map(|step| format!("{} {} {} {}", step.after, step.bar(4), step.size, step.why))
            .collect();
        let expected = [
            "+0 s █··· 2 hosts began with hosts of east",
            " ····  5 steps not kept",
            "+0.3 s ██·· 4 hosts of 3 members asked north, west\u{FFFD}",
            "+1 s ██·· 4 hosts of 3 members blocked: others hold what is lacking, 3 times",
            "+2 min ████ 8 hosts of 3 members merged with 9.west.1, for 2 events now",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_lacking_is_told_with_its_units() {
        let lacking = |cpu_millicores, memory_mib, hosts| {
            let lacking = Some(Lack { cpu_millicores, memory_mib, hosts });
            lack(&Partition { lacking, ..Partition::default() })
        };
        assert_eq!(lacking(2500, 1024, 2), "2.5 cores, 1 GiB, 2 hosts");
        assert_eq!([lacking(0, 0, 0), lack(&Partition::default())], ["", ""]);
        let gathers = Partition { stage: "GATHERING".into(), with: "west".into(), ..Partition::default() };
        assert_eq!(stage(&gathers), (Tone::Busy, "GATHERING from west".to_owned()));
    }
}
