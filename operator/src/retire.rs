//! `retire`: the last act before a release is uninstalled. It takes the lead from the operators, ends the agents, and then
//! says of all that is kept that nothing watches any more, unless another installation does. Without finalizers: where it
//! does not run, nothing hangs.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        coordination::v1::Lease,
        core::v1::{ConfigMap, Pod},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, PostParams},
};
use netprecursor_crds::installation::CLAIM;
use netprecursor_kit::{Failure, Limits};
use tokio::time::Instant;

use crate::{
    agents::AGENTS,
    apply::{ApplyError, apply},
    config::Settings,
    election::{Claims, RENEW_WITHIN},
    installation::{self, Permit},
    observe::{Key, Observed, read},
    patience::{PAUSE, TRIES, again},
    plan::{self, CONTENT, SCORES, Write},
};

/// For all of it: Helm waits five minutes for its hooks.
const DEADLINE: Duration = Duration::from_secs(150);

/// How long the operators are kept away: what follows deletes them.
const AWAY: Duration = Duration::from_secs(300);

/// For agents to end. Those on a node that is cut off never do.
const AGENTS_END: Duration = Duration::from_secs(60);

/// How often what is kept is read and written, where objects change or go in between.
const PASSES: usize = 3;

/// Writes under way at once: five thousand alerts and policies take less than a minute.
const AT_ONCE: usize = 8;

/// Retires the release that the settings are of.
///
/// # Errors
/// Something is left that still claims to be watched. The operators take over again then.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let config = Config::infer().await.context("no API server; expected a service account or KUBECONFIG")?;
        let client = Client::try_from(Limits::REQUESTS.bound(&config)).context("cannot create a client")?;
        retire(&client, settings, Arc::new(Timestamp::now)).await
    })
}

/// Retires the release within [`DEADLINE`].
///
/// # Errors
/// As [`run`].
pub async fn retire(
    client: &Client,
    settings: &Settings,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
) -> anyhow::Result<()> {
    let lead = Lead::new(client, settings);
    let retired = match tokio::time::timeout(DEADLINE, act(client, settings, &lead, &clock)).await {
        Ok(retired) => retired,
        Err(_) => Err(anyhow::anyhow!("not done within {} s", DEADLINE.as_secs())),
    };
    if retired.is_err() {
        lead.give_back(clock()).await;
    }
    retired.context("not everything that is kept says that nothing watches any more; run it again, or do without it")
}

async fn act(
    client: &Client,
    settings: &Settings,
    lead: &Lead,
    clock: &Arc<dyn Fn() -> Timestamp + Send + Sync>,
) -> anyhow::Result<()> {
    let permit = permit(client, settings).await?;
    let was_held = lead.seize(clock()).await.context("cannot take the lead from the operators")?;
    // Who led may write until its own time is up.
    let quiet = Instant::now() + if was_held { RENEW_WITHIN } else { Duration::ZERO };
    end_agents(client, settings, quiet).await.context("cannot end the agents")?;
    let mut pass = 1;
    loop {
        let writes = match &permit {
            Permit::Refused(_) => delete_scores(client, settings).await?,
            Permit::Granted | Permit::Unknown => last_writes(client, settings, clock()).await?,
        };
        let count = writes.len();
        let undone = carry_all_out(client, settings, writes).await;
        let Some(first) = undone.first() else {
            match &permit {
                Permit::Refused(why) => {
                    tracing::warn!(
                        why,
                        "another installation is the cluster's: policies, alerts and reports are left to it"
                    );
                }
                Permit::Granted | Permit::Unknown => {
                    tracing::info!(written = count, "retired: nothing that is kept claims to be watched");
                }
            }
            return Ok(());
        };
        if pass == PASSES {
            bail!("{} of {count} objects could not be written, for example: {first}", undone.len());
        }
        // What was read may have changed or gone since.
        tracing::warn!(undone = undone.len(), of = count, first, "not everything was written: reading it again");
        pass += 1;
    }
}

