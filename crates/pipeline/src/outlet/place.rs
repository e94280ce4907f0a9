//! A push that waits for room in an outlet.

use super::{Outlet, State};
use crate::exchange::Exchange;
use crate::line::Ticket;
use std::future::poll_fn;
use std::task::Poll;

/// A push's place among those that wait for room. Leaves it when it is dropped.
pub(super) struct Place<'a, T> {
    outlet: &'a Outlet<T>,
    ticket: Option<Ticket>,
}

impl<'a, T> Place<'a, T> {
    pub(super) fn new(outlet: &'a Outlet<T>) -> Self {
        Place { outlet, ticket: None }
    }

    /// Tries whenever there is as much room as it wants, until it wants none or the outlet is closed. A try says how much room
    /// it wants for what is left.
    pub(super) async fn push(&mut self, mut wants: usize, mut attempt: impl FnMut(&mut Exchange<T>) -> usize) {
        poll_fn(|cx| {
            self.outlet.change(|state| {
                let State { exchange, line, .. } = state;
                if exchange.closed() {
                    return Poll::Ready(());
                }
                let first = match self.ticket {
                    Some(ticket) if line.stay(ticket, cx.waker()) => return Poll::Pending,
                    Some(called) => {
                        line.leave(called);
                        self.ticket = None;
                        true
                    }
                    // Nobody overtakes; but in another partition there may be room.
                    None => line.is_empty() || self.outlet.partitions > 1,
                };
                if first {
                    wants = attempt(exchange);
                }
                if wants == 0 {
                    return Poll::Ready(());
                }
                self.ticket = Some(line.join(wants, cx.waker().clone()));
                Poll::Pending
            })
        })
        .await
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // What it was promised is the others'.
            self.outlet.change(|state| state.line.leave(ticket));
        }
    }
}
