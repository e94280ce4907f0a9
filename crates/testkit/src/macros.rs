//! The assertions as tests write them.
//!
//! Macros, since a payload may be given as a value, a pattern or a closure, and since a failure must point to the line
//! of the test. What they wait and look with is in `assertion`.

/// Sees that a push arrives: at a [`TestChannel`](crate::TestChannel), at any channel of a
/// [`TestSocket`](crate::TestSocket), or at any client of a [`ChannelTest`](crate::ChannelTest).
///
/// Takes the first push that fits out of the mailbox; others stay. Waits 100 ms of virtual time, or as long as the last
/// argument says. It contains an `.await`, so it stands in an `async` test. Broadcasts that a channel does not intercept
/// are pushes too, as they are to a client; so is `phx_close` or `phx_error` when the channel ends.
///
/// ```text
/// assert_push!(channel);                                        // any event
/// assert_push!(channel, "number");                              // any payload
/// assert_push!(channel, "number", json!({ "value": 1 }));       // this payload, and nothing besides
/// assert_push!(channel, "number", expected);                    // any expression is compared, a name too
/// assert_push!(channel, "number", Number { value: 1 });         // a type with braces is a pattern
/// assert_push!(channel, "number", Number { value } if value > 1);
/// let value = assert_push!(channel, "number", Number { value } => value);
/// assert_push!(channel, "shape", Shape::Circle(radius) => radius);  // any pattern, once it says what it is for
/// assert_push!(channel, "number", |number: Number| number.value > 1);
/// assert_push!(channel, "number", json!({ "value": 1 }), Duration::from_secs(5));
/// assert_push!(channel, "number", _, Duration::ZERO);           // only what is there already
/// ```
///
/// Patterns and closures parse the payload into their type; one that has another shape does not fit. With `=>` the
/// value is what stands behind it, otherwise the [`Payload`](bennu_channels::Payload).
///
/// # Panics
/// When nothing arrives that fits. The message lists what did, and shows how the nearest differs.
#[macro_export]
macro_rules! assert_push {
    ($($arguments:tt)+) => { $crate::__event!(assert, push, Push, $($arguments)+) };
}

/// Sees that no push arrives that fits, neither one that waits already nor a new one: the counterpart of
/// [`assert_push!`], with the same arguments.
///
/// When nothing is in flight, its 100 ms are virtual and take no time.
///
/// # Panics
/// When one arrives. The message shows it, and what arrived besides.
#[macro_export]
macro_rules! refute_push {
    ($($arguments:tt)+) => { $crate::__event!(refute, push, Push, $($arguments)+) };
}

/// Sees that an event is broadcast on a topic that the test has subscribed to, which `subscribe_and_join` does: the
/// topic of a [`TestChannel`](crate::TestChannel), or any topic of a [`ChannelTest`](crate::ChannelTest).
///
/// The arguments are those of [`assert_push!`].
///
/// # Panics
/// When nothing is broadcast that fits. The message lists what did arrive, and shows how the nearest differs.
#[macro_export]
macro_rules! assert_broadcast {
    ($($arguments:tt)+) => { $crate::__event!(assert, broadcast, Broadcast, $($arguments)+) };
}

/// Sees that nothing is broadcast that fits: the counterpart of [`assert_broadcast!`], with the same arguments.
///
/// # Panics
/// When something is. The message shows it, and what arrived besides.
#[macro_export]
macro_rules! refute_broadcast {
    ($($arguments:tt)+) => { $crate::__event!(refute, broadcast, Broadcast, $($arguments)+) };
}

/// Sees that a message is answered: with `ok`, `error`, another status, or `_` for any; then the payload as in
/// [`assert_push!`].
///
/// ```text
/// let reference = channel.push("ping", json!({}));
/// assert_reply!(reference, ok, json!({ "ping": "pong" }));
/// assert_reply!(reference, error, Refusal { reason } if reason.starts_with("too many"));
/// assert_reply!(reference, "later");
/// ```
///
/// # Panics
/// When no answer comes that fits. The message lists what did arrive, and shows how it differs.
#[macro_export]
macro_rules! assert_reply {
    ($($arguments:tt)+) => { $crate::__reply!(assert, $($arguments)+) };
}

