//! The sensors on the real kernel: namespaces, real sockets, a real queue.
