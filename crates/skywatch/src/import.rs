//! `skywatch import`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use skywatch_backup::{ImportOptions, Progress, Task, import};

use crate::{
    cli::ImportArgs,
    ctl::{print, warn},
};

/// First bytes of what gzip makes.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Complaints printed in full; the rest are counted.
const TOLD_MAX: u64 = 100;

pub(crate) fn run(args: &ImportArgs) -> Result<ExitCode> {
    let (file, size_bytes): (Box<dyn Read>, u64) = if args.file.as_os_str() == "-" {
        (Box::new(io::stdin()), 0)
    } else {
        let file = File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
        let size_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        (Box::new(file), size_bytes)
    };
    let task = Progress::detect(args.quiet).task("importing", size_bytes);
    let mut packed = BufReader::with_capacity(1 << 20, Counted { file, task });
    let is_gzip = packed.fill_buf().context("cannot read the file")?.starts_with(&GZIP_MAGIC);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let options = ImportOptions {
        url: args.connection.connection()?.place.to_string(),
        database: args.db.clone().unwrap_or_default(),
        policy: args.rp.clone().unwrap_or_default(),
        precision: args.precision.clone(),
        from_line: args.from_line,
        now_ns: i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX),
    };
    let mut told = 0;
    let mut tell = |text: &str| {
        told += 1;
        if told <= TOLD_MAX {
            warn(text);
        }
    };
    let summary = if is_gzip {
        import(&mut BufReader::with_capacity(1 << 20, MultiGzDecoder::new(packed)), &options, &mut tell)?
    } else {
        import(&mut packed, &options, &mut tell)?
    };
    if told > TOLD_MAX {
        warn(&format!("and {} more complaints", told - TOLD_MAX));
    }
    if !args.quiet {
        print(&format!(
            "imported {} points from {} lines; bad lines: {}, points refused: {}, statements failed: {}",
            summary.points, summary.lines, summary.bad_lines, summary.refused, summary.failed_statements
        ))?;
    }
    let is_whole = summary.bad_lines + summary.refused + summary.failed_statements == 0;
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells of the bytes that are read through it.
struct Counted {
    file: Box<dyn Read>,
    task: Task,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.task.add(count as u64);
        Ok(count)
    }
}
