//! What the API shows of a snapshot: pure functions of it, one file for what is shown together.

pub(super) mod alerts;
pub(super) mod forecasts;
pub(super) mod history;
pub(super) mod scores;
pub(super) mod sensors;
pub(super) mod targets;
