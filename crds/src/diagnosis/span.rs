//! Times and lists, short.

use std::collections::BTreeSet;

/// Seconds as kubectl writes them: the two largest units at most.
pub fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{}s", seconds.max(0)),
        120..600 => match (seconds / 60, seconds % 60) {
            (minutes, 0) => format!("{minutes}m"),
            (minutes, seconds) => format!("{minutes}m{seconds}s"),
        },
        600..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Up to `most` of some texts, and how many more there are.
pub fn some_of(texts: impl IntoIterator<Item = String>, most: usize) -> String {
    let texts: BTreeSet<String> = texts.into_iter().collect();
    let more = texts.len().saturating_sub(most);
    let mut some = texts.into_iter().take(most).collect::<Vec<_>>().join("; ");
    if more > 0 {
        some.push_str(&format!("; and {more} more"));
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_is_rendered_more_roughly() {
        let table = [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (125, "2m5s"),
            (300, "5m"),
            (3_000, "50m"),
            (8_000, "2h"),
            (200_000, "2d"),
        ];
        for (seconds, text) in table {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let texts = |count: usize| (0..count).map(|index| format!("n{index}"));
        assert_eq!(some_of(texts(2), 2), "n0; n1");
        assert_eq!(some_of(texts(4), 2), "n0; n1; and 2 more");
    }
}
