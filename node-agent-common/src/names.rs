//! Names of the object's maps, constants and programs, which both sides of the kernel line use.
//!
//! The macros of the BPF side take no constants as names: the agent's tests compare the built object with these.

macro_rules! names {
    ($($constant:ident = $name:literal),+ $(,)?) => {
        $(#[doc = concat!("`", $name, "`")] pub const $constant: &str = $name;)+
        /// All of them.
        pub const ALL: &[&str] = &[$($constant),+];
    };
    ($($name:ident),+ $(,)?) => {
        $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: &str = stringify!($name);)+
        /// All of them.
        pub const ALL: &[&str] = &[$($name),+];
    };
}

/// Maps.
pub mod map {
    names!(
        CGROUP_SLOTS,
        CLAIMS,
        COUNTERS,
        EPOCH,
        GENERATIONS,
        LOCAL_CONNECTS,
        MEMBERS,
        NETNS_SLOTS,
        OLDER_LINES,
        OLDER_SLOTS,
        PEERS,
        PEERS_VERSION,
        SCHED_SLOTS,
        SOCKET_LINES,
        TASKS,
        TCP_SLOTS,
        TRAFFIC_SLOTS,
        VIEWS,
    );
}

/// Constants that the loader sets.
pub mod constant {
    names!(
        FORK_CHILD_PID_OFFSET,
        JIFFY_NS,
        POSSIBLE_CPUS,
        SWITCH_NEXT_PID_OFFSET,
        SWITCH_PREV_PID_OFFSET,
        SWITCH_PREV_STATE_OFFSET,
        TASK_PID_OFFSET,
        TASK_STATE_OFFSET,
        WAKEUP_PID_OFFSET,
    );
}

/// Programs; those of tracepoints have the tracepoint's name, those of raw tracepoints the same with an ending.
pub mod program {
    names!(
        SCHED_PROCESS_EXIT = "sched_process_exit",
        SCHED_PROCESS_FORK = "sched_process_fork",
        SCHED_SWITCH = "sched_switch",
        SCHED_WAKEUP = "sched_wakeup",
        SCHED_WAKEUP_NEW = "sched_wakeup_new",
        RAW_PROCESS_EXIT = "sched_process_exit_raw",
        RAW_PROCESS_FORK = "sched_process_fork_raw",
        RAW_SWITCH = "sched_switch_raw",
        RAW_WAKEUP = "sched_wakeup_raw",
        RAW_WAKEUP_NEW = "sched_wakeup_new_raw",
        TCP = "tcp",
        TCP_EMPTY = "tcp_empty",
        TCP_UNFILTERED = "tcp_unfiltered",
        TRAFFIC_EGRESS = "traffic_egress",
        TRAFFIC_EGRESS_BY_SOCKET = "traffic_egress_by_socket",
        TRAFFIC_EGRESS_COUNTING = "traffic_egress_counting",
        TRAFFIC_INGRESS = "traffic_ingress",
        TRAFFIC_INGRESS_BY_SOCKET = "traffic_ingress_by_socket",
    );
}
