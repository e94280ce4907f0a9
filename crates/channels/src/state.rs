//! The check that a mount, or a test, was given the state that its socket needs.

use std::sync::Arc;

/// The state that was given is the one that a socket names as [`Socket::State`](crate::Socket::State).
///
/// Every type is its own state; `()`, which nobody has to give, is that of a socket without state. A mount without
/// `.with_state(..)`, or with a state of another type, does not compile.
#[diagnostic::on_unimplemented(
    message = "the socket's state is `{T}`, given is `{Self}`",
    label = "write `.with_state(..)` before this, with a value of type `{T}`"
)]
pub trait GivenState<T>: Sized {
    /// The state itself.
    #[doc(hidden)]
    fn given(self: Arc<Self>) -> Arc<T>;
}

#[diagnostic::do_not_recommend]
impl<T> GivenState<T> for T {
    fn given(self: Arc<Self>) -> Arc<T> {
        self
    }
}
