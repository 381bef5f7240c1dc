//! Who exports: this agent, unless the environment sets it.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use super::environment::{Environment, pairs};

const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The resource of all signals. `node` and `cluster` say where this agent is.
pub(super) fn resource(node: &str, cluster: Option<&str>, environment: &mut Environment) -> Resource {
    let mut own = vec![
        KeyValue::new("service.name", "netprecursor-agent"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", node.to_owned()),
    ];
    let known = [
        ("k8s.node.name", environment.text("NODE_NAME")),
        ("k8s.pod.name", environment.text("POD_NAME")),
        ("k8s.cluster.name", cluster.map(str::to_owned)),
    ];
    own.extend(known.into_iter().filter_map(|(key, value)| value.map(|value| KeyValue::new(key, value))));
    own.extend(asked(environment));
    own.extend(environment.text("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name)));
    Resource::builder_empty().with_attributes(own).build()
}

/// The specification wants all of the value ignored when part of it cannot be read.
fn asked(environment: &mut Environment) -> Vec<KeyValue> {
    let Some(text) = environment.text(ATTRIBUTES) else { return Vec::new() };
    let mut attributes = Vec::new();
    for pair in pairs(&text) {
        match pair {
            Ok(pair) if pair.is_decoded => attributes.push(KeyValue::new(pair.key, pair.value)),
            Ok(pair) => {
                let key = pair.key;
                environment.note(format!(
                    "{ATTRIBUTES} is ignored: the value of {key} is not percent-encoded, expected % as %25"
                ));
                return Vec::new();
            }
            Err(position) => {
                environment.note(format!("{ATTRIBUTES} is ignored: entry {position} is not key=value"));
                return Vec::new();
            }
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;

    use super::{super::environment::tests::environment, *};

    fn of(variables: &[(&str, &str)], key: &str) -> (Option<String>, usize) {
        let mut environment = environment(variables);
        let resource = resource("node1", Some("c1"), &mut environment);
        let value = resource.get(&Key::new(key.to_owned())).map(|value| value.to_string());
        (value, environment.into_notices().len())
    }

    #[test]
    fn the_environment_has_the_last_word() {
        assert_eq!(of(&[], "service.name").0.as_deref(), Some("netprecursor-agent"));
        let attributes = (ATTRIBUTES, "service.name=a,k8s.cluster.name=x%2Cy");
        assert_eq!(of(&[attributes], "service.name"), (Some("a".to_owned()), 0));
        assert_eq!(of(&[attributes], "k8s.cluster.name").0.as_deref(), Some("x,y"));
        assert_eq!(of(&[attributes, ("OTEL_SERVICE_NAME", "b")], "service.name").0.as_deref(), Some("b"));
        assert_eq!(of(&[("NODE_NAME", "n")], "k8s.node.name").0.as_deref(), Some("n"));
    }

    #[test]
    fn attributes_that_cannot_be_read_are_reported_and_none_of_them_is_used() {
        for malformed in ["a=1,b", "a=100%,b=1"] {
            assert_eq!(of(&[(ATTRIBUTES, malformed)], "a"), (None, 1), "{malformed}");
        }
    }
}
