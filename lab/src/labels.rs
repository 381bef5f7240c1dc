//! The ground truth of an episode: an observer that shares no code with the agent, and the labels made from it.

mod incident;
mod observer;
mod origin;
mod record;

pub use incident::{Cause, Incident, Second, incidents};
pub(crate) use observer::{Observer, Seen};
pub use origin::{Origin, origin};
pub use record::{FaultTimes, Instants, Labels, ObserverError, TargetLabels};