/// Sees that a message is not answered in this way: the counterpart of [`assert_reply!`], with the same arguments.
/// `refute_reply!(reference)` sees that it is not answered at all.
///
/// # Panics
/// When it is. The message shows the answer, and what arrived besides.
#[macro_export]
macro_rules! refute_reply {
    ($($arguments:tt)+) => { $crate::__reply!(refute, $($arguments)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __event {
    ($assertion:ident, $wanted:ident, $kind:ident, $inbox:expr $(,)?) => {
        $crate::__await!($assertion, $inbox, $crate::__private::Wanted::$kind(None), ())
    };
    ($assertion:ident, $wanted:ident, $kind:ident, $inbox:expr, _ $(, $($payload:tt)*)?) => {
        $crate::__await!($assertion, $inbox, $crate::__private::Wanted::$kind(None), ($($($payload)*)?))
    };
    ($assertion:ident, $wanted:ident, $kind:ident, $inbox:expr, $event:expr $(, $($payload:tt)*)?) => {
        $crate::__await!($assertion, $inbox, $crate::__private::Wanted::$wanted($event), ($($($payload)*)?))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __reply {
    ($assertion:ident, $reference:expr $(,)?) => { $crate::__reply!(@any $assertion, $reference, ()) };
    ($assertion:ident, $reference:expr, _ $(, $($payload:tt)*)?) => {
        $crate::__reply!(@any $assertion, $reference, ($($($payload)*)?))
    };
    ($assertion:ident, $reference:expr, ok $(, $($payload:tt)*)?) => {
        $crate::__reply!(@with "ok", $assertion, $reference, ($($($payload)*)?))
    };
    ($assertion:ident, $reference:expr, error $(, $($payload:tt)*)?) => {
        $crate::__reply!(@with "error", $assertion, $reference, ($($($payload)*)?))
    };
    ($assertion:ident, $reference:expr, $status:expr $(, $($payload:tt)*)?) => {
        $crate::__reply!(@with $status, $assertion, $reference, ($($($payload)*)?))
    };
    // The expression that gives the ref is most often the push itself: it must not run twice.
    (@any $assertion:ident, $reference:expr, $payload:tt) => {{
        let reference = &$reference;
        $crate::__await!($assertion, reference, $crate::__private::Wanted::any_reply(reference), $payload)
    }};
    (@with $status:expr, $assertion:ident, $reference:expr, $payload:tt) => {{
        let reference = &$reference;
        $crate::__await!($assertion, reference, $crate::__private::Wanted::reply(reference, $status), $payload)
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __await {
    ($assertion:ident, $inbox:expr, $wanted:expr, ($($payload:tt)*)) => {
        match $crate::__private::$assertion(
            $crate::Inbox::view(&$inbox),
            $wanted,
            $crate::__payload!($($payload)*),
        )
        .await
        {
            ::core::result::Result::Ok(fits) => fits,
            ::core::result::Result::Err(failure) => ::core::panic!("{failure}"),
        }
    };
}

/// Tells by its syntax what a payload is given as: a matcher, and how long to wait.
#[doc(hidden)]
#[macro_export]
macro_rules! __payload {
    () => { ($crate::__private::any(), ::core::option::Option::None) };
    (_ $(, $timeout:expr)? $(,)?) => { ($crate::__private::any(), $crate::__timeout!($($timeout)?)) };
    (@form (| $($rest:tt)+) $($all:tt)+) => { $crate::__payload!(@closure $($all)+) };
    (@form (move | $($rest:tt)+) $($all:tt)+) => { $crate::__payload!(@closure $($all)+) };
    (@form ($($any:tt)+) $($all:tt)+) => { $crate::__payload!(@scan () ($($all)+) $($all)+) };
    (@closure $closure:expr $(, $timeout:expr)? $(,)?) => {
        ($crate::__private::holds(::core::stringify!($closure), $closure), $crate::__timeout!($($timeout)?))
    };
    ($($path:ident)::+ { $($fields:tt)* } $(, $timeout:expr)? $(,)?) => {
        (
            $crate::__private::holds(::core::stringify!($($path)::+ { $($fields)* }), |payload| {
                ::core::matches!(payload, $($path)::+ { $($fields)* })
            }),
            $crate::__timeout!($($timeout)?),
        )
    };
    // Neither `=>` nor a later `if` stands in an expression: what comes before one of them is a pattern.
    (@scan ($($pattern:tt)+) ($($all:tt)+) => $body:expr $(, $timeout:expr)? $(,)?) => {
        (
            $crate::__private::binds(::core::stringify!($($pattern)+), |payload| match payload {
                $($pattern)+ => ::core::option::Option::Some($body),
                #[allow(unreachable_patterns)]
                _ => ::core::option::Option::None,
            }),
            $crate::__timeout!($($timeout)?),
        )
    };
    (@scan ($($pattern:tt)+) ($($all:tt)+) if $($rest:tt)+) => {
        $crate::__payload!(@guard ($($pattern)+) $($rest)+)
    };
    (@scan ($($seen:tt)*) ($($all:tt)+) $next:tt $($rest:tt)*) => {
        $crate::__payload!(@scan ($($seen)* $next) ($($all)+) $($rest)*)
    };
    (@scan ($($seen:tt)*) ($($all:tt)+)) => { $crate::__payload!(@value $($all)+) };
    (@guard ($($pattern:tt)+) $guard:expr => $body:expr $(, $timeout:expr)? $(,)?) => {
        (
            $crate::__private::binds(
                ::core::concat!(::core::stringify!($($pattern)+), " if ", ::core::stringify!($guard)),
                |payload| match payload {
                    $($pattern)+ if $guard => ::core::option::Option::Some($body),
                    #[allow(unreachable_patterns)]
                    _ => ::core::option::Option::None,
                },
            ),
            $crate::__timeout!($($timeout)?),
        )
    };
    (@guard ($($pattern:tt)+) $guard:expr $(, $timeout:expr)? $(,)?) => {
        (
            $crate::__private::holds(
                ::core::concat!(::core::stringify!($($pattern)+), " if ", ::core::stringify!($guard)),
                |payload| ::core::matches!(payload, $($pattern)+ if $guard),
            ),
            $crate::__timeout!($($timeout)?),
        )
    };
    (@value $value:expr $(, $timeout:expr)? $(,)?) => {
        ($crate::__private::equal(&$value), $crate::__timeout!($($timeout)?))
    };
    ($($all:tt)+) => { $crate::__payload!(@form ($($all)+) $($all)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __timeout {
    () => {
        ::core::option::Option::None
    };
    ($timeout:expr) => {
        ::core::option::Option::Some($timeout)
    };
}
