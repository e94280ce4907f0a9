//! The assertion macros.
//!
//! They are macros because a payload may be a value, a pattern or a closure, and because a failure must have the
//! location of the test. The functions of `assertion` wait and match.

/// Asserts that a push arrives: at a [`TestChannel`](crate::TestChannel), at any channel of a
/// [`TestSocket`](crate::TestSocket), or at any client of a [`ChannelTest`](crate::ChannelTest).
///
/// Removes the first matching push from the mailbox; the others stay. Waits 100 ms of virtual time, 5 s where time is
/// real, or the time of the last argument. The expansion contains an `.await`, so the macro requires an `async` function. Broadcasts that a
/// channel does not intercept are pushes too, as they are for a client; so are `phx_close` and `phx_error` at the end
/// of a channel.
///
/// ```text
/// assert_push!(channel);                                        // any event
/// assert_push!(channel, "number");                              // any payload
/// assert_push!(channel, "number", json!({ "value": 1 }));       // exactly this payload
/// assert_push!(channel, "number", expected);                    // any expression is compared, also a variable
/// assert_push!(channel, "number", Number { value: 1 });         // a type with braces is a pattern
/// assert_push!(channel, "number", Number { value } if value > 1);
/// let value = assert_push!(channel, "number", Number { value } => value);
/// assert_push!(channel, "shape", Shape::Circle(radius) => radius);  // any pattern, followed by an expression
/// assert_push!(channel, "number", |number: Number| number.value > 1);
/// assert_push!(channel, "number", json!({ "value": 1 }), Duration::from_secs(5));
/// assert_push!(channel, "number", _, Duration::ZERO);           // only earlier arrivals
/// ```
///
/// Patterns and closures parse the payload into their type; a payload of another shape does not match. With `=>` the
/// macro returns the value of the expression, otherwise the [`Payload`](bennu_channels::Payload).
///
/// # Panics
/// When no matching push arrives. The text lists all arrivals and the difference of the closest one.
#[macro_export]
macro_rules! assert_push {
    ($($arguments:tt)+) => { $crate::__event!(assert, push, Push, $($arguments)+) };
}

/// Asserts that no matching push is in the mailbox or arrives: the counterpart of [`assert_push!`], with the same
/// arguments.
///
/// Waits 100 ms, also where time is real. Virtual, they take no real time when nothing is in flight.
///
/// # Panics
/// When a matching push arrives. The text contains it and all other arrivals.
#[macro_export]
macro_rules! refute_push {
    ($($arguments:tt)+) => { $crate::__event!(refute, push, Push, $($arguments)+) };
}

/// Asserts that an event is broadcast on a topic to which the test has subscribed, for example by `subscribe_and_join`:
/// the topic of a [`TestChannel`](crate::TestChannel), or any topic of a [`ChannelTest`](crate::ChannelTest).
///
/// The arguments are those of [`assert_push!`].
///
/// # Panics
/// When no matching broadcast arrives. The text lists all arrivals and the difference of the closest one.
#[macro_export]
macro_rules! assert_broadcast {
    ($($arguments:tt)+) => { $crate::__event!(assert, broadcast, Broadcast, $($arguments)+) };
}

/// Asserts that no matching event is broadcast: the counterpart of [`assert_broadcast!`], with the same arguments.
///
/// # Panics
/// When a matching broadcast arrives. The text contains it and all other arrivals.
#[macro_export]
macro_rules! refute_broadcast {
    ($($arguments:tt)+) => { $crate::__event!(refute, broadcast, Broadcast, $($arguments)+) };
}

/// Asserts that the reply to a message arrives. The second argument is its status: `ok`, `error`, an expression, or `_`
/// for any status. The third is its payload, as in [`assert_push!`].
///
/// ```text
/// let reference = channel.push("ping", json!({}));
/// assert_reply!(reference, ok, json!({ "ping": "pong" }));
/// assert_reply!(reference, error, Refusal { reason } if reason.starts_with("too many"));
/// assert_reply!(reference, "later");
/// ```
///
/// # Panics
/// When no matching reply arrives. The text lists all arrivals and the difference of the closest one.
#[macro_export]
macro_rules! assert_reply {
    ($($arguments:tt)+) => { $crate::__reply!(assert, $($arguments)+) };
}

/// Asserts that no matching reply arrives: the counterpart of [`assert_reply!`], with the same arguments.
/// `refute_reply!(reference)` asserts that no reply arrives at all.
///
/// # Panics
/// When a matching reply arrives. The text contains it and all other arrivals.
#[macro_export]
macro_rules! refute_reply {
    ($($arguments:tt)+) => { $crate::__reply!(refute, $($arguments)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __event {
    ($assertion:ident, $selector:ident, $kind:ident, $mailbox:expr $(,)?) => {
        $crate::__await!($assertion, $mailbox, $crate::__private::Selector::$kind(None), ())
    };
    ($assertion:ident, $selector:ident, $kind:ident, $mailbox:expr, _ $(, $($payload:tt)*)?) => {
        $crate::__await!($assertion, $mailbox, $crate::__private::Selector::$kind(None), ($($($payload)*)?))
    };
    ($assertion:ident, $selector:ident, $kind:ident, $mailbox:expr, $event:expr $(, $($payload:tt)*)?) => {
        $crate::__await!($assertion, $mailbox, $crate::__private::Selector::$selector($event), ($($($payload)*)?))
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
    // The expression of the ref is most often the push itself, so it must be evaluated once.
    (@any $assertion:ident, $reference:expr, $payload:tt) => {{
        let reference = &$reference;
        $crate::__await!($assertion, reference, $crate::__private::Selector::any_reply(reference), $payload)
    }};
    (@with $status:expr, $assertion:ident, $reference:expr, $payload:tt) => {{
        let reference = &$reference;
        $crate::__await!($assertion, reference, $crate::__private::Selector::reply(reference, $status), $payload)
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __await {
    ($assertion:ident, $mailbox:expr, $selector:expr, ($($payload:tt)*)) => {
        match $crate::__private::$assertion(
            $crate::Mailbox::view(&$mailbox),
            $selector,
            $crate::__payload!($($payload)*),
        )
        .await
        {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(failure) => ::core::panic!("{failure}"),
        }
    };
}

/// Chooses the matcher by the syntax of the payload. Expands to the matcher and the timeout.
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
    // An expression contains neither `=>` nor an `if` after its beginning, so the tokens before one of them are a
    // pattern.
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
