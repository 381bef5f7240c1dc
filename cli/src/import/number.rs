//! Numbers as people and programs write them.

/// A finite number. `comma` allows one for the decimal point, as where cells are separated by something else.
pub(super) fn number(text: &str, comma: bool) -> Option<f64> {
    let text = text.trim();
    let parsed = match (comma, text.split_once(',')) {
        (true, Some((whole, fraction))) if !fraction.contains(['.', ',']) && !whole.contains('.') => {
            format!("{whole}.{fraction}").parse()
        }
        _ => text.parse::<f64>(),
    };
    parsed.ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_finite_and_a_comma_is_a_point_where_it_may_be() {
        for (text, comma, expected) in [
            (" 12.5 ", false, Some(12.5)),
            ("1e3", false, Some(1_000.0)),
            ("-7", false, Some(-7.0)),
            ("12,5", true, Some(12.5)),
            ("12,5", false, None),
            ("1.000,5", true, None),
            ("1,2,3", true, None),
            ("nan", false, None),
            ("inf", true, None),
            ("", false, None),
            ("0x10", false, None),
            ("26 ms", false, None),
        ] {
            assert_eq!(number(text, comma), expected, "{text}");
        }
    }
}
