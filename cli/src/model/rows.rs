//! Rows of features from CSV or Parquet.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

/// Values in a file: 400 MB of features.
const VALUES: usize = 100_000_000;

/// Rows that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowsError {
    #[error("cannot read rows from {path}: {source}; fix: give a readable CSV or Parquet file")]
    Read { path: String, source: io::Error },
    #[error(
        "cannot read rows from {path}: got {source}, expected a Parquet file (plain, snappy or zstd); fix: write it again"
    )]
    Parquet { path: String, source: ParquetError },
    #[error(
        "rows of unknown format: got {got}, expected a name that ends in .csv or .parquet; fix: rename or convert the file"
    )]
    Format { got: String },
    #[error("no header: got an empty file, expected column names in the first line; fix: write a header")]
    NoHeader,
    #[error(
        "column {name} is missing: got {got} columns, expected every feature of the model; fix: extract the features again, see `model inspect --json` for the names"
    )]
    Missing { name: String, got: usize },
    #[error("column {name} is there twice: got {got} columns of that name, expected one; fix: rename one")]
    Twice { name: String, got: usize },
    #[error(
        "wrong number of columns: got {got}, expected {expected} in the order of the model's input; fix: leave out what is no feature"
    )]
    Columns { got: usize, expected: usize },
    #[error("row {row}: got {got} cells, expected {expected} as in the header; fix: complete the row")]
    Cells { row: usize, got: usize, expected: usize },
    #[error(
        "row {row}, column {column}: got {got:?}, expected a number, or nothing or nan when missing; fix: correct the cell"
    )]
    Cell { row: usize, column: String, got: String },
    #[error("too many rows: got more than {limit} values, expected at most that; fix: split the file")]
    TooMany { limit: usize },
}

/// Reads rows of `width` features, NaN where missing. Rows are counted from 1, the header not.
///
/// # Errors
/// [`RowsError`], with row and column of a bad cell.
pub(super) fn read(path: &Path, names: Option<&[String]>, width: usize) -> Result<Vec<f32>, RowsError> {
    let shown = path.display().to_string();
    let open = || File::open(path).map_err(|source| RowsError::Read { path: shown.clone(), source });
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => csv(BufReader::new(open()?), names, width, &shown),
        Some("parquet") => {
            let failed = |source| RowsError::Parquet { path: shown.clone(), source };
            parquet(&SerializedFileReader::new(open()?).map_err(failed)?, names, width, &failed)
        }
        _ => Err(RowsError::Format { got: shown }),
    }
}

/// Which column of the file holds each feature.
fn columns(header: &[String], names: Option<&[String]>, width: usize) -> Result<Vec<usize>, RowsError> {
    let Some(names) = names else {
        let got = header.len();
        return if got == width { Ok((0..width).collect()) } else { Err(RowsError::Columns { got, expected: width }) };
    };
    let column = |name: &String| {
        let found: Vec<usize> = (0..header.len()).filter(|column| header[*column] == *name).collect();
        match found.as_slice() {
            [column] => Ok(*column),
            [] => Err(RowsError::Missing { name: name.clone(), got: header.len() }),
            several => Err(RowsError::Twice { name: name.clone(), got: several.len() }),
        }
    };
    names.iter().map(column).collect()
}

fn csv(source: impl BufRead, names: Option<&[String]>, width: usize, path: &str) -> Result<Vec<f32>, RowsError> {
    let mut lines = source.lines().map(|line| line.map_err(|source| RowsError::Read { path: path.into(), source }));
    let header = lines.next().ok_or(RowsError::NoHeader)??;
    let header = cells(header.trim_start_matches('\u{feff}'));
    let columns = columns(&header, names, width)?;
    let mut values = Vec::new();
    let mut row = 0;
    for line in lines {
        let line = line?;
        // One empty cell is a row of a one-column file; otherwise an empty line is no row.
        if line.trim().is_empty() && header.len() > 1 {
            continue;
        }
        row += 1;
        let cells = cells(&line);
        if cells.len() != header.len() {
            return Err(RowsError::Cells { row, got: cells.len(), expected: header.len() });
        }
        for column in &columns {
            let text = cells[*column].trim();
            let bad = || RowsError::Cell { row, column: header[*column].clone(), got: text.chars().take(40).collect() };
            push(&mut values, if text.is_empty() { f32::NAN } else { text.parse().map_err(|_| bad())? })?;
        }
    }
    Ok(values)
}

