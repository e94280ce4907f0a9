//! Median, least and greatest of a few rounds, and of the ratios between two servers round by round.

/// What a few rounds come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    /// The middle one; of an even number, the mean of the middle two.
    pub(super) median: f64,
    /// The smallest.
    pub(super) least: f64,
    /// The greatest.
    pub(super) greatest: f64,
}

impl Summary {
    /// Sums up; none of nothing.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, greatest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Some(Self { median, least, greatest })
    }

    /// Sums up `values[i] / yardstick[i]`. What the machine did to one round it did to both servers, so the
    /// ratio of a round is steadier than the ratio of medians.
    pub(super) fn of_ratios(values: &[f64], yardstick: &[f64]) -> Option<Self> {
        let pairs = values.iter().zip(yardstick);
        let ratios: Vec<f64> = pairs.map(|(value, unit)| value / unit).collect();
        Self::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        let odd = Summary { median: 3.0, least: 1.0, greatest: 9.0 };
        assert_eq!(Summary::of(&[9.0, 1.0, 3.0]), Some(odd));
        let even = Summary { median: 2.5, least: 1.0, greatest: 9.0 };
        assert_eq!(Summary::of(&[9.0, 1.0, 3.0, 2.0]), Some(even));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratios = Summary::of_ratios(&[50.0, 100.0, 30.0], &[100.0, 100.0, 50.0]);
        assert_eq!(ratios, Some(Summary { median: 0.6, least: 0.5, greatest: 1.0 }));
    }
}
