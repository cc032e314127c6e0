//! How fast all that goes through one way of a host's port can have gone through it.

use super::network::SWITCH_S;

/// One migration, as a port sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Parcel {
    /// MiB.
    pub(crate) memory: f64,
    /// MiB/s of pages that get dirty and are sent again.
    pub(crate) dirty: f64,
    /// MiB/s that it can have at most, whatever else is under way.
    pub(crate) fastest: f64,
}

impl Parcel {
    /// Seconds at its best speed.
    pub(crate) fn alone_s(&self) -> f64 {
        self.seconds(self.fastest)
    }

    fn seconds(&self, rate: f64) -> f64 {
        let net = rate - self.dirty;
        if self.memory > 0.0 && net > 0.0 { self.memory / net + SWITCH_S } else { SWITCH_S }
    }

    /// The least that it takes of the port, if a second of all its bandwidth costs `price` and one of all its slots
    /// the rest of 1.
    ///
    /// At the rate d + x it lasts m / x + 0.03 s and holds the rate for as long: that falls and then rises with x.
    fn least(&self, price: f64, bandwidth: f64, slots: f64) -> f64 {
        let waiting = (1.0 - price) / slots;
        if self.memory == 0.0 {
            return waiting * SWITCH_S;
        }
        let falls = self.memory * (price * self.dirty / bandwidth + waiting);
        let rises = SWITCH_S * price / bandwidth;
        let most = self.fastest - self.dirty;
        let best = if rises > 0.0 { (falls / rises).sqrt().min(most) } else { most };
        // No migration converges below 1.25 d.
        let net = best.max(0.25 * self.dirty);
        if net <= 0.0 {
            return 0.0;
        }
        let fixed = price * (self.memory + SWITCH_S * self.dirty) / bandwidth + waiting * SWITCH_S;
        fixed + falls / net + rises * net
    }
}

/// Of so many that make pages dirty it is tried which go alone.
const MOST_TRIED: usize = 4;
/// Steps in which the best price of bandwidth is narrowed down.
const NARROWED: usize = 40;

/// Seconds before which not all of them can have gone through, with a bandwidth in MiB/s and so many at once.
///
/// All of them together take no more of the bandwidth and of the slots than there is, whatever a second of each is
/// said to be worth. One that makes pages dirty is best sent alone, at full speed: beside another one it gets at least
/// as much less as that one needs to come through in time. So it goes alone, which nothing else can have a part of,
/// or more slowly.
pub(crate) fn least_s(parcels: &[Parcel], bandwidth: f64, slots: u32) -> f64 {
    if parcels.is_empty() || slots == 0 || bandwidth <= 0.0 {
        return 0.0;
    }
    let parcels: Vec<Parcel> = (parcels.iter())
        .map(|parcel| {
            // Where nothing is sent nothing is sent again.
            let dirty = if parcel.memory > 0.0 { parcel.dirty } else { 0.0 };
            Parcel { fastest: parcel.fastest.min(bandwidth), dirty, ..*parcel }
        })
        .collect();
    let in_a_row: f64 = parcels.iter().map(Parcel::alone_s).sum();
    let longest = parcels.iter().map(Parcel::alone_s).fold(0.0, f64::max);
    let in_a_row_only = slots == 1;
    let slots = f64::from(slots);
    // What is called a bound is none the greater for rounding.
    let least = longest.max(in_a_row / slots) * (1.0 - 1e-12);
    if in_a_row_only || bandwidth.is_infinite() || parcels.len() == 1 {
        return least;
    }
    let slower = beside(&parcels, bandwidth, in_a_row);
    let dirty: Vec<usize> = (0..parcels.len()).filter(|i| parcels[*i].dirty > 0.0).collect();
    let shared = if dirty.len() > MOST_TRIED {
        let either = |price: f64| {
            let parts = parcels.iter().zip(&slower).map(|(parcel, slower)| {
                let beside = slower.map_or(f64::INFINITY, |slower| slower.least(price, bandwidth, slots));
                if parcel.dirty > 0.0 { beside.min(parcel.alone_s()) } else { beside }
            });
            parts.sum()
        };
        largest(either)
    } else {
        let ways = (0_u32..1 << dirty.len()).map(|set| {
            let alone = |i: usize| dirty.iter().position(|d| *d == i).is_some_and(|at| set >> at & 1 == 1);
            let (mut seconds, mut rest) = (0.0, Vec::new());
            for (i, parcel) in parcels.iter().enumerate() {
                if alone(i) {
                    seconds += parcel.alone_s();
                } else if let Some(slower) = slower[i] {
                    rest.push(slower);
                } else {
                    return f64::INFINITY;
                }
            }
            let longest = rest.iter().map(Parcel::alone_s).fold(0.0, f64::max);
            let all = |price: f64| rest.iter().map(|parcel| parcel.least(price, bandwidth, slots)).sum();
            seconds + if rest.len() == 1 { longest } else { longest.max(largest(all)) }
        });
        ways.fold(in_a_row, f64::min)
    };
    least.max(shared.min(in_a_row) * (1.0 - 1e-12))
}

