//! The command line: words and `--name value` pairs, taken one by one.
//!
//! Owns no meaning: each role takes what it knows and then calls [`Arguments::finish`], which refuses what
//! is left, so that a misspelt option never passes in silence.

use std::fmt::Display;
use std::io;
use std::str::FromStr;

/// What is still to be read of the command line.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    /// The arguments of this process, without its name.
    pub(crate) fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Takes the first argument, if it is no option.
    pub(crate) fn word(&mut self) -> Option<String> {
        let first = self.0.first()?;
        (!first.starts_with("--")).then(|| self.0.remove(0))
    }

    /// Takes `--name`, and says whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|argument| argument == name);
        found.map(|at| self.0.remove(at)).is_some()
    }

    /// Takes `--name value`.
    ///
    /// # Errors
    ///
    /// The name is there without a value, or the value is no `T`.
    pub(crate) fn option<T>(&mut self, name: &str) -> io::Result<Option<T>>
    where
        T: FromStr<Err: Display>,
    {
        let Some(at) = self.0.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        if at + 1 == self.0.len() {
            return Err(io::Error::other(format!("{name} needs a value")));
        }
        self.0.remove(at);
        let value = self.0.remove(at);
        value.parse().map(Some).map_err(|error| io::Error::other(format!("{name} {value}: {error}")))
    }

    /// Takes `--name value` that must be there.
    ///
    /// # Errors
    ///
    /// It is missing, or the value is no `T`.
    pub(crate) fn required<T>(&mut self, name: &str) -> io::Result<T>
    where
        T: FromStr<Err: Display>,
    {
        self.option(name)?.ok_or_else(|| io::Error::other(format!("{name} is missing")))
    }

    /// Everything that is left, as it is.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// Something was not taken.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(left) => Err(io::Error::other(format!("{left} is not understood here"))),
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
    fn what_nobody_takes_is_an_error() {
        assert!(arguments("--ronuds 3").finish().is_err());
        assert!(arguments("--rounds x").option::<u32>("--rounds").is_err());
        assert!(arguments("--rounds").option::<u32>("--rounds").is_err());
    }
}
