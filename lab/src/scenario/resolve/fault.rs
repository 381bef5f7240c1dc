//! Resolves the faults.

use super::{
    super::{Bottleneck, Effect, Fault, Repeat, Shape, Topology},
    Drawing, MAX_SECONDS, RESPONSE_BYTES,
    load::light_enough,
};
use crate::LabError;

impl Fault {
    /// The fault and its repeats. Each has a duration of its own; the effect is the same.
    pub(super) fn resolve(
        &self,
        draw: &mut Drawing<'_>,
        topology: &Topology<f64>,
    ) -> Result<Vec<Fault<f64>>, LabError> {
        let lasts_s = draw.number("lasts_s", &self.lasts_s, 0.1, MAX_SECONDS)?;
        let after_s = draw.number("after_s", &self.after_s, 0.0, MAX_SECONDS)?;
        let effect = self.effect.resolve(draw, topology)?;
        let mut faults = vec![Fault { after_s, lasts_s, effect: effect.clone(), repeat: None }];
        if let Some(Repeat { times, every_s }) = &self.repeat {
            let times = draw.whole("repeat.times", times, 1.0, 100.0)? as usize;
            let every_s = draw.number("repeat.every_s", every_s, 1.0, MAX_SECONDS)?;
            while faults.len() < times {
                let after_s = every_s - faults[faults.len() - 1].lasts_s;
                if after_s < 0.0 {
                    return Err(draw.refuse("repeat.every_s", every_s, "at least as long as the fault lasts"));
                }
                let lasts_s = draw.number("lasts_s", &self.lasts_s, 0.1, MAX_SECONDS)?;
                faults.push(Fault { after_s, lasts_s, effect: effect.clone(), repeat: None });
            }
        }
        Ok(faults)
    }
}

impl Effect {
    fn resolve(&self, draw: &mut Drawing<'_>, topology: &Topology<f64>) -> Result<Effect<f64>, LabError> {
        let (min, max) = (*RESPONSE_BYTES.start(), *RESPONSE_BYTES.end());
        Ok(match self {
            Self::Load { offered, response_bytes, shape, server } => {
                let offered = draw.number("effect.load.offered", offered, 0.0, 20.0)?;
                let response_bytes = draw.whole("effect.load.response_bytes", response_bytes, min, max)?;
                Effect::Load {
                    offered,
                    response_bytes: light_enough(offered, response_bytes, topology).min(max),
                    shape: shape.resolve(draw)?,
                    server: match server {
                        Some(server) => {
                            let drawn = draw.whole("effect.load.server", server, 1.0, 32.0)?;
                            Some((drawn - 1.0) % topology.servers + 1.0)
                        }
                        None => None,
                    },
                }
            }
            Self::Capacity { to, over_s } => Effect::Capacity {
                to: draw.number("effect.capacity.to", to, 0.02, 1.0)?,
                over_s: draw.number("effect.capacity.over_s", over_s, 0.0, MAX_SECONDS)?,
            },
            Self::Delay { add_ms } => {
                require_relay(draw, topology, "delay")?;
                Effect::Delay { add_ms: draw.number("effect.delay.add_ms", add_ms, 0.0, 2000.0)? }
            }
            Self::Loss { percent, over_s } => {
                require_relay(draw, topology, "loss")?;
                Effect::Loss {
                    percent: draw.number("effect.loss.percent", percent, 0.0, 100.0)?,
                    over_s: draw.number("effect.loss.over_s", over_s, 0.0, MAX_SECONDS)?,
                }
            }
            Self::Cpu { spinners, nice, duty } => Effect::Cpu {
                spinners: draw.whole("effect.cpu.spinners", spinners, 1.0, 16.0)?,
                nice: draw.whole("effect.cpu.nice", nice, 0.0, 19.0)?,
                duty: draw.number("effect.cpu.duty", duty, 0.05, 1.0)?,
            },
            Self::Bulk { flows, from } => {
                if self.needs_neighbour() {
                    require_shared(draw, topology, "bulk.from")?;
                }
                Effect::Bulk { flows: draw.whole("effect.bulk.flows", flows, 1.0, 16.0)?, from: *from }
            }
            Self::BurstLoss { enter_percent, leave_percent, lost_percent } => {
                require_relay(draw, topology, "burst-loss")?;
                Effect::BurstLoss {
                    enter_percent: draw.number("effect.burst-loss.enter_percent", enter_percent, 0.0, 100.0)?,
                    leave_percent: draw.number("effect.burst-loss.leave_percent", leave_percent, 0.1, 100.0)?,
                    lost_percent: draw.number("effect.burst-loss.lost_percent", lost_percent, 0.0, 100.0)?,
                }
            }
            Self::Stall => Effect::Stall,
            Self::Flood { offered, shape } => {
                require_shared(draw, topology, "flood")?;
                let offered = draw.number("effect.flood.offered", offered, 0.0, 5.0)?;
                Effect::Flood { offered, shape: shape.resolve(draw)? }
            }
        })
    }
}

/// Delay and loss are made in the relay, which a base RTT of zero leaves out.
fn require_relay(draw: &Drawing<'_>, topology: &Topology<f64>, effect: &str) -> Result<(), LabError> {
    if topology.base_rtt_ms > 0.0 {
        return Ok(());
    }
    let got = format!("base_rtt_ms 0 in '{}'", draw.name);
    Err(draw.refuse(&format!("effect.{effect}"), got, "base_rtt_ms above 0: the relay makes this effect"))
}

/// A neighbour is one because it shares the bottleneck.
fn require_shared(draw: &Drawing<'_>, topology: &Topology<f64>, effect: &str) -> Result<(), LabError> {
    if topology.bottleneck == Bottleneck::Router {
        return Ok(());
    }
    let got = format!("bottleneck server in '{}'", draw.name);
    Err(draw.refuse(&format!("effect.{effect}"), got, "bottleneck router: the neighbour shares it"))
}

impl Shape {
    fn resolve(&self, draw: &mut Drawing<'_>) -> Result<Shape<f64>, LabError> {
        Ok(match self {
            Self::Constant => Shape::Constant,
            Self::Ramp { over_s } => {
                Shape::Ramp { over_s: draw.number("effect.load.shape.ramp.over_s", over_s, 0.1, MAX_SECONDS)? }
            }
            Self::Pulses { every_s, on_s } => Shape::Pulses {
                every_s: draw.number("effect.load.shape.pulses.every_s", every_s, 0.1, MAX_SECONDS)?,
                on_s: draw.number("effect.load.shape.pulses.on_s", on_s, 0.01, MAX_SECONDS)?,
            },
        })
    }
}
