//! Median, minimum and maximum of several rounds, and of the round-by-round ratios of two servers.

/// The summary of several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    /// The middle value; of an even number, the mean of the middle two.
    pub(super) median: f64,
    /// The minimum.
    pub(super) min: f64,
    /// The maximum.
    pub(super) max: f64,
}

impl Summary {
    /// Summarizes `values`; `None` without values.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Some(Self { median, min, max })
    }

    /// Summarizes `values[i] / baseline[i]`. Other load on the machine affects both servers of a round, so the ratio of
    /// a round varies less than the ratio of medians.
    pub(super) fn of_ratios(values: &[f64], baseline: &[f64]) -> Option<Self> {
        let pairs = values.iter().zip(baseline);
        let ratios: Vec<f64> = pairs.map(|(value, unit)| value / unit).collect();
        Self::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        let odd = Summary { median: 3.0, min: 1.0, max: 9.0 };
        assert_eq!(Summary::of(&[9.0, 1.0, 3.0]), Some(odd));
        let even = Summary { median: 2.5, min: 1.0, max: 9.0 };
        assert_eq!(Summary::of(&[9.0, 1.0, 3.0, 2.0]), Some(even));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn ratios_are_calculated_round_by_round() {
        let ratios = Summary::of_ratios(&[50.0, 100.0, 30.0], &[100.0, 100.0, 50.0]);
        assert_eq!(ratios, Some(Summary { median: 0.6, min: 0.5, max: 1.0 }));
    }
}
