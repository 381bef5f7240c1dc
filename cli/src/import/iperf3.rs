//! JSON of iperf3: the smoothed round-trip time that the sender's kernel has of each stream when an interval ends.

mod document;

use std::{
    io::{self, BufReader, Read},
    path::Path,
};

use serde::de::DeserializeSeed as _;

use self::document::{Document, Interval, Reader, Start, Stop};
use super::{
    error::{ImportError, Reason},
    moment::Moment,
    series::SeriesBy,
    shelf::Shelf,
    shown::shown,
    text::{Text, unread},
};

/// Bytes of a file, decompressed: months of intervals.
const MAX_BYTES: u64 = 1 << 30;
/// Bytes between two commas of a file.
const MAX_WORD: usize = 16 << 20;
/// Seconds by which a reading lies before the end of its interval at most. Reports come a little early or late: in the
/// middle of a second, or of an interval that is shorter, neither matters.
const BEFORE_END_S: f64 = 0.5;

/// Reads a file.
pub(super) fn read(text: Text, name: &str, shelf: &mut Shelf) -> Result<(), ImportError> {
    let is_gzip = text.is_gzip();
    let (path, reader) = text.into_reader();
    let place = shelf.place(name, SeriesBy::Program, &path, "").map_err(|reason| reason.at(&path, None))?;
    let mut run = Run {
        shelf,
        place,
        origin: Moment::from_seconds(0),
        mss: None,
        host: None,
        intervals: 0,
        readings: 0,
        why: None,
    };
    let limited = Limited { reader: BufReader::new(reader), left: MAX_BYTES, word: 0 };
    let mut json = serde_json::Deserializer::from_reader(limited);
    // Runs may follow each other in a file, as `>>` leaves them; a stream has one object a line.
    loop {
        let read = Document(&mut run).deserialize(&mut json);
        read.map_err(|error| refused(error, run.why.take(), &path, is_gzip))?;
        if json.end().is_ok() {
            break;
        }
    }
    match run {
        Run { readings: 0, intervals, .. } => Err(Reason::NoRtt { intervals }.at(&path, None)),
        _ => Ok(()),
    }
}

fn refused(error: serde_json::Error, why: Option<Reason>, path: &Path, is_gzip: bool) -> ImportError {
    let line = u64::try_from(error.line()).ok().filter(|line| *line > 0);
    let reason = match (why, error.classify()) {
        (Some(reason), _) => reason,
        (None, serde_json::error::Category::Io) => unread(error.into(), is_gzip),
        (None, category) => {
            let text = error.to_string();
            // The place stands in front.
            let why = shown(text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what));
            let is_cut = category == serde_json::error::Category::Eof;
            let fix =
                if is_cut { "the file is cut short; let iperf3 end by itself" } else { "export or copy it again" };
            Reason::Json { why, fix }
        }
    };
    reason.at(path, line)
}

/// One run after another.
struct Run<'a> {
    shelf: &'a mut Shelf,
    place: usize,
    /// When the run began.
    origin: Moment,
    /// Bytes of a full segment.
    mss: Option<f64>,
    host: Option<String>,
    intervals: u64,
    readings: u64,
    /// Why reading stopped.
    why: Option<Reason>,
}

impl Run<'_> {
    fn take_start(&mut self, start: Start) -> Result<(), Reason> {
        if let Some(protocol) =
            start.test_start.map(|test| test.protocol).filter(|name| !name.eq_ignore_ascii_case("tcp"))
        {
            return Err(Reason::NotTcp { protocol: shown(&protocol) });
        }
        if let Some(host) = start.connecting_to.map(|to| to.host) {
            let first = self.host.get_or_insert_with(|| host.clone());
            if *first != host {
                let (what, first, fix) = ("a run of iperf3 to".into(), shown(first), "split the file by server".into());
                return Err(Reason::Mixed { what, first, got: shown(&host), fix });
            }
        }
        self.origin = Moment::from_seconds(start.timestamp.map_or(0, |timestamp| timestamp.timesecs));
        self.mss = start.tcp_mss_default.filter(|mss| *mss > 0.0);
        Ok(())
    }

    fn take_interval(&mut self, interval: &Interval) -> Result<(), Reason> {
        self.intervals += 1;
        // Streams report within microseconds of each other: the first has the time.
        let Some(first) = interval.streams.first().filter(|first| !first.omitted) else { return Ok(()) };
        let before_end = (first.end - first.start).clamp(0.0, 2.0 * BEFORE_END_S) / 2.0;
        let at = self.origin.plus_seconds(first.end - before_end);
        let at = at.ok_or_else(|| Reason::Json {
            why: format!("an interval that ends at {} s", first.end),
            fix: "run iperf3 again",
        })?;
        let (mut rtts_us, mut retransmits, mut cwnds) = (Vec::new(), None, Vec::new());
        for stream in interval.streams.iter().filter(|stream| !stream.omitted) {
            // Only the sender's kernel has one, and none before the first ACK.
            let Some(us) = stream.rtt.filter(|us| *us > 0.0) else { continue };
            rtts_us.push(us as f32);
            if let Some(segments) = stream.retransmits {
                *retransmits.get_or_insert(0.0_f32) += segments as f32;
            }
            cwnds.extend(stream.snd_cwnd.and_then(|bytes| self.segments(bytes)));
        }
        self.readings += rtts_us.len() as u64;
        self.shelf.probe(self.place, at, self.intervals, |probes| {
            rtts_us.into_iter().for_each(|us| probes.add_rtt(us));
            retransmits.into_iter().for_each(|segments| probes.add_retransmits(segments));
            cwnds.into_iter().for_each(|segments| probes.add_cwnd(segments));
        })
    }

    /// A window in segments, when it is a whole number of them: else the size of a segment is another.
    fn segments(&self, bytes: f64) -> Option<f32> {
        self.mss.map(|mss| bytes / mss).filter(|segments| segments.fract() == 0.0).map(|segments| segments as f32)
    }

    fn keep(&mut self, result: Result<(), Reason>) -> Result<(), Stop> {
        result.map_err(|reason| {
            self.why = Some(reason);
            Stop
        })
    }
}

impl Reader for Run<'_> {
    fn start(&mut self, start: Start) -> Result<(), Stop> {
        let result = self.take_start(start);
        self.keep(result)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Stop> {
        let result = self.take_interval(interval);
        self.keep(result)
    }

    fn failed(&mut self, error: String) -> Result<(), Stop> {
        self.keep(Err(Reason::Failed { error: shown(&error) }))
    }
}

/// A reader that has an end, and no word without one.
struct Limited<R> {
    reader: R,
    left: u64,
    /// Bytes since the last comma: every key, text and number is shorter.
    word: usize,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let comma = buffer[..read].iter().rposition(|byte| *byte == b',');
        self.word = comma.map_or(self.word + read, |comma| read - 1 - comma);
        let too_large = |what: String| io::Error::new(io::ErrorKind::FileTooLarge, what);
        if self.word > MAX_WORD {
            return Err(too_large(format!("more than {MAX_WORD} bytes without a comma, which iperf3 does not write")));
        }
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| too_large(format!("more than {MAX_BYTES} bytes of JSON, split it")))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
