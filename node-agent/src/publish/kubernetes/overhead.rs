//! The agent's use of CPU and memory, as the kernel counts it.

use std::{fs, time::Duration};

use netprecursor_crds::report::Overhead;

/// CPU time per time that passed, since the last look, and resident memory.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<(Duration, Duration)>,
}

impl Meter {
    /// Looks at `now` (since any one moment); `None` at the first time, or when `/proc` cannot be read.
    pub(super) fn read(&mut self, now: Duration) -> Option<Overhead> {
        let cpu = cpu_time()?;
        let (then, before) = self.last.replace((now, cpu))?;
        let passed = now.checked_sub(then).filter(|passed| !passed.is_zero())?;
        let milli = 1000.0 * cpu.saturating_sub(before).as_secs_f64() / passed.as_secs_f64();
        let status = fs::read_to_string("/proc/self/status").ok()?;
        Some(Overhead { cpu: format!("{}m", milli.ceil() as u64), memory: format!("{}Ki", resident_kib(&status)?) })
    }
}

fn cpu_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    (failed == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// `VmRSS` of `/proc/PID/status`, KiB.
fn resident_kib(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_look_gives_what_was_used_between() {
        let mut meter = Meter::default();
        assert_eq!(meter.read(Duration::from_secs(1)), None);
        let taken = meter.read(Duration::from_secs(1001)).unwrap();
        assert!(taken.cpu.ends_with('m') && taken.memory.ends_with("Ki"), "{taken:?}");
    }

    #[test]
    fn resident_memory_is_read_in_kibibytes() {
        assert_eq!(resident_kib("Name:\tagent\nVmRSS:\t   31744 kB\nThreads:\t4\n"), Some(31_744));
        assert_eq!(resident_kib("Name:\tagent\n"), None);
    }
}
