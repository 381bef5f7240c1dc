//! What the agent sends of its own accord: alerts, Events and the node report to the API server, metrics and log records to
//! a collector. Each destination has a queue of its own; none has an effect on the tick.

#[cfg(test)]
#[path = "../tests/sinks/firing.rs"]
mod firing;
pub mod kubernetes;
pub mod otlp;
pub mod outbox;
pub mod queue;
pub mod sink;
pub mod words;
