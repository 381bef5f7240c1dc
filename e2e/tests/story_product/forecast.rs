//! The main job: a warning before the breach, and its verdict.

use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use kube::{Api, ResourceExt as _, runtime::watcher::Config};
use netprecursor_crds::{
    alert::{AlertState, PrecursorAlert, Trigger},
    policy::PrecursorPolicy,
};
use netprecursor_e2e::{
    Error,
    cluster::{story, wait_for, wait_for_list},
    congestion::Scene,
    product::Product,
};
use serde_json::json;

use crate::shared::{RAMP, alert_in, condition, policy, request, uid};

#[tokio::test]
async fn an_alert_fires_before_the_measured_breach_and_is_confirmed_and_resolved() {
    story("forecast", async |story| {
        let product = Product::new(story.cluster());
        let begun = Instant::now();
        product.install(&[]).await?;
        policy(story, "web", json!({})).await?;
        let scene = Scene::start(story).await?;
        product.agents_ready().await?;
        println!("install to agents ready: {:.1} s", begun.elapsed().as_secs_f64());
        product.fresh_agents().await?;
        scene.warm_up(story, &["web"]).await?;
        let (narrowed, fired) = tokio::join!(scene.narrow(), alert_in(story, "web", AlertState::Firing, RAMP));
        narrowed?;
        let (fired, after) = fired?;
        println!("install to first alert: {:.1} s", begun.elapsed().as_secs_f64());
        println!("first narrowing to alert: {:.1} s", after.as_secs_f64());
        let status = fired.status.clone().unwrap();
        assert_eq!(status.trigger, Trigger::Forecast, "{status:#?}");
        assert_eq!(fired.pod().unwrap().1, uid(&scene.server.pod));
        assert!(!status.causes.is_empty(), "{status:#?}");

        // The warning comes true, with a lead, while the link stays narrow.
        let alerts: Api<PrecursorAlert> = story.api();
        let name = fired.name_any();
        let confirmed = |alert: Option<&PrecursorAlert>| {
            alert
                .and_then(|alert| alert.status.as_ref())
                .is_some_and(|status| condition(&status.conditions, "Confirmed") == "True")
        };
        let confirmed = wait_for(&alerts, &name, "the alert to be confirmed", RAMP, confirmed).await?.unwrap();
        let lead = confirmed.status.unwrap().lead;
        println!("lead: {}", lead.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string));
        assert!(lead.is_some());

        // What a user does with it.
        let shown = product.kubectl(&["get", "precursoralerts", "--namespace", story.namespace()]).await?;
        println!("{shown}");
        assert!(shown.contains("Firing") && shown.contains("web"), "{shown}");
        let pod_uid = uid(&scene.server.pod);
        let events: Api<Event> = story.api();
        let event =
            wait_for_list(&events, Config::default(), "an Event on the pod", Duration::from_secs(30), |events| {
                events
                    .iter()
                    .find(|event| {
                        event.regarding.as_ref().and_then(|object| object.uid.as_deref()) == Some(&pod_uid)
                            && event.related.as_ref().and_then(|object| object.name.as_deref()) == Some(&name)
                    })
                    .map(|event| (*event).clone())
            })
            .await?;
        println!("event: {} {}", event.reason.unwrap_or_default(), event.note.clone().unwrap_or_default());
        assert!(event.note.is_some_and(|note| note.chars().count() <= 1024));

        scene.widen().await?;
        let (resolved, _) = alert_in(story, "web", AlertState::Resolved, RAMP).await?;
        let status = resolved.status.unwrap();
        assert_eq!(condition(&status.conditions, "Firing"), "False");
        assert_eq!(condition(&status.conditions, "Confirmed"), "True");
        Ok::<_, Error>(())
    })
    .await;
}

#[tokio::test]
async fn a_policy_in_shadow_counts_and_publishes_nothing() {
    story("shadow", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        policy(story, "quiet", json!({"spec": {"mode": "Shadow"}})).await?;
        let scene = Scene::start(story).await?;
        product.agents_ready().await?;
        scene.warm_up(story, &["quiet"]).await?;
        scene.narrow().await?;
        let policies: Api<PrecursorPolicy> = story.api();
        let counted = |policy: Option<&PrecursorPolicy>| {
            let rules = policy.and_then(|policy| policy.status.as_ref()).map(|status| status.rules.as_slice());
            rules.is_some_and(|rules| rules.iter().any(|rule| rule.alerts > 0 && rule.incidents > 0))
        };
        // Reports come each five minutes, or when a state changes; the status once a minute.
        let limit = Duration::from_secs(8 * 60);
        let seen =
            wait_for(&policies, "quiet", "alerts counted in the policy's status", limit, counted).await?.unwrap();
        println!("{:?}", seen.status.unwrap().rules);
        let alerts: Api<PrecursorAlert> = story.api();
        let alerts = alerts.list(&Default::default()).await.map_err(request("listing alerts"))?;
        assert!(alerts.items.is_empty(), "{:#?}", alerts.items);
        let events: Api<Event> = story.api();
        let events = events.list(&Default::default()).await.map_err(request("listing events"))?;
        let ours = |event: &&Event| event.reporting_controller.as_deref().is_some_and(|by| by.contains("netprecursor"));
        assert_eq!(events.items.iter().filter(ours).count(), 0);
        Ok::<_, Error>(())
    })
    .await;
}
