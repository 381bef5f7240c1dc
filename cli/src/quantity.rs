//! Quantities and names in words, the same on every screen of this program.

/// A time in µs with a unit that suits it.
pub(crate) fn time(us: f32) -> String {
    match us {
        us if us >= 1_000_000.0 => format!("{:.1} s", us / 1e6),
        us if us >= 10_000.0 => format!("{:.0} ms", us / 1e3),
        us if us >= 1_000.0 => format!("{:.1} ms", us / 1e3),
        us => format!("{us:.0} µs"),
    }
}

/// A time that may be missing.
pub(crate) fn maybe_time(us: Option<f32>) -> String {
    us.map_or_else(|| "-".to_owned(), time)
}

/// A share in whole percent that may be missing.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

/// Seconds that may be missing.
pub(crate) fn seconds(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"))
}

/// A value in the unit that the schema has for it.
pub(crate) fn quantity(value: f32, unit: &str) -> String {
    match unit {
        "µs" => time(value),
        "bytes" | "bytes/s" => {
            let per = unit.strip_prefix("bytes").unwrap_or_default();
            match value {
                value if value >= 1e6 => format!("{:.1} MB{per}", value / 1e6),
                value if value >= 1e3 => format!("{:.0} kB{per}", value / 1e3),
                value => format!("{value:.0} B{per}"),
            }
        }
        "ratio" => format!("{:.0} %", value * 100.0),
        "1" => format!("{value:.0}"),
        unit => format!("{value:.1} {unit}"),
    }
}

/// `RttHistory` as `RTT history`.
pub(crate) fn spaced(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words.replace("rtt", "RTT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_the_unit_that_suits_them() {
        for (value, unit, text) in [
            (350.0, "µs", "350 µs"),
            (4_200.0, "µs", "4.2 ms"),
            (143_400.0, "µs", "143 ms"),
            (1_400_000.0, "µs", "1.4 s"),
            (182_000.0, "bytes", "182 kB"),
            (2_500_000.0, "bytes/s", "2.5 MB/s"),
            (0.31, "ratio", "31 %"),
            (12.0, "1", "12"),
            (3.25, "segments", "3.2 segments"),
        ] {
            assert_eq!(quantity(value, unit), text);
        }
        assert_eq!((maybe_time(None), spaced("RttHistory")), ("-".into(), "RTT history".into()));
    }
}
