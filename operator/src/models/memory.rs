//! How much memory a check may take: less than the container has left, so that a hostile model ends its checker and
//! never the operator.

use std::{fs, path::Path};

use netprecursor_models::child::Limits;

/// Where a container sees its own limit and use: cgroup v2, then v1.
const FILES: [[&str; 2]; 2] = [
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"],
    ["/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"],
];

/// Limits for a check now.
pub(super) fn limits() -> Limits {
    let found = FILES.iter().find_map(|[limit, used]| {
        let number = |path: &str| fs::read_to_string(Path::new(path)).ok()?.trim().parse::<u64>().ok();
        Some((number(limit)?, number(used)?))
    });
    let limits = Limits::default();
    Limits { memory_bytes: below(limits.memory_bytes, found), ..limits }
}

/// Of what is left, four fifths; the rest is for what the operator does meanwhile.
fn below(default: u64, found: Option<(u64, u64)>) -> u64 {
    found.map_or(default, |(limit, used)| default.min(limit.saturating_sub(used) / 5 * 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_check_stays_below_what_the_container_has_left() {
        assert_eq!(below(512 * MIB, Some((250 * MIB, 50 * MIB))), 160 * MIB);
        assert_eq!(below(512 * MIB, Some((50 * MIB, 60 * MIB))), 0);
    }

    #[test]
    fn without_a_limit_the_default_holds() {
        // cgroup v1 writes a number near 2^63 for none.
        assert_eq!(below(512 * MIB, Some((u64::MAX / 2, 60 * MIB))), 512 * MIB);
        assert_eq!(below(512 * MIB, None), 512 * MIB);
    }
}
