//! Values of all targets, second by second: a ring of frames that readers share with the tick thread.

use std::{collections::VecDeque, sync::Arc};

use super::target::About;

/// Who was measured in a second; shared by the seconds until somebody comes, goes or gets another name.
pub type Roster = Arc<[Arc<About>]>;

/// One second: a value for each target that was measured.
#[derive(Debug)]
pub struct Frame<T> {
    /// Unix time, s.
    pub unix: u64,
    /// The targets.
    pub roster: Roster,
    /// Their values, in the same order.
    pub values: Box<[T]>,
}

impl<T> Frame<T> {
    /// Targets with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<About>, &T)> {
        self.roster.iter().zip(&self.values)
    }
}

/// The last seconds, oldest first. A clone shares the frames.
#[derive(Debug)]
pub struct Frames<T> {
    frames: VecDeque<Arc<Frame<T>>>,
    length: usize,
}

impl<T> Clone for Frames<T> {
    fn clone(&self) -> Self {
        Self { frames: self.frames.clone(), length: self.length }
    }
}

impl<T> Frames<T> {
    /// Room for the last `length` seconds.
    pub const fn new(length: usize) -> Self {
        Self { frames: VecDeque::new(), length }
    }

    /// Adds the newest second.
    pub fn push(&mut self, frame: Arc<Frame<T>>) {
        if self.frames.len() == self.length {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
    }

    /// The newest second.
    pub fn latest(&self) -> Option<&Frame<T>> {
        self.frames.back().map(Arc::as_ref)
    }

    /// What there is of one target, newest first, with the unix time of each.
    pub fn newest_of<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = (u64, &'a T)> {
        // Hardly ever does anybody come or go: the place in the frame before is the place in this one.
        let mut known: Option<(&Roster, Option<usize>)> = None;
        self.frames.iter().rev().filter_map(move |frame| {
            let place = match known {
                Some((roster, place)) if Arc::ptr_eq(roster, &frame.roster) => place,
                _ => frame.roster.iter().position(|about| about.uid == uid),
            };
            known = Some((&frame.roster, place));
            Some((frame.unix, frame.values.get(place?)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::{policy::Labels, tick::Tick};

    use super::*;
    use crate::tick::target::Origin;

    fn about(uid: &str) -> Arc<About> {
        Arc::new(About {
            name: uid.to_owned(),
            aliases: Vec::new(),
            uid: uid.to_owned(),
            origin: Origin::Namespace { inode: 1 },
            labels: Labels::new(),
            since: Tick(0),
        })
    }

    #[test]
    fn a_target_is_followed_through_frames_whose_others_come_and_go() {
        let (a, b, c) = (about("a"), about("b"), about("c"));
        let first: Roster = [a, Arc::clone(&b)].into();
        let then: Roster = [b, c].into();
        let mut frames = Frames::new(3);
        for (unix, roster, values) in
            [(1, &first, [10, 20]), (2, &first, [11, 21]), (3, &then, [22, 30]), (4, &then, [23, 31])]
        {
            frames.push(Arc::new(Frame { unix, roster: Arc::clone(roster), values: values.into() }));
        }
        let of = |uid| frames.newest_of(uid).map(|(unix, value)| (unix, *value)).collect::<Vec<(u64, i32)>>();
        assert_eq!(of("b"), [(4, 23), (3, 22), (2, 21)]);
        assert_eq!(of("a"), [(2, 11)], "the first second is over");
        assert_eq!(of("c"), [(4, 31), (3, 30)]);
        assert_eq!(of("d"), []);
    }
}
