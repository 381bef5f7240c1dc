//! Keys and values of labels as Kubernetes allows them: another one would never be found on a pod.

/// Letters of a key's name and of a value, and of a key's prefix.
const MAX_NAME: usize = 63;
const MAX_PREFIX: usize = 253;

/// `[PREFIX/]NAME`, the prefix a DNS name.
pub(crate) fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        None => !text.is_empty() && is_value(text),
        Some((prefix, name)) => {
            let part = |part: &str| !part.is_empty() && part.bytes().all(is_dns) && is_closed(part);
            prefix.len() <= MAX_PREFIX && prefix.split('.').all(part) && !name.is_empty() && is_value(name)
        }
    }
}

/// Empty, or letters, digits, `-`, `_` and `.` between letters or digits.
pub(crate) fn is_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= MAX_NAME && text.bytes().all(inner) && (text.is_empty() || is_closed(text))
}

const fn is_dns(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_closed(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().last()];
    ends.into_iter().flatten().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_what_kubernetes_takes_for_them() {
        for good in ["app", "app.kubernetes.io/name", "A_b.c-1", &"a".repeat(63)] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "-a", "a b", "/a", "a/", "A.io/a", "a..b/c", "a/b/c", &"a".repeat(64), "ä"] {
            assert!(!is_key(bad), "{bad}");
        }
        for (text, good) in [("", true), ("v1.2_x", true), ("-", false), ("a b", false), (&"a".repeat(64), false)] {
            assert_eq!(is_value(text), good, "{text}");
        }
    }
}