/// Whether the release is the cluster's.
async fn permit(client: &Client, settings: &Settings) -> anyhow::Result<Permit> {
    for _ in 0..TRIES {
        if let Some(permit) = installation::look(client, &settings.namespace).await {
            return Ok(permit);
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!(
        "cannot find out whether another installation is in the cluster; expected an answer about ClusterRole {CLAIM}"
    )
}

/// What to write about all that is kept, as it is now.
async fn last_writes(client: &Client, settings: &Settings, now: Timestamp) -> anyhow::Result<Vec<Write>> {
    let mut observed = Observed::default();
    read::everything(client, settings, &mut observed).await.context("cannot read what is kept")?;
    Ok(plan::retire(&observed, scores(client, settings).await?, now))
}

/// Scores are the release's own, whoever the cluster's installation is.
async fn delete_scores(client: &Client, settings: &Settings) -> anyhow::Result<Vec<Write>> {
    let scores = scores(client, settings).await?.into_iter();
    Ok(scores.map(|(key, uid)| Write::DeleteScores { key, uid }).collect())
}

/// A request, made again while the API server is busy.
async fn persist<T>(request: impl AsyncFn() -> kube::Result<T>) -> kube::Result<T> {
    let mut tries = 1;
    loop {
        let failed = match request().await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        let Some(pause) = again(&failed, tries) else { return Err(failed) };
        tries += 1;
        tokio::time::sleep(pause).await;
    }
}

/// Does all writes; in words what was not done, and why.
async fn carry_all_out(client: &Client, settings: &Settings, writes: Vec<Write>) -> Vec<String> {
    let doing = writes.into_iter().map(|write| carry_out(client, settings, write));
    stream::iter(doing).buffer_unordered(AT_ONCE).filter_map(async |failed| failed.err()).collect().await
}

/// One write, tried again while the API server is busy; in words why it was not done.
async fn carry_out(client: &Client, settings: &Settings, write: Write) -> Result<(), String> {
    let mut tries = 1;
    loop {
        let failed = match apply(client, settings, write.clone(), DEADLINE).await {
            Ok(_) => return Ok(()),
            Err(failed) => failed,
        };
        let pause = match &failed {
            ApplyError::Unavailable { retry_after, .. } => retry_after.unwrap_or(PAUSE),
            ApplyError::TimedOut(_) => PAUSE,
            // Another object by now, or refused for good.
            ApplyError::Outdated(_) | ApplyError::Refused(_) | ApplyError::NotLeading => {
                return Err(format!("{}: {failed}", write.id()));
            }
        };
        if tries == TRIES {
            return Err(format!("{}: {failed}", write.id()));
        }
        tries += 1;
        tokio::time::sleep(pause).await;
    }
}

/// Deletes the DaemonSet until it and its pods are gone, and until `quiet`: who led could make it again before.
async fn end_agents(client: &Client, settings: &Settings, quiet: Instant) -> kube::Result<()> {
    let (own, name) = (settings.namespace.as_str(), settings.config.agent.name.as_str());
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), own);
    let pods: Api<Pod> = Api::namespaced(client.clone(), own);
    let (named, labelled) =
        (ListParams::default().fields(&format!("metadata.name={name}")), ListParams::default().labels(AGENTS));
    let end = Instant::now() + AGENTS_END;
    loop {
        let set = persist(async || sets.list_metadata(&named).await).await?.items.pop();
        let left = persist(async || pods.list_metadata(&labelled).await).await?.items.len();
        match &set {
            Some(set) if set.metadata.deletion_timestamp.is_none() => {
                match persist(async || sets.delete(name, &DeleteParams::background()).await).await {
                    Ok(_) => {}
                    Err(error) if Failure::from(&error) == Failure::Missing => {}
                    Err(error) => return Err(error),
                }
            }
            Some(_) => {}
            None if left == 0 && Instant::now() >= quiet => return Ok(()),
            None => {}
        }
        if Instant::now() >= end.max(quiet) {
            tracing::warn!(left, "agents have not ended in time: what they still write may claim to be watched");
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The kept shards of the ledger. Nothing owns them, so that nothing else deletes them.
async fn scores(client: &Client, settings: &Settings) -> anyhow::Result<Vec<(Key, String)>> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &settings.namespace);
    let labelled = ListParams::default().labels(&format!("{CONTENT}={SCORES}"));
    let kept = persist(async || maps.list_metadata(&labelled).await).await.context("cannot list the scores")?;
    let kept = kept.items.into_iter();
    Ok(kept.map(|map| (Key::from(&map.metadata), map.metadata.uid.unwrap_or_default())).collect())
}

/// Takes the lease from the operators and gives it back.
struct Lead {
    leases: Api<Lease>,
    anchors: Api<ConfigMap>,
    name: String,
    anchor: String,
    identity: String,
}

impl Lead {
    fn new(client: &Client, settings: &Settings) -> Self {
        Self {
            leases: Api::namespaced(client.clone(), &settings.namespace),
            anchors: Api::namespaced(client.clone(), &settings.namespace),
            name: settings.config.lease_name.clone(),
            anchor: settings.config.anchor.clone(),
            identity: format!("{} (retiring)", settings.pod_name),
        }
    }

    /// Takes the lease, and has it go with the anchor; whether somebody held it.
    async fn seize(&self, now: Timestamp) -> kube::Result<bool> {
        let owner =
            persist(async || self.anchors.get_opt(&self.anchor).await).await?.and_then(|anchor| anchor.metadata.uid);
        let mut tries = 1;
        loop {
            let seen = persist(async || self.leases.get_opt(&self.name).await).await?;
            let holder = seen.as_ref().and_then(|lease| lease.spec.as_ref()?.holder_identity.clone());
            let is_new = seen.is_none();
            let mut lease = Claims::new(self.identity.clone()).seize(seen, AWAY, now);
            lease.metadata.name = Some(self.name.clone());
            lease.metadata.owner_references = owner.clone().map(|uid| {
                let (api_version, kind, name) = ("v1".to_owned(), "ConfigMap".to_owned(), self.anchor.clone());
                vec![OwnerReference { api_version, kind, name, uid, ..OwnerReference::default() }]
            });
            let params = PostParams::default();
            let write = async || match is_new {
                true => self.leases.create(&params, &lease).await,
                false => self.leases.replace(&self.name, &params, &lease).await,
            };
            match persist(write).await {
                Ok(_) => return Ok(holder.is_some_and(|holder| !holder.is_empty())),
                // Renewed in between, or written by a request whose answer was lost.
                Err(error) if matches!(Failure::from(&error), Failure::Conflict | Failure::Exists) && tries < TRIES => {
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the operators go on.
    async fn give_back(&self, now: Timestamp) {
        let given = async {
            let seen = self.leases.get_opt(&self.name).await?;
            match Claims::new(self.identity.clone()).release(seen) {
                Some(lease) => self.leases.replace(&self.name, &PostParams::default(), &lease).await.map(|_| ()),
                None => Ok(()),
            }
        };
        if let Err(error) = given.await {
            let until = now + jiff::SignedDuration::from_secs(AWAY.as_secs().cast_signed());
            tracing::warn!(%error, %until, "the lease could not be given back: the operators wait until then");
        }
    }
}
