//! What workloads were like, beyond the life of each of their targets: a new pod of a workload begins with it.

use std::{borrow::Cow, collections::BTreeMap};

use netprecursor_agent_common::MAX_SLOTS;
use netprecursor_core::{memory::Memory, tick::Tick};

use super::target::Target;

/// Workloads remembered of which nothing is watched any more; the one whose last target went first goes first. 1.7 MB.
const LEFT: usize = 128;

/// Workloads remembered, those that are watched included.
pub const CAPACITY: usize = LEFT + MAX_SLOTS as usize;

/// The memories of workloads that are not watched, by name. A target of a workload that is has its own, which began with
/// what was known before: it knows more.
#[derive(Debug, Default)]
pub struct Memories {
    left: BTreeMap<String, Left>,
}

#[derive(Debug)]
struct Left {
    memory: Memory,
    since: Tick,
}

impl Memories {
    /// With what was kept from before the agent started.
    pub fn new(kept: BTreeMap<String, Memory>, now: Tick) -> Self {
        let left = kept.into_iter().map(|(workload, memory)| (workload, Left { memory, since: now }));
        Self { left: left.take(CAPACITY).collect() }
    }

    /// What a new target of `workload` begins with.
    pub fn recall(&mut self, workload: &str, targets: &[Target]) -> Memory {
        let alive = targets.iter().filter(|target| target.about.workload().as_deref() == Some(workload));
        let alive = alive.map(|target| target.plain().window.memory()).max_by_key(|memory| memory.extent()).cloned();
        alive.or_else(|| self.left.remove(workload).map(|left| left.memory)).unwrap_or_default()
    }

    /// A target of `workload` is gone.
    pub fn leave(&mut self, workload: String, memory: Memory, now: Tick) {
        self.left.insert(workload, Left { memory, since: now });
        while self.left.len() > LEFT {
            let oldest = self.left.iter().min_by_key(|(_, left)| left.since).map(|(workload, _)| workload.clone());
            oldest.and_then(|oldest| self.left.remove(&oldest));
        }
    }

    /// What is to be kept.
    pub fn snapshot(&self, targets: &[Target]) -> BTreeMap<String, Memory> {
        let mut alive: BTreeMap<Cow<'_, str>, &Memory> = BTreeMap::new();
        for target in targets {
            let Some(workload) = target.about.workload() else { continue };
            let memory = target.plain().window.memory();
            let known = alive.entry(workload).or_insert(memory);
            if memory.extent() > known.extent() {
                *known = memory;
            }
        }
        let left = self.left.iter().map(|(workload, left)| (Cow::Borrowed(workload.as_str()), &left.memory));
        // What is alive comes last and wins.
        left.chain(alive).map(|(workload, memory)| (workload.into_owned(), memory.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::{
        signal::{Signal, Signals},
        window::Window,
    };

    use super::*;

    fn memory(ticks: u64) -> Memory {
        let mut window = Window::new();
        for tick in 0..ticks {
            let mut signals = Signals::ABSENT;
            signals.set(Signal::RttMax, 1_000.0);
            window.push(Tick(tick), &signals).unwrap();
        }
        window.memory().clone()
    }

    #[test]
    fn a_new_target_begins_with_what_the_last_one_of_its_workload_left() {
        let mut memories = Memories::new([("api".to_owned(), memory(100))].into(), Tick(100));
        memories.leave("web".to_owned(), memory(700), Tick(700));
        assert_eq!(memories.recall("db", &[]).keep(), None);
        assert_eq!(memories.recall("web", &[]).keep(), memory(700).keep());
        assert_eq!(memories.recall("api", &[]).keep(), memory(100).keep());
        assert_eq!(memories.recall("web", &[]).keep(), None, "whoever took it up has it");
    }

    #[test]
    fn what_was_left_longest_ago_makes_room() {
        let mut memories = Memories::default();
        let name = |number: u64| format!("w{number}");
        for number in 0..LEFT as u64 + 2 {
            memories.leave(name(number), memory(10), Tick(number));
        }
        assert_eq!(memories.snapshot(&[]).len(), LEFT);
        assert_eq!([0, 1, 2].map(|number| memories.recall(&name(number), &[]).extent() > 0), [false, false, true]);
    }
}
