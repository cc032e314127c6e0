//! What others would have said of a migration, to compare with.

use super::{Path, Workload};

/// MiB/s of a link of so many Mbit/s, with 8 bits a byte.
#[must_use]
pub fn mib_s(mbit_s: f64) -> f64 {
    mbit_s * 1e6 / 8.0 / f64::from(1 << 20)
}

/// Memory ÷ bandwidth: nothing is written meanwhile and nothing else takes time. Seconds.
#[must_use]
pub fn naive_s(workload: &Workload, path: Path) -> f64 {
    workload.memory_mib / path.bandwidth_mib_s
}

/// The closed form of BtrPlace's network view (Kherbache, Madelaine, Hermenier: Scheduling live migration of virtual
/// machines, TCC 2017, equations 2 to 5): a pass over the memory, one over what was written meanwhile, one over the hot
/// set. Megabytes of megabits with 9 bits a byte, as there. Seconds.
#[must_use]
pub fn btrplace_s(workload: &Workload, mbit_s: f64) -> f64 {
    let rate = mbit_s / 9.0;
    let Workload { memory_mib, hot_mib, hot_s, cold_mib_s } = *workload;
    let whole = memory_mib / rate;
    let again = if hot_s > 0.0 { hot_mib / hot_s } else { 0.0 };
    if whole > hot_s {
        let written = (hot_mib + (whole - hot_s) * cold_mib_s) / (rate - cold_mib_s);
        whole + written + hot_mib / rate * again / (rate - again)
    } else {
        whole + again * whole / (rate - again)
    }
}
