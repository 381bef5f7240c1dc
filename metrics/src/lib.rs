//! Names of metrics. Agent and operator expose the families of these tables, and nothing else; documentation, dashboards and
//! rules take their names from here.

pub mod agent;
pub mod family;
pub mod label;
pub mod operator;
pub mod query;

pub use family::{Family, Kind};
pub use label::Label;
