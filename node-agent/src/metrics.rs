//! What is measured and counted, as series: one table of [`families`], filled from one look at the pipeline ([`seen`]), from
//! which telemetry, `/metrics` and the documentation come.

pub mod families;
pub mod figures;
pub mod label;
pub mod seen;
