//! An entry as a file, in the version of this release and of those before.

use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    entry::{Entry, MAX_EVENTS},
    version1,
};

/// The version of the files. Additions that older releases may ignore keep it. Those of version 1 are read, too.
const VERSION: u32 = 2;

/// Causes of one alert at most, as the API bounds them.
const MAX_CAUSES: usize = netprecursor_crds::alert::MAX_CAUSES;

/// A file that is no entry.
#[derive(Debug, Error)]
pub enum EntryError {
    /// Written by another release.
    #[error("got version {got}, expected {VERSION} or 1")]
    Version {
        /// Its version.
        got: u32,
    },
    /// More than the API takes.
    #[error("got {got} {what}, expected at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        got: usize,
        /// The bound.
        max: usize,
    },
    /// An alert that is on no pod.
    #[error("got an alert without policy and pod")]
    Subject,
    /// Not an entry.
    #[error("expected an alert as the agent writes it: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(flatten)]
    entry: &'a Entry,
}

impl Entry {
    /// The file's content.
    ///
    /// # Errors
    /// None that an entry in memory can cause; the encoder's are passed on.
    pub fn to_json(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Written { version: VERSION, entry: self })?)
    }

    /// An entry from a file's content.
    ///
    /// # Errors
    /// Another version, lists beyond their bounds, or something else altogether.
    pub fn from_json(json: &[u8]) -> Result<Self, EntryError> {
        let entry: Self = match serde_json::from_slice(json)? {
            Versioned { version: VERSION } => serde_json::from_slice(json)?,
            Versioned { version: 1 } => serde_json::from_slice::<version1::Entry>(json)?.into(),
            Versioned { version: got } => return Err(EntryError::Version { got }),
        };
        if entry.alert.subject.is_none() {
            return Err(EntryError::Subject);
        }
        for (what, got, max) in
            [("causes", entry.alert.causes.len(), MAX_CAUSES), ("events", entry.events.len(), MAX_EVENTS)]
        {
            if got > max {
                return Err(EntryError::TooMany { what, got, max });
            }
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::firing::alert;

    #[test]
    fn an_entry_survives_its_file() {
        let mut entry = Entry::new(alert(0));
        entry.alert.causes[0].baseline = f32::NAN;
        let read = Entry::from_json(&entry.to_json().unwrap()).unwrap();
        assert!(read.alert.causes[0].baseline.is_nan());
        entry.alert.causes.clear();
        assert_eq!(Entry::from_json(&entry.to_json().unwrap()).unwrap(), entry);
    }

    #[test]
    fn what_no_agent_wrote_is_refused() {
        let json = String::from_utf8(Entry::new(alert(0)).to_json().unwrap()).unwrap();
        let refused = |from: &str, to: &str| {
            assert!(json.contains(from), "{from}");
            Entry::from_json(json.replace(from, to).as_bytes()).unwrap_err()
        };
        assert!(matches!(refused("\"version\":2", "\"version\":3"), EntryError::Version { got: 3 }));
        assert!(matches!(refused("\"subject\"", "\"object\""), EntryError::Subject));
        assert!(matches!(refused("\"Queue\"", "\"Moon\""), EntryError::Json(_)));
    }
}
