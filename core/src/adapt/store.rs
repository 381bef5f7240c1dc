//! What was learned, as JSON with names: a release with other experts or features takes over what it knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Evidence, Expert, FEATURES, Hazard, Made, Mixture, Odds, Peers, Shown, Situation, Source, VOICES, feature_name,
    hazard,
    mixture::{self, PRIOR_SHARE, Quantile, Scales},
    newton::Newton,
    offsets::MAX_OFFSET,
    voice_name,
};

/// All that is learned in place for a rule, and where training lets it begin.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Learned {
    mixture: Mixture,
    hazard: Hazard,
    scales: Scales,
}

/// Numbers that no learning leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{part} has numbers out of range")]
pub struct StoreError {
    /// Where.
    pub part: &'static str,
}

/// The JSON form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Stored {
    /// In the order of [`crate::forecast::QUANTILES`].
    quantiles: Vec<StoredQuantile>,
    /// By [`Source`].
    hazard: BTreeMap<String, StoredBelief>,
    /// The usual size by feature.
    scales: BTreeMap<String, f32>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredQuantile {
    /// ln(µs) by expert.
    offsets: BTreeMap<String, f64>,
    /// Regret, variance and range by voice.
    voices: BTreeMap<String, [f64; 3]>,
    regression: StoredNewton,
    /// The running mean of the regression's losses, ln(µs).
    loss: f64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredBelief {
    /// In the mixture.
    weight: f64,
    regression: StoredNewton,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredNewton {
    coefficients: BTreeMap<String, f64>,
    /// The order of rows and columns.
    inputs: Vec<String>,
    /// Rows of the lower triangle; single precision is enough for how sure something is, and half as long.
    information: Vec<Vec<f32>>,
}

impl Learned {
    /// What the mixture makes of the evidence; `None` when every expert is asleep.
    pub fn make(&self, evidence: &Evidence) -> Option<Made> {
        self.mixture.make(evidence, &self.scales)
    }

    /// What a chance of a breach of `threshold_us` is made of. `shown` is what the target showed its peers last, and becomes
    /// what it shows them now.
    pub fn situation<'a>(
        &self,
        evidence: &'a Evidence,
        threshold_us: f32,
        peers: &mut Peers,
        shown: &mut Option<Shown>,
    ) -> Situation<'a> {
        let seen = peers.seen(shown.as_ref());
        *shown = Some(peers.show(hazard::shows(evidence, threshold_us, &self.scales)));
        Situation { evidence, threshold_us, peers: seen }
    }

    /// Log-odds of a breach.
    pub fn odds(&self, of: &Situation<'_>) -> Odds {
        self.hazard.odds(of, &self.scales)
    }

    /// Takes in what was forecast and the maximum of its horizon in µs; it takes effect with [`Self::close`].
    pub fn learn_forecast(&mut self, made: &Made, truth_us: f32) {
        self.mixture.learn(made, &self.scales, truth_us);
    }

    /// Takes in the odds predicted for a horizon and whether it breached the threshold; it takes effect with
    /// [`Self::close`].
    pub fn learn_breach(&mut self, evidence: &Evidence, threshold_us: f32, odds: &Odds, breached: bool) {
        self.hazard.learn(evidence, &self.scales, threshold_us, odds, breached);
    }

    /// Likewise for what other rules are to begin with: training.
    pub fn teach_breach(&mut self, source: Source, of: &Situation<'_>, breached: bool) {
        self.hazard.teach(source, of, &self.scales, breached);
    }

    /// Ends a tick.
    pub fn close(&mut self) {
        self.mixture.close();
        self.hazard.close();
    }

    /// The mixture, for those who show its weights.
    pub const fn mixture(&self) -> &Mixture {
        &self.mixture
    }

    /// How much each of the regressions that chances come from counts, 1 in sum.
    pub fn sources(&self) -> [(Source, f64); Source::ALL.len()] {
        Source::ALL.map(|source| (source, self.hazard.weights[source as usize]))
    }

    /// What was learned on some networks as a beginning on others: it soon gives way to what is seen there.
    #[must_use]
    pub fn as_prior(mut self) -> Self {
        for quantile in &mut self.mixture.quantiles {
            quantile.aggregation.temper();
            quantile.regression.temper(PRIOR_SHARE);
        }
        self.hazard.temper();
        self
    }

    /// Learns from now on with features in units of these usual sizes; what is too small counts as noise.
    #[must_use]
    pub fn with_scales(mut self, usual: &[f32; FEATURES]) -> Self {
        self.scales = Scales(usual.map(|size| if size > Scales::LEAST { size } else { Scales::LEAST }));
        self
    }

    pub(crate) fn store(&self) -> Stored {
        let quantiles = self.mixture.quantiles.iter().map(Quantile::store).collect();
        Stored {
            quantiles,
            hazard: self.hazard.store(),
            scales: self.scales.0.iter().enumerate().map(|(index, scale)| (feature_name(index), *scale)).collect(),
        }
    }

    /// What is stored, with what it does not know as it is here.
    pub(crate) fn restored(mut self, stored: &Stored) -> Result<Self, StoreError> {
        for (quantile, stored) in self.mixture.quantiles.iter_mut().zip(&stored.quantiles) {
            quantile.restore(stored)?;
        }
        self.hazard.restore(&stored.hazard);
        for (index, scale) in self.scales.0.iter_mut().enumerate() {
            *scale = stored.scales.get(&feature_name(index)).copied().unwrap_or(*scale);
        }
        let parts = [
            ("hazard", self.hazard.is_sound()),
            ("scales", self.scales.0.iter().all(|scale| scale.is_finite() && *scale >= Scales::LEAST)),
        ];
        match parts.into_iter().find(|(_, sound)| !sound) {
            Some((part, _)) => Err(StoreError { part }),
            None => Ok(self),
        }
    }
}

