//! Versions of Kubernetes that are built here.

use std::{fmt, str::FromStr};

use crate::TestbedError;

/// A minor version; its folder under `e2e/kind/` pins the patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 1.32, the oldest that is supported.
    V1_32,
    /// 1.34, what the nodes of the kind cluster run.
    V1_34,
    /// 1.36, the newest.
    V1_36,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::V1_32, Self::V1_34, Self::V1_36];
    /// The oldest that is supported.
    pub const OLDEST: Self = Self::V1_32;
    /// The one that needs nothing built beyond what the kind cluster needs.
    pub const DEFAULT: Self = Self::V1_34;
    /// The newest.
    pub const NEWEST: Self = Self::V1_36;

    /// Such as `1.34`.
    pub const fn minor(self) -> &'static str {
        match self {
            Self::V1_32 => "1.32",
            Self::V1_34 => "1.34",
            Self::V1_36 => "1.36",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.minor())
    }
}

impl FromStr for Version {
    type Err = TestbedError;

    fn from_str(text: &str) -> Result<Self, TestbedError> {
        let wanted = text.trim_start_matches('v');
        Self::ALL.into_iter().find(|version| version.minor() == wanted).ok_or_else(|| TestbedError::UnknownVersion {
            got: text.to_owned(),
            known: Self::ALL.map(Self::minor).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_written() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        }
        assert_eq!("v1.36".parse::<Version>().unwrap(), Version::NEWEST);
        let error = "1.31".parse::<Version>().unwrap_err().to_string();
        assert!(error.contains("1.31") && error.contains("1.32, 1.34, 1.36"), "{error}");
    }
}
