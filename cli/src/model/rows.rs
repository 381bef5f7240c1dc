//! Rows of features from CSV or Parquet.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _};
use std::path::Path;

use netprecursor_models::contract::foreign;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

/// Values in a file: 400 MB of features.
const VALUES: usize = 100_000_000;

/// Bytes of a file that suffice to recognise its type.
const HEAD: u64 = 4_096;

/// The first bytes of a Parquet file.
const PARQUET: &[u8] = b"PAR1";

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
    #[error("rows in {path}: got {got}, expected {expected}; fix: {fix}")]
    Foreign { path: String, got: String, expected: &'static str, fix: String },
    #[error(
        "no header: got numbers in the first line ({got}), expected the names of the columns; fix: write them above, {names}"
    )]
    NoHeader { got: String, names: String },
    #[error(
        "one column: got a header without commas ({got}), expected {expected} columns; fix: separate cells by commas, not by {separator}"
    )]
    Separator { got: String, expected: usize, separator: &'static str },
    #[error(
        "column {name} is missing: got {got} columns that begin with {begin}, expected every feature of the model; fix: add the column; `model inspect --json` lists them all"
    )]
    Missing { name: String, got: usize, begin: String },
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
    let failed = |source| RowsError::Read { path: shown.clone(), source };
    let expected = match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Expected::Csv,
        Some("parquet") => Expected::Parquet,
        _ => return Err(RowsError::Format { got: shown }),
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head).map_err(failed)?;
    expected.check(&head, &shown)?;
    file.rewind().map_err(failed)?;
    match expected {
        Expected::Csv => csv(BufReader::new(file), names, width, &shown),
        Expected::Parquet => {
            let failed = |source| RowsError::Parquet { path: shown.clone(), source };
            parquet(&SerializedFileReader::new(file).map_err(failed)?, names, width, &failed)
        }
    }
}

/// The format that a file's name implies.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Csv,
    Parquet,
}

impl Expected {
    /// Refuses a file that begins as another kind of file does.
    fn check(self, head: &[u8], path: &str) -> Result<(), RowsError> {
        let (expected, is_it): (_, fn(&[u8]) -> bool) = match self {
            Self::Csv => ("CSV: numbers below a line of names", |head| !head.starts_with(PARQUET)),
            Self::Parquet => ("Parquet", |head| head.starts_with(PARQUET)),
        };
        let foreign =
            |got: String, fix: &str| Err(RowsError::Foreign { path: path.into(), got, expected, fix: fix.into() });
        match (self, foreign::known(head)) {
            (Self::Csv, _) if !is_it(head) => foreign("a Parquet file".into(), "name it .parquet"),
            (_, Some(found)) if found.is_detour => foreign(found.what, found.fix),
            (Self::Csv, Some(found)) => foreign(found.what, "write the rows as CSV or Parquet"),
            (Self::Csv, None) if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") => {
                foreign("UTF-16 text".into(), "save it as UTF-8: iconv -f UTF-16 -t UTF-8 < FILE > NEW")
            }
            (Self::Csv, None) if head.contains(&0) => {
                foreign("a binary file".into(), "write the rows as CSV or Parquet")
            }
            (Self::Parquet, _) if !is_it(head) => {
                let is_text = std::str::from_utf8(&head[..head.len().min(64)]).is_ok();
                let (got, fix) = if is_text { ("text", "name it .csv") } else { ("another file", "write it again") };
                foreign(got.into(), fix)
            }
            _ => Ok(()),
        }
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
            [] => Err(RowsError::Missing { name: name.clone(), got: header.len(), begin: begin(header) }),
            several => Err(RowsError::Twice { name: name.clone(), got: several.len() }),
        }
    };
    names.iter().map(column).collect()
}

