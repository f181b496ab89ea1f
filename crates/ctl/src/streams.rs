//! Where a command prints and reads, and what it knows of this machine; handed in, so that tests can look.

use std::{
    fmt,
    io::{self, BufRead, Write},
};

use crate::CtlError;

/// Standard output, error and input.
pub struct Streams<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Errors and warnings.
    pub err: &'a mut dyn Write,
    /// Answers to questions.
    pub input: &'a mut dyn BufRead,
    /// Whether somebody watches: then long work shows how far it is.
    pub is_terminal: bool,
}

impl fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}

/// What is known of the machine and the call.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// How the program was called: `influxd-ctl` or `skywatch ctl`.
    pub program: String,
    /// This machine's name; `join` and `leave` look for nodes there.
    pub hostname: String,
    /// A password that is on no command line.
    pub password: Option<String>,
    /// A shared secret that is on no command line.
    pub shared_secret: Option<String>,
}

impl Environment {
    /// Of this process.
    pub fn of_this_machine(program: &str) -> Self {
        let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            program: program.to_owned(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            password: of("SKYWATCH_PASSWORD"),
            shared_secret: of("SKYWATCH_SHARED_SECRET"),
        }
    }
}

impl Streams<'_> {
    /// A line of the result. Whoever stopped reading does not want it.
    pub(crate) fn print(&mut self, line: &str) -> Result<(), CtlError> {
        self.print_raw(&format!("{line}\n"))
    }

    /// Text of the result as it is.
    pub(crate) fn print_raw(&mut self, text: &str) -> Result<(), CtlError> {
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => Ok(result?),
        }
    }

    /// A line beside the result.
    pub(crate) fn tell(&mut self, line: &str) {
        // Standard error may be closed; then there is nobody to tell.
        drop(writeln!(self.err, "{line}"));
    }

    /// Asks; only `y` and `yes` mean yes.
    pub(crate) fn confirm(&mut self, question: &str) -> Result<bool, CtlError> {
        self.print_raw(&format!("{question} [y/N]: "))?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}
