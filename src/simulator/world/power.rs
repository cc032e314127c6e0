//! What a host draws by its use of CPU.

use serde::{Deserialize, Serialize};

/// Watts of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// Milliwatts at 0, 10, …, 100 % of its CPU.
    steps: [i64; 11],
    /// Milliwatts when it is off.
    off: i64,
    /// Milliwatts when it is on and has no VM; absent = as without load.
    empty: Option<i64>,
}

/// Milliwatts by two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draw {
    /// By what was measured of the machine, where that is known; else linear.
    pub measured: i64,
    /// Linear between idle and peak.
    pub linear: i64,
}

/// Known machines, by their results of `SPECpower_ssj2008`, watts at 0, 10, …, 100 %, as `CloudSim` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Machine {
    /// HP `ProLiant` ML110 G4 (Xeon 3040).
    HpMl110G4,
    /// HP `ProLiant` ML110 G5 (Xeon 3075).
    HpMl110G5,
}

impl Machine {
    fn watts(self) -> [f64; 11] {
        match self {
            Self::HpMl110G4 => [86.0, 89.4, 92.6, 96.0, 99.5, 102.0, 106.0, 108.0, 112.0, 114.0, 117.0],
            Self::HpMl110G5 => [93.7, 97.0, 101.0, 105.0, 110.0, 116.0, 121.0, 125.0, 129.0, 133.0, 135.0],
        }
    }
}

impl Power {
    /// From idle to peak in proportion to the use of CPU.
    #[must_use]
    pub fn linear(idle_w: f64, peak_w: f64, off_w: f64) -> Self {
        let step = |i: usize| milli(idle_w + (peak_w - idle_w) * i as f64 / 10.0);
        Self { steps: std::array::from_fn(step), off: milli(off_w), empty: None }
    }

    /// By what was measured of a machine, linear in between.
    #[must_use]
    pub fn measured(machine: Machine, off_w: f64) -> Self {
        Self::table(machine.watts(), off_w)
    }

    /// By watts at 0, 10, …, 100 % of its CPU, linear in between.
    #[must_use]
    pub fn table(watts: [f64; 11], off_w: f64) -> Self {
        Self { steps: watts.map(milli), off: milli(off_w), empty: None }
    }

    /// The same, but for a host that is on without any VM, which draws so many watts.
    #[must_use]
    pub fn and_empty(self, watts: Option<f64>) -> Self {
        Self { empty: watts.map(milli), ..self }
    }

    /// What it draws where it is on without any VM.
    #[must_use]
    pub fn empty(&self) -> Draw {
        self.empty.map_or_else(|| self.on(0, 1), |empty| Draw { measured: empty, linear: empty })
    }

    /// What it draws when it is off.
    #[must_use]
    pub fn off(&self) -> Draw {
        Draw { measured: self.off, linear: self.off }
    }

    /// What it draws where `demand` of `capacity` is asked for; more than all of it cannot be used.
    #[must_use]
    pub fn on(&self, demand: u32, capacity: u32) -> Draw {
        let [idle, .., peak] = self.steps;
        if demand >= capacity {
            return Draw { measured: peak, linear: peak };
        }
        // Whole numbers, so that sums over hosts can be kept up exactly.
        let (demand, capacity) = (i64::from(demand), i64::from(capacity));
        let (low, part) = ((demand * 10 / capacity) as usize, demand * 10 % capacity);
        let between = self.steps[low + 1] - self.steps[low];
        Draw {
            measured: self.steps[low] + between * part / capacity,
            linear: idle + (peak - idle) * demand / capacity,
        }
    }
}

fn milli(watts: f64) -> i64 {
    (watts * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::{Machine, Power};

    #[test]
    fn it_is_linear_between_what_is_known() {
        let power = Power::linear(100.0, 200.0, 10.0);
        let measured = |power: &Power, demand, capacity| power.on(demand, capacity).measured;
        assert_eq!([0, 350, 900].map(|demand| measured(&power, demand, 700)), [100_000, 150_000, 200_000]);
        assert_eq!((power.off().linear, power.on(0, 0).linear), (10_000, 200_000));
        let power = Power::measured(Machine::HpMl110G4, 0.0);
        assert_eq!([100, 150, 1000].map(|demand| measured(&power, demand, 1000)), [89_400, 91_000, 117_000]);
        assert_eq!(power.on(500, 1000).linear, 101_500);
        let power = Power::measured(Machine::HpMl110G5, 0.0);
        assert_eq!([0, 9].map(|demand| measured(&power, demand, 10)), [93_700, 133_000]);
    }

    #[test]
    fn a_measured_machine_draws_what_its_table_says_at_each_point() {
        for (machine, watts) in [
            (Machine::HpMl110G4, [86.0, 89.4, 92.6, 96.0, 99.5, 102.0, 106.0, 108.0, 112.0, 114.0, 117.0]),
            (Machine::HpMl110G5, [93.7, 97.0, 101.0, 105.0, 110.0, 116.0, 121.0, 125.0, 129.0, 133.0, 135.0]),
        ] {
            let power = Power::measured(machine, 0.0);
            for (tenth, watts) in (0..).zip(watts) {
                let drawn = power.on(tenth * 372, 3720).measured;
                assert!((drawn as f64 / 1000.0 - watts).abs() < 1e-9, "{machine:?} at {tenth}0 %: {drawn}");
            }
            assert_eq!(power, Power::table(watts, 0.0));
            assert_eq!(
                (power.empty(), power.clone().and_empty(Some(0.0)).empty().measured),
                (power.on(0, 1), 0)
            );
        }
    }
}
