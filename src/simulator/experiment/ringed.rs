//! What settings of the strategy `dvms` may be.

use super::sections::{Wrong, within};
use crate::simulator::strategies::dvms::Ringed;

impl Ringed {
    pub(super) fn faults(&self, path: &str, wrong: &mut Wrong) {
        let at = |name: &str| format!("{path}.{name}");
        within(f64::from(self.hosts_per_cell), 1.0, 1e6, &at("hosts_per_cell"), wrong);
        within(f64::from(self.coordinators), 0.0, 1e6, &at("coordinators"), wrong);
        within(self.report_s, 0.001, 1e5, &at("report_s"), wrong);
        within(self.lost_after_s, self.report_s, 1e5, &at("lost_after_s"), wrong);
        within(self.cool_down_s, 0.1, 1e5, &at("cool_down_s"), wrong);
        within(self.lease_s, 2.0, 600.0, &at("lease_s"), wrong);
        within(f64::from(self.fewest), 0.0, 1e6, &at("fewest"), wrong);
        within(f64::from(self.concurrent), 1.0, 1e4, &at("concurrent"), wrong);
        within(self.work_limit as f64, 1.0, 1e12, &at("work_limit"), wrong);
        within(self.usual_s, 0.0, 1e6, &at("usual_s"), wrong);
        within(self.under, 0.0, 1.0, &at("under"), wrong);
        within(self.under_hold_s, 0.0, 1e6, &at("under_hold_s"), wrong);
        within(self.under_cool_down_s, 0.1, 1e6, &at("under_cool_down_s"), wrong);
        within(self.pack_fill, 0.01, 1.0, &at("pack_fill"), wrong);
        within(f64::from(self.pack_hosts), 2.0, 1e6, &at("pack_hosts"), wrong);
        within(self.pack_price_mib, 0.0, 1e12, &at("pack_price_mib"), wrong);
        within(self.fill, 0.01, 1.0, &at("fill"), wrong);
    }
}
