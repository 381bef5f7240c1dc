//! The HTML page of a backtest: one file that loads nothing and runs nothing, with names from recordings escaped. Its size is
//! bounded however long the recordings are, and it states what it leaves out.

mod chart;
mod plots;

use std::{
    fs::Permissions,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use netprecursor_core::{policy::Rule, score::Scorecard};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{
    chances::Chances,
    moments::{Kind, Moment, REACH, SHOWN, Second},
    pinball::Tally,
    rule_run::RuleRun,
    sweep::Level,
};
use crate::quantity;

/// Rules in the first table, and rules with plots.
const LISTED: usize = 100;
const PLOTTED: usize = 12;
/// Recordings listed.
const NAMED: usize = 30;
/// Characters of a name that are shown.
const NAME: usize = 80;
/// Seconds between the rows of a table beside a plot.
const EVERY: u64 = 5;

const STYLE: &str = include_str!("page.css");

/// The content of a page.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) model: &'a str,
    pub(super) recordings: &'a [PathBuf],
    pub(super) targets: usize,
    pub(super) runs: &'a [RuleRun],
}

/// A page that is still to be written: a temporary file, renamed once it is complete.
#[derive(Debug)]
pub(super) struct PageFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl PageFile {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Permissions as for any other file of the user: the umask applies.
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(".backtest-").suffix(".html.partial").permissions(Permissions::from_mode(0o666));
        let failed = || format!("cannot write {}; expected a file in a directory that exists", path.display());
        anyhow::ensure!(!path.is_dir(), "{}: it is a directory", failed());
        Ok(Self { file: builder.tempfile_in(directory).with_context(failed)?, path: path.to_owned() })
    }

    pub(super) fn write(mut self, page: &Page<'_>) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        self.file.write_all(page.document().into_string().as_bytes()).with_context(failed)?;
        self.file.persist(&self.path).with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(())
    }
}

impl Page<'_> {
    pub(super) fn document(&self) -> Markup {
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        let plotted = &self.runs[..self.runs.len().min(PLOTTED)];
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content={ "default-src 'none'; style-src 'sha256-" (hash) "'; base-uri 'none'; form-action 'none'" };
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    title { "netprecursor backtest: " (cut(self.model)) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { "Backtest of " (cut(self.model)) }
                    (self.introduction())
                    div.panel { (self.summary()) }
                    @for (place, run) in plotted.iter().enumerate() { (self.rule(place, run)) }
                    @if self.runs.len() > plotted.len() {
                        p.soft { "Skill, plots and moments of " (self.runs.len() - plotted.len()) " more rules are left out." }
                    }
                    (self.sources())
                }
            }
        }
    }

    fn introduction(&self) -> Markup {
        let count = self.recordings.len();
        html! {
            p.soft { (count) @if count == 1 { " recording" } @else { " recordings" } ", " (self.targets) @if self.targets == 1 { " target" } @else { " targets" } ". netprecursor " (env!("CARGO_PKG_VERSION")) "." }
            p {
                "What netprecursor would have warned of, second by second, by the code that the agent runs. What was learned in one \
                 recording counts in the next. An incident is a run of seconds above the threshold; a warning counts as true when an \
                 incident starts within ten seconds and the rule's hold."
            }
        }
    }

    fn summary(&self) -> Markup {
        html! {
            div.scroll tabindex="0" { table {
                caption { "Warnings against incidents" }
                tr { th { "rule" } th { "confidence" } th { "incidents" } th { "warned of" } th { "recall" } th { "warnings" } th { "precision" } th { "lead, median" } th { "lead, tenth" } th { "false per target-hour" } th { "per target-day" } }
                @for run in &self.runs[..self.runs.len().min(LISTED)] {
                    tr { td.name title=(self.name(run)) { (self.name(run)) } td { (run.rule.confidence.get()) " %" } (figures(&run.total)) }
                }
            } }
            @if self.runs.len() > LISTED { p.soft { (self.runs.len() - LISTED) " more rules are left out." } }
            p.soft { "Recall: of incidents that could be warned of. Warnings: those that were judged and came before an incident. Lead: from warning to breach." }
        }
    }

    fn name(&self, run: &RuleRun) -> String {
        cut(&run.name_among(self.runs))
    }

    fn rule(&self, place: usize, run: &RuleRun) -> Markup {
        let Some(page) = &run.page else { return html! {} };
        let id = |plot: &str| format!("rule{place}-{plot}");
        let worst = page.gallery.worst();
        let best: Vec<&Moment> = page.gallery.best().iter().collect();
        html! {
            section {
                h2 { "Rule " (self.name(run)) }
                div.panel { h3 { "Skill of the forecast" } (skill(&page.tally)) }
                div.grid {
                    div.panel { h3 { "What a chance means" } (plots::reliability(&id("reliability"), &page.chances)) (reliability(&page.chances)) }
                    div.panel { h3 { "Other confidences" } (plots::sweep(&id("sweep"), page.sweep.levels())) (sweep(&run.rule, page.sweep.levels())) }
                }
                h4 { "Best" }
                p.soft { "Incidents that were warned of, longest lead first, of equal leads the surest warning. At most " (SHOWN) "; no two show the same seconds of a target." }
                @if !best.is_empty() || !worst.is_empty() { (plots::moment_key()) }
                (moments(&id("best"), &best, "No incident was warned of."))
                h4 { "Worst" }
                p.soft { "Incidents without a warning, those first whose RTT rose furthest over the threshold within " (REACH) " s, and warnings without an incident, the surest first, in turn. At most " (SHOWN) "." }
                (moments(&id("worst"), &worst, "No incident was missed, and no warning was false."))
            }
        }
    }

    fn sources(&self) -> Markup {
        let more = self.recordings.len().saturating_sub(NAMED);
        html! {
            h2 { "Recordings" }
            ul { @for path in self.recordings.iter().take(NAMED) { li { (cut(&path.file_name().unwrap_or_default().to_string_lossy())) } } }
            @if more > 0 { p.soft { (more) " more." } }
        }
    }
}

