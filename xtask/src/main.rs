//! The project's own chores: test tiers, benchmarks, generated files.

fn main() {}
