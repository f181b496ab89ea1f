//! One file that is followed: what has been appended to it, line by line.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::multiline::Joiner;
use super::offsets::{FileId, Offsets, Part, UnderWay};
use super::options::{LINE_MAX, Options};
use crate::parser::Parser;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// A line, or several that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Without its end.
    pub(super) text: Vec<u8>,
    /// Where the next one begins in the file.
    pub(super) end: u64,
    /// How many lines of the file it is.
    pub(super) lines: usize,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    shown: String,
    options: Arc<Options>,
    file: File,
    id: FileId,
    /// Up to where the file is read.
    read_to: u64,
    /// Read and not a whole line yet; it begins at `read_to - pending.len()`.
    pending: Vec<u8>,
    /// The rest of a line that was too long is being left out.
    skipping: bool,
    joiner: Joiner,
    parser: Option<Box<dyn Parser>>,
    under_way: UnderWay,
    /// The path belongs to another file or to none; this one is read to its end.
    retired: bool,
    ended: bool,
}

impl Follower {
    /// Follows an open file from an offset on.
    pub(super) fn new(
        path: &Path,
        file: File,
        from: u64,
        options: Arc<Options>,
        offsets: &Offsets,
    ) -> io::Result<Self> {
        let id = id_of(&file.metadata()?);
        let shown = path.to_string_lossy().into_owned();
        Ok(Self {
            under_way: UnderWay::new(offsets.clone(), &shown, id),
            path: path.to_owned(),
            shown,
            options,
            file,
            id,
            read_to: from,
            pending: Vec::new(),
            skipping: false,
            joiner: Joiner::default(),
            parser: None,
            retired: false,
            ended: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// As the tag has it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Up to where the file is read.
    pub(super) fn read_to(&self) -> u64 {
        self.read_to
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The path is not this file's any more.
    pub(super) fn retire(&mut self) {
        self.retired = true;
        self.under_way.retire();
    }

    /// The file's own parser: formats with a header remember it.
    pub(super) fn parser(&mut self, like: &dyn Parser) -> &mut dyn Parser {
        self.parser.get_or_insert_with(|| like.fresh()).as_mut()
    }

    /// These lines are on their way.
    pub(super) fn under_way(&self, lines: &[Line]) -> Part {
        self.under_way.begin(lines.last().map_or(self.read_to, |line| line.end))
    }

    /// The next lines, about `most` of them; none if nothing was appended.
    pub(super) fn read(&mut self, most: usize) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        if self.ended {
            return Ok(lines);
        }
        self.begin_again_if_cut()?;
        let mut chunk = vec![0; CHUNK];
        while lines.len() < most {
            let read = match self.read_chunk(&mut chunk) {
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
                Err(error) => return Err(error),
            };
            if read == 0 {
                self.at_the_end(&mut lines);
                break;
            }
            self.read_to += read as u64;
            self.pending.extend_from_slice(&chunk[..read]);
            self.cut_lines(&mut lines)?;
        }
        Ok(lines)
    }

    fn read_chunk(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        if self.options.pipe { (&self.file).read(chunk) } else { self.file.read_at(chunk, self.read_to) }
    }

    /// A file shorter than what was read of it has been cut, and what is in it now is new.
    fn begin_again_if_cut(&mut self) -> io::Result<()> {
        if !self.options.pipe && self.file.metadata()?.len() < self.read_to {
            self.read_to = 0;
            self.pending.clear();
            self.skipping = false;
            self.parser = None;
            self.under_way.restart();
        }
        Ok(())
    }

    fn at_the_end(&mut self, lines: &mut Vec<Line>) {
        let options = Arc::clone(&self.options);
        if let Some(rules) = &options.multiline {
            self.joiner.late(rules, Instant::now(), lines);
        }
        if self.retired {
            // Nobody will end the last line any more.
            let rest = std::mem::take(&mut self.pending);
            if !rest.is_empty() && !self.skipping {
                self.take_line(rest, self.read_to, lines);
            }
            self.joiner.finish(lines);
            self.ended = true;
        }
    }

    /// Moves the whole lines out of what is pending.
    fn cut_lines(&mut self, lines: &mut Vec<Line>) -> io::Result<()> {
        let feed = self.options.encoding.line_feed();
        let start = self.read_to - self.pending.len() as u64;
        let pending = std::mem::take(&mut self.pending);
        let mut from = 0;
        while let Some(at) = find(&pending[from..], feed) {
            let end = from + at + feed.len();
            if std::mem::take(&mut self.skipping) {
                from = end;
                continue;
            }
            self.take_line(pending[from..from + at].to_vec(), start + end as u64, lines);
            from = end;
        }
        self.pending = pending[from..].to_vec();
        if self.pending.len() > LINE_MAX {
            self.pending.clear();
            if !std::mem::replace(&mut self.skipping, true) {
                let text = format!("a line has more than {LINE_MAX} bytes and is left out");
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
        }
        Ok(())
    }

    fn take_line(&mut self, mut text: Vec<u8>, end: u64, lines: &mut Vec<Line>) {
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        let line = Line { text, end, lines: 1 };
        let options = Arc::clone(&self.options);
        match &options.multiline {
            Some(rules) => self.joiner.add(rules, line, Instant::now(), lines),
            None => lines.push(line),
        }
    }
}

/// Where a line feed is; one of two bytes begins at an even place.
fn find(bytes: &[u8], feed: &[u8]) -> Option<usize> {
    match feed {
        [single] => memchr::memchr(*single, bytes),
        pair => bytes.chunks_exact(2).position(|chunk| chunk == pair).map(|at| at * 2),
    }
}

/// The identity of a file.
pub(super) fn id_of(metadata: &std::fs::Metadata) -> FileId {
    FileId { device: metadata.dev(), inode: metadata.ino() }
}
