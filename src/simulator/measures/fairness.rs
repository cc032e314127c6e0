//! How evenly load, and what is lacking, is shared: Jain's index (Jain, Chiu, Hawe, DEC-TR-301, 1984).

use serde::Serialize;

/// (Σx)² ÷ (n · Σx²): 1 where all have the same, 1 ÷ n where one of n has all; 1 of nothing.
#[must_use]
pub fn jain(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        (count, sum, squares) = (count + 1.0, sum + value, squares + value * value);
    }
    if squares > 0.0 { sum * sum / (count * squares) } else { 1.0 }
}

/// What is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, serde::Deserialize)]
pub struct FairnessReport {
    /// Of what is asked of each host that is on, as a share of its CPU; mean of all samples.
    pub hosts_load: f64,
    /// Of what each VM has lacked: one of n lacks all at 1 ÷ n, all lack as much at 1.
    pub vms_lack: f64,
    /// Core-seconds that VMs have asked for and not got, as more was asked of their hosts than these have. A host that is over
    /// gives each of its VMs the same share of what it asks for.
    pub lack_core_s: f64,
}

#[cfg(test)]
mod tests {
    use super::jain;

    #[test]
    fn the_index_of_jain_is_as_worked_out_by_hand() {
        let of = |values: &[f64]| jain(values.iter().copied());
        assert_eq!(
            [of(&[3.0, 3.0, 3.0]), of(&[0.0, 0.0, 5.0, 0.0]), of(&[]), of(&[0.0])],
            [1.0, 0.25, 1.0, 1.0]
        );
        // (1 + 2 + 3)² ÷ (3 · (1 + 4 + 9))
        assert_eq!(of(&[1.0, 2.0, 3.0]), 36.0 / 42.0);
    }
}