fn csv(source: impl BufRead, names: Option<&[String]>, width: usize, path: &str) -> Result<Vec<f32>, RowsError> {
    let mut lines = source.lines().map(|line| line.map_err(|source| RowsError::Read { path: path.into(), source }));
    // An empty file was refused before.
    let header = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let header = cells(header.trim_start_matches('\u{feff}'));
    is_header(&header, names, width)?;
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

/// Refuses a first line that holds numbers, which would be taken for names, and one that is not cut into cells.
fn is_header(header: &[String], names: Option<&[String]>, width: usize) -> Result<(), RowsError> {
    if let ([one], true) = (header, width > 1)
        && let Some((_, separator)) = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars"), (' ', "blanks")]
            .into_iter()
            .find(|(s, _)| one.contains(*s))
    {
        return Err(RowsError::Separator { got: begin(header), expected: width, separator });
    }
    // A table without column names is often written with their numbers as names.
    let counts_from = |first: usize| (first..).zip(header).all(|(number, cell)| *cell == number.to_string());
    let is_known = names.is_some_and(|names| header.iter().any(|cell| names.contains(cell)));
    let is_number = |cell: &String| cell.parse::<f32>().is_ok();
    // Beside numbers that are features a row may have a time or a name; where columns go by their order it has not.
    let is_row = match names {
        Some(_) => header.iter().any(is_number),
        None => header.iter().all(|cell| cell.is_empty() || is_number(cell)),
    };
    if is_known || counts_from(0) || counts_from(1) || !is_row {
        return Ok(());
    }
    let names = match names {
        Some(names) => format!("beginning with {}", begin(names)),
        None => format!("one for each of {width} columns, in the order of the model's input"),
    };
    Err(RowsError::NoHeader { got: begin(header), names })
}

/// The first of some cells, as a message shows them.
fn begin(cells: &[String]) -> String {
    let shown: Vec<String> = cells.iter().take(3).map(|cell| cell.chars().take(40).collect()).collect();
    format!("{}{}", shown.join(","), if cells.len() > 3 { ",…" } else { "" })
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
            matches!(read("a\n1\n", Some(&["a", "b"]), 2), Err(RowsError::Missing { name, got: 1, .. }) if name == "b")
        );
        assert!(matches!(read("a,a\n1,1\n", Some(&["a"]), 1), Err(RowsError::Twice { got: 2, .. })));
        assert!(matches!(read("a,b\n1\n", None, 2), Err(RowsError::Cells { row: 1, got: 1, expected: 2 })));
    }

    #[test]
    fn numbers_in_the_first_line_are_no_header() {
        for (text, names) in [
            ("0.5,,nan\n1,2,3\n", None),
            ("-1,2e3,inf\n", None),
            ("1,2,3\n4,5,6\n", Some(&["a", "b", "c"][..])),
            ("web-1,0.5,2.5\n", Some(&["a", "b"][..])),
            ("\u{feff}\"7\",8,9\n", None),
        ] {
            let read = read(text, names, 3);
            // Numbers of columns are a header where the model has no names; there 1, 2, 3 are names that it lacks.
            let Err(error) = read else { panic!("{text:?} was read: {read:?}") };
            let message = error.to_string();
            let is_refused = matches!(error, RowsError::NoHeader { .. } | RowsError::Missing { .. });
            assert!(is_refused && message.contains("got") && message.contains("fix:"), "{text:?}: {message}");
        }
    }

    #[test]
    fn the_advice_for_a_file_without_header_works() {
        let rows = "0.5,1.5\n2.5,3.5\n";
        let names = ["a", "b"];
        assert!(read(rows, Some(&names), 2).unwrap_err().to_string().contains("beginning with a,b"));
        assert_eq!(read(&format!("a,b\n{rows}"), Some(&names), 2).unwrap(), [0.5, 1.5, 2.5, 3.5]);
        assert!(read(rows, None, 2).unwrap_err().to_string().contains("one for each of 2 columns"));
        assert_eq!(read(&format!("p,q\n{rows}"), None, 2).unwrap(), [0.5, 1.5, 2.5, 3.5]);
    }

    #[test]
    fn numbers_of_columns_are_a_header() {
        assert_eq!(read("0,1\n7,8\n", None, 2).unwrap(), [7.0, 8.0]);
        assert_eq!(read("1,2\n7,8\n", None, 2).unwrap(), [7.0, 8.0]);
        assert_eq!(read("5,6\n7,8\n", Some(&["6", "5"]), 2).unwrap(), [8.0, 7.0]);
    }

    #[test]
    fn cells_that_no_comma_separates_say_so() {
        for (text, separator) in [("a;b\n1;2\n", "semicolons"), ("a\tb\n1\t2\n", "tabs"), ("1 2\n3 4\n", "blanks")] {
            let error = read(text, None, 2).unwrap_err().to_string();
            assert!(error.contains(separator), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_no_table_is_called_by_its_name_and_the_advice_fits() {
        let directory = tempfile::tempdir().unwrap();
        let gzip: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0";
        for (name, bytes, got, fix) in [
            ("a.csv", gzip, "a gzip file", "gzip -dc < FILE > NEW"),
            ("a.parquet", gzip, "a gzip file", "gzip -dc < FILE > NEW"),
            (
                "b.csv",
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
                "a Git LFS pointer",
                "git lfs pull",
            ),
            ("c.parquet", b"\n<!DOCTYPE html>\n<html>", "an HTML page", "curl --fail"),
            ("d.csv", b"", "an empty file", "again"),
            ("e.csv", b"PAR1\0\0\0", "a Parquet file", "name it .parquet"),
            ("f.parquet", b"a,b\n1,2\n", "text", "name it .csv"),
            (
                "g.csv",
                b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml",
                "Office",
                "CSV",
            ),
            ("h.csv", b"\xff\xfea\0,\0b\0", "UTF-16", "iconv"),
            ("i.csv", b"\x93NUMPY\x01\0", "a NumPy array", "write the rows as CSV"),
        ] {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = super::read(&path, None, 2).unwrap_err().to_string();
            assert!(error.contains(got) && error.contains(fix) && error.contains("expected"), "{name}: {error}");
        }
    }
}
