//! Random numbers that are the same on every machine and in every version: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of one user of randomness: each `stream` of a seed is a stream of its own.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed);
        let first = mixed.bits();
        let mut own = Self(first ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
        own.bits();
        own
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, 1.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `bound`; 0 for 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u32
    }

    /// From the normal distribution with mean 0 and deviation 1: the polar method (Marsaglia, Bray, SIAM Review 6, 1964).
    pub fn gaussian(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.fraction() - 1.0, 2.0 * self.fraction() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// From the exponential distribution with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.fraction()).ln()
    }

    /// From the Poisson distribution with this mean, some hundreds at most (Knuth, volume 2, section 3.4.1).
    pub fn poisson(&mut self, mean: f64) -> u32 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.fraction(), 0);
        while product > limit {
            product *= self.fraction();
            count += 1;
        }
        count
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn it_is_even_and_repeats() {
        let draw = |seed, stream| {
            let mut random = Random::new(seed, stream);
            (0..1000).map(|_| random.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert!(draw(1, 2) != draw(1, 3) && draw(1, 2) != draw(2, 2));
        for digit in 0..10 {
            let count = draw(7, 0).iter().filter(|drawn| **drawn == digit).count();
            assert!((60..=140).contains(&count), "{digit} came {count} times of 1000");
        }
        let mut random = Random::new(5, 5);
        let hits = (0..10_000).filter(|_| random.happens(0.25)).count();
        assert!((2300..=2700).contains(&hits), "{hits}");
        assert_eq!(random.below(0), 0);
    }
}
