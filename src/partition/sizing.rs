//! How many hosts a trouble is answered with: few at first, the most helpful ones, and more after each try in vain. What one
//! coordinator decides for its own cell, and what it asks others for.

use super::event::{Amounts, Need};

/// Free capacity that is taken in, for each amount that needs a place: VMs do not fit like water.
const SLACK: i64 = 2;
/// Hosts that are taken in at the first try, at least.
pub const FEWEST: usize = 2;
/// Each wider try takes in this many times the hosts of the one before.
const GROWTH: usize = 4;

/// A host that may take VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver<T> {
    /// Which.
    pub host: T,
    /// What it may take before it comes to its target.
    pub free: Amounts,
    /// It has a trouble itself: others come first.
    pub troubled: bool,
    /// Rules make it a likely one: it comes before others.
    pub likely: bool,
}

/// How many receivers are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The first ones of them.
    pub count: usize,
    /// These are all: a wider try has the same ones.
    pub whole: bool,
    /// All together have less room than is wanted.
    pub short: bool,
}

/// How much room is looked for: what is needed, with slack, and enough for the VM that has to find a `place`.
#[must_use]
pub fn wanted(need: Amounts, place: Amounts) -> Amounts {
    [0, 1].map(|r| need[r].saturating_mul(SLACK).max(place[r]))
}

/// Orders receivers: the most helpful ones first.
pub fn rank<T: Ord>(receivers: &mut [Receiver<T>], need: Amounts) {
    receivers.sort_by(|a, b| {
        let first = (a.troubled, !a.likely).cmp(&(b.troubled, !b.likely));
        first.then(fit(b.free, need).total_cmp(&fit(a.free, need))).then_with(|| a.host.cmp(&b.host))
    });
}

/// How much of what is needed a host could take: the part that its scarcest resource allows.
fn fit(free: Amounts, need: Amounts) -> f64 {
    let of = |r: usize| {
        if need[r] == 0 { f64::from(u32::MAX) + free[r] as f64 } else { free[r] as f64 / need[r] as f64 }
    };
    of(0).min(of(1))
}

/// How many of the receivers, the most helpful ones first, a try takes in: as many as have the room that is `wanted`, and
/// `fewest`; the `wider` try of them. A receiver with less room than the `least` of what has to move is no help.
#[must_use]
pub fn size<T>(
    receivers: &[Receiver<T>],
    wanted: Amounts,
    least: Amounts,
    fewest: usize,
    wider: u32,
) -> Size {
    let (mut all, mut free, mut enough) = ([0, 0], [0, 0], None);
    for (taken, receiver) in receivers.iter().enumerate() {
        if enough.is_none() && !exceeds(wanted, free) {
            enough = Some(taken);
        }
        add(&mut free, receiver.free);
        if !exceeds(least, receiver.free) {
            add(&mut all, receiver.free);
        }
    }
    let count = enough.unwrap_or(receivers.len()).max(fewest).saturating_mul(GROWTH.saturating_pow(wider));
    Size { count, whole: count >= receivers.len(), short: exceeds(wanted, all) }
}

/// The least of what is on the hosts of a trouble, in each resource that is needed: smaller rooms are no help.
#[must_use]
pub fn least(vms: impl Iterator<Item = Amounts>, need: Amounts) -> Amounts {
    let least = vms.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1])]).unwrap_or(need);
    [0, 1].map(|r| least[r].min(need[r]))
}

/// What has to find a place where so much is to leave a host: the smallest VM that alone is enough, as VMs do not come in
/// parts; where there is none, what is to leave.
#[must_use]
pub fn place(vms: impl Iterator<Item = Amounts>, excess: Amounts) -> Amounts {
    let enough = |vm: &Amounts| !exceeds(excess, *vm);
    let smallest = vms.filter(enough).min();
    smallest.map_or(excess, |vm| [0, 1].map(|r| if excess[r] > 0 { vm[r] } else { 0 }))
}

impl Need {
    /// What a partition lacks whose solver has no plan that is enough: the room that its best one lacks, on hosts with room for
    /// the least of what this is about; more of it with each try, as VMs do not fit like water.
    #[must_use]
    pub fn after(room: Amounts, least: Amounts, tries: u64) -> Self {
        let times = i64::try_from(tries).unwrap_or(i64::MAX).saturating_add(1);
        Self { room: room.map(|amount| amount.saturating_mul(times)), hosts: 0, least }
    }
}

/// Adds amounts, as far as they can be counted.
pub fn add(sum: &mut Amounts, more: Amounts) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.saturating_add(more);
    }
}

/// Whether one amount is above the other for some resource.
#[must_use]
pub fn exceeds(amounts: Amounts, most: Amounts) -> bool {
    amounts.iter().zip(most).any(|(amount, most)| *amount > most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receivers(free: &[Amounts]) -> Vec<Receiver<usize>> {
        let one =
            |(host, free): (usize, &Amounts)| Receiver { host, free: *free, troubled: false, likely: false };
        free.iter().enumerate().map(one).collect()
    }

    #[test]
    fn few_hosts_are_taken_at_first_and_more_with_each_try() {
        let free = vec![[300, 9], [200, 9], [100, 9], [100, 9], [100, 9], [50, 9], [50, 9], [50, 9], [50, 9]];
        let all = receivers(&free);
        let of = |need, wider| size(&all, wanted([need, 0], [0, 0]), [60, 0], 2, wider);
        assert_eq!(wanted([10, 0], [40, 1]), [40, 1]);
        assert_eq!(of(10, 0), Size { count: 2, whole: false, short: false }, "two at least");
        assert_eq!(of(300, 0).count, 3, "twice what is needed");
        assert_eq!((of(300, 1).count, of(300, 1).whole), (12, true));
        // What is on hosts with too little room for anything does not count.
        assert!(!of(400, 0).short && of(401, 0).short);
        assert_eq!(size::<usize>(&[], [5, 0], [5, 0], 2, 0), Size { count: 2, whole: true, short: true });
    }

    #[test]
    fn what_leaves_is_a_vm_at_least() {
        let vms = || [[300, 9], [500, 1], [700, 5]].into_iter();
        assert_eq!(place(vms(), [400, 0]), [500, 0]);
        assert_eq!(place(vms(), [400, 2]), [700, 5], "one that is enough of both");
        assert_eq!(place(vms(), [900, 0]), [900, 0], "several have to leave");
        assert_eq!(place(vms(), [0, 0]), [0, 0]);
    }

    #[test]
    fn those_that_help_most_come_first() {
        let mut all = receivers(&[[5, 100], [9, 1], [7, 50], [7, 50], [20, 50]]);
        all[4].troubled = true;
        all[0].likely = true;
        rank(&mut all, [4, 10]);
        let order: Vec<usize> = all.iter().map(|receiver| receiver.host).collect();
        assert_eq!(order, [0, 2, 3, 1, 4], "by the scarcer resource");
        assert_eq!(least([[3, 7], [5, 2]].into_iter(), [4, 0]), [3, 0]);
        assert_eq!(least(std::iter::empty(), [4, 1]), [4, 1]);
    }
}
