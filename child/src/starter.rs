//! The thread that starts children. The kernel sends the signal of PR_SET_PDEATHSIG when the *thread* ends that started the
//! child, and the threads of tests and of thread pools end before the process: this one does not.

use std::{
    io, mem,
    process::{Child, Command},
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread,
};

type Order = (Command, mpsc::Sender<(Command, io::Result<Child>)>);

/// Starts `command` from a thread that lives as long as this process.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    static STARTER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, incoming) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in incoming {
                // Who asked may be gone; then the answer's child is, too.
                let started = command.spawn();
                if let Err(mpsc::SendError((_, Ok(mut child)))) = answer.send((command, started)) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        Mutex::new(orders)
    });
    let (answer, result) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    let orders = starter.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // Lent to the thread: a command cannot be copied.
    orders.send((mem::replace(command, Command::new("")), answer)).map_err(|_| gone())?;
    let (lent, started) = result.recv().map_err(|_| gone())?;
    *command = lent;
    started
}
