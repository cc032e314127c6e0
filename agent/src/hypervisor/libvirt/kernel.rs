//! What the agent asks the kernel itself, as libvirt does not know it: pressure and interface speed.

use std::{fs, path::Path};

/// Share of the last 10 s in which some task waited for the resource (`cpu` or `memory`), in 1/1000; `None`
/// where the kernel has no PSI.
pub(super) fn pressure_permille(resource: &str) -> Option<u32> {
    parse_pressure(&fs::read_to_string(Path::new("/proc/pressure").join(resource)).ok()?)
}

fn parse_pressure(text: &str) -> Option<u32> {
    let some = text.lines().find(|l| l.starts_with("some "))?;
    let percent: f64 = some.split(' ').find_map(|f| f.strip_prefix("avg10="))?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some((percent * 10.0).round() as u32)
}

/// Mbit/s of the fastest physical interface that is up; 0 = none says.
pub(super) fn network_mbits() -> i64 {
    let interfaces = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let speeds = interfaces.filter_map(|interface| {
        let path = interface.path();
        let physical = path.join("device").exists();
        let up = fs::read_to_string(path.join("operstate")).ok()?.trim() == "up";
        let speed: i64 = fs::read_to_string(path.join("speed")).ok()?.trim().parse().ok()?;
        (physical && up && speed > 0).then_some(speed)
    });
    speeds.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::parse_pressure;

    #[test]
    fn pressure() {
        let text = "some avg10=12.34 avg60=0.54 avg300=0.36 total=32640273\nfull avg10=99.00 avg60=0 avg300=0 total=0\n";
        assert_eq!(parse_pressure(text), Some(123));
        assert_eq!(parse_pressure("some avg10=x"), None);
        assert_eq!(parse_pressure("some avg10=200.0 "), None);
        assert_eq!(parse_pressure(""), None);
    }
}
