//! Threads that compete for a CPU.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use super::desired::Spinners;

/// Spinning and sleeping alternate in this period: short against a tick, long against a scheduler's slice.
const PERIOD: Duration = Duration::from_millis(50);

/// Running spinners. Dropping them ends them.
#[derive(Debug)]
pub(crate) struct Spinning {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Spinning {
    /// Starts them on one CPU.
    pub(crate) fn start(spinners: Spinners, cpu: usize) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut spinning = Self { stop: Arc::clone(&stop), threads: Vec::new() };
        for _ in 0..spinners.threads {
            let stop = Arc::clone(&stop);
            let body = move || spin(spinners, cpu, &stop);
            spinning.threads.push(thread::Builder::new().name("lab-spinner".into()).spawn(body)?);
        }
        Ok(spinning)
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn spin(spinners: Spinners, cpu: usize, stop: &AtomicBool) {
    let mut set = CpuSet::new();
    if set.set(cpu).is_ok() {
        // A CPU that went offline leaves the thread where it is.
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
    set_nice(spinners.nice);
    let busy = PERIOD.mul_f64(spinners.duty.clamp(0.0, 1.0));
    while !stop.load(Relaxed) {
        let begun = Instant::now();
        while begun.elapsed() < busy {
            std::hint::black_box(begun);
        }
        thread::sleep(PERIOD.saturating_sub(begun.elapsed()));
    }
}

/// Nice value of the calling thread (Linux keeps it per thread, setpriority(2)); a refusal changes nothing else.
pub(crate) fn set_nice(nice: i32) {
    // SAFETY: the call takes and returns plain integers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}
