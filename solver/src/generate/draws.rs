//! Random numbers by the laws that the generator needs.

use crate::search::Random;

/// One of the items, each as likely as its weight says.
pub(super) fn weighted<'a, T>(random: &mut Random, items: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
    let total: u32 = items.iter().map(&weight).sum();
    let mut left = random.below(total.max(1) as usize) as u32;
    for item in items {
        if left < weight(item) {
            return item;
        }
        left -= weight(item);
    }
    &items[items.len() - 1]
}

/// Within two numbers.
pub(super) fn uniform(random: &mut Random, from: f64, to: f64) -> f64 {
    from + (to - from) * random.share()
}

/// A whole number within two, both included.
pub(super) fn whole(random: &mut Random, from: usize, to: usize) -> usize {
    from + random.below(to - from + 1)
}

/// The normal law, by the transformation of Box and Muller.
pub(super) fn normal(random: &mut Random, mean: f64, deviation: f64) -> f64 {
    let (radius, angle) = (1.0 - random.share(), random.share());
    mean + deviation * (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// The beta law, by the method of Jöhnk, which is quick for small parameters.
pub(super) fn beta(random: &mut Random, a: f64, b: f64) -> f64 {
    loop {
        let (x, y) = (random.share().powf(1.0 / a), random.share().powf(1.0 / b));
        if x + y <= 1.0 && x + y > 0.0 {
            return x / (x + y);
        }
    }
}

/// Some of the numbers below `most`, in random order.
pub(super) fn some(random: &mut Random, most: usize, count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..most).collect();
    random.shuffle(&mut all);
    all.truncate(count);
    all
}
