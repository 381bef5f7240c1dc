//! Arguments of several commands.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use netprecursor_settings::{Listen, path::path};

/// A path; behind `=` no shell has replaced `~`.
pub(crate) fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(path)
}

/// An address whose port must be known beforehand.
pub(crate) fn known_address(text: &str) -> Result<Listen, String> {
    let listen: Listen = text.parse().map_err(|error: netprecursor_settings::listen::ListenError| error.to_string())?;
    if listen.port() == 0 {
        return Err(format!(
            "got {listen}, expected a port that is known beforehand: write for example `127.0.0.1:9470`"
        ));
    }
    Ok(listen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_be_shown_has_a_port() {
        assert!(known_address("localhost:9470").is_ok());
        for wrong in ["127.0.0.1:0", "9470", "localhost"] {
            assert!(known_address(wrong).unwrap_err().contains("write for example `"), "{wrong}");
        }
    }
}
