//! What the process takes of the memory, and on what machine it runs; as Linux tells it.

use std::fs;

/// Begins to look for the highest use of memory anew.
pub(super) fn forget_peak() {
    // Where that is not possible, the peak is that since the process began.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The highest resident memory since [`forget_peak`], MiB.
pub(super) fn peak_mib() -> Option<f64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM").map(|kib| kib / 1024.0)
}

/// Kind of processor, number of them, GiB of memory.
pub(super) fn machine() -> (String, usize, f64) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name.trim());
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or(0.0) / 1_048_576.0;
    (model.to_owned(), std::thread::available_parallelism().map_or(1, usize::from), memory)
}

/// A figure of a file of `NAME: FIGURE kB`.
fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_name() {
        let text = "VmPeak:\t  10 kB\nVmHWM:\t 2048 kB\n";
        assert_eq!((field(text, "VmHWM"), field(text, "Vm")), (Some(2048.0), None));
    }
}
