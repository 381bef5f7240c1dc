//! `netprecursor backtest --html`: the page agrees with the JSON, needs no other file, and treats names as text.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{POLICY, netprecursor, stderr, stdout};

/// Markup that closes an attribute and opens an element unless it is escaped.
const HOSTILE: &str = "\"><b onmouseover='x'>&amp; owned";

/// Ramps and, one time in three, steps over 100 ms, with rises in between that fall back.
fn csv(series: &str) -> String {
    let mut text = "series,t,rtt_max_ms\n".to_owned();
    for t in 0..3_000_u32 {
        let at = t % 300;
        let growth = match (at, t / 300 % 3) {
            (200..240, 0 | 1) => f64::from(at - 199) / 10.0,
            (220..240, _) => 4.0,
            (100..115, _) => f64::from(at - 99) / 10.0,
            _ => 0.0,
        };
        let ms = (20.0 + f64::from(t * 7 % 13) / 10.0) * growth.exp2();
        writeln!(text, "\"{}\",{t},{ms:.3}", series.replace('"', "\"\"")).unwrap();
    }
    text
}

/// A backtest of one recording of a series: its JSON line and its page.
fn backtested(directory: &Path, series: &str) -> (Value, String) {
    fs::write(directory.join("rtt.csv"), csv(series)).unwrap();
    fs::write(directory.join("policy.yaml"), POLICY).unwrap();
    let columns = ["--series-column", "series", "--time-column", "t", "--rtt-max-column", "rtt_max_ms", "--unit", "ms"];
    stdout(&netprecursor(directory, &[&["import", "rtt.csv"], &columns[..], &["--out", "rtt"]].concat()));
    let recording = fs::read_dir(directory.join("rtt")).unwrap().next().unwrap().unwrap().path();
    let page = ["--json", "--html", "page.html", "--recording", recording.to_str().unwrap()];
    let out = netprecursor(
        directory,
        &[&["backtest", "--model", "naive:damped-holt", "--policy", "policy.yaml"], &page[..]].concat(),
    );
    let line = serde_json::from_str(stdout(&out).lines().next().unwrap()).unwrap();
    (line, fs::read_to_string(directory.join("page.html")).unwrap())
}