fn figures(card: &Scorecard) -> Markup {
    let seconds = |lead: Option<u64>| lead.map_or_else(|| "–".to_owned(), |lead| format!("{lead} s"));
    html! {
        td { (card.incidents) } td { (card.warned) } td { (percent(card.recall(), 0)) }
        td { (card.confirmed + card.unconfirmed) } td { (percent(card.precision(), 0)) }
        td { (seconds(card.median_lead())) } td { (seconds(card.lead_quantile(0.1))) }
        td { (maybe(false_per_hour(card))) } td { (maybe(card.false_alerts_per_day())) }
    }
}

fn skill(tally: &Tally) -> Markup {
    html! {
        @if tally.rows() == 0 { p { "No second has both a forecast and its truth: recordings need more than a minute." } }
        @else {
            div.scroll tabindex="0" { table {
                caption { "On " (tally.rows()) " seconds whose truth is known" }
                tr { th { "quantile" } th { "skill" } th { "over the best rule of thumb" } th { "loss" } th { "its loss" } th { "coverage" } }
                @for skill in tally.skills() {
                    tr {
                        td { (skill.quantile) } td { (skill.share().map_or_else(|| "–".to_owned(), |share| format!("{:+.1} %", 100.0 * share))) } td { (skill.rule) }
                        td { (format!("{:.4}", skill.loss)) } td { (format!("{:.4}", skill.rule_loss)) } td { (percent(Some(skill.coverage), 1)) }
                    }
                }
            } }
            p.soft { "Loss: mean pinball loss in ln(µs). Skill: 1 − loss ÷ that of the rule of thumb, with the release's offsets, that lost the least on these very seconds. Coverage: share of truths at or below the quantile." }
        }
    }
}

fn reliability(chances: &Chances) -> Markup {
    let tenths = chances.tenths();
    let (count, came_true) = plots::sums(&tenths);
    let base_rate = (count > 0).then(|| came_true as f64 / count as f64);
    html! {
        p.soft { "A dotted diagonal: chances that mean what they say. Of " (count) " seconds below the threshold, " (percent(base_rate, 2)) " came before a breach. Average precision: " (chances.average_precision().map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))) " (the base rate for chances that know nothing)." }
        details { summary { "Table" } div.scroll tabindex="0" { table {
            tr { th { "chance" } th { "seconds" } th { "mean chance" } th { "came true" } th { "share" } }
            @for (place, tenth) in tenths.iter().enumerate() {
                tr { td { (place * 10) "–" (place * 10 + 10) " %" } td { (tenth.count) } td { (percent(tenth.point().map(|(mean, _)| mean), 1)) } td { (tenth.came_true) } td { (percent(tenth.point().map(|(_, share)| share), 1)) } }
            }
        } } }
    }
}

