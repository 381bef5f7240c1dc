//! A watched target: where it is counted, what it looked like, and where each rule stands with it.

use std::{borrow::Cow, sync::Arc};

use netprecursor_core::{
    alert::PodRef,
    gate::Start,
    policy::{Labels, View},
    source::Source,
    tick::Tick,
    watch::Watch,
    window::Window,
};

use super::{
    handover::HandedView,
    viewed::{Counted, Viewed},
};
use crate::sensors::{sockets::Coverage, suite::Place};

/// Position of a rule: its policy's, and its own in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId {
    /// Position of the policy.
    pub policy: usize,
    /// Position of the rule in it.
    pub rule: usize,
}

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A network namespace; its inode distinguishes it from all others that exist.
    Namespace {
        /// As `/run/netns` shows it.
        inode: u64,
    },
    /// A pod.
    Pod(Arc<PodRef>),
}

/// Who a target is. Hardly ever changes, so that readers share it.
#[derive(Debug, Clone)]
pub struct About {
    /// Its namespace's name, or the pod's with its namespace.
    pub name: String,
    /// The namespace's other names.
    pub aliases: Vec<String>,
    /// Never reused, unlike the name: the pod's, or one with the namespace's cookie in it.
    pub uid: String,
    /// What it is.
    pub origin: Origin,
    /// What policies select by.
    pub labels: Labels,
    /// Since when it is watched.
    pub since: Tick,
}

impl About {
    /// The pod that it is.
    pub const fn pod(&self) -> Option<&Arc<PodRef>> {
        match &self.origin {
            Origin::Pod(pod) => Some(pod),
            Origin::Namespace { .. } => None,
        }
    }

    /// The workload whose memory it shares; on one host the target itself, as its name goes. `None` for a pod that nothing
    /// controls.
    pub fn workload(&self) -> Option<Cow<'_, str>> {
        match &self.origin {
            Origin::Namespace { .. } => Some(Cow::Borrowed(&self.name)),
            Origin::Pod(pod) => {
                let workload = pod.workload.as_ref()?;
                Some(Cow::Owned(format!("{}/{}/{}", pod.namespace, workload.kind, workload.name)))
            }
        }
    }

    /// Whether it is known by this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// One target.
#[derive(Debug)]
pub struct Target {
    /// Who it is.
    pub about: Arc<About>,
    /// Where the kernel counts it.
    pub place: Place,
    /// Its sockets, as last surveyed.
    pub coverage: Option<Coverage>,
    /// Where the RTT of all its connections comes from.
    pub source: Source,
    /// What its rules mean by RTT. The first is the maximum RTT of all connections, which every target has.
    pub views: Vec<Viewed>,
    /// Where else than in its place the kernel counts it for them.
    pub counted: Vec<Counted>,
    /// Where each rule that selects it stands.
    pub watches: Vec<Watched>,
}

/// Where a rule stands with a target.
#[derive(Debug)]
pub struct Watched {
    /// The rule.
    pub rule: RuleId,
    /// Position of its view among the target's; none where what it means by RTT is not counted.
    pub view: Option<usize>,
    /// Where it stands.
    pub watch: Watch,
}

impl Target {
    /// A target that comes under watch.
    pub fn new(about: About, place: Place, rules: &[RuleId], start: Start) -> Self {
        let now = about.since;
        Self {
            about: Arc::new(about),
            place,
            coverage: None,
            source: Source::default(),
            views: vec![Viewed::new(View::default())],
            counted: Vec::new(),
            watches: rules
                .iter()
                .map(|rule| Watched { rule: *rule, view: Some(0), watch: Watch::new(start, now) })
                .collect(),
        }
    }

    /// As every target is seen: the maximum RTT of all its connections.
    pub fn plain(&self) -> &Viewed {
        &self.views[0]
    }

    /// Where the RTT of a view comes from.
    pub fn source_of(&self, view: &View) -> &Source {
        let counted = self.counted.iter().find(|counted| counted.is_of(view));
        counted.map_or(&self.source, |counted| &counted.source)
    }

    /// Puts in sight of a view what the last run of the agent saw. What its workload is remembered for stays.
    pub fn resume_view(&mut self, index: usize, handed: HandedView) {
        let Some(viewed) = self.views.get_mut(index) else { return };
        let counted = self.counted.iter_mut().find(|counted| counted.is_of(&viewed.view));
        *counted.map_or(&mut self.source, |counted| &mut counted.source) = handed.source;
        let memory = std::mem::take(&mut viewed.window).into_memory();
        viewed.window = Window::resume(memory, handed.last, &handed.signals);
        if let Some(usual) = handed.usual {
            viewed.baseline.observe(handed.last, &usual);
        }
    }

    /// Whether an alert of any rule is out.
    pub fn is_firing(&self) -> bool {
        self.watches.iter().any(|watched| watched.watch.state().firing().is_some())
    }
}
