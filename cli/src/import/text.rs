//! A file as lines of bounded length, decompressed where it is gzip, whatever its name says.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use netprecursor_models::contract::foreign;

use super::error::{ImportError, Reason};

/// Bytes of a line.
const MAX_LINE: usize = 1 << 20;
/// Bytes of a file that suffice to recognise its type.
const HEAD: u64 = 16_384;
const BOM: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";

/// An open file that is text.
pub(super) struct Text {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    is_gzip: bool,
    head: Vec<u8>,
    line: u64,
    buffer: Vec<u8>,
}

impl Text {
    /// Opens a file and refuses what is no text.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let failed = |source| Reason::Read { source }.at(path, None);
        let mut raw = BufReader::new(File::open(path).map_err(failed)?);
        let is_gzip = raw.fill_buf().map_err(failed)?.starts_with(GZIP);
        let reader: Box<dyn BufRead> =
            if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(raw))) } else { Box::new(raw) };
        Self::new(path, reader, is_gzip)
    }

    /// A text in memory.
    #[cfg(test)]
    pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<Self, ImportError> {
        Self::new(path, Box::new(Cursor::new(bytes.to_vec())), false)
    }

    fn new(path: &Path, mut reader: Box<dyn BufRead>, is_gzip: bool) -> Result<Self, ImportError> {
        let mut head = Vec::new();
        (&mut reader).take(HEAD).read_to_end(&mut head).map_err(|source| unread(source, is_gzip).at(path, None))?;
        is_text(&head).map_err(|reason| reason.at(path, None))?;
        let begin = if head.starts_with(BOM) { BOM.len() } else { 0 };
        head.drain(..begin);
        let reader = Box::new(Cursor::new(head.clone()).chain(reader));
        Ok(Self { path: path.to_owned(), reader, is_gzip, head, line: 0, buffer: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is decompressed.
    pub(super) const fn is_gzip(&self) -> bool {
        self.is_gzip
    }

    /// The beginning of the text.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Number of the line that was read last, from 1.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// An error on the line that was read last.
    pub(super) fn error(&self, reason: Reason) -> ImportError {
        reason.at(&self.path, self.line)
    }

    /// The next line without its end; `None` behind the last.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>, ImportError> {
        self.buffer.clear();
        let read = (&mut self.reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.buffer);
        self.line += 1;
        match read {
            Err(source) => Err(self.error(unread(source, self.is_gzip))),
            Ok(_) if self.buffer.len() > MAX_LINE => Err(self.error(Reason::LongLine { limit: MAX_LINE })),
            Ok(0) => Ok(None),
            Ok(_) => {
                let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
                Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
            }
        }
    }

    /// What is left of the text, and its path.
    pub(super) fn into_reader(self) -> (PathBuf, impl Read) {
        (self.path, self.reader)
    }
}

/// Why a read failed.
pub(super) fn unread(source: io::Error, is_gzip: bool) -> Reason {
    let is_damage = matches!(
        source.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    );
    if is_gzip && is_damage { Reason::Gzip { source } } else { Reason::Read { source } }
}

fn is_text(head: &[u8]) -> Result<(), Reason> {
    let text = head.strip_prefix(BOM).unwrap_or(head);
    if text.trim_ascii().is_empty() {
        return Err(Reason::Empty);
    }
    let foreign = |what: &str, fix: &str| Err(Reason::Foreign { what: what.into(), fix: fix.into() });
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return foreign("UTF-16 text", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 < FILE > NEW");
    }
    // JSON is left to the reader of iperf3.
    match foreign::known(head) {
        Some(found) if !text.trim_ascii_start().starts_with(b"{") => {
            let fix = if found.is_detour || found.fix.ends_with("CSV") { found.fix } else { "export the rows as CSV" };
            foreign(&found.what, fix)
        }
        _ if head.contains(&0) => foreign("a binary file", "export the rows as CSV"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn text(bytes: &[u8]) -> Result<Text, ImportError> {
        Text::of(Path::new("f"), bytes)
    }

    fn lines(text: &mut Text) -> Vec<String> {
        std::iter::from_fn(|| text.next_line().unwrap().map(|line| String::from_utf8_lossy(line).into_owned()))
            .collect()
    }

    #[test]
    fn line_ends_and_the_mark_in_front_are_no_part_of_lines() {
        let mut text = text(b"\xef\xbb\xbfa,b\r\n1,2\n\n3,4").unwrap();
        assert!(text.head().starts_with(b"a,b"));
        assert_eq!(lines(&mut text), ["a,b", "1,2", "", "3,4"]);
        assert_eq!(text.line(), 5);
    }

    #[test]
    fn gzip_is_known_by_its_bytes_in_one_or_more_members() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("no-suffix");
        let mut bytes = Vec::new();
        for member in [b"a\nb\n", b"c\nd\n"] {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(member).unwrap();
            bytes.extend(encoder.finish().unwrap());
        }
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(lines(&mut Text::open(&path).unwrap()), ["a", "b", "c", "d"]);
        std::fs::write(&path, &bytes[..bytes.len() - 6]).unwrap();
        let error = Text::open(&path).map(drop).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{error}");
    }

    #[test]
    fn what_is_no_text_is_called_by_its_name() {
        for (bytes, part) in [
            (&b""[..], "empty file"),
            (b" \r\n\n", "empty file"),
            (b"\xef\xbb\xbf", "empty file"),
            (b"PAR1\0\0", "a Parquet file, expected CSV, output of ping or JSON of iperf3: export the rows as CSV"),
            (b"\xff\xfea\0,\0", "iconv"),
            (b"<!DOCTYPE html><html>", "an HTML page"),
            (b"\xfd7zXZ\0", "xz -dc"),
            (b"a,b\n\0\0", "binary"),
        ] {
            let error = text(bytes).map(drop).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let missing = Text::open(Path::new("/nonexistent/a.csv")).map(drop).unwrap_err().to_string();
        assert!(missing.starts_with("/nonexistent/a.csv: cannot read"), "{missing}");
    }

    #[test]
    fn a_line_without_an_end_is_refused_where_it_is() {
        let mut bytes = b"a\n".to_vec();
        bytes.extend(vec![b'x'; MAX_LINE + 1]);
        let mut text = text(&bytes).unwrap();
        assert!(text.next_line().unwrap().is_some());
        assert!(text.next_line().unwrap_err().to_string().starts_with("f:2: got a line of more than"));
    }
}
