//! The privileged daemon: sensors, tick pipeline, sinks.

fn main() {}
