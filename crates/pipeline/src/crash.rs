//! How user code fails: an error by `?`, or a panic. Caught here, so that it stops at its stage.

use futures::FutureExt;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::panic::AssertUnwindSafe;

/// What a handler returns: `?` on any error ends what it was doing, as a panic does.
pub type Handled = Result<(), Crash>;

/// That a handler is done, for closures that use `?`: the last line of `async move { ..?; handled() }`.
pub fn handled() -> Handled {
    Ok(())
}

/// Why a handler failed: the text goes to the log.
///
/// Made from any error by `?`.
pub struct Crash(Cow<'static, str>);

impl Crash {
    /// A crash of one's own words.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Crash(why.into())
    }
}

impl<E: std::error::Error> From<E> for Crash {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Crash(text.into())
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a closure may return: nothing, or a result with any error.
pub trait Outcome: sealed::Sealed {
    /// As a handler's result.
    #[doc(hidden)]
    fn into_handled(self) -> Handled;
}

impl Outcome for () {
    fn into_handled(self) -> Handled {
        Ok(())
    }
}

impl<E: Into<Crash>> Outcome for Result<(), E> {
    fn into_handled(self) -> Handled {
        self.map_err(Into::into)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<E> Sealed for Result<(), E> {}
}

/// Runs user code; a panic in it is a crash.
pub(crate) async fn catch<T>(code: impl Future<Output = Result<T, Crash>>) -> Result<T, Crash> {
    match AssertUnwindSafe(code).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(Crash(panic_text(&*panic).into())),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("with a value that is no text"))
}