/// Each as fast as it can be with another one under way beside it, which takes no longer than all in a row. `None` =
/// it does not converge so.
fn beside(parcels: &[Parcel], bandwidth: f64, in_a_row: f64) -> Vec<Option<Parcel>> {
    let sizes = || parcels.iter().map(|parcel| parcel.memory);
    let least = sizes().fold(f64::INFINITY, f64::min);
    let holders = sizes().filter(|memory| *memory <= least).count();
    let second = sizes().filter(|memory| *memory > least).fold(f64::INFINITY, f64::min);
    (parcels.iter())
        .map(|parcel| {
            if parcel.dirty == 0.0 {
                return Some(*parcel);
            }
            let other = if parcel.memory <= least && holders == 1 { second } else { least };
            let fastest = parcel.fastest.min(bandwidth - other / in_a_row);
            (parcel.dirty < 0.8 * fastest).then_some(Parcel { fastest, ..*parcel })
        })
        .collect()
}

/// The largest value found of a function of a share, which first rises and then falls.
fn largest(value: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    let mut best = value(0.0).max(value(1.0));
    for _ in 0..NARROWED {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        let (left, right) = (value(a), value(b));
        best = best.max(left).max(right);
        if left < right { low = a } else { high = b }
    }
    best
}

/// Deals sizes in MiB, the largest first, out into as many lanes at most as there are slots, so that few pauses fall
/// into much of the bandwidth. Returns for each its part of the bandwidth: all lanes end at once.
pub(super) fn lanes(sizes: &[f64], slots: usize, bandwidth: f64) -> Vec<f64> {
    let ends = if sizes.len() <= MOST_DEALT { split(sizes, slots) } else { even(sizes.len(), slots) };
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let lanes: Vec<(f64, usize)> = (starts.zip(&ends))
        .map(|(start, end)| (sizes[start..*end].iter().sum::<f64>(), end - start))
        .collect();
    let all: f64 = sizes.iter().sum();
    let pause = |count: usize| SWITCH_S * count as f64;
    // Within these bounds lies the time at which the rates add up to the bandwidth.
    let low = lanes.iter().map(|(memory, count)| memory / bandwidth + pause(*count)).fold(0.0, f64::max);
    let (mut low, mut high) = (low, all / bandwidth + pause(sizes.len()));
    let rate = |(memory, count): (f64, usize), time: f64| memory / (time - pause(count)).max(1e-12);
    for _ in 0..60 {
        let time = f64::midpoint(low, high);
        let sum: f64 = lanes.iter().map(|lane| rate(*lane, time)).sum();
        if sum > bandwidth { low = time } else { high = time }
    }
    let part = |lane: &(f64, usize)| (rate(*lane, high) / bandwidth).min(1.0);
    lanes.iter().flat_map(|lane| std::iter::repeat_n(part(lane), lane.1)).collect()
}

/// More are dealt out without a choice.
const MOST_DEALT: usize = 64;

/// Where each lane ends, in a row of sizes that fall: the sum over lanes of what is sent times how many pauses there
/// are is the least.
fn split(sizes: &[f64], slots: usize) -> Vec<usize> {
    let count = sizes.len();
    let mut sums = vec![0.0];
    for size in sizes {
        sums.push(sums[sums.len() - 1] + size);
    }
    let waste = |from: usize, to: usize| (sums[to] - sums[from]) * (to - from) as f64;
    // The least up to each size, and where its last lane begins, for ever more lanes.
    let mut least: Vec<f64> = (0..=count).map(|end| waste(0, end)).collect();
    let mut begins: Vec<Vec<usize>> = vec![vec![0; count + 1]];
    for _ in 1..slots.min(count) {
        let before = least.clone();
        let mut begin = vec![0; count + 1];
        for end in 1..=count {
            let best = (0..end).min_by(|a, b| {
                (before[*a] + waste(*a, end)).total_cmp(&(before[*b] + waste(*b, end))).then(a.cmp(b))
            });
            begin[end] = best.unwrap_or(0);
            least[end] = before[begin[end]] + waste(begin[end], end);
        }
        begins.push(begin);
    }
    let mut ends = Vec::new();
    let mut end = count;
    for begin in begins.iter().rev() {
        if end == 0 {
            break;
        }
        ends.push(end);
        end = begin[end];
    }
    ends.reverse();
    ends
}