/// The cells of a line, by RFC 4180 but for line breaks inside quotes, which no number has.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.trim_end_matches('\r').chars().peekable();
    while let Some(character) = characters.next() {
        let last = cells.len() - 1;
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => cells[last].push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cells[last].push(other),
        }
    }
    for cell in &mut cells {
        *cell = cell.trim().to_owned();
    }
    cells
}

fn parquet(
    reader: &SerializedFileReader<File>,
    names: Option<&[String]>,
    width: usize,
    failed: &dyn Fn(ParquetError) -> RowsError,
) -> Result<Vec<f32>, RowsError> {
    let header: Vec<String> =
        reader.metadata().file_metadata().schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    let columns = columns(&header, names, width)?;
    let mut values = Vec::new();
    for (index, row) in reader.get_row_iter(None).map_err(failed)?.enumerate() {
        let row = row.map_err(failed)?.into_columns();
        for column in &columns {
            let (name, field) = &row[*column];
            let value = number(field).ok_or_else(|| RowsError::Cell {
                row: index + 1,
                column: name.clone(),
                got: field.to_string().chars().take(40).collect(),
            })?;
            push(&mut values, value)?;
        }
    }
    Ok(values)
}

/// A cell as a feature: single precision, whatever the file has.
fn number(field: &Field) -> Option<f32> {
    Some(match field {
        Field::Null => f32::NAN,
        Field::Float(value) => *value,
        Field::Double(value) => *value as f32,
        Field::Bool(value) => f32::from(u8::from(*value)),
        Field::Byte(value) => f32::from(*value),
        Field::Short(value) => f32::from(*value),
        Field::Int(value) => *value as f32,
        Field::Long(value) => *value as f32,
        Field::UByte(value) => f32::from(*value),
        Field::UShort(value) => f32::from(*value),
        Field::UInt(value) => *value as f32,
        Field::ULong(value) => *value as f32,
        _ => return None,
    })
}

fn push(values: &mut Vec<f32>, value: f32) -> Result<(), RowsError> {
    if values.len() == VALUES {
        return Err(RowsError::TooMany { limit: VALUES });
    }
    values.push(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, names: Option<&[&str]>, width: usize) -> Result<Vec<f32>, RowsError> {
        let names: Option<Vec<String>> = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        csv(text.as_bytes(), names.as_deref(), width, "rows.csv")
    }

    #[test]
    fn columns_go_by_the_models_names_and_others_are_ignored() {
        let rows = read("time,b,a\n7,2,1\r\n8,4,3\n", Some(&["a", "b"]), 2).unwrap();
        assert_eq!(rows, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn without_names_columns_go_by_their_order() {
        assert_eq!(read("p,q\n1,-2e3\n", None, 2).unwrap(), [1.0, -2000.0]);
        assert!(matches!(read("p,q\n1,2\n", None, 3), Err(RowsError::Columns { got: 2, expected: 3 })));
    }

    #[test]
    fn an_empty_cell_and_nan_in_any_case_are_missing() {
        let rows = read("p,q,r\n,nan,NaN\n\"\", 5 ,6\n", None, 3).unwrap();
        assert!(rows[..4].iter().all(|value| value.is_nan()));
        assert_eq!(rows[4..], [5.0, 6.0]);
    }

    #[test]
    fn a_bad_cell_is_named_by_row_and_column() {
        let error = read("p,\"q,1\"\n1,2\n3,x7\n", None, 2).unwrap_err();
        assert!(matches!(&error, RowsError::Cell { row: 2, column, got } if column == "q,1" && got == "x7"));
        let text = error.to_string();
        assert!(text.contains("got") && text.contains("expected") && text.contains("fix:"), "{text}");
    }

    #[test]
    fn missing_double_and_short_rows_say_so() {
        assert!(
            matches!(read("a\n1\n", Some(&["a", "b"]), 2), Err(RowsError::Missing { name, got: 1 }) if name == "b")
        );
        assert!(matches!(read("a,a\n1,1\n", Some(&["a"]), 1), Err(RowsError::Twice { got: 2, .. })));
        assert!(matches!(read("a,b\n1\n", None, 2), Err(RowsError::Cells { row: 1, got: 1, expected: 2 })));
        assert!(matches!(read("", None, 2), Err(RowsError::NoHeader)));
    }
}
