//! What the agent sends of its own accord: alerts, Events and the node report to the API server, metrics and log records to
//! a collector, and on a single host alerts to Alertmanager and a webhook. Each destination has a queue of its own; none has
//! an effect on the tick.

#[cfg(test)]
#[path = "../tests/sinks/firing.rs"]
mod firing;
pub mod kubernetes;
pub mod otlp;
pub mod outbox;
pub mod queue;
pub mod receivers;
pub mod sink;
pub mod words;
