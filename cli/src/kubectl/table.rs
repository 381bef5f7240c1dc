//! Tables as kubectl prints them.

use super::style::clean;

/// Between two columns.
const GAP: &str = "   ";

/// What is not known.
pub(super) const NOTHING: &str = "-";

/// A line of `header` and one for each row, columns aligned, nothing behind the last.
pub(super) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let rows: Vec<[String; N]> = std::iter::once(header.map(str::to_owned))
        .chain(rows.iter().map(|row| row.each_ref().map(|cell| line(cell))))
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let joined = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join(GAP).trim_end().to_owned()
    };
    rows.iter().map(joined).collect()
}

/// A cell is one line.
fn line(cell: &str) -> String {
    clean(cell).replace('\n', " ")
}

/// What may be missing.
pub(super) fn maybe(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

/// A share that may be missing.
pub(super) fn percent(value: Option<u8>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| format!("{value}%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["checkout".to_owned(), "80%".to_owned()], ["ü\nb".to_owned(), maybe(None::<u8>)]];
        assert_eq!(table(["NAME", "LEAD"], &rows), ["NAME       LEAD", "checkout   80%", "ü b        -"]);
    }
}
