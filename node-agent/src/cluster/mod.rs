//! The agent in a cluster: what the API server says is to be watched, and what it is told.

pub mod seam;
