//! The copy of a user's model that the operator publishes and agents fetch: an immutable ConfigMap in the install's
//! namespace, with the model in its `binaryData`.

/// Key of a model as it is.
pub const PLAIN: &str = "model.onnx";

/// Key of a model compressed by gzip.
pub const COMPRESSED: &str = "model.onnx.gz";

/// Digits of the digest in a name.
const DIGITS: usize = 40;

/// The name of the copy of the model with this digest, which is given in hexadecimal digits.
pub fn name(sha256: &str) -> String {
    format!("netprecursor-model-{}", sha256.get(..DIGITS).unwrap_or(sha256))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_copy_is_named_after_forty_digits_of_its_digest() {
        assert_eq!(super::name(&"ab".repeat(32)), format!("netprecursor-model-{}", "ab".repeat(20)));
    }
}
