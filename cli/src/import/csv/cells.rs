//! One line of CSV as cells (RFC 4180, but a line break ends a row also inside quotes: no number or name has one, and a
//! quote that nobody closes must not swallow the file).

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::import::error::Reason;

/// Cuts lines into cells.
pub(super) struct Cells {
    reader: Reader,
    line: Vec<u8>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    pub(super) fn new(separator: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(separator).build();
        Self { reader, line: Vec::new(), bytes: vec![0; 1_024], ends: vec![0; 64] }
    }

    /// The cells of a line, without blanks around them.
    pub(super) fn cut(&mut self, line: &[u8]) -> Result<Vec<String>, Reason> {
        self.reader.reset();
        self.line.clear();
        self.line.extend(line);
        self.line.push(b'\n');
        let (mut read, mut written, mut ended) = (0, 0, 0);
        loop {
            let (result, input, output, ends) =
                self.reader.read_record(&self.line[read..], &mut self.bytes[written..], &mut self.ends[ended..]);
            (read, written, ended) = (read + input, written + output, ended + ends);
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::OutputFull => self.bytes.resize(2 * self.bytes.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                // The end of the line was taken for a part of the cell.
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Err(Reason::Quote),
            }
        }
        let mut begin = 0;
        let cells = self.ends[..ended].iter().map(|end| {
            let cell = String::from_utf8_lossy(&self.bytes[begin..*end]).trim().to_owned();
            begin = *end;
            cell
        });
        Ok(cells.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_the_separator_stands_outside_quotes() {
        for (line, cells) in [
            ("a,b", vec!["a", "b"]),
            ("\"a,1\", b ,", vec!["a,1", "b", ""]),
            ("\"say \"\"x\"\"\",", vec!["say \"x\"", ""]),
            ("a", vec!["a"]),
            ("\u{fc},1", vec!["\u{fc}", "1"]),
        ] {
            assert_eq!(Cells::new(b',').cut(line.as_bytes()).unwrap(), cells, "{line}");
        }
        assert_eq!(Cells::new(b'\t').cut(b"a,b\tc").unwrap(), ["a,b", "c"]);
    }

    #[test]
    fn a_quote_that_is_not_closed_costs_one_line() {
        let mut cells = Cells::new(b',');
        assert!(matches!(cells.cut(b"\"a,b"), Err(Reason::Quote)));
        assert_eq!(cells.cut(b"c,d").unwrap(), ["c", "d"]);
    }

    #[test]
    fn wide_lines_are_cut_whole() {
        let line = (0..500).map(|cell| format!("cell{cell}")).collect::<Vec<_>>().join(",");
        assert_eq!(Cells::new(b',').cut(line.as_bytes()).unwrap().len(), 500);
    }
}
