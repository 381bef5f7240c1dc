//! Reads without watching: all that is observed, once, for `retire`; and what the API server serves.

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::{Api, Client, api::ListParams};
use netprecursor_kit::Failure;

use super::{Observed, Sight, Source, Visitor, Wire};
use crate::{config::Settings, patience::again};

type Reading = BoxFuture<'static, Result<Box<dyn FnOnce(&mut Observed) + Send>, kube::Error>>;

#[derive(Default)]
struct Readings(Vec<Reading>);

impl Visitor for Readings {
    fn visit<W: Wire, T: Send + 'static>(&mut self, source: Source<W, T>) {
        let reading = async move {
            let mut listed = Vec::new();
            let mut params = source.list_params();
            let mut tries = 1;
            loop {
                let page = match source.api.list(&params).await {
                    Ok(page) => page,
                    // A kind that is not defined has no objects.
                    Err(error) if Failure::from(&error) == Failure::Missing => break,
                    Err(error) => match again(&error, tries) {
                        Some(pause) => {
                            tries += 1;
                            tokio::time::sleep(pause).await;
                            continue;
                        }
                        None => return Err(error),
                    },
                };
                tries = 1;
                listed.extend(page.items.into_iter().map(|object| source.seen(object)));
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params.continue_token = Some(token),
                    None => break,
                }
            }
            let mirror = source.mirror;
            let take: Box<dyn FnOnce(&mut Observed) + Send> = Box::new(move |observed| {
                let mirror = mirror(observed);
                mirror.take(Sight::Listing);
                for (key, seen) in listed {
                    if let Some(seen) = seen {
                        mirror.take(Sight::Listed(key, seen));
                    }
                }
                mirror.take(Sight::Complete);
            });
            Ok(take)
        };
        self.0.push(reading.boxed());
    }
}

/// Reads everything again.
///
/// # Errors
/// The API server's; what was read until then is taken in.
pub async fn everything(client: &Client, settings: &Settings, observed: &mut Observed) -> Result<(), kube::Error> {
    let mut readings = Readings::default();
    super::sources(client, settings, observed.serves_service_cidrs, &mut readings);
    for reading in readings.0 {
        reading.await?(observed);
    }
    Ok(())
}

/// Whether the API server serves ServiceCIDRs, to the operator: Kubernetes before 1.33 does not, and roles that were made for
/// an earlier release do not list them. What changes is noticed when an operator next begins to lead.
///
/// # Errors
/// The API server's; it may serve them or not.
pub async fn serves_service_cidrs(client: &Client) -> kube::Result<bool> {
    let all: Api<ServiceCIDR> = Api::all(client.clone());
    match all.list_metadata(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(true),
        Err(error) if Failure::from(&error) == Failure::Missing => Ok(false),
        Err(error) if Failure::from(&error) == Failure::Forbidden => {
            tracing::warn!(%error, "cannot look up the networks of Services");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
