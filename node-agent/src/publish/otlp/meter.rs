//! Instruments of the SDK over [`Figures`]: each reads what the last look found, so that what is gone is not exported.

use std::sync::{Arc, Mutex};

use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{ManualReader, Pipeline, SdkMeterProvider, Temporality, data::ResourceMetrics, reader::MetricReader},
};

use crate::lock::lock;
use crate::metrics::{Family, families::FAMILIES, figures::Figures};

/// The instruments.
#[derive(Debug)]
pub(super) struct Meter {
    figures: Arc<Mutex<Figures>>,
    reader: SharedReader,
    /// Instruments live as long as it.
    _provider: SdkMeterProvider,
}

/// A reader that the provider and we hold.
#[derive(Debug, Clone)]
struct SharedReader(Arc<ManualReader>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: std::sync::Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: std::time::Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: opentelemetry_sdk::metrics::InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

impl Meter {
    /// Instruments for all families.
    pub(super) fn new(resource: Resource, temporality: Temporality) -> Self {
        let figures = Arc::new(Mutex::new(Figures::default()));
        let reader = SharedReader(Arc::new(ManualReader::builder().with_temporality(temporality).build()));
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader.clone()).build();
        for family in FAMILIES {
            instrument(&provider, family, Arc::clone(&figures));
        }
        Self { figures, reader, _provider: provider }
    }

    /// The figures as the exporter takes them.
    ///
    /// # Errors
    /// The SDK's.
    pub(super) fn collect(&self, figures: Figures, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        *lock(&self.figures) = figures;
        self.reader.collect(metrics)
    }
}

fn instrument(provider: &SdkMeterProvider, family: Family, figures: Arc<Mutex<Figures>>) {
    let meter = provider.meter("netprecursor");
    let observe = move |add: &dyn Fn(f64, &[KeyValue])| {
        let figures = lock(&figures);
        for point in figures.points(family.name) {
            let labels = point.labels.iter().map(|(label, value)| KeyValue::new(label.attribute, value.clone()));
            add(point.value, &labels.collect::<Vec<_>>());
        }
    };
    // The handles may go: the provider keeps the callbacks.
    if family.is_counter() {
        let counter = meter.f64_observable_counter(family.name).with_unit(family.unit);
        counter
            .with_description(family.help)
            .with_callback(move |observer| observe(&|value, attributes| observer.observe(value, attributes)))
            .build();
    } else {
        let gauge = meter.f64_observable_gauge(family.name).with_unit(family.unit);
        gauge
            .with_description(family.help)
            .with_callback(move |observer| observe(&|value, attributes| observer.observe(value, attributes)))
            .build();
    }
}
