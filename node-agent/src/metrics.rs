//! What is measured and counted, as series: one table of [`families`], filled from one look at the pipeline ([`seen`]), from
//! which telemetry, `/metrics` and the documentation come.

pub mod figures;
pub mod seen;

pub use netprecursor_metrics::{Family, agent as families, label};
