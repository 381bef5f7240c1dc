//! Who is watched: on one host the network namespaces that match selectors from the command line, in a cluster the pods
//! of this node ([`ownership`]); and their slots.

pub mod cgroups;
pub mod identifier;
pub mod names;
pub mod namespace;
pub mod ownership;
pub mod registry;
pub mod selector;
