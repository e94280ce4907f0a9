//! The demand of a subscription: `max_demand` and `min_demand`, with GenStage's meaning. Pure.
//!
//! Applications pass it to `subscribe`; the exchange counts by it.

/// How many items a subscription may have in flight, and when it requests more.
///
/// - `max_demand`, 1,000 by default, is how many items may be delivered and not finished. It bounds the items that the
///   subscriber holds, and for workers how many run at once.
/// - `min_demand`, half of `max_demand` by default, is how many of those are still unfinished when more are requested. So a
///   producer receives requests for `max_demand - min_demand` items, and no batch is larger than that.
///
/// Both defaults are GenStage's. Items in the producer's buffer are delivered as soon as the subscription has room;
/// `min_demand` only bounds how often a producer that makes items on demand is called.
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
    /// Allows `max_demand` items delivered and not finished; `min_demand` is half of it, rounded down.
    pub fn max(max_demand: usize) -> Self {
        Demand { max: max_demand, min: max_demand / 2 }
    }

    /// Requests more when only `min_demand` items are unfinished.
    #[must_use]
    pub fn min(self, min_demand: usize) -> Self {
        Demand { min: min_demand, ..self }
    }

    /// Returns how many items may be delivered and not finished.
    pub fn max_demand(self) -> usize {
        self.max
    }

    /// Returns how many of those are unfinished when more are requested.
    pub fn min_demand(self) -> usize {
        self.min
    }

    /// Returns the most items of a batch: `max_demand - min_demand`.
    pub fn batch(self) -> usize {
        self.max.saturating_sub(self.min)
    }
}

impl Default for Demand {
    fn default() -> Self {
        Demand::max(1000)
    }
}
