//! What Java programs draw and in which order they walk: needed to have the events of simulators that are written in
//! Java, bit for bit.

/// `java.util.Random`: the 48-bit linear congruential generator that its API documents.
#[derive(Debug, Clone)]
pub struct JavaRandom {
    state: u64,
    spare: Option<f64>,
}

const MASK: u64 = (1 << 48) - 1;
const FACTOR: u64 = 0x5_DEEC_E66D;
const STEP: u64 = 0xB;

impl JavaRandom {
    /// A stream; the same seed draws the same.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: (seed ^ FACTOR) & MASK, spare: None }
    }

    fn bits(&mut self, count: u32) -> u64 {
        self.state = self.state.wrapping_mul(FACTOR).wrapping_add(STEP) & MASK;
        self.state >> (48 - count)
    }

    /// A number below `bound`, which is 1 to 2³¹ − 1.
    pub fn below(&mut self, bound: u32) -> u32 {
        let bound = u64::from(bound);
        if bound.is_power_of_two() {
            return ((bound * self.bits(31)) >> 31) as u32;
        }
        loop {
            let drawn = self.bits(31);
            let value = drawn % bound;
            // Java draws again where its 32 bits would overflow.
            if drawn - value + bound - 1 < 1 << 31 {
                return value as u32;
            }
        }
    }

    /// A number from 0 up to, not including, 1.
    pub fn fraction(&mut self) -> f64 {
        let high = self.bits(26);
        ((high << 27) + self.bits(27)) as f64 / (1_u64 << 53) as f64
    }

    /// Gaussian with mean 0 and standard deviation 1: the polar method makes two at a time.
    pub fn gaussian(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x = 2.0 * self.fraction() - 1.0;
            let y = 2.0 * self.fraction() - 1.0;
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Exponential with this rate: what passes between events that come `rate` times a second.
    pub fn exponential(&mut self, rate: f64) -> f64 {
        -(1.0 - self.fraction()).ln() / rate
    }
}

/// Of more keys than this in one bucket Java makes a tree, whose order is not modelled.
const LONGEST_CHAIN: u8 = 8;

/// In which order a default `java.util.HashMap` (Java 8 and later) gives the keys `prefix0`, `prefix1`, … that were put in
/// by number: the numbers. `None` where a bucket gets so full that Java makes a tree of it.
#[must_use]
pub fn hash_map_order(prefix: &str, count: u32) -> Option<Vec<u32>> {
    let start = prefix.bytes().fold(0_u32, hash_step);
    let mut digits = Vec::new();
    let mut hash = |number: u32| {
        digits.clear();
        let mut rest = number;
        loop {
            digits.push(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let hash = digits.iter().rev().copied().fold(start, hash_step);
        hash ^ (hash >> 16)
    };
    let hashes: Vec<u32> = (0..count).map(&mut hash).collect();
    // The table doubles when it is more than three quarters full; each doubling keeps the order within buckets.
    let mut capacity = 16_usize;
    loop {
        let held = (capacity / 4 * 3 + 1).min(hashes.len());
        let mut fill = vec![0_u8; capacity];
        for hash in &hashes[..held] {
            let bucket = &mut fill[*hash as usize & (capacity - 1)];
            *bucket += 1;
            if *bucket > LONGEST_CHAIN {
                return None;
            }
        }
        if hashes.len() <= capacity / 4 * 3 {
            break;
        }
        capacity *= 2;
    }
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_by_key(|number| hashes[*number as usize] as usize & (capacity - 1));
    Some(order)
}

fn hash_step(hash: u32, byte: u8) -> u32 {
    hash.wrapping_mul(31).wrapping_add(u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_draws_what_java_draws() {
        // What `new Random(42)` is known to give; of Gaussians the last bit is that of another logarithm.
        let mut random = JavaRandom::new(42);
        assert_eq!([random.below(10), random.below(10)], [0, 3]);
        assert!((JavaRandom::new(42).gaussian() - 1.141_905_315_473_054_7).abs() < 1e-15);
        let mut random = JavaRandom::new(0);
        assert_eq!(random.fraction().to_bits(), 0.730_967_787_376_657_f64.to_bits());
    }

    #[test]
    fn small_maps_are_walked_by_bucket() {
        // "a0" hashes to 3055, bucket 15; "a1" to 3056, bucket 0; and so on.
        assert_eq!(hash_map_order("a", 4), Some(vec![1, 2, 3, 0]));
        assert_eq!(hash_map_order("a", 0), Some(vec![]));
    }

    #[test]
    fn every_number_is_there_once() {
        for count in [1, 12, 13, 640, 10_240] {
            let mut order = hash_map_order("vm-", count).unwrap();
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..count), "{count}");
        }
    }
}
