//! Lists and watches.

use super::{GADGETS, Script};

pub(super) fn reads(script: &mut Script) {
    script.get("listed", GADGETS);
    script.get("listed by label", "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?labelSelector=app%3Dx");
    script.get(
        "listed by a set of labels",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?labelSelector=app%20in%20%28x%2Cz%29%2C%21none",
    );
    script.get(
        "listed by name",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?fieldSelector=metadata.name%3Dtwo",
    );
    script.get(
        "listed by a field",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?fieldSelector=spec.mode%3DShadow",
    );
    script.get(
        "listed by a field that cannot be selected on",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?fieldSelector=spec.size%3D1s",
    );
    script.get("first page", "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?limit=2");
    script.get(
        "second page",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?limit=2&continue=$continue:first page$",
    );
    script.get(
        "a page that nobody promised",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?limit=2&continue=nonsense",
    );
    let since = |query: &str, step: &str| {
        format!("{GADGETS}?watch=true&timeoutSeconds=20&resourceVersion=$version:{step}${query}")
    };
    script.watch("watched from a version", since("", "replaced, and counted"), 6);
    script.watch(
        "watched by label: what gets it is new, what loses it is gone",
        since("&labelSelector=tier%3Dy", "replaced, and counted"),
        3,
    );
    script.watch("watched by field", since("&fieldSelector=spec.mode%3DShadow", "applied, and created"), 2);
    script.watch("watched from the start", format!("{GADGETS}?watch=true&timeoutSeconds=20"), 3);
    script.watch(
        "watched as a list",
        format!(
            "{GADGETS}?watch=true&timeoutSeconds=20&sendInitialEvents=true&allowWatchBookmarks=true\
             &resourceVersionMatch=NotOlderThan"
        ),
        4,
    );
}
