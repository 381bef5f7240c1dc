//! A history that is kept while it can be, and goes on when it cannot.

use tempfile::TempDir;

use super::*;
use crate::history::ledger::tests::alert;

fn keeper() -> (TempDir, PathBuf, Keeper) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let keeper = open(&path);
    (directory, path, keeper)
}

fn open(path: &Path) -> Keeper {
    Keeper::open(path, "8MiB".parse().unwrap()).unwrap()
}

fn record(keeper: &Keeper, unix: u64, us: f32) {
    let point = Point { measured_us: us, threshold_us: 200.0, ..Point::ABSENT };
    keeper.record(unix, [("a", unix, point)].into_iter(), &[alert("demo-1", unix - unix % 100, "Firing")]);
}

fn measured(keeper: &Keeper, query: &str) -> Vec<Option<u64>> {
    let asked = RangeAsked::parse(query).unwrap();
    let answer = keeper.range(&asked, 2_000_000_000).unwrap().unwrap();
    answer.measured_us.iter().map(|us| us.is_finite().then(|| us.round() as u64)).collect()
}

#[test]
fn what_was_flushed_is_there_after_a_restart_with_who_the_target_is() {
    let (_directory, path, keeper) = keeper();
    keeper.describe([("a".to_owned(), r#"{"name":"web1"}"#.to_owned())].into_iter());
    (1_000..1_020).for_each(|unix| record(&keeper, unix, unix as f32));
    keeper.flush();
    drop(keeper);
    let keeper = open(&path);
    assert_eq!(measured(&keeper, "uid=a&from=1018&until=1021&step=1"), [Some(1_018), Some(1_019), None, None]);
    // Before it is merged into steps.
    assert_eq!(measured(&keeper, "uid=a&from=1000&until=1019&step=10"), [Some(1_009), Some(1_019)]);
    let asked = RangeAsked::parse("uid=a&from=1000&until=1019").unwrap();
    assert_eq!(keeper.range(&asked, 0).unwrap().unwrap().target["name"], "web1");
    assert!(keeper.range(&RangeAsked::parse("uid=nobody").unwrap(), 0).unwrap().is_none());
}

#[test]
fn alerts_come_in_pages_and_one_that_the_agent_forgot_is_over() {
    let (_directory, path, keeper) = keeper();
    (1_000..1_500).step_by(10).for_each(|unix| record(&keeper, unix, 1.0));
    keeper.flush();
    drop(keeper);
    let keeper = open(&path);
    keeper.record(2_000, std::iter::empty(), &[]);
    keeper.flush();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = keeper.alerts(&AlertsAsked::parse(&format!("limit=2{after}")).unwrap()).unwrap();
        let Some((last, _)) = page.last() else { break };
        after = format!("&after={}", crate::history::cursor_of(last));
        seen.extend(page.iter().map(|((fired, _), alert)| (*fired, alert["state"].clone())));
    }
    let fired: Vec<u64> = seen.iter().map(|(fired, _)| *fired).collect();
    assert_eq!(fired, [1_400, 1_300, 1_200, 1_100, 1_000]);
    assert!(seen.iter().all(|(_, state)| state == "Resolved"), "{seen:?}");
    assert_eq!(keeper.alerts(&AlertsAsked::parse("from=1100&until=1200").unwrap()).unwrap().len(), 2);
}

/// What SQLite says of a full disk, it says of a file that may not grow.
fn fill(keeper: &Keeper, is_full: bool) {
    let file = lock(&keeper.inner.file);
    let pages = if is_full { file.pages().unwrap().0 } else { file.most_pages };
    file.connection.execute_batch(&format!("PRAGMA max_page_count = {pages}")).unwrap();
}

#[test]
fn while_the_disk_is_full_it_waits_in_memory_and_says_so_and_is_written_when_there_is_room() {
    let (_directory, _path, keeper) = keeper();
    record(&keeper, 1_000, 7.0);
    keeper.flush();
    fill(&keeper, true);
    for unix in 1_001..4_000 {
        record(&keeper, unix, 8.0);
    }
    keeper.flush();
    let status = keeper.status();
    assert_eq!((status.state, status.lost), (State::Failing, 0));
    assert!(status.reason.as_ref().unwrap().contains("free space"), "{status:?}");
    assert_eq!(measured(&keeper, "uid=a&from=1000&until=1000&step=1"), [Some(7)], "what is there can be read");
    fill(&keeper, false);
    keeper.flush();
    let status = keeper.status();
    assert_eq!((status.state, status.reason), (State::Good, None));
    let kept = measured(&keeper, "uid=a&from=1000&until=3999&step=1");
    assert!(kept[0] == Some(7) && kept[1..].iter().all(|us| *us == Some(8)), "{kept:?}");
}

#[test]
fn a_file_that_turns_out_to_be_damaged_is_said_and_written_no_more() {
    let (_directory, path, keeper) = keeper();
    record(&keeper, 1_000, 7.0);
    keeper.flush();
    lock(&keeper.inner.file).connection.execute("UPDATE fine SET data = x'00'", []).unwrap();
    let before = std::fs::read(&path).unwrap();
    for _ in 0..2 {
        record(&keeper, 1_001, 8.0);
        keeper.flush();
        let status = keeper.status();
        assert_eq!(status.state, State::Damaged);
        assert!(status.reason.unwrap().contains(&path.display().to_string()));
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(keeper.range(&RangeAsked::parse("uid=a&from=1000&until=1009").unwrap(), 0).unwrap_err().is_damage());
}

#[test]
fn the_last_hour_is_remembered_with_its_alerts() {
    let (_directory, path, keeper) = keeper();
    let now = unix();
    record(&keeper, now - 7_200, 1.0);
    record(&keeper, now - 60, 2.0);
    keeper.flush();
    drop(keeper);
    let (keeper, since) = (open(&path), now - 3_600);
    let mut seconds = Vec::new();
    let mut take = |uid: &str, unix: u64, _: Point| seconds.push((uid.to_owned(), unix));
    keeper.seconds_since(since, &mut take).unwrap();
    assert_eq!(seconds, [("a".to_owned(), now - 60)]);
    assert_eq!(
        (keeper.targets_since(since).unwrap(), keeper.newest_alerts().unwrap().len()),
        (vec!["a".to_owned()], 2)
    );
    assert!(keeper.targets_since(now + 3_600).unwrap().is_empty());
}
