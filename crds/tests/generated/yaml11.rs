//! kubectl, Helm and client-go read YAML 1.1, in which more plain words than one thinks are no texts: none of ours is
//! one of them.

use netprecursor_crds::Duration;

use crate::{definitions, walk};

/// Truth in YAML 1.1 (<https://yaml.org/type/bool.html>), and the two words that merge and pick.
const WORDS: [&str; 13] = ["y", "yes", "n", "no", "true", "false", "on", "off", "null", "~", "", "<<", "="];

/// Whether a reader of YAML 1.1 takes a plain word for something else than a text. Numbers (octal, sexagesimal, with
/// `_`, with exponents) and dates are not told apart: whatever begins like one and has no other letters is suspected.
fn is_mangled(word: &str) -> bool {
    let is_number = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
            && text.chars().all(|letter| letter.is_ascii_hexdigit() || "xob_+-.: TZinfa".contains(letter))
    };
    WORDS.contains(&word.to_lowercase().as_str()) || is_number(word)
}

#[test]
fn words_that_yaml_1_1_mangles_are_known_as_such() {
    for word in
        ["n", "No", "Y", "on", "OFF", "~", "010", "1_000", "1e5", "1:30", "0x1f", ".inf", "2026-01-01", "10", "-1"]
    {
        assert!(is_mangled(word), "{word}");
    }
    for word in ["of", "k", "In", "NotIn", "24h", "200ms", "rtt-slow", "max-10", "none"] {
        assert!(!is_mangled(word), "{word}");
    }
}

#[test]
fn no_name_or_value_of_the_api_means_something_else_in_yaml_1_1() {
    let mut count = 0;
    for definition in definitions() {
        walk("", &definition.schema, &mut |path, schema| {
            // Kubernetes' own `True` and `False`, which only programs write.
            if path == "status.conditions[].status" {
                return;
            }
            let fields =
                schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str));
            let values = schema["enum"].as_array().into_iter().flatten().chain(schema.get("default"));
            for word in fields.chain(values.filter_map(|value| value.as_str())) {
                assert!(!is_mangled(word), "{} {path}: `{word}`", definition.object.spec.names.kind);
                count += 1;
            }
        });
    }
    assert!(count > 150, "only {count} words");
}

#[test]
fn durations_need_no_quotes() {
    for us in [0, 1, 750, 1_000, 200_000, 1_500_000, 90_000_000, 3_600_000_000, 3_661_001_001] {
        let text = Duration::from_us(us).to_string();
        assert!(!is_mangled(&text), "{text}");
    }
}
