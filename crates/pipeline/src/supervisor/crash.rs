//! Crashes of the application's code: an error by `?`, or a panic. [`catch`] keeps both within their stage.
//!
//! Handlers return [`HandlerResult`]; supervisors and workers run handlers through [`catch`].

use futures::FutureExt;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::panic::AssertUnwindSafe;

/// The result of a handler. An error, by `?`, is a crash as a panic is.
pub type HandlerResult = Result<(), HandlerError>;

/// Returns `Ok(())`, for closures that use `?`: the last line of `async move { ..?; handled() }`.
pub fn handled() -> HandlerResult {
    Ok(())
}

/// The error of a handler, made from any error by `?`. Its text goes to the log.
pub struct HandlerError(Cow<'static, str>);

impl HandlerError {
    /// Makes an error with a text.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        HandlerError(why.into())
    }
}

impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        HandlerError(text.into())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The return value of a closure that is a handler: nothing, or a result with any error.
pub trait IntoHandlerResult: sealed::Sealed {
    /// Converts it into a handler's result.
    #[doc(hidden)]
    fn into_handler_result(self) -> HandlerResult;
}

impl IntoHandlerResult for () {
    fn into_handler_result(self) -> HandlerResult {
        Ok(())
    }
}

impl<E: Into<HandlerError>> IntoHandlerResult for Result<(), E> {
    fn into_handler_result(self) -> HandlerResult {
        self.map_err(Into::into)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<E> Sealed for Result<(), E> {}
}

/// Runs a future of the application's. A panic in it is a crash.
pub(crate) async fn catch<T>(code: impl Future<Output = Result<T, HandlerError>>) -> Result<T, HandlerError> {
    match AssertUnwindSafe(code).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(HandlerError(panic_text(&*panic).into())),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("with a value that is not a text"))
}
