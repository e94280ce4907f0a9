//! A set of dots of one replica: which of its changes are known. This is the causal context.
//!
//! A replica numbers its changes 1, 2, 3 and so on; such a number is a dot. Whoever has seen all up to some dot holds
//! one range, however many they are. What arrives out of order makes further ranges, the cloud, which closes as the
//! rest arrives. The set is compact at all times: it has no other form.

/// Invariant: ranges are inclusive, sorted, disjoint, and not adjacent; the least dot is 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dots {
    ranges: Vec<(u64, u64)>,
}

impl Dots {
    /// `first..=last`.
    pub(crate) fn range(first: u64, last: u64) -> Self {
        let mut dots = Dots::default();
        dots.insert(first, last);
        dots
    }

    /// Adds `first..=last`; nothing when that is empty.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        let first = first.max(1);
        if first > last {
            return;
        }
        // All ranges that overlap or touch the new one become one with it.
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

    pub(crate) fn union(&mut self, other: &Dots) {
        for (first, last) in &other.ranges {
            self.insert(*first, *last);
        }
    }

    pub(crate) fn contains(&self, dot: u64) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < dot);
        self.ranges.get(at).is_some_and(|range| range.0 <= dot)
    }

    /// The dot up to which all are in the set; 0 when there is none.
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
        fn it_is_the_set_of_what_was_inserted_and_never_holds_a_gap_that_is_closed(
            ranges in prop::collection::vec((0..40u64, 0..12u64), 0..20),
        ) {
            let (mut dots, mut model) = (Dots::default(), BTreeSet::new());
            for (first, length) in ranges {
                dots.insert(first, first + length);
                model.extend(first.max(1)..=first + length);
                let held: BTreeSet<u64> = dots.ranges().iter().flat_map(|(first, last)| *first..=*last).collect();
                prop_assert_eq!(&held, &model);
                prop_assert!(dots.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{:?}", dots);
                prop_assert!((0..60).all(|dot| dots.contains(dot) == model.contains(&dot)));
                let complete = (1..).take_while(|dot| model.contains(dot)).count() as u64;
                prop_assert_eq!(dots.complete_until(), complete);
            }
        }
    }

    #[test]
    fn the_greatest_number_does_not_overflow() {
        let mut dots = Dots::range(u64::MAX, u64::MAX);
        dots.insert(3, u64::MAX - 1);
        assert_eq!(dots.ranges(), [(3, u64::MAX)]);
    }

    #[test]
    fn an_empty_range_adds_nothing() {
        let mut dots = Dots::range(5, 4);
        dots.insert(1, 0);
        assert_eq!(dots, Dots::default());
    }
}
