//! How much a subscriber asks for: `max_demand` and `min_demand`, with GenStage's meaning. Pure.
//!
//! Called by builders, which take it from users, and by the exchange, which counts by it.

/// How many items a subscription lets come at once, and how few may be left before it asks for more.
///
/// - `max_demand`, 1,000 by default, is how many items may be delivered and not finished. It bounds what the subscriber
///   holds, and for workers how many run at once.
/// - `min_demand`, half of it by default, is how many of those are still unfinished when more are asked for. So a
///   producer is asked for `max_demand - min_demand` items at a time, and no batch is larger than that.
///
/// Both defaults are GenStage's. What lies in the producer's buffer already is delivered as soon as there is room;
/// `min_demand` says when a producer that makes items on demand is bothered again.
///
/// ```
/// use bennu_pipeline::Demand;
///
/// let demand = Demand::max(10).min(2);
/// assert_eq!((demand.max_demand(), demand.min_demand(), demand.batch()), (10, 2, 8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    max: usize,
    min: usize,
}

impl Demand {
    /// At most so many items delivered and not finished; `min_demand` is half of it, rounded down.
    pub fn max(max_demand: usize) -> Self {
        Demand { max: max_demand, min: max_demand / 2 }
    }

    /// Asks for more when only so many are unfinished.
    #[must_use]
    pub fn min(self, min_demand: usize) -> Self {
        Demand { min: min_demand, ..self }
    }

    /// How many items may be delivered and not finished.
    pub fn max_demand(self) -> usize {
        self.max
    }

    /// How many of those are left when more are asked for.
    pub fn min_demand(self) -> usize {
        self.min
    }

    /// The most items that a batch has: `max_demand - min_demand`.
    pub fn batch(self) -> usize {
        self.max.saturating_sub(self.min)
    }
}

impl Default for Demand {
    fn default() -> Self {
        Demand::max(1000)
    }
}