impl Serialize for Learned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.store().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Learned {
    /// What is missing is as if nothing was learned.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        Self::default().restored(&stored).map_err(serde::de::Error::custom)
    }
}

impl Hazard {
    fn store(&self) -> BTreeMap<String, StoredBelief> {
        let stored = self.beliefs.iter().zip(self.weights);
        let stored =
            stored.map(|(belief, weight)| StoredBelief { weight, regression: belief.store(hazard::input_name) });
        Source::ALL.iter().map(|source| source.name().to_owned()).zip(stored).collect()
    }

    /// A source that is not stored is as it is here.
    fn restore(&mut self, stored: &BTreeMap<String, StoredBelief>) {
        for (source, (belief, weight)) in Source::ALL.iter().zip(self.beliefs.iter_mut().zip(&mut self.weights)) {
            if let Some(stored) = stored.get(source.name()) {
                *weight = stored.weight;
                belief.restore(hazard::input_name, &stored.regression);
            }
        }
        let sum: f64 = self.weights.iter().sum();
        self.weights.iter_mut().for_each(|weight| *weight /= sum);
    }
}

impl<const N: usize> Newton<N> {
    fn store(&self, name: fn(usize) -> String) -> StoredNewton {
        let inputs: Vec<String> = (0..N).map(name).collect();
        let is_taught = self.information.iter().flatten().any(|known| *known != 0.0);
        let rows = self.information.iter().enumerate().filter(|_| is_taught);
        StoredNewton {
            coefficients: inputs.iter().cloned().zip(self.weights).collect(),
            information: rows.map(|(row, known)| known[..=row].iter().map(|known| *known as f32).collect()).collect(),
            inputs: if is_taught { inputs } else { Vec::new() },
        }
    }

    /// Inputs that are not stored are as they are here. What is left of a matrix when rows and columns go is one as well.
    fn restore(&mut self, name: fn(usize) -> String, stored: &StoredNewton) {
        let places: Vec<Option<usize>> =
            (0..N).map(|input| stored.inputs.iter().position(|known| *known == name(input))).collect();
        for (row, at) in places.iter().enumerate() {
            self.weights[row] = stored.coefficients.get(&name(row)).copied().unwrap_or(self.weights[row]);
            for (column, other) in places[..=row].iter().enumerate() {
                let known =
                    at.zip(*other).and_then(|(one, two)| stored.information.get(one.max(two))?.get(one.min(two)));
                self.information[row][column] = known.copied().map_or(0.0, f64::from);
            }
        }
    }
}

impl Quantile {
    fn store(&self) -> StoredQuantile {
        let aggregation = &self.aggregation;
        StoredQuantile {
            offsets: Expert::all().map(|expert| expert.name().to_owned()).zip(self.offsets.ln).collect(),
            voices: (0..VOICES)
                .map(|voice| {
                    let numbers = [aggregation.regret[voice], aggregation.variance[voice], aggregation.range[voice]];
                    (voice_name(voice), numbers)
                })
                .collect(),
            regression: self.regression.newton.store(regression_name),
            loss: self.regression.loss,
        }
    }

    fn restore(&mut self, stored: &StoredQuantile) -> Result<(), StoreError> {
        for (expert, offset) in Expert::all().zip(&mut self.offsets.ln) {
            *offset = stored.offsets.get(expert.name()).copied().unwrap_or(*offset);
        }
        for voice in 0..VOICES {
            if let Some([regret, variance, range]) = stored.voices.get(&voice_name(voice)) {
                self.aggregation.regret[voice] = *regret;
                self.aggregation.variance[voice] = *variance;
                self.aggregation.range[voice] = *range;
            }
        }
        let Self { regression, aggregation, offsets } = self;
        regression.newton.restore(regression_name, &stored.regression);
        regression.loss = stored.loss;
        let parts = [
            ("offsets", offsets.ln.iter().all(|offset| offset.abs() <= MAX_OFFSET)),
            ("voices", aggregation.is_sound()),
            ("regression", regression.is_sound()),
        ];
        if let Some((part, _)) = parts.into_iter().find(|(_, sound)| !sound) {
            return Err(StoreError { part });
        }
        aggregation.weigh();
        Ok(())
    }
}