/// Lanes of as many each.
fn even(count: usize, slots: usize) -> Vec<usize> {
    let lanes = slots.clamp(1, count.max(1));
    (1..=lanes).map(|lane| count * lane / lanes).collect()
}

#[cfg(test)]
mod tests {
    use super::{Parcel, SWITCH_S, beside, lanes, least_s};
    use proptest::prelude::*;

    const BANDWIDTH: f64 = 1000.0;

    fn parcel(memory: f64, dirty: f64) -> Parcel {
        Parcel { memory, dirty, fastest: BANDWIDTH }
    }

    /// Seconds of a schedule: each begins as soon as there is a slot and the bandwidth that it is to have.
    fn scheduled(parcels: &[(Parcel, f64)], slots: usize) -> f64 {
        let (mut now, mut waiting, mut under_way) = (0.0, parcels.to_vec(), Vec::<(f64, f64)>::new());
        while !waiting.is_empty() || !under_way.is_empty() {
            let mut used: f64 = under_way.iter().map(|(_, rate)| rate).sum();
            waiting.retain(|(parcel, rate)| {
                let begins = under_way.len() < slots && used + rate <= BANDWIDTH * (1.0 + 1e-9);
                if begins {
                    used += rate;
                    under_way.push((now + parcel.seconds(*rate), *rate));
                }
                !begins
            });
            now = under_way.iter().map(|(end, _)| *end).fold(f64::INFINITY, f64::min);
            under_way.retain(|(end, _)| *end > now);
        }
        now
    }

    proptest! {
        #[test]
        fn no_schedule_is_faster(
            drawn in prop::collection::vec((0.0..20_000.0_f64, prop_oneof![Just(0.0), 1.0..300.0_f64], 0.4..1.0_f64), 1..8),
            slots in 1_u32..4,
        ) {
            let parcels: Vec<Parcel> = drawn.iter().map(|(memory, dirty, _)| parcel(*memory, *dirty)).collect();
            let least = least_s(&parcels, BANDWIDTH, slots);
            for spread in [0.0, 0.5, 1.0] {
                let rates = drawn.iter().map(|(_, _, part)| BANDWIDTH * (1.0 - spread * (1.0 - part)));
                let found = scheduled(&parcels.iter().copied().zip(rates).collect::<Vec<_>>(), slots as usize);
                prop_assert!(least <= found + 1e-9, "{least} > {found}");
            }
        }

        #[test]
        fn lanes_end_together_and_use_the_bandwidth(
            mut sizes in prop::collection::vec(1.0..20_000.0_f64, 1..12), slots in 1_usize..4,
        ) {
            sizes.sort_by(|a, b| b.total_cmp(a));
            let parts = lanes(&sizes, slots, BANDWIDTH);
            prop_assert_eq!(parts.len(), sizes.len());
            // A lane is a run of equal parts, or two of them that happen to be equal.
            let mut rates: Vec<(f64, f64)> = Vec::new();
            for (size, part) in sizes.iter().zip(&parts) {
                let lasts = size / (part * BANDWIDTH) + SWITCH_S;
                match rates.last_mut() {
                    Some((rate, lane)) if *rate == *part => *lane += lasts,
                    _ => rates.push((*part, lasts)),
                }
            }
            let ends = rates[0].1;
            prop_assert!(rates.iter().all(|(_, end)| (end - ends).abs() < 1e-6 * ends), "{rates:?}");
            prop_assert!((rates.iter().map(|(rate, _)| rate).sum::<f64>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_dirty_one_goes_alone_and_the_others_share_a_pause() {
        // 9000 MiB at 900 net, then 4000 and 4000 side by side.
        let parcels = [parcel(9000.0, 100.0), parcel(4000.0, 0.0), parcel(4000.0, 0.0)];
        let least = least_s(&parcels, BANDWIDTH, 2);
        assert!((least - (10.03 + 8.03)).abs() < 0.005, "{least}");
        let slower = beside(&parcels, BANDWIDTH, 18.1);
        assert!(
            slower[0].is_some_and(|slower| slower.fastest < BANDWIDTH - 200.0)
                && slower[1] == Some(parcels[1])
        );
        // With one slot they go in a row.
        assert!((least_s(&parcels, BANDWIDTH, 1) - 18.09).abs() < 1e-6);
    }
}
