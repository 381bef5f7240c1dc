//! Which sockets the `tcp` sensor sees, and that it says so.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    path::PathBuf,
};

use aya::maps::{HashMap, Map};
use netprecursor_agent::{
    sensors::{
        cgroup,
        object::Object,
        sockets::{Coverage, Lines, Sockets},
        tcp::Tcp,
    },
    targets::namespace::Namespace,
};
use netprecursor_agent_common::names::map;
use netprecursor_core::signal::Signal;

use crate::fixture::{Behaviour, Family, Host, Observation, Path, Server, Step, alone, ask, exchange, wait_for};

#[test]
fn connections_older_than_the_agent_count_as_unseen() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let mut older = ask(&path.near, server.address);
    exchange(&mut older, 64);

    let mut seen = Observation::of(&[&path.near]);
    let survey = |seen: &Observation| seen.seen(0).coverage;
    seen.until("a survey", |seen| survey(seen).is_some());
    assert_eq!(survey(&seen), Some(Coverage { established: 1, seen: 0, smoothed: 0 }));
    assert_eq!(seen.sum(0, Signal::Opens), 0.0);

    let mut younger = ask(&path.near, server.address);
    exchange(&mut younger, 64);
    // Watched again, it is surveyed at once.
    seen.watch(1, &path.near);
    seen.until("a survey", |seen| seen.seen(1).coverage.is_some());
    assert_eq!(seen.seen(1).coverage, Some(Coverage { established: 2, seen: 1, smoothed: 0 }));
}

#[test]
fn another_program_that_switches_our_callbacks_off_shows_in_coverage() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let mut sensor = Sensor::start(&path.near);

    let mut kept = ask(&path.near, server.address);
    let (_mute, mut lost) = {
        let mute = Mute::start();
        (mute, ask(&path.near, server.address))
    };
    for _ in 0..2 {
        for stream in [&mut kept, &mut lost] {
            for _ in 0..10 {
                exchange(stream, 64);
            }
        }
        // The first survey has nothing to compare with.
        sensor.last = sensor.sockets.survey(&sensor.lines).unwrap();
    }
    assert_eq!(sensor.last, Coverage { established: 2, seen: 1, smoothed: 0 });
}

#[test]
fn a_connection_that_rests_after_a_large_answer_is_seen() {
    let Some(_alone) = alone() else { return };
    const REQUEST: usize = 80;
    const ANSWER: usize = 200_000;
    let path = Path::new();
    let behaviour = Behaviour::Script { request: REQUEST, steps: &[Step::Send(ANSWER)] };
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), behaviour);
    let mut sensor = Sensor::start(&path.far);
    let mut pool: Vec<_> = (0..20).map(|_| ask(&path.near, server.address)).collect();
    for stream in &mut pool {
        stream.write_all(&[0; REQUEST]).unwrap();
        stream.read_exact(&mut vec![0; ANSWER]).unwrap();
    }
    // All of the last flight is acknowledged at the first survey, and must have been seen by the second.
    wait_for("the answers' acknowledgement", || {
        sensor.last = sensor.sockets.survey(&sensor.lines).unwrap();
        sensor.sockets.survey(&sensor.lines).is_ok_and(|again| again == sensor.last).then_some(())
    });
    assert_eq!(sensor.last, Coverage { established: 20, seen: 20, smoothed: 0 });
}

/// The sensor without the thread that surveys from time to time.
struct Sensor {
    sockets: Sockets,
    lines: Lines,
    last: Coverage,
    _tcp: Tcp,
    _object: Object,
}

impl Sensor {
    fn start(host: &Host) -> Self {
        let mut object = Object::load().unwrap();
        let tcp = Tcp::start(&mut object.bpf, object.cpus).unwrap();
        let namespace = Namespace::enter(&host.name).unwrap();
        let slots: Map = object.bpf.take_map(map::NETNS_SLOTS).unwrap();
        let mut slots: HashMap<_, u64, u32> = HashMap::try_from(slots).unwrap();
        slots.insert(namespace.cookie, 0, 0).unwrap();
        Self {
            sockets: Sockets::new(namespace.diag),
            lines: Lines::take(&mut object.bpf).unwrap(),
            last: Coverage::default(),
            _tcp: tcp,
            _object: object,
        }
    }
}

/// A foreign sock_ops program in a cgroup that only this process is in: at its first RTT sample it takes every callback
/// away from a socket.
struct Mute {
    cgroup: PathBuf,
    home: PathBuf,
    _link: OwnedFd,
}

impl Mute {
    fn start() -> Self {
        let root = cgroup::path().unwrap();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
        let home = root.join(own);
        let cgroup = root.join(format!("npt{}", std::process::id()));
        fs::create_dir(&cgroup).unwrap();
        let program = load(&MUTE).unwrap();
        let link = attach(&program, &fs::File::open(&cgroup).unwrap()).unwrap();
        fs::write(cgroup.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        Self { cgroup, home, _link: link }
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = fs::write(self.home.join("cgroup.procs"), std::process::id().to_string());
        let _ = fs::remove_dir(&self.cgroup);
    }
}

/// `struct bpf_insn` of include/uapi/linux/bpf.h; registers: destination in the low half, source in the high one.
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers, offset, immediate }
}

/// `if (ctx->op == BPF_SOCK_OPS_RTT_CB) bpf_sock_ops_cb_flags_set(ctx, 0); return 1;`
static MUTE: [Instruction; 8] = [
    instruction(0xbf, 0x16, 0, 0),  // r6 = r1
    instruction(0x61, 0x12, 0, 0),  // r2 = *(u32 *)(r1 + 0)
    instruction(0x55, 0x02, 3, 12), // if r2 != 12 goto +3
    instruction(0xbf, 0x61, 0, 0),  // r1 = r6
    instruction(0xb7, 0x02, 0, 0),  // r2 = 0
    instruction(0x85, 0x00, 0, 59), // call bpf_sock_ops_cb_flags_set
    instruction(0xb7, 0x00, 0, 1),  // r0 = 1
    instruction(0x95, 0x00, 0, 0),  // exit
];

/// The head of `union bpf_attr` for BPF_PROG_LOAD; the kernel takes what is shorter as zeroes.
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
}

/// Likewise for BPF_LINK_CREATE.
#[repr(C)]
struct LinkCreate {
    program: RawFd,
    target: RawFd,
    attach_type: u32,
    flags: u32,
}

fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attributes` is the start of the union for this command and lives through the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

fn load(program: &'static [Instruction]) -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: libc::c_int = 5;
    const SOCK_OPS: u32 = 13;
    let load = ProgramLoad {
        kind: SOCK_OPS,
        instructions: program.len() as u32,
        code: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
    };
    bpf(BPF_PROG_LOAD, &load)
}

fn attach(program: &OwnedFd, cgroup: &fs::File) -> io::Result<OwnedFd> {
    const BPF_LINK_CREATE: libc::c_int = 28;
    const CGROUP_SOCK_OPS: u32 = 3;
    let (program, target) = (program.as_raw_fd(), cgroup.as_raw_fd());
    bpf(BPF_LINK_CREATE, &LinkCreate { program, target, attach_type: CGROUP_SOCK_OPS, flags: 0 })
}
