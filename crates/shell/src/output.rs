//! Where answers go: the screen, or a file for as long as `\o` says so.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use crate::style::Style;

/// Pieces of answers are gathered until there is so much of them.
const BUFFER_BYTES: usize = 64 * 1024;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Output {
    to: BufWriter<Target>,
    file: Option<PathBuf>,
}

#[derive(Debug)]
enum Target {
    Screen(io::Stdout),
    File(File),
}

impl Output {
    /// Standard output.
    pub(crate) fn screen() -> Self {
        Self { to: BufWriter::with_capacity(BUFFER_BYTES, Target::Screen(io::stdout())), file: None }
    }

    /// Appends to a file, which is made if it is not there.
    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self {
            to: BufWriter::with_capacity(BUFFER_BYTES, Target::File(file)),
            file: Some(path.to_owned()),
        })
    }

    /// The file, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether somebody looks at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.file.is_none() && io::stdout().is_terminal()
    }

    pub(crate) fn style(&self) -> Style {
        if self.file.is_none() { Style::detect(&io::stdout()) } else { Style::plain() }
    }

    /// Columns of the terminal, if it is one.
    pub(crate) fn width(&self) -> Option<usize> {
        if !self.is_terminal() {
            return None;
        }
        terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Screen(screen) => screen.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Screen(screen) => screen.flush(),
            Self::File(file) => file.flush(),
        }
    }
}
