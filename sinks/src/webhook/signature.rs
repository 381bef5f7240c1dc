//! Signatures of webhooks by the [specification](https://www.standardwebhooks.com/) that libraries in most languages check:
//! HMAC-SHA256 over `ID.TIMESTAMP.BODY`. Who sees a message cannot send it again later: receivers refuse old timestamps.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderName;
use ring::hmac::{self, HMAC_SHA256, Key};

use crate::http::File;

/// The header with the message's id: the same for each attempt to send it.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");

/// The header with the time of the attempt, unix s.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

/// The header with a signature for each secret.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// Bytes of a secret, by the specification.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets at a time: an old and a new one are enough to replace one without losing a message.
const MOST: usize = 4;

/// What messages are signed with.
pub struct Secrets(Vec<Key>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// The secrets in a file, one a line.
    ///
    /// # Errors
    /// It cannot be read, or holds something else. No error has anything of a secret.
    pub fn read(file: &File) -> Result<Self, String> {
        let expected = format!(
            "one secret a line, at most {MOST}, each {PREFIX} and the Base64 of {} to {} bytes: write for example \
             `echo {PREFIX}$(openssl rand -base64 32)` into it",
            LENGTHS.start(),
            LENGTHS.end()
        );
        let named = file.named();
        let bytes = file.read().map_err(|error| format!("cannot read {named}: {error}; expected {expected}"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("got no text in {named}, expected {expected}"))?;
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() || lines.len() > MOST {
            return Err(format!("got {} lines in {named}, expected {expected}", lines.len()));
        }
        let key = |(index, line): (usize, &&str)| {
            key(line).ok_or_else(|| format!("got something else in line {} of {named}, expected {expected}", index + 1))
        };
        Ok(Self(lines.iter().enumerate().map(key).collect::<Result<_, _>>()?))
    }

    /// The header's value: a signature with each secret.
    pub fn sign(&self, id: &str, unix: u64, body: &[u8]) -> String {
        let signature = |key: &Key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{unix}.").as_bytes());
            context.update(body);
            format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
        };
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

fn key(line: &str) -> Option<Key> {
    let bytes = BASE64_STANDARD.decode(line.strip_prefix(PREFIX)?).ok()?;
    LENGTHS.contains(&bytes.len()).then(|| Key::new(HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The example of the specification's libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn read(content: &str) -> Result<Secrets, String> {
        let kept = tempfile::NamedTempFile::new().unwrap();
        fs::write(kept.path(), content).unwrap();
        Secrets::read(&File { setting: "--webhook-secret-file".to_owned(), path: kept.path().to_owned() })
    }

    fn sign(secrets: &Secrets) -> String {
        secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
    }

    #[test]
    fn a_message_is_signed_as_the_specification_has_it() {
        assert_eq!(sign(&read(&format!("{SECRET}\n")).unwrap()), SIGNED);
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let new = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
        let both = sign(&read(&format!("{new}\n{SECRET}\n")).unwrap());
        let (first, second) = both.split_once(' ').unwrap();
        assert!(first.starts_with("v1,") && first != second, "{both}");
        assert_eq!(second, SIGNED);
    }

    #[test]
    fn what_is_no_secret_is_named_and_never_shown() {
        let short = format!("whsec_{}", BASE64_STANDARD.encode("hunter2"));
        for content in ["", "hunter2", "whsec_hunter2!", &short, &format!("{SECRET}\nhunter2"), &[SECRET; 5].join("\n")]
        {
            let error = read(content).unwrap_err();
            assert!(error.contains("--webhook-secret-file (") && error.contains("openssl rand"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("MfKQ"), "{error}");
        }
    }
}
