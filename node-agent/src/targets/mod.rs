//! Who is watched: selectors from the command line, the network namespaces that match them, and their slots.

pub mod namespace;
pub mod registry;
pub mod selector;