/// The cells of the rows of a page whose first cell is this.
fn cells(page: &str, first: &str) -> Vec<Vec<String>> {
    let rows = page.split("<tr").skip(1).filter_map(|row| row.split("</tr>").next());
    let cells = |row: &str| -> Vec<String> {
        let cells = row.split("<td").skip(1).filter_map(|cell| cell.split_once('>')?.1.split("</td>").next());
        cells.map(str::to_owned).collect()
    };
    rows.map(cells).filter(|row| row.first().is_some_and(|cell| cell == first)).collect()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

#[test]
fn the_page_agrees_with_the_json() {
    let directory = tempfile::tempdir().unwrap();
    let (line, page) = backtested(directory.path(), "link");
    let card = &line["scorecard"];
    let count = |name: &str| card[name].as_u64().unwrap();
    assert!(count("warned") > 0 && count("missed") > 0 && count("unconfirmed") > 0, "all kinds: {card}");

    let summary = &cells(&page, "rtt")[0];
    let recall = count("warned") as f64 / (count("warned") + count("missed")) as f64;
    let judged = count("confirmed") + count("unconfirmed");
    let precision = count("confirmed") as f64 / judged as f64;
    let expected = [
        count("incidents").to_string(),
        count("warned").to_string(),
        percent(recall),
        judged.to_string(),
        percent(precision),
    ];
    assert_eq!(summary[2..7], expected, "{summary:?}");
    let own = &cells(&page, "20 %")[0];
    assert_eq!(own[1..6], expected, "at its own confidence the sweep equals the fold: {own:?}");
    assert_eq!(own[6..], summary[7..]);

    let loss = line["pinball"]["model"]["0.9"].as_f64().unwrap();
    let rules = line["pinball"]["rules"].as_object().unwrap();
    let rule = |name: &str| rules[name]["0.9"].as_f64().unwrap();
    let best = rules.keys().min_by(|one, other| rule(one).total_cmp(&rule(other))).unwrap();
    let coverage = line["coverage"]["0.9"].as_f64().unwrap();
    assert_eq!(
        cells(&page, "0.9")[0][1..],
        [
            format!("{:+.1} %", 100.0 * (1.0 - loss / rule(best))),
            best.clone(),
            format!("{loss:.4}"),
            format!("{:.4}", rule(best)),
            format!("{:.1} %", 100.0 * coverage)
        ]
    );

    let filled = line["chances"]["said"].as_array().unwrap();
    let bins = line["chances"]["bins"].as_u64().unwrap();
    for tenth in 0..10 {
        let inside = filled.iter().filter(|bin| bin[0].as_u64().unwrap() * 10 / bins == tenth);
        let (seconds, came_true) =
            inside.fold((0, 0), |(n, k), bin| (n + bin[1].as_u64().unwrap(), k + bin[2].as_u64().unwrap()));
        let row = &cells(&page, &format!("{}–{} %", tenth * 10, tenth * 10 + 10))[0];
        assert_eq!((&row[1], &row[3]), (&seconds.to_string(), &came_true.to_string()), "{tenth}");
    }

    let shown = |part: &str| page.matches(part).count() as u64;
    assert_eq!(shown("<h3>Warned "), count("warned").min(5), "the best");
    assert!(shown("<h3>Missed; ") > 0 && shown("<h3>False alarm, ") > 0);
    assert_eq!(shown("<h3>Missed; ") + shown("<h3>False alarm, "), (count("missed") + count("unconfirmed")).min(5));
}

#[test]
fn the_page_loads_nothing_and_every_plot_has_a_description() {
    let directory = tempfile::tempdir().unwrap();
    let (_, page) = backtested(directory.path(), "link");
    assert!(page.contains("default-src 'none'; style-src 'sha256-") && page.contains("prefers-color-scheme: dark"));
    for outside in ["<script", "http://", "https://", "url(", "@import", " style=", "<img", "<link", "<iframe"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let drawings = page.matches("role=\"img\"").count();
    assert!(drawings >= 4, "{drawings}");
    assert_eq!((drawings, drawings), (page.matches("<title id=").count(), page.matches("<desc id=").count()));
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for (place, id) in ids.iter().enumerate() {
        assert!(!ids[..place].contains(id), "{id} twice");
        assert!(page.contains(&format!("labelledby=\"{}", id.rsplit_once('-').unwrap().0)), "{id}");
    }
}

#[test]
fn markup_in_a_name_is_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let (_, page) = backtested(directory.path(), HOSTILE);
    assert!(page.contains("&quot;&gt;&lt;b onmouseover='x'&gt;&amp;amp; owned"), "{page}");
    assert!(!page.contains("<b "), "{page}");
    let Some(browser) = browser() else {
        eprintln!("skipped: neither chromium nor google-chrome is in PATH");
        return;
    };
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", directory.path().join("page.html").display()))
        .output()
        .unwrap();
    let document = String::from_utf8(output.stdout).unwrap();
    assert!(document.contains("<h2>Rule rtt</h2>") && !document.contains("onmouseover=\""), "{document}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!log.contains("Content Security Policy"), "its own style is refused: {log}");
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|directory| names.map(|name| directory.join(name))).find(|file| file.exists())
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_anything_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["backtest", "--model", "naive:last", "--policy", "none.yaml", "--recording", "none.parquet"];
    let out = netprecursor(directory.path(), &[&arguments[..], &["--html", "no/such/page.html"]].concat());
    let error = stderr(&out);
    assert!(!out.status.success() && error.contains("no/such/page.html"), "{error}");
}
