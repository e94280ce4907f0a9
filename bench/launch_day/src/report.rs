//! The report of a day.

use crate::sale::{Answer, Purchase};
use bennu_bench_deploy::Distribution;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The figures of a day, and its faults.
#[derive(Debug)]
pub struct DayReport {
    /// The number of shoppers.
    pub shoppers: usize,
    /// The time until all had opened the page and joined three channels.
    pub arrived: Duration,
    /// For each product: the time until its release was confirmed to the owner's terminal, and the times until the
    /// shoppers saw it, both from the start of the command.
    pub releases: Vec<(Duration, Distribution)>,
    /// The purchases.
    pub sale: Sale,
    /// The time after the sale until the pages of all shoppers showed the stock of the database.
    pub current: Duration,
    /// The contradictions between answers, pages and database. There must be none.
    pub faults: Vec<String>,
}

/// The purchases of a day.
#[derive(Debug)]
pub struct Sale {
    /// The times from the first request of a buyer to its final answer.
    pub answers: Distribution,
    /// The buyers that have an order.
    pub bought: usize,
    /// The buyers without one, by the reason of the refusal.
    pub refused: BTreeMap<String, usize>,
    /// The buyers that read in between that the outcome is not known yet.
    pub unknown: usize,
    /// The requests that the store did not answer, because a node had been killed.
    pub failed_requests: usize,
}

impl Sale {
    pub(crate) fn of(purchases: &[Purchase]) -> Self {
        let mut sale = Sale {
            answers: Distribution::of(purchases.iter().map(|purchase| purchase.time).collect()),
            bought: 0,
            refused: BTreeMap::new(),
            unknown: purchases.iter().filter(|purchase| purchase.was_unknown).count(),
            failed_requests: purchases.iter().map(|purchase| purchase.failed_requests).sum(),
        };
        for purchase in purchases {
            match &purchase.answer {
                Answer::Bought(_) => sale.bought += 1,
                Answer::Refused(reason) => *sale.refused.entry(reason.clone()).or_default() += 1,
            }
        }
        sale
    }
}

impl fmt::Display for DayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} shoppers with three channels each arrived in {:.1} s",
            self.shoppers,
            self.arrived.as_secs_f64()
        )?;
        for (index, (confirmed, seen)) in self.releases.iter().enumerate() {
            let product = index + 1;
            writeln!(
                f,
                "release of product {product}, command to shopper: {seen}; command {} ms",
                confirmed.as_millis()
            )?;
        }
        let Sale { answers, bought, refused, unknown, failed_requests } = &self.sale;
        writeln!(f, "purchase, first request to final answer: {answers}")?;
        let refused: Vec<_> = refused.iter().map(|(reason, count)| format!("{count} refused ({reason})")).collect();
        writeln!(
            f,
            "{bought} bought, {}",
            if refused.is_empty() { "0 refused".to_owned() } else { refused.join(", ") }
        )?;
        writeln!(f, "{unknown} not known in between, {failed_requests} requests without an answer of the store")?;
        writeln!(f, "all pages show the stock of the database {} ms after the sale", self.current.as_millis())?;
        match self.faults.len() {
            0 => write!(f, "for each size: sold + left = stocked; every answer agrees with the rows"),
            count => write!(f, "{count} FAULTS\n{}", self.faults.join("\n")),
        }
    }
}
