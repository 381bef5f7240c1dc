//! A row of points as bytes. Pure.
//!
//! Of 28 bytes a point 10 remain, and 2 where only RTT is known. A round trip takes the upper 16 bits of what its float is
//! above 1 µs: five of the exponent, eleven of the fraction. So it is off by at most 1 in 4,096, far less than the agent's own
//! histogram, which is off by 6 %; it reaches from 1 µs to 71 minutes, and keeps the order. What was read is written again as
//! the same bytes, so that nothing drifts. Thresholds hardly ever change within a row, and are kept as they are.
//!
//! `flags`, then each column that has anything, then runs of thresholds (`count`, and each `length`, `f32`), then a bit for
//! each step in which an alert was out. Behind it is a checksum of all that and of where the row belongs, because the database
//! checks its structure but not what it holds.

use flate2::Crc;

use super::{point::Point, tier::Tier};

/// What is not measured.
const ABSENT: u16 = u16::MAX;

/// The bits of 1 µs, and how many of a float are dropped.
const ONE: u32 = 1.0_f32.to_bits();
const DROPPED: u32 = 12;

/// Steps of a certain chance.
const CERTAIN: f32 = 65_534.0;

/// Flags behind those of the columns.
const THRESHOLDS: u8 = 1 << 5;
const FIRING: u8 = 1 << 6;

/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// A column of numbers.
struct Column {
    number: fn(&mut Point) -> &mut f32,
    code: fn(f32) -> u16,
    value: fn(u16) -> f32,
}

const COLUMNS: [Column; 5] = [
    Column { number: |point| &mut point.measured_us, code: time_code, value: time },
    Column { number: |point| &mut point.quantiles_us[0], code: time_code, value: time },
    Column { number: |point| &mut point.quantiles_us[1], code: time_code, value: time },
    Column { number: |point| &mut point.quantiles_us[2], code: time_code, value: time },
    Column { number: |point| &mut point.chance, code: chance_code, value: chance },
];

fn time_code(us: f32) -> u16 {
    if us.is_nan() {
        return ABSENT;
    }
    let above = us.max(1.0).to_bits() - ONE;
    let rounded = (above + (1 << (DROPPED - 1))) >> DROPPED;
    u16::try_from(rounded).map_or(ABSENT - 1, |code| code.min(ABSENT - 1))
}

fn time(code: u16) -> f32 {
    if code == ABSENT { f32::NAN } else { f32::from_bits(ONE + (u32::from(code) << DROPPED)) }
}

fn chance_code(chance: f32) -> u16 {
    if chance.is_nan() { ABSENT } else { (chance.clamp(0.0, 1.0) * CERTAIN).round() as u16 }
}

fn chance(code: u16) -> f32 {
    if code == ABSENT { f32::NAN } else { f32::from(code) / CERTAIN }
}