fn sweep(rule: &Rule, levels: &[Level]) -> Markup {
    html! {
        p.soft { "The same forecasts and chances at other confidences. Each raises its own bar after false warnings, so the chance that a warning needs is higher than the confidence." }
        details { summary { "Table" } div.scroll tabindex="0" { table {
            tr { th { "confidence" } th { "incidents" } th { "warned of" } th { "recall" } th { "warnings" } th { "precision" } th { "lead, median" } th { "lead, tenth" } th { "false per target-hour" } th { "per target-day" } }
            @for level in levels {
                tr.own[level.confidence == rule.confidence] { td { (level.confidence.get()) " %" } (figures(&level.card)) }
            }
        } } }
    }
}

fn moments(id: &str, moments: &[&Moment], none: &str) -> Markup {
    html! {
        @if moments.is_empty() { p { (none) } }
        div.grid.three {
            @for (place, moment) in moments.iter().enumerate() {
                div.panel {
                    h3 { (headline(moment)) }
                    p.soft { (cut(&moment.target)) @if moment.recording != moment.target { " in " (cut(&moment.recording)) } ", " (when(moment)) }
                    (plots::moment(&format!("{id}{place}"), moment))
                    details { summary { "Table" } (values(moment)) }
                }
            }
        }
    }
}

fn headline(moment: &Moment) -> String {
    let chance = percent(moment.warning.and_then(|warning| warning.chance).map(f64::from), 0);
    let worst = quantity::maybe_time(moment.worst_us);
    match moment.kind {
        Kind::Warned { lead } => format!("Warned {lead} s ahead, at a chance of {chance}; {worst} at most"),
        Kind::Missed => format!("Missed; {worst} at most"),
        Kind::FalseAlarm => format!("False alarm, at a chance of {chance}; {worst} at most"),
    }
}

/// UTC, and the second of the recording.
fn when(moment: &Moment) -> String {
    let second = format!("second {}", moment.at.0);
    let time = i64::try_from(moment.unix_ms).ok().filter(|ms| *ms > 0);
    let time = time.and_then(|ms| Timestamp::from_millisecond(ms / 1_000 * 1_000).ok());
    time.map_or_else(|| second.clone(), |time| format!("{time} ({second})"))
}

fn values(moment: &Moment) -> Markup {
    let offset = |second: &Second| second.tick.0 as i64 - moment.at.0 as i64;
    let warned_at = moment.warning.map(|warning| warning.at);
    let wanted =
        |second: &&Second| offset(second).unsigned_abs().is_multiple_of(EVERY) || Some(second.tick) == warned_at;
    html! {
        div.scroll tabindex="0" { table {
            caption { "Each " (EVERY) " s, and the second of the warning" }
            tr { th { "second" } th { "measured" } th { "median" } th { "q 0.9" } th { "q 0.99" } th { "chance" } th { "needed" } }
            @for second in moment.seconds.iter().filter(wanted) {
                tr.own[Some(second.tick) == warned_at || second.tick == moment.at] {
                    td { (format!("{:+}", offset(second))) } td { (quantity::maybe_time(second.measured_us)) }
                    @for quantile in 0..3 { td { (quantity::maybe_time(second.forecast_us.map(|quantiles| quantiles[quantile]))) } }
                    td { (percent(second.chance.map(f64::from), 0)) } td { (percent(Some(second.needed.into()), 0)) }
                }
            }
        } }
    }
}

impl Level {
    fn false_per_hour(&self) -> Option<f64> {
        false_per_hour(&self.card)
    }
}

fn false_per_hour(card: &Scorecard) -> Option<f64> {
    card.false_alerts_per_day().map(|daily| daily / 24.0)
}

/// A name cut to the length of a line.
fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn percent(share: Option<f64>, digits: usize) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.digits$} %", 100.0 * share))
}

fn number(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}
