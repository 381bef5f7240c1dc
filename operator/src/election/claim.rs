//! What to do about the lease that was seen: pure, with both clocks as parameters.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use tokio::time::Instant;

use super::{LEASE, LONGEST};

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Another leads.
    Wait,
    /// Nobody ever led.
    Create(Box<Lease>),
    /// The lease is ours, or nobody's.
    Replace(Box<Lease>),
}

/// What is known of the lease.
#[derive(Debug)]
pub struct Claims {
    identity: String,
    /// What another's lease looked like, and when it first looked like that.
    seen: Option<(Option<LeaseSpec>, Instant)>,
    /// The lease as we last wrote it.
    held: Option<Lease>,
}

impl Claims {
    /// For a candidate that calls itself `identity`.
    pub const fn new(identity: String) -> Self {
        Self { identity, seen: None, held: None }
    }

    /// What to do about the lease as it was read.
    pub fn claim(&mut self, lease: Option<Lease>, now: Instant, wall: Timestamp) -> Claim {
        let Some(mut lease) = lease else {
            self.seen = None;
            let spec = self.spec(None, wall);
            return Claim::Create(Box::new(Lease { spec: Some(spec), ..Lease::default() }));
        };
        if !self.is_free(&lease, now) {
            return Claim::Wait;
        }
        lease.spec = Some(self.spec(lease.spec.take(), wall));
        // The server's own business; sending it back is waste.
        lease.metadata.managed_fields = None;
        Claim::Replace(Box::new(lease))
    }

    /// The lease as it was written.
    pub fn wrote(&mut self, lease: Lease) {
        self.seen = None;
        self.held = Some(lease);
    }

    /// What was written may not be what is there.
    pub fn forget(&mut self) {
        self.held = None;
    }

    /// The lease as it was last written, unless that is in doubt: a renewal then takes one request.
    pub fn held(&self) -> Option<Lease> {
        self.held.clone()
    }

    /// The lease as it has to be for another to take it at once; `None` when it is not ours.
    pub fn release(&mut self, lease: Option<Lease>) -> Option<Lease> {
        let mut lease = lease.filter(|lease| holder(lease) == Some(&self.identity))?;
        if let Some(spec) = &mut lease.spec {
            // Empty, not absent: what waits for a change must see one.
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        self.held = None;
        Some(lease)
    }

    /// The lease as it has to be to take it from whoever holds it, for `length`: the holder finds out when it renews. Used by
    /// `retire`.
    pub fn seize(&self, lease: Option<Lease>, length: Duration, wall: Timestamp) -> Lease {
        let mut lease = lease.unwrap_or_default();
        let spec = self.spec(lease.spec.take(), wall);
        let seconds = i32::try_from(length.as_secs()).ok();
        lease.spec = Some(LeaseSpec { lease_duration_seconds: seconds, ..spec });
        lease.metadata.managed_fields = None;
        lease
    }

    fn is_free(&mut self, lease: &Lease, now: Instant) -> bool {
        let Some(holder) = holder(lease) else { return true };
        if *holder == self.identity {
            return true;
        }
        match &self.seen {
            Some((spec, since)) if *spec == lease.spec => now.duration_since(*since) >= length(lease),
            _ => {
                self.seen = Some((lease.spec.clone(), now));
                false
            }
        }
    }

    fn spec(&self, old: Option<LeaseSpec>, wall: Timestamp) -> LeaseSpec {
        let old = old.unwrap_or_default();
        let is_renewal = old.holder_identity.as_ref() == Some(&self.identity);
        let transitions = old.lease_transitions.unwrap_or(0);
        let is_first = old.holder_identity.is_none();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: if is_renewal { old.acquire_time.clone() } else { Some(MicroTime(wall)) },
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(if is_renewal || is_first { transitions } else { transitions.saturating_add(1) }),
            ..old
        }
    }
}

/// How long a lease lasts. Leaders' last [`LEASE`]; a longer one is of somebody who keeps them away, though not for ever.
fn length(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).clamp(LEASE, LONGEST)
}

fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER_THE_LEASE: Duration = LEASE.saturating_add(Duration::from_millis(1));

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn claims(identity: &str) -> Claims {
        Claims::new(identity.to_owned())
    }

    fn taken(claim: Claim) -> Lease {
        match claim {
            Claim::Create(lease) | Claim::Replace(lease) => *lease,
            Claim::Wait => panic!("expected a claim"),
        }
    }

    fn lease_of(identity: &str, second: i64) -> Lease {
        taken(claims(identity).claim(None, Instant::now(), wall(second)))
    }

    #[test]
    fn the_first_candidate_makes_the_lease() {
        let lease = lease_of("a", 0);
        let spec = lease.spec.unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("a"), Some(0)));
    }

    #[test]
    fn a_lease_of_another_is_taken_when_it_has_not_moved_for_its_whole_length() {
        let (mut b, start) = (claims("b"), Instant::now());
        assert_eq!(b.claim(Some(lease_of("a", 0)), start, wall(0)), Claim::Wait);
        let late = start + AFTER_THE_LEASE;
        // It moved in between: the wait starts over.
        assert_eq!(b.claim(Some(lease_of("a", 9)), late, wall(15)), Claim::Wait);
        assert_eq!(b.claim(Some(lease_of("a", 9)), late + LEASE / 2, wall(20)), Claim::Wait);
        let spec = taken(b.claim(Some(lease_of("a", 9)), late + AFTER_THE_LEASE, wall(31))).spec.unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("b"), Some(1)));
    }

    #[test]
    fn a_lease_that_was_seized_keeps_others_away_for_as_long_as_it_says_and_no_longer_than_is_sane() {
        for (asked, lasts) in [(300, 300), (1, LEASE.as_secs()), (1_000_000, LONGEST.as_secs())] {
            let seized = claims("end").seize(Some(lease_of("a", 0)), Duration::from_secs(asked), wall(1));
            assert_eq!(seized.spec.as_ref().unwrap().lease_transitions, Some(1));
            let (mut b, start) = (claims("b"), Instant::now());
            assert_eq!(b.claim(Some(seized.clone()), start, wall(1)), Claim::Wait);
            let early = start + Duration::from_secs(lasts - 1);
            assert_eq!(b.claim(Some(seized.clone()), early, wall(2)), Claim::Wait, "{asked}");
            assert!(matches!(b.claim(Some(seized), start + Duration::from_secs(lasts), wall(3)), Claim::Replace(_)));
        }
    }

    #[test]
    fn what_the_clock_of_another_says_does_not_count() {
        let mut b = claims("b");
        let ancient = lease_of("a", -1_000_000);
        assert_eq!(b.claim(Some(ancient), Instant::now(), wall(0)), Claim::Wait);
    }

    #[test]
    fn a_renewal_keeps_when_it_was_acquired() {
        let mut a = claims("a");
        let spec = taken(a.claim(Some(lease_of("a", 0)), Instant::now(), wall(5))).spec.unwrap();
        assert_eq!(spec.acquire_time, Some(MicroTime(wall(0))));
        assert_eq!((spec.renew_time, spec.lease_transitions), (Some(MicroTime(wall(5))), Some(0)));
    }

    #[test]
    fn a_lease_that_was_released_is_taken_at_once() {
        let (mut a, mut b) = (claims("a"), claims("b"));
        let released = a.release(Some(lease_of("a", 0))).unwrap();
        assert!(matches!(b.claim(Some(released), Instant::now(), wall(1)), Claim::Replace(_)));
    }

    #[test]
    fn the_lease_of_another_is_not_released() {
        assert_eq!(claims("b").release(Some(lease_of("a", 0))), None);
    }
}
