//! Every fault at every write of every scene.

use std::time::Duration;

use netprecursor_fakeapi::{
    Refusal,
    fault::{AtWrite, Fault, Nothing, READ_TIMEOUT},
};

use crate::{
    play::{OPERATOR, Outcome, Starts, play},
    scenes::{SCENES, Scene},
    state::differences,
};

/// The last part of a scene, in which nothing is left to do.
const CALM: Duration = Duration::from_secs(100);

/// What must hold whatever went wrong.
pub(crate) fn violations(got: &Outcome, undisturbed: &Outcome, unsure: usize) -> Vec<String> {
    let mut found = differences(&got.state, &undisturbed.state);
    // Own objects only: copies of models and scores, the DaemonSet, what policies are told, alerts that nobody else closes.
    for entry in &got.writes {
        let is_own = match entry.resource.as_str() {
            "configmaps" | "daemonsets" => entry.namespace == crate::scenes::INSTALL,
            "precursorpolicies/status" | "clusterprecursorpolicies/status" => entry.verb.as_str() == "patch",
            "events" => entry.namespace == crate::scenes::INSTALL && entry.verb.as_str() == "create",
            "precursoralerts" => matches!(entry.verb.as_str(), "delete" | "patch"),
            _ => false,
        };
        if !is_own {
            found.push(format!("wrote what is not its own: {entry:?}"));
        }
    }
    // Who got no answer may ask again; nobody else writes what is there already.
    let is_done = |code: u16| (200..300).contains(&code);
    let idle: Vec<_> = got.writes.iter().filter(|entry| is_done(entry.code) && !entry.has_changed).collect();
    if idle.len() > unsure {
        found.push(format!("{} writes changed nothing, expected at most {unsure}: {idle:?}", idle.len()));
    }
    let late: Vec<_> = got.writes.iter().filter(|entry| entry.at + CALM > got.length).collect();
    if !late.is_empty() {
        found.push(format!("still writes when nothing is left to do: {late:?}"));
    }
    found
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::HangBefore,
        Fault::HangAfter,
        Fault::TimeoutBefore(READ_TIMEOUT),
        Fault::TimeoutAfter(READ_TIMEOUT),
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::Refuse(Refusal::too_many_requests(3)),
        Fault::Refuse(Refusal::server_error(500)),
        Fault::RefuseAfter(Refusal::server_error(504)),
    ]
}

fn undisturbed(starts: &Starts, scene: &Scene) -> Outcome {
    let outcome = play(starts, scene, 1, Nothing);
    let found = violations(&outcome, &outcome, 0);
    assert!(found.is_empty(), "{}: {}", scene.name, found.join("\n"));
    outcome
}

#[test]
fn without_faults_every_scene_has_something_to_write_and_comes_to_rest() {
    let starts = Starts::make();
    for scene in SCENES {
        let writes = undisturbed(&starts, scene).writes;
        assert!(!writes.is_empty(), "{}: nothing was written", scene.name);
        let refused: Vec<_> = writes.iter().filter(|entry| entry.code >= 300).collect();
        assert!(refused.is_empty(), "{}: {refused:?}", scene.name);
    }
}

#[test]
fn agents_are_dealt_the_networks_of_the_nodes_that_are_there_and_of_services() {
    let scene = SCENES.iter().find(|scene| scene.name.starts_with("a pod and a node are gone")).expect("the scene");
    let state = undisturbed(&Starts::make(), scene).state;
    let dealt = &state["configmaps netprecursor-system/netprecursor-agent-share"]["data"]["networks.json"];
    assert_eq!(dealt, r#"{"from":"Nodes","networks":["10.96.0.0/12","10.244.1.0/24","192.0.2.1/32"]}"#);
}

#[test]
fn a_crash_or_fault_at_any_write_ends_in_the_same_state() {
    let starts = Starts::make();
    let (mut played, mut crashes) = (0, 0);
    for scene in SCENES {
        let undisturbed = undisturbed(&starts, scene);
        for number in 0..undisturbed.writes.len() {
            for fault in faults() {
                let got = play(&starts, scene, 1, AtWrite::new(OPERATOR, number, fault.clone()));
                let found = violations(&got, &undisturbed, 1);
                assert!(found.is_empty(), "{}: {fault:?} at write {number}: {}", scene.name, found.join("\n"));
                played += 1;
                crashes += got.crashes;
            }
        }
    }
    println!("{played} faults at writes, {crashes} of them crashes, in {} scenes: 0 divergences", SCENES.len());
    assert!(crashes > 0);
}
