//! The command line: words and `--name value` pairs, taken one by one.
//!
//! Each role takes its own arguments and then calls [`Arguments::finish`], which rejects the rest, so that a misspelt
//! option is always an error.

use std::fmt::Display;
use std::io;
use std::str::FromStr;

/// The arguments that no role has taken yet.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    /// Returns the arguments of this process, without its name.
    pub(crate) fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Takes the first argument if it is not an option.
    pub(crate) fn word(&mut self) -> Option<String> {
        let first = self.0.first()?;
        (!first.starts_with("--")).then(|| self.0.remove(0))
    }

    /// Takes `--name` and returns whether it was present.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|argument| argument == name);
        found.map(|at| self.0.remove(at)).is_some()
    }

    /// Takes `--name value`.
    ///
    /// # Errors
    ///
    /// The name has no value, or the value is not a `T`.
    pub(crate) fn option<T>(&mut self, name: &str) -> io::Result<Option<T>>
    where
        T: FromStr<Err: Display>,
    {
        let Some(at) = self.0.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        if at + 1 == self.0.len() {
            return Err(io::Error::other(format!("{name} has no value")));
        }
        self.0.remove(at);
        let value = self.0.remove(at);
        value.parse().map(Some).map_err(|error| io::Error::other(format!("{name} {value}: {error}")))
    }

    /// Takes `--name value`, which is mandatory.
    ///
    /// # Errors
    ///
    /// The option is missing, or its value is not a `T`.
    pub(crate) fn required<T>(&mut self, name: &str) -> io::Result<T>
    where
        T: FromStr<Err: Display>,
    {
        self.option(name)?.ok_or_else(|| io::Error::other(format!("{name} is missing")))
    }

    /// Returns the remaining arguments unchanged.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0
    }

    /// Checks that every argument was taken.
    ///
    /// # Errors
    ///
    /// An argument is left.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(left) => Err(io::Error::other(format!("{left} is not an option of this command"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn words_flags_and_options_are_taken_in_any_order() {
        let mut line = arguments("fanout --rounds 3 --quick --peer a --peer b");
        assert_eq!(line.word().as_deref(), Some("fanout"));
        assert!(line.flag("--quick"));
        assert_eq!(line.option::<String>("--peer").unwrap().unwrap(), "a");
        assert_eq!(line.option::<String>("--peer").unwrap().unwrap(), "b");
        assert_eq!(line.required::<u32>("--rounds").unwrap(), 3);
        line.finish().unwrap();
    }

    #[test]
    fn unknown_and_invalid_options_are_errors() {
        assert!(arguments("--ronuds 3").finish().is_err());
        assert!(arguments("--rounds x").option::<u32>("--rounds").is_err());
        assert!(arguments("--rounds").option::<u32>("--rounds").is_err());
    }
}
