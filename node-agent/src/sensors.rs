//! What the agent measures with. A sensor is the BPF programs, maps and files behind some signals, managed as one unit
//! with one status. Nothing here ends the process: what cannot attach reports why, and its signals stay absent.

pub mod btf;
pub mod cgroup;
pub mod ends;
pub mod histogram;
pub mod identity;
pub mod mapped;
pub mod node;
pub mod object;
pub mod older;
pub mod peers;
pub mod procnet;
pub mod qdisc;
pub mod sched;
pub mod sockets;
pub mod stalls;
pub mod suite;
pub mod surveyor;
pub mod tcp;
pub mod tracepoint;
pub mod traffic;
pub mod views;
