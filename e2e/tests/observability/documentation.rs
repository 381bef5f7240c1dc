//! What the page gives to copy.

use std::{fs, path::Path};

use netprecursor_testbed::Scratch;

use crate::prometheus::promtool;

#[test]
fn prometheus_takes_every_configuration_of_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let (scratch, mut looked_at) = (Scratch::new().unwrap(), 0);
    for block in blocks {
        let path = scratch.path().join("prometheus.yml");
        fs::write(&path, block).unwrap();
        promtool(&["check", "config", "--syntax-only"], &path);
        looked_at += 1;
    }
    assert_eq!(looked_at, 2);
}
