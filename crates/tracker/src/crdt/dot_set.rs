//! Sets of dots of one replica. The causal context of a dot store is such a set.
//!
//! A replica numbers its changes 1, 2, 3 and so on; such a number is a dot. A node that has received all changes up to
//! some dot stores one range, independent of their number. Changes that arrive out of order add further ranges, the dot
//! cloud, which merge with the first one as the missing changes arrive. The set always has this compact form.

/// A set of dots. Invariant: the ranges are inclusive, sorted, disjoint and not adjacent; the smallest dot is 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DotSet {
    ranges: Vec<(u64, u64)>,
}

impl DotSet {
    /// Returns the set of `first..=last`.
    pub(crate) fn range(first: u64, last: u64) -> Self {
        let mut dots = DotSet::default();
        dots.insert(first, last);
        dots
    }

    /// Adds `first..=last`, which may be empty.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        let first = first.max(1);
        if first > last {
            return;
        }
        // All ranges that overlap the new one or are adjacent to it merge with it.
        let start = self.ranges.partition_point(|range| range.1.saturating_add(1) < first);
        let end = self.ranges.partition_point(|range| range.0 <= last.saturating_add(1));
        match self.ranges.get(start..end) {
            Some([only]) if only.0 <= first && last <= only.1 => {}
            Some([least, ..]) => {
                let merged = (first.min(least.0), last.max(self.ranges[end - 1].1));
                self.ranges.splice(start..end, [merged]);
            }
            _ => self.ranges.insert(start, (first, last)),
        }
    }

    pub(crate) fn union(&mut self, other: &DotSet) {
        for (first, last) in &other.ranges {
            self.insert(*first, *last);
        }
    }

    pub(crate) fn contains(&self, dot: u64) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < dot);
        self.ranges.get(at).is_some_and(|range| range.0 <= dot)
    }

    /// Returns the greatest dot such that the set contains it and all smaller ones; 0 when the set does not contain 1.
    pub(crate) fn complete_until(&self) -> u64 {
        self.ranges.first().filter(|range| range.0 == 1).map_or(0, |range| range.1)
    }

    pub(crate) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_set_contains_exactly_the_inserted_dots_in_as_few_ranges_as_possible(
            ranges in prop::collection::vec((0..40u64, 0..12u64), 0..20),
        ) {
            let (mut dots, mut model) = (DotSet::default(), BTreeSet::new());
            for (first, length) in ranges {
                dots.insert(first, first + length);
                model.extend(first.max(1)..=first + length);
                let contained: BTreeSet<u64> = dots.ranges().iter().flat_map(|(first, last)| *first..=*last).collect();
                prop_assert_eq!(&contained, &model);
                prop_assert!(dots.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{:?}", dots);
                prop_assert!((0..60).all(|dot| dots.contains(dot) == model.contains(&dot)));
                let complete = (1..).take_while(|dot| model.contains(dot)).count() as u64;
                prop_assert_eq!(dots.complete_until(), complete);
            }
        }
    }

    #[test]
    fn the_greatest_dot_does_not_overflow() {
        let mut dots = DotSet::range(u64::MAX, u64::MAX);
        dots.insert(3, u64::MAX - 1);
        assert_eq!(dots.ranges(), [(3, u64::MAX)]);
    }

    #[test]
    fn an_empty_range_adds_nothing() {
        let mut dots = DotSet::range(5, 4);
        dots.insert(1, 0);
        assert_eq!(dots, DotSet::default());
    }
}
