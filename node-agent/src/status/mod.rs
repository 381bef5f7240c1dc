//! What the agent says of itself and of the machine it runs on.

pub mod advice;
pub mod capability;
pub mod doctor;
pub mod kernel;
