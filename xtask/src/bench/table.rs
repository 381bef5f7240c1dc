//! The figures as a table for people.

use std::fmt::Write as _;

use super::figures::Figure;

/// A line per figure.
pub(crate) fn of(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.what.chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for Figure { what, value, unit, aim, met, peer_ratio } in figures {
        // Writing to a String cannot fail.
        let _ = write!(table, "{what:<width$}  {:>9} {unit:<3}", shown(*value));
        if let (Some(aim), Some(met)) = (aim, met) {
            let _ = write!(table, "  aim ≤{} {unit}: {}", shown(*aim), if *met { "met" } else { "NOT met" });
        }
        if let Some(ratio) = peer_ratio {
            let _ = write!(table, "  ×{ratio:.1}");
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    table
}

/// Three digits that matter.
fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_and_peers_stand_beside_their_figures() {
        let plain = Figure { what: "a".into(), value: 3.0, unit: "µs", aim: None, met: None, peer_ratio: None };
        let figures = [
            plain.clone(),
            Figure { what: "long".into(), value: 120.0, aim: Some(100.0), met: Some(false), ..plain.clone() },
            Figure { peer_ratio: Some(4.0), ..plain },
        ];
        let expected = "a          3.00 µs\nlong        120 µs   aim ≤100 µs: NOT met\na          3.00 µs   ×4.0\n";
        assert_eq!(of(&figures), expected);
    }
}