/// The points of a row, at most 255, with the checksum of the row of that key.
pub(super) fn seal(tier: Tier, key: i64, points: &[Point]) -> Vec<u8> {
    let mut bytes = encode(points);
    let sum = checksum(tier, key, &bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// The points of the row of that key; none where the bytes are not those that were written there.
pub(super) fn unseal(tier: Tier, key: i64, bytes: &[u8]) -> Option<Vec<Point>> {
    let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
    (checksum(tier, key, bytes) == u32::from_le_bytes(*sum)).then_some(())?;
    decode(bytes, tier.points())
}

fn checksum(tier: Tier, key: i64, bytes: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(tier.table().as_bytes());
    sum.update(&key.to_le_bytes());
    sum.update(bytes);
    sum.sum()
}

fn encode(points: &[Point]) -> Vec<u8> {
    let mut bytes = vec![0_u8];
    let mut flags = 0_u8;
    for (at, column) in COLUMNS.iter().enumerate() {
        let code = |mut point: Point| (column.code)(*(column.number)(&mut point));
        let codes: Vec<u16> = points.iter().copied().map(code).collect();
        if codes.iter().any(|code| *code != ABSENT) {
            flags |= 1 << at;
            bytes.extend(codes.iter().flat_map(|code| code.to_le_bytes()));
        }
    }
    if points.iter().any(|point| !point.threshold_us.is_nan()) {
        flags |= THRESHOLDS;
        let runs: Vec<&[Point]> =
            points.chunk_by(|one, next| one.threshold_us.to_bits() == next.threshold_us.to_bits()).collect();
        bytes.push(length(runs.len()));
        for run in runs {
            bytes.push(length(run.len()));
            bytes.extend(run.first().map_or(f32::NAN, |point| point.threshold_us).to_le_bytes());
        }
    }
    if points.iter().any(|point| point.firing) {
        flags |= FIRING;
        let bits = |eight: &[Point]| eight.iter().rev().fold(0, |bits, point| (bits << 1) | u8::from(point.firing));
        bytes.extend(points.chunks(8).map(bits));
    }
    bytes[0] = flags;
    bytes
}

/// Rows have far fewer points.
fn length(points: usize) -> u8 {
    u8::try_from(points).unwrap_or(u8::MAX)
}

fn decode(bytes: &[u8], count: usize) -> Option<Vec<Point>> {
    let mut points = vec![Point::ABSENT; count];
    let (&flags, mut rest) = bytes.split_first()?;
    for (at, column) in COLUMNS.iter().enumerate() {
        if flags & (1 << at) != 0 {
            for point in &mut points {
                *(column.number)(point) = (column.value)(u16::from_le_bytes(taken(&mut rest)?));
            }
        }
    }
    if flags & THRESHOLDS != 0 {
        thresholds(&mut points, &mut rest)?;
    }
    if flags & FIRING != 0 {
        for eight in points.chunks_mut(8) {
            let [bits] = taken(&mut rest)?;
            for (at, point) in eight.iter_mut().enumerate() {
                point.firing = bits & (1 << at) != 0;
            }
        }
    }
    rest.is_empty().then_some(points)
}

fn thresholds(points: &mut [Point], rest: &mut &[u8]) -> Option<()> {
    let [runs] = taken(rest)?;
    let mut points = points.iter_mut();
    for _ in 0..runs {
        let [length] = taken(rest)?;
        let threshold_us = f32::from_le_bytes(taken(rest)?);
        for _ in 0..length {
            points.next()?.threshold_us = threshold_us;
        }
    }
    points.next().is_none().then_some(())
}

/// The next bytes.
fn taken<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bits, because what is absent is not equal to itself.
    fn bits(points: &[Point]) -> Vec<([u32; 6], bool)> {
        let numbers = |point: &Point| {
            let [q50, q90, q99] = point.quantiles_us;
            [point.measured_us, q50, q90, q99, point.chance, point.threshold_us]
        };
        points.iter().map(|point| (numbers(point).map(f32::to_bits), point.firing)).collect()
    }

    fn measured(us: f32) -> Point {
        Point { measured_us: us, ..Point::ABSENT }
    }

    fn round_trip(points: &[Point]) -> Vec<Point> {
        unseal(Tier::Fine, 7, &seal(Tier::Fine, 7, points)).unwrap()
    }

    #[test]
    fn a_row_takes_ten_bytes_a_point_and_two_where_only_rtt_is_known() {
        let whole = Point { quantiles_us: [2.0; 3], chance: 0.5, threshold_us: 200.0, firing: true, ..measured(1.0) };
        let lengths =
            [[whole; 60], [measured(1.0); 60], [Point::ABSENT; 60]].map(|points| seal(Tier::Coarse, 7, &points).len());
        assert_eq!(lengths, [600 + 1 + 6 + 8 + 4, 120 + 1 + 4, 1 + 4]);
    }

    #[test]
    fn a_round_trip_is_kept_to_one_in_four_thousand_and_its_ends_are_held() {
        for us in [1.0, 1.5, 17.0, 21_500.5, 200_000.0, 3.9e9_f32] {
            let mut points = [Point::ABSENT; 10];
            points[3] = measured(us);
            let kept = round_trip(&points)[3].measured_us;
            assert!((kept - us).abs() <= us / 4_096.0, "{us} {kept}");
        }
        let ends = [0.0, -5.0, 1e12, f32::INFINITY].map(|us| time(time_code(us)));
        assert!(ends[..2] == [1.0, 1.0] && ends[2..].iter().all(|us| us.is_finite() && *us > 4.2e9), "{ends:?}");
    }

    #[test]
    fn a_row_that_is_damaged_or_lies_elsewhere_is_none() {
        let sealed = seal(Tier::Fine, 7, &[measured(5.0); 10]);
        assert!(unseal(Tier::Fine, 8, &sealed).is_none() && unseal(Tier::Coarse, 7, &sealed).is_none());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 0x10;
            assert!(unseal(Tier::Fine, 7, &damaged).is_none(), "{at}");
            assert!(unseal(Tier::Fine, 7, &sealed[..at]).is_none(), "{at}");
        }
    }

    fn number(most: f32) -> impl Strategy<Value = f32> {
        prop_oneof![1 => Just(f32::NAN), 4 => 0.0..most]
    }

    prop_compose! {
        fn point()(
            measured_us in number(1e9), quantiles_us in prop::array::uniform3(number(1e9)), chance in number(1.0),
            threshold_us in prop_oneof![Just(f32::NAN), Just(200_000.0_f32), Just(5.5_f32)], firing in any::<bool>(),
        ) -> Point {
            Point { measured_us, quantiles_us, chance, threshold_us, firing }
        }
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_again_as_the_same_bytes(points in prop::collection::vec(point(), 10)) {
            let once = round_trip(&points);
            prop_assert_eq!(bits(&round_trip(&once)), bits(&once));
            for (kept, point) in once.iter().zip(&points) {
                prop_assert_eq!(kept.firing, point.firing);
                prop_assert_eq!(kept.threshold_us.to_bits(), point.threshold_us.to_bits());
                prop_assert_eq!(kept.measured_us.is_nan(), point.measured_us.is_nan());
                prop_assert!(point.chance.is_nan() || (kept.chance - point.chance).abs() < 1e-4);
            }
        }

        #[test]
        fn bytes_of_any_kind_are_points_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes, 10);
        }
    }
}
