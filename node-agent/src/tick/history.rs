//! The last minutes of a target as the dashboard draws them.

use std::collections::VecDeque;

use serde::Serialize;

/// Ticks kept: five minutes.
pub const LENGTH: usize = 300;

/// One tick of one target.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Unix time, s.
    pub unix: u64,
    /// Maximum RTT of the tick in µs; none when nothing was measured.
    pub measured_us: Option<f32>,
    /// Forecast of the maximum RTT of the ten seconds that follow, in µs: the median of the target's first rule.
    pub predicted_us: Option<f32>,
    /// The chance that those ten seconds breach the threshold of the target's first rule.
    pub chance: Option<f32>,
    /// Whether an alert was out.
    pub firing: bool,
}

/// A ring of points. Allocates when it is made and never again.
#[derive(Debug, Clone)]
pub struct History(VecDeque<Point>);

impl Default for History {
    fn default() -> Self {
        Self(VecDeque::with_capacity(LENGTH))
    }
}

impl History {
    /// Adds the newest tick.
    pub fn push(&mut self, point: Point) {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// Oldest first.
    pub fn points(&self) -> impl ExactSizeIterator<Item = &Point> {
        self.0.iter()
    }

    /// The newest.
    pub fn latest(&self) -> Option<&Point> {
        self.0.back()
    }
}
