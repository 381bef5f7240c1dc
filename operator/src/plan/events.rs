//! Events about what the operator did to an object that somebody else changed.

use jiff::Timestamp;
use serde_json::json;

use super::Write;
use crate::{
    config::Settings,
    observe::{Observed, Reverted},
    owned::MANAGER,
};

/// Bytes of a note, of the 1,024 that the API takes.
const NOTE: usize = 900;

/// The Event about the edit of the DaemonSet that was reverted last.
pub(super) fn reverted(observed: &Observed, settings: &Settings, now: Timestamp) -> Option<Write> {
    let Reverted { uid, version, change } = observed.reverted.as_ref()?;
    let name = &settings.config.agent.name;
    let mut note = format!(
        "put right what somebody else changed: {change}; set it by the chart's values under `agent`, for example with `helm upgrade`"
    );
    note.truncate(note.floor_char_boundary(NOTE));
    let event = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        // The version that putting it right led to: asked for twice, it is one Event.
        "metadata": {"name": format!("{name}.reverted-{version}"), "namespace": settings.namespace},
        "eventTime": format!("{now:.6}"),
        "type": "Warning",
        "reason": "EditReverted",
        "action": "Apply",
        "reportingController": format!("netprecursor.io/{MANAGER}"),
        "reportingInstance": settings.pod_name,
        "regarding": {
            "apiVersion": "apps/v1", "kind": "DaemonSet", "name": name, "namespace": settings.namespace, "uid": uid,
        },
        "note": note,
    });
    Some(Write::RecordEvent { event })
}