fn regression_name(input: usize) -> String {
    if input < mixture::INPUTS - 1 { feature_name(input) } else { "bias".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapt::EXPERTS, forecast::QUANTILES};

    /// Distances before the trends.
    const ASKED: usize = 9;

    fn odds(learned: &Learned, evidence: &Evidence) -> Odds {
        learned.odds(&learned.situation(evidence, 1_500.0, &mut Peers::default(), &mut None))
    }

    fn taught() -> Learned {
        let mut learned = Learned::default().with_scales(&[0.07; FEATURES]);
        for tick in 0..500_u32 {
            let us = 1_000.0 + 700.0 * (tick as f32 * 0.618_034).fract();
            let mut experts = [[us.ln(); EXPERTS]; QUANTILES.len()];
            experts[1][3] = f32::NAN;
            let mut features = [0.1; FEATURES];
            features[4] = (tick as f32 * 0.37).fract();
            let evidence = Evidence { experts, features, ceiling_us: f32::INFINITY };
            let made = learned.make(&evidence).unwrap();
            let odds = odds(&learned, &evidence);
            learned.learn_forecast(&made, us * 1.2);
            learned.learn_breach(&evidence, 1_500.0, &odds, us > 1_300.0);
            learned.close();
        }
        learned
    }

    #[test]
    fn what_was_learned_survives_json() {
        let learned = taught();
        let read: Learned = serde_json::from_str(&serde_json::to_string(&learned).unwrap()).unwrap();
        let evidence = Evidence {
            experts: [[7.0; EXPERTS]; QUANTILES.len()],
            features: [0.05; FEATURES],
            ceiling_us: f32::INFINITY,
        };
        let outputs = |learned: &Learned| {
            let log_odds = odds(learned, &evidence).mixed;
            let forecast = learned.make(&evidence).and_then(|made| made.forecast()).unwrap();
            forecast.quantiles_us().map(f64::from).into_iter().chain([log_odds])
        };
        for (one, other) in outputs(&learned).zip(outputs(&read)) {
            // serde_json reads to the last digit but one.
            assert!((one / other - 1.0).abs() < 1e-6, "{one} {other}");
        }
        assert_ne!(odds(&learned, &evidence), odds(&Learned::default(), &evidence));
    }

    #[test]
    fn names_that_another_release_knows_are_left_out_and_its_own_stay_as_they_begin() {
        let learned = taught();
        let json = serde_json::to_string(&learned).unwrap();
        let older = json.replace("\"hour\":", "\"fortnight\":").replace("\"trend5 near\"", "\"gone\"");
        let read = Learned::default().restored(&serde_json::from_str(&older).unwrap()).unwrap();
        assert_eq!(read.mixture.quantiles[0].offsets.ln[Expert::Hour.position()], 0.0);
        assert_eq!(read.mixture.quantiles[0].offsets.ln[0], learned.mixture.quantiles[0].offsets.ln[0]);
        let (gone, bias) = (ASKED * 3 + 1, hazard::INPUTS - 1);
        let (was, is) = (&learned.hazard.beliefs[0], &read.hazard.beliefs[0]);
        assert!(was.information[gone][0] != 0.0 && is.information[gone].iter().all(|known| *known == 0.0));
        assert!((was.information[bias][0] - is.information[bias][0]).abs() < 1e-3);
        assert_eq!((is.weights[gone], is.weights[bias]), (0.0, was.weights[bias]));
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_part() {
        let value = serde_json::to_value(taught()).unwrap();
        for (part, path, number) in [
            ("offsets", "/quantiles/0/offsets/last", serde_json::json!(99.0)),
            ("voices", "/quantiles/1/voices/last", serde_json::json!([0.0, -1.0, 1.0])),
            ("regression", "/quantiles/2/regression/coefficients/bias", serde_json::json!(1e9)),
            ("regression", "/quantiles/0/loss", serde_json::json!(-1.0)),
            ("hazard", "/hazard/here/regression/coefficients/bias", serde_json::json!(1e9)),
            ("hazard", "/hazard/here/regression/information/0/0", serde_json::json!(-1e9)),
            ("hazard", "/hazard/lab/weight", serde_json::json!(-1.0)),
            ("scales", "/scales/rtt_shift", serde_json::json!(0.0)),
        ] {
            let mut wrong = value.clone();
            *wrong.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = number;
            let error = serde_json::from_value::<Learned>(wrong).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
